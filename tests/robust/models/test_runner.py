"""Every way to a runner: live objects, models, and files by their trust."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn

from robust.errors import InvalidInput, MissingExtra, UntrustedFile
from robust.models import loading
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.models.runner import as_runner, load_runner

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(40, 4))
Y = (X[:, 0] > 0).astype(int)


def test_a_runner_passes_through():
    first = as_runner(lambda x: x)
    assert as_runner(first) is first
    renamed = as_runner(first, name="other", batch_size=3)
    assert (renamed.name, renamed.batch_size, renamed.forward) == ("other", 3, first.forward)


def test_an_estimator_and_a_model_of_it():
    estimator = LogisticRegression().fit(X, Y)
    for obj in (estimator, as_model(estimator)):
        (found,), (spec,) = as_runner(obj, batch_size=7).run([X])
        np.testing.assert_allclose(found, estimator.predict_proba(X))
        assert (spec.name, spec.shape) == ("output", (2,))
    assert as_runner(estimator).framework == "sklearn"
    with pytest.raises(InvalidInput, match="takes one input, got 2"):
        as_runner(estimator).run([X, X])


def test_an_estimator_of_named_columns():
    import pandas as pd

    names = list("abcd")
    estimator = LinearRegression().fit(pd.DataFrame(X, columns=names), X @ np.ones(4))
    (found,), _ = as_runner(estimator).run([X])
    np.testing.assert_allclose(found, X.sum(axis=1))
    with pytest.raises(InvalidInput, match=r"fitted on 4 columns, got rows of shape \(3,\)"):
        as_runner(estimator).run([X[:, :3]])


def test_a_model_gives_all_outputs_that_its_adapter_has():
    class Two(nn.Module):
        def forward(self, x):
            return {"a": x, "b": x.sum(dim=1)}

    wrapped = as_model(Two(), name="two", batch_size=5)
    runner = as_runner(wrapped)
    assert (runner.name, runner.batch_size) == ("two", 5)
    assert [spec.name for spec in runner.run([X])[1]] == ["a", "b"]


def test_a_model_of_a_function():
    model = as_model(lambda x: x.sum(axis=1), name="total", batch_size=6)
    runner = as_runner(model)
    assert (runner.name, runner.batch_size, runner.framework) == ("total", 6, "callable")
    np.testing.assert_allclose(runner.run([X])[0][0], X.sum(axis=1))


def test_a_loaded_int8_model_keeps_its_scales(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["f"]),
        helper.make_node("QuantizeLinear", ["f", "s", "z"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.INT8, [2, 4]) for name in "xy"]
    weights = [numpy_helper.from_array(np.float32(0.5), "s"), numpy_helper.from_array(np.int8(3), "z")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    for runner in (as_runner(load_model(path)), as_runner(path), load_runner(str(path)), as_runner(path, name="n")):
        (y,), (spec,) = runner.run([X])
        assert (y.dtype, spec.quantization.scale, spec.quantization.zero_point) == (np.int8, 0.5, 3)
        np.testing.assert_array_equal(y, np.clip(np.rint(X / 0.5) + 3, -128, 127))
        assert runner.fixed_batch == 2
    assert runner.name == "n"


def test_an_exported_model_with_a_fixed_batch(tmp_path):
    program = torch.export.export(nn.Linear(4, 2).eval(), (torch.zeros(3, 4),))
    torch.export.save(program, tmp_path / "m.pt2")
    model = load_model(tmp_path / "m.pt2")
    (found,), _ = as_runner(model).run([X])
    (again,), _ = load_runner(tmp_path / "m.pt2").run([X])
    assert found.shape == again.shape == (40, 2)
    np.testing.assert_allclose(found, again, rtol=1e-6)


def test_weights_with_a_factory(tmp_path, monkeypatch):
    (tmp_path / "p3_factory_nets.py").write_text("from torch import nn\n\ndef make():\n    return nn.Linear(4, 2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    net = nn.Linear(4, 2)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    runner = load_runner(tmp_path / "w.pt", factory="p3_factory_nets:make")
    (found,), _ = runner.run([X])
    np.testing.assert_allclose(found, net(torch.from_numpy(X).float()).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert runner.name == "w.pt"


@pytest.mark.parametrize("name", ["m.onnx", "m.pt2", "m.pkl", "m.pt", "m.joblib"])
def test_a_pickle_under_any_name_is_not_loaded(tmp_path, hostile, name):
    path = tmp_path / name
    path.write_bytes(hostile)
    with pytest.raises(UntrustedFile, match="can run code"):
        load_runner(path)


def test_a_pickle_inside_an_exported_archive_is_not_loaded(exported, rewrite, hostile):
    path = rewrite(exported[0], "m.pt2", {"data/constants/evil.pt": hostile})
    with pytest.raises(UntrustedFile, match="evil.pt"):
        load_runner(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.onnx", b"\x08\x08 no model", "cannot be read as an ONNX model"),
        ("m.onnx", b"", "is empty"),
        ("m.onnx", b"plain text", "no .onnx file"),
        ("m.xyz", b"\x00\x01\x02", "unknown suffix '.xyz'"),
        ("m.pt2", b"PK\x03\x04 cut off", "damaged or truncated archive"),
    ],
)
def test_files_that_are_no_models(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        load_runner(tmp_path / name)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        as_runner(tmp_path / "none.onnx")
    with pytest.raises(InvalidInput, match="is a directory"):
        load_runner(tmp_path)
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08 no model")
    with pytest.raises(InvalidInput, match="factory is for weights"):
        load_runner(tmp_path / "m.onnx", factory="a:b")


def test_tensors_outside_the_models_folder(tmp_path):
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 2], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../secret.bin")
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])]
    ends.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2]))
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInput, match="outside its own folder"):
        load_runner(tmp_path / "m.onnx")
    weight.external_data[0].value = "w.bin"
    graph.initializer[0].CopyFrom(weight)
    model.graph.CopyFrom(graph)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInput, match="w.bin, which is not beside it"):
        load_runner(tmp_path / "m.onnx")
    weights = np.arange(8, dtype=np.float32).reshape(4, 2)
    (tmp_path / "w.bin").write_bytes(weights.tobytes())
    (found,), _ = load_runner(tmp_path / "m.onnx").run([X])
    np.testing.assert_allclose(found, X.astype(np.float32) @ weights, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_library_that_is_not_installed(tmp_path, monkeypatch, exported, suffix):
    path = tmp_path / f"m{suffix}"
    path.write_bytes(exported[0].read_bytes() if suffix == ".pt2" else b"\x08\x08 some bytes")
    monkeypatch.setattr(loading, "find_spec", lambda library: None)
    with pytest.raises(MissingExtra, match=rf"robust-gates\[{'torch' if suffix == '.pt2' else 'onnx'}\]"):
        load_runner(path)


@pytest.mark.parametrize("obj", [3, "", None, LinearRegression])
def test_what_is_no_model(obj):
    with pytest.raises(InvalidInput):
        as_runner(obj)


def test_a_model_of_an_exported_embedding(tmp_path):
    program = torch.export.export(
        nn.Sequential(nn.Embedding(9, 4), nn.Flatten()).eval(),
        (torch.zeros(3, 2, dtype=torch.int64),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    torch.export.save(program, tmp_path / "m.pt2")
    codes = np.array([[0, 8], [3, 3]])
    (found,), _ = as_runner(load_model(tmp_path / "m.pt2")).run([codes])
    (again,), _ = load_runner(tmp_path / "m.pt2").run([codes])
    np.testing.assert_array_equal(found, again)
