import gzip
import io
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from robust.errors import InvalidInput, MissingExtra, UntrustedFile
from robust.models.loading import load_model

X = np.random.default_rng(0).normal(size=(40, 4))
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _factories(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture
def onnx_file(tmp_path):
    from onnx import TensorProto, helper, numpy_helper, save

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.eye(4, 3, dtype=np.float32), "w")],
    )
    path = tmp_path / "good.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def expected(net):
    with torch.no_grad():
        return net(torch.from_numpy(X).float()).double().numpy()


# --- what loads ---


def test_safetensors_with_a_factory(tmp_path, net):
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    model = load_model(tmp_path / "net.safetensors", factory="nets_for_factories:small", output="logits")
    np.testing.assert_allclose(model.forward(X), expected(net), atol=1e-6)
    assert (model.name, model.task, model.output) == ("net.safetensors", "classification", "logits")
    assert model.gradients is not None


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_state_dict_with_a_factory(tmp_path, net, suffix, zipped, nested):
    path = tmp_path / f"net{suffix}"
    state = net.state_dict()
    torch.save({"state_dict": state, "epoch": 3} if nested else state, path, _use_new_zipfile_serialization=zipped)
    model = load_model(path, factory="nets_for_factories:small")
    np.testing.assert_allclose(model.forward(X), expected(net), atol=1e-6)


def test_onnx(onnx_file):
    model = load_model(str(onnx_file), name="mine")
    np.testing.assert_allclose(model.forward(X), X[:, :3], atol=1e-6)
    assert (model.name, model.framework) == ("mine", "onnx")
    assert model.content() == onnx_file.read_bytes()


def fitted():
    return LogisticRegression().fit(X, X[:, 0] > 0)


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "lzma", "xz"])
def test_joblib_needs_trust(tmp_path, compress):
    joblib.dump(fitted(), tmp_path / "m.joblib", compress=compress)
    with pytest.raises(UntrustedFile, match="pickle, which can run code"):
        load_model(tmp_path / "m.joblib")
    model = load_model(tmp_path / "m.joblib", trust=True)
    np.testing.assert_array_equal(model.forward(X), fitted().predict_proba(X))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickle_needs_trust(tmp_path, protocol):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(fitted(), protocol=protocol))
    with pytest.raises(UntrustedFile, match="is a pickle, which can run code"):
        load_model(tmp_path / "m.pkl")
    assert load_model(tmp_path / "m.pkl", trust=True).task == "classification"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_module_needs_trust(tmp_path, net, zipped):
    path = tmp_path / "whole.pt"
    torch.save(net, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UntrustedFile, match=r"more than tensors in it.* can run code.*trust=True or --trust"):
        load_model(path)
    np.testing.assert_allclose(load_model(path, trust=True).forward(X), expected(net), atol=1e-6)


def test_torchscript_needs_trust(tmp_path, net):
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.trace(net, torch.zeros(2, 4)).save(tmp_path / "script.pt")
    with pytest.raises(UntrustedFile, match="is a TorchScript, which can run code"):
        load_model(tmp_path / "script.pt")
    model = load_model(tmp_path / "script.pt", trust=True)
    np.testing.assert_allclose(model.forward(X), expected(net), atol=1e-6)
    assert model.gradients(X, np.ones_like)[1].shape == X.shape
    assert len(model.identity()) == 64


# --- nothing runs ---


@pytest.mark.parametrize(
    "name",
    [
        "x.pkl",
        "x.pickle",
        "x.joblib",
        "x.pt",
        "x.pth",
        "x.onnx",
        "x.skops",
        "x.pt2",
        "x.safetensors",
        "x.npz",
        "x",
        "x.csv",
    ],
)
@pytest.mark.parametrize("packing", ["plain", "old protocol", "gzip", "bz2", "lzma", "zlib", "tar"])
def test_a_pickle_under_any_name_is_refused_and_does_not_run(tmp_path, hostile, canary, name, packing):
    if packing == "old protocol":
        # No header at all: the canary's own pickle, by hand, in opcodes of the first protocol.
        hostile = f"cpathlib\nPath.touch\n(cpathlib\nPath\n(V{canary}\ntRtR.".encode()
    elif packing == "gzip":
        hostile = gzip.compress(hostile)
    elif packing in ("bz2", "lzma", "zlib"):
        import importlib

        hostile = importlib.import_module(packing).compress(hostile)
    elif packing == "tar":
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo("pickle")
            member.size = len(hostile)
            archive.addfile(member, io.BytesIO(hostile))
        hostile = buffer.getvalue()
    (tmp_path / name).write_bytes(hostile)
    with pytest.raises(
        UntrustedFile, match=r"can run code.*\.onnx, \.safetensors .* or \.skops.*trust=True or --trust"
    ):
        load_model(tmp_path / name, factory="nets_for_factories:small" if name in ("x.pt", "x.safetensors") else None)


def test_the_canary_works(hostile, canary):
    pickle.loads(hostile)
    assert canary.exists()
    canary.unlink()


def test_a_pickle_inside_a_checkpoint_does_not_run(zipped, hostile, canary):
    path = zipped("x.pt", [("archive/data.pkl", hostile), ("archive/version", b"3"), ("archive/byteorder", b"little")])
    with pytest.raises(InvalidInput):
        load_model(path, factory="nets_for_factories:small")


def test_a_hostile_object_beside_tensors_does_not_run(tmp_path, canary, net):
    from conftest import Touch

    torch.save({**net.state_dict(), "extra": Touch(canary)}, tmp_path / "x.pt")
    with pytest.raises(UntrustedFile, match="more than tensors in it"):
        load_model(tmp_path / "x.pt", factory="nets_for_factories:small")


@pytest.mark.parametrize("name", ["x.onnx", "x.pt2", "x.skops", "x.safetensors", "x.pkl", "x.bin", "x"])
@pytest.mark.parametrize("kind", ["checkpoint", "old checkpoint", "whole module", "zip"])
def test_a_pickle_in_an_archive_under_another_name_is_refused_and_does_not_run(
    tmp_path, net, hostile, canary, zipped, name, kind
):
    from conftest import Touch

    if kind == "zip":
        path = zipped(name, [("model/weights.bin", b"\0" * 64), ("model/anything", hostile)])
    else:
        path = tmp_path / name
        held = net if kind == "whole module" else {**net.state_dict(), "extra": Touch(canary)}
        torch.save(held, path, _use_new_zipfile_serialization=kind != "old checkpoint")
    named = "torch.nn.modules.container.Sequential" if kind == "whole module" else r".*pathlib\.\w*Path"
    if name == "x.pkl" and kind != "zip":  # a name that such a file may have
        match = "more than tensors in it.*trust=True or --trust"
    else:
        match = rf"under another name that holds a pickle with more than tensors in it \({named}.*, which can run code"
    with pytest.raises(UntrustedFile, match=match) as refusal:
        load_model(path, factory="nets_for_factories:small" if name == "x.safetensors" else None)
    assert ".onnx, .safetensors (with a factory) or .skops" in str(refusal.value)
    assert "trust=True or --trust" in str(refusal.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_trust_and_weights_alone_get_the_advice_to_rename(tmp_path, net, zipped):
    for name, held, trust in (("weights.onnx", net.state_dict(), False), ("whole.onnx", net, True)):
        torch.save(held, tmp_path / name, _use_new_zipfile_serialization=zipped)
        with pytest.raises(InvalidInput, match="under the name of a .onnx file: name it .pt or .pth") as refusal:
            load_model(tmp_path / name, trust=trust)
        assert not isinstance(refusal.value, UntrustedFile)


class Leaving:
    """Ends the program, or what else it is told, when it is unpickled."""

    def __init__(self, how):
        self.how = how

    def __reduce__(self):
        return (self.how, (3,))


def interrupt(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["m.pkl", "m.pt", "m.skops"])
def test_an_exit_in_a_trusted_file_is_its_fault(tmp_path, name):
    def write(how):
        if name == "m.skops":
            import skops.io

            skops.io.dump(Doubtful(how), tmp_path / name)
        elif name == "m.pt":
            torch.save({"x": Leaving(how)}, tmp_path / name)
        else:
            (tmp_path / name).write_bytes(pickle.dumps(Leaving(how)))

    write(sys.exit)
    with pytest.raises(InvalidInput, match=rf"{name} cannot be read as a.* \(SystemExit: 3\)"):
        load_model(tmp_path / name, trust=True, factory="nets_for_factories:small" if name == "m.pt" else None)
    write(interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_model(tmp_path / name, trust=True, factory="nets_for_factories:small" if name == "m.pt" else None)


class Doubtful:
    """Calls what it holds when skops restores it."""

    def __init__(self, how):
        self.how = how

    def __getstate__(self):
        return {"how": self.how}

    def __setstate__(self, state):
        state["how"](3)


class Quitter(Ridge):
    """Ends the program when it is asked what it is."""

    @property
    def n_features_in_(self):
        sys.exit(4)

    @n_features_in_.setter
    def n_features_in_(self, value):
        pass

    def __sklearn_is_fitted__(self):
        sys.exit(4)


def test_an_exit_in_a_trusted_models_own_code_is_its_fault(tmp_path):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Quitter()))
    with pytest.raises(
        InvalidInput, match=r"m.pkl cannot be read as a model \(SystemExit: 4\): the code of its Quitter"
    ):
        load_model(tmp_path / "m.pkl", trust=True)


def test_an_archive_hidden_behind_another_format_is_not_opened(tmp_path, canary, hostile, exported):
    """A zip's directory is at its end: a file can be a pickle in front and an archive behind."""
    (tmp_path / "x.pt2").write_bytes(hostile + exported[0].read_bytes())
    with pytest.raises(UntrustedFile, match="is a pickle"):
        load_model(tmp_path / "x.pt2")


# --- what is wrong with a file ---


ALL = [".onnx", ".safetensors", ".pt", ".pth", ".pt2", ".skops", ".pkl", ".pickle", ".joblib"]


@pytest.mark.parametrize("suffix", ALL)
def test_missing_empty_and_directory(tmp_path, suffix):
    with pytest.raises(InvalidInput, match=f"gone{suffix} does not exist"):
        load_model(tmp_path / f"gone{suffix}")
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(InvalidInput, match=f"empty{suffix} is empty"):
        load_model(tmp_path / f"empty{suffix}", trust=True)
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(InvalidInput, match=f"folder{suffix} is a directory"):
        load_model(tmp_path / f"folder{suffix}")


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize(
    "garbage", [b"\xff" * 300, b"not a model\n" * 9, b"\x00", bytes(range(256)) * 4, b"PK\x03\x04"]
)
def test_garbage_is_named(tmp_path, suffix, garbage, trust):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(garbage)
    with pytest.raises(InvalidInput, match=f"bad{suffix} "):
        load_model(
            path,
            trust=trust,
            factory="nets_for_factories:small" if suffix in (".safetensors", ".pt") else None,
        )


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.97])
def test_truncated_files_are_named(tmp_path, keep, onnx_file, exported, net):
    import skops.io

    torch.save(net.state_dict(), tmp_path / "a.pt")
    torch.save(net.state_dict(), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    save_file(net.state_dict(), tmp_path / "c.safetensors")
    skops.io.dump(Ridge().fit(X, X[:, 0]), tmp_path / "d.skops")
    (tmp_path / "e.pt2").write_bytes(exported[0].read_bytes())
    (tmp_path / "f.onnx").write_bytes(onnx_file.read_bytes())
    (tmp_path / "g.pkl").write_bytes(pickle.dumps(fitted()))
    for path in sorted(tmp_path.glob("[a-g].*")):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        factory = "nets_for_factories:small" if path.suffix in (".pt", ".pth", ".safetensors") else None
        with pytest.raises(InvalidInput, match=path.name):
            load_model(path, factory=factory, trust=path.suffix == ".pkl")


def test_the_name_must_tell_the_truth(tmp_path, net, exported):
    torch.save(net.state_dict(), tmp_path / "x.onnx")
    with pytest.raises(
        InvalidInput, match=r"is a torch checkpoint under the name of a .onnx file: name it .pt or .pth"
    ):
        load_model(tmp_path / "x.onnx")
    (tmp_path / "x.pt").write_bytes(exported[0].read_bytes())
    with pytest.raises(InvalidInput, match=r"is a torch.export program under the name of a .pt file: name it .pt2"):
        load_model(tmp_path / "x.pt")
    np.savez(tmp_path / "x.npz", x=X)
    (tmp_path / "x.npz").rename(tmp_path / "x.skops")
    with pytest.raises(InvalidInput, match="is an npz file, which is data"):
        load_model(tmp_path / "x.skops")
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InvalidInput, match=r"unknown suffix '.h5'; model files are .onnx, "):
        load_model(tmp_path / "x.h5")


def test_what_a_pickle_holds_must_be_a_model(tmp_path):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InvalidInput, match=r"m.pkl: list is no model"):
        load_model(tmp_path / "m.pkl", trust=True)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps("other.onnx"))
    with pytest.raises(InvalidInput, match="holds a str, which is no model"):
        load_model(tmp_path / "m.pkl", trust=True)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Ridge()))
    with pytest.raises(InvalidInput, match=r"m\.pkl: Ridge is not fitted"):
        load_model(tmp_path / "m.pkl", trust=True)


def test_a_trusted_pickle_of_a_missing_class_is_named(tmp_path):
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04cno_such_module_anywhere\nThing\n.")
    with pytest.raises(InvalidInput, match=r"cannot be read as a pickle \(ModuleNotFoundError: No module named"):
        load_model(tmp_path / "m.pkl", trust=True)


# --- archives ---


def test_bombs_are_refused_before_they_unpack(zipped, monkeypatch):
    zeros = b"\0" * (20 * 2**20)
    path = zipped("bomb.skops", [("schema.json", zeros)], zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidInput, match=r"unpacks to \d+ times its size, which no model does; the limit is 100"):
        load_model(path)
    monkeypatch.setattr("robust.models.archives.MAX_BYTES", 1000)
    with pytest.raises(InvalidInput, match=r"unpacks to 0\.0 GiB; an archive may hold"):
        load_model(zipped("big.skops", [("schema.json", b"0" * 1001)]))
    monkeypatch.setattr("robust.models.archives.MAX_MEMBERS", 2)
    with pytest.raises(InvalidInput, match="has 3 members; an archive may have 2"):
        load_model(zipped("many.skops", [("schema.json", b"")] + [(f"{i}", b"") for i in range(2)]))


def test_members_twice_or_outside_are_refused(zipped):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped("twice.skops", [("schema.json", b"{}"), ("schema.json", b"[]")])
    with pytest.raises(InvalidInput, match="names one member twice"):
        load_model(path)
    for name in ("../x", "/x", "a/../../x"):
        with pytest.raises(InvalidInput, match="points outside the archive"):
            load_model(zipped("out.skops", [("schema.json", b"{}"), (name, b"")]))


# --- factories ---


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            None,
            "holds weights alone; say which function builds the module: factory='package.module:function'",
        ),
        ("small", "factory must be 'package.module:function', got 'small'"),
        (":small", "factory must be"),
        ("nets_for_factories:", "factory must be"),
        ("no_such_module_here:f", "there is no module 'no_such_module_here' on Python's import path"),
        ("nets_for_factories.inner:f", "there is no module 'nets_for_factories.inner'"),
        ("nets_for_factories:lost", "has no 'lost'; where that is not your file"),
        ("nets_for_factories:none", "must return a torch.nn.Module, it returned NoneType"),
        ("nets_for_factories:NOT_CALLABLE", "must be a function that returns a torch.nn.Module, it is 3"),
        ("nets_for_factories:wide", r"of another shape: 0.weight \(8, 4\) instead of \(9, 4\), 0.bias"),
        ("nets_for_factories:deep", "missing: 3.weight, 3.bias"),
        (
            "nets_for_factories:Net",
            "missing: layer.weight, layer.bias; unexpected: 0.bias, 0.weight, 2.bias, 2.weight",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_factories_and_weights_that_do_not_fit(tmp_path, net, factory, message, suffix):
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        torch.save(net.state_dict(), path)
    else:
        save_file(net.state_dict(), path)
    with pytest.raises(InvalidInput, match=message):
        load_model(path, factory=factory)


def test_a_factory_where_none_belongs(onnx_file):
    with pytest.raises(InvalidInput, match="factory is for weights"):
        load_model(onnx_file, factory="nets_for_factories:small")


def test_a_checkpoint_of_something_else(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(InvalidInput, match="holds a list; a state_dict"):
        load_model(tmp_path / "list.pt", factory="nets_for_factories:small")
    torch.save({"weights": torch.zeros(2), "epoch": 3}, tmp_path / "mixed.pt")
    with pytest.raises(InvalidInput, match="holds 'epoch', which is no tensor"):
        load_model(tmp_path / "mixed.pt", factory="nets_for_factories:small")


# --- extras ---


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [
        (".pt2", "torch", "torch"),
        (".safetensors", "torch", "torch"),
        (".pt", "torch", "torch"),
        (".onnx", "onnxruntime", "onnx"),
    ],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, net, exported, onnx_file, suffix, library, extra):
    path = tmp_path / f"m{suffix}"
    if suffix == ".pt":
        torch.save(net.state_dict(), path)
    elif suffix == ".safetensors":
        save_file(net.state_dict(), path)
    else:
        path.write_bytes((exported[0] if suffix == ".pt2" else onnx_file).read_bytes())
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf'loading {suffix} needs .* pip install "robust-gates\[{extra}\]"'):
        load_model(path)
