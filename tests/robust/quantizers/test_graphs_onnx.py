import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.quantizers.graphs_onnx import float_graph, nodes_of, prepared, tidied, weighted_nodes

FOLDER = example_path("digits")
SCOPES = "pkg.torch.onnx.name_scopes"


def made(nodes, weights, *, opset=18, x=("n", 2, 6, 6), y=None):
    """A model from x to y."""
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [
            numpy_helper.from_array(
                (np.abs(rng.normal(size=shape)) + 0.5).astype(np.float32)
                if len(shape) == 1
                else rng.normal(size=shape).astype(np.float32),
                name,
            )
            for name, shape in weights.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def normalised(opset=18):
    """A convolution, a batch norm of its own and an activation, as the exporter of old torch names them."""
    nodes = [
        helper.make_node("Conv", ["x", "0.weight"], ["c"], name="/0/Conv"),
        helper.make_node(
            "BatchNormalization", ["c", "1.weight", "1.bias", "1.running_mean", "1.running_var"], ["b"], name="/1/Norm"
        ),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    stored = {f"1.{name}": (3,) for name in ("weight", "bias", "running_mean", "running_var")}
    return made(nodes, {"0.weight": (3, 2, 3, 3)} | stored, opset=opset)


def outputs(model, x):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def test_a_batch_norm_is_folded_and_the_weight_keeps_its_module_name():
    model = normalised()
    before = model.SerializeToString()
    found = prepared(model, odd_widths=False)
    assert [node.op_type for node in found.graph.node] == ["Conv", "Relu"]
    assert weighted_nodes(found) == (("0", "Conv", "/0/Conv"),)
    assert all(node.name for node in found.graph.node)
    assert model.SerializeToString() == before
    x = np.random.default_rng(1).normal(size=(4, 2, 6, 6)).astype(np.float32)
    np.testing.assert_allclose(outputs(found, x), outputs(model, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("opset", "odd", "least"), [(9, False, 13), (11, False, 13), (18, False, 18), (18, True, 21)])
def test_operator_sets_are_raised_as_far_as_needed_and_never_lowered(opset, odd, least):
    found = prepared(normalised(opset), odd_widths=odd)
    assert [entry.version for entry in found.opset_import if entry.domain == ""] == [least]


def test_notes_on_modules_survive_and_stack_traces_do_not():
    node = helper.make_node("MatMul", ["x", "val_3"], ["y"], name="node_matmul")
    for key, value in ((SCOPES, "['', 'head', 'linear']"), ("pkg.torch.onnx.stack_trace", "File /home/me/net.py")):
        node.metadata_props.add(key=key, value=value)
    model = made([node], {"val_3": (6, 4)}, x=("n", 6))
    model.metadata_props.add(key="author", value="me")
    found = prepared(model, odd_widths=False)
    assert weighted_nodes(found) == (("head", "MatMul", "node_matmul"),)
    assert nodes_of(found, ["head"], name="net") == ["node_matmul"]
    plain = tidied(found, model)
    assert {note.key for note in plain.graph.node[0].metadata_props} == {SCOPES}
    assert {note.key: note.value for note in plain.metadata_props} == {"author": "me"}
    assert [entry.domain for entry in plain.opset_import] == [""]
    assert b"/home/me" not in plain.SerializeToString()


def test_modules_are_found_with_what_is_inside_them():
    nodes = [
        helper.make_node("MatMul", ["x", "body.0.weight"], ["a"], name="first"),
        helper.make_node("MatMul", ["a", "body.1.weight"], ["b"], name="second"),
        helper.make_node("MatMul", ["b", "body2.weight"], ["y"], name="third"),
    ]
    model = made(nodes, dict.fromkeys(("body.0.weight", "body.1.weight", "body2.weight"), (6, 6)), x=("n", 6))
    assert nodes_of(model, ["body"], name="net") == ["first", "second"]
    assert nodes_of(model, ["body.1", "third"], name="net") == ["second", "third"]
    with pytest.raises(InvalidInput, match=r"keep names 'bod'.*net does not have.*are body.0, body.1, body2"):
        nodes_of(model, ["bod"], name="net")


def test_a_quantized_file_is_refused_by_its_nodes():
    content = (FOLDER / "int8.onnx").read_bytes()
    with pytest.raises(InvalidInput, match=r"int8.onnx is quantized already, by 20 nodes such as .*DequantizeLinear"):
        float_graph(content, "int8.onnx")


def test_tensors_in_other_files_are_refused(tmp_path):
    onnx.save(onnx.load(FOLDER / "float.onnx"), tmp_path / "f.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(InvalidInput, match="in other files: save it as one file"):
        float_graph((tmp_path / "f.onnx").read_bytes(), "f.onnx")


@pytest.mark.parametrize(("dtype", "word"), [(np.float16, "float16"), (np.float64, "double")])
def test_weights_in_other_floats_are_refused(dtype, word):
    model = normalised()
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(dtype), weight.name))
    with pytest.raises(InvalidInput, match=f"keeps weights such as 0.weight in {word}.*build in 32-bit floats"):
        float_graph(model.SerializeToString(), "net.onnx")


def test_what_onnxruntime_cannot_read_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nodes = [helper.make_node("Secret", ["x", "w"], ["y"], name="odd", domain="com.example")]
    model = made(nodes, {"w": (6, 6)}, x=("n", 6))
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    with pytest.raises(InvalidInput, match="cannot prepare the model.*com.example:Secret"):
        prepared(model, odd_widths=False)
    assert list(tmp_path.iterdir()) == []
