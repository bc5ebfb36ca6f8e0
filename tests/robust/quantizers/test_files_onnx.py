import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.models.base import adapter_of
from robust.models.options import Options
from robust.quantizers.calibration_rows import calibration_rows
from robust.quantizers.files_onnx import in_float, opened, quantized_file
from robust.quantizers.recipe import read_recipe

X = np.random.default_rng(0).normal(size=(40, 2, 6, 6)).astype(np.float32)


def recipe(method="static", **given):
    usual = {"calibrate": "minmax", "percentile": 99.9, "per_channel": True, "weight_type": None}
    usual |= {"activation_type": None, "reduce_range": None, "keep": ()}
    return read_recipe(method=method, **(usual | given))


def made(nodes, weights, *, batch="n", opset=18):
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 2, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name) for name, size in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def up_and_down(**given):
    """A convolution, then one that is transposed: quantizers with dynamic ranges pass over the second."""
    nodes = [
        helper.make_node("Conv", ["x", "down.weight"], ["c"], name="first"),
        helper.make_node("ConvTranspose", ["c", "up.weight"], ["y"], name="second"),
    ]
    return made(nodes, {"down.weight": (3, 2, 3, 3), "up.weight": (3, 2, 3, 3)}, **given)


def build(content, how, *, batch=16, fixed=None):
    return quantized_file(content, calibration_rows(X, batch=batch, fixed=fixed), how, name="net")


def test_an_operator_that_is_passed_over_is_named():
    static, dynamic = (build(up_and_down(), recipe(method)) for method in ("static", "dynamic"))
    assert in_float(static) == ()
    assert in_float(dynamic) == (("up", "ConvTranspose", "second"),)


def test_nothing_quantized_is_an_error_that_names_operators_and_nodes():
    nodes = [helper.make_node("ConvTranspose", ["x", "up.weight"], ["y"], name="second")]
    content = made(nodes, {"up.weight": (2, 3, 3, 3)})
    for method in ("dynamic", "weight-only"):
        with pytest.raises(
            InvalidInput, match=rf"nothing of net.*'{method}' takes .*up \(ConvTranspose, node 'second'\)"
        ):
            build(content, recipe(method))
    with pytest.raises(InvalidInput, match="; keep names up"):
        build(content, recipe(keep=("up",)))
    with pytest.raises(InvalidInput, match="net has no operator with stored weights"):
        build(made([helper.make_node("Relu", ["x"], ["y"])], {}), recipe())


def test_what_the_quantizer_raises_names_operators_and_nodes(monkeypatch):
    def fails(*arguments, **named):
        raise ValueError("Unable to guess tensor type")

    monkeypatch.setattr("robust.quantizers.files_onnx.static_model", fails)
    with pytest.raises(
        InvalidInput, match=r"int8 static minmax\): ValueError: Unable.*down \(Conv, node 'first'\), up \(ConvTr"
    ):
        build(up_and_down(), recipe())


def test_a_file_that_cannot_be_run_is_no_candidate(monkeypatch):
    broken = onnx.load_model_from_string(build(up_and_down(), recipe("dynamic")))
    for node in broken.graph.node:
        node.op_type = "ConvNowhere" if node.op_type == "ConvInteger" else node.op_type
    monkeypatch.setattr("robust.quantizers.files_onnx.dynamic_model", lambda *arguments, **named: broken)
    monkeypatch.setattr("robust.quantizers.files_onnx.initialiser_coverage", lambda content: 1.0)
    with pytest.raises(InvalidInput, match="net quantized as uint8 dynamic cannot be run by this onnxruntime"):
        build(up_and_down(), recipe("dynamic"))


@pytest.mark.parametrize("opset", [11, 18])
def test_a_fixed_batch_and_an_old_operator_set(opset):
    content = build(up_and_down(batch=4, opset=opset), recipe(calibrate="percentile"), fixed=4)
    model = opened(content, Options(name="q"))
    assert model.fixed_batch == 4
    assert model.content() == content
    assert adapter_of(model).forward(X[:4]).shape == (4, 2, 6, 6)


@pytest.mark.parametrize("calibrate", ["minmax", "entropy", "percentile"])
def test_steps_of_any_length_give_the_same_bytes(calibrate):
    files = {build(up_and_down(), recipe(calibrate=calibrate), batch=batch) for batch in (7, 16, 40)}
    assert len(files) == 1


def test_four_and_sixteen_bits_get_an_operator_set_that_has_them():
    content = build(up_and_down(), recipe(weight_type="int4", activation_type="int16"))
    model = onnx.load_model_from_string(content)
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [21]
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types["down.weight_quantized"] == TensorProto.INT4
    assert types["x_zero_point"] == TensorProto.INT16


def test_an_operator_that_integer_operators_leave_without_its_numbers_is_named():
    nodes = [
        helper.make_node("Conv", ["x", "down.weight"], ["c"], name="first"),
        helper.make_node("Mul", ["c", "up.weight"], ["d"], name="second"),
        helper.make_node("Greater", ["d", "limit"], ["m"], name="third"),
        helper.make_node("Where", ["m", "c", "d"], ["e"], name="fourth"),
        helper.make_node("Conv", ["e", "last.weight"], ["y"], name="fifth"),
    ]
    weights = {"down.weight": (3, 2, 3, 3), "up.weight": (1, 3, 1, 1), "limit": (1,), "last.weight": (1, 3, 2, 2)}
    content = made(nodes, weights)
    with pytest.raises(
        InvalidInput, match=r"around Where \(node 'fourth'\), which reads 'c' as.*'static'.*\('down',\)"
    ):
        build(content, recipe("qoperator"))
    assert in_float(build(content, recipe("qoperator", keep=("down",))))[0] == ("down", "Conv", "first")
    assert in_float(build(content, recipe("static"))) == ()
