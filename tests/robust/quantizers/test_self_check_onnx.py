"""The self-check by hand: codes a step off are let through, codes further off are told."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.models.base import adapter_of
from robust.models.options import Options
from robust.quantizers.bias_check_onnx import refuse_other_biases
from robust.quantizers.files_onnx import opened
from robust.quantizers.self_check_onnx import refuse_other_answers, refuse_other_weights

W = np.array([[1.0, -0.5, 0.25], [0.0, 0.75, -1.0]], dtype=np.float32)
B = np.array([0.5, -0.25], dtype=np.float32)


def model(nodes, **stored):
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])]
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in stored.items()]
    graph = helper.make_graph(nodes, "g", ends, out, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def float_model(**other):
    node = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], name="n1", transB=1)
    return model([node], **({"fc.weight": W, "fc.bias": B} | other))


def pairs(*, weights, bias, s_x=0.25):
    """The float model in QDQ pairs: scale 1/4 for weights and input, so that biases have 1/16."""
    stored = {"fc.weight_quantized": weights.astype(np.int8), "fc.weight_scale": np.float32(0.25)}
    stored |= {"fc.weight_zero_point": np.int8(0), "x_scale": np.float32(s_x), "x_zero_point": np.int8(0)}
    stored |= {"fc.bias_quantized": bias.astype(np.int32), "b_scale": np.float32(1 / 16), "b_zero": np.int32(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero_point"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero_point"], ["x_d"]),
        helper.make_node("DequantizeLinear", ["fc.weight_quantized", "fc.weight_scale", "fc.weight_zero_point"], ["w"]),
        helper.make_node("DequantizeLinear", ["fc.bias_quantized", "b_scale", "b_zero"], ["b"]),
        helper.make_node("Gemm", ["x_d", "w", "b"], ["y"], name="n1", transB=1),
    ]
    return model(nodes, **stored)


CODES, BIASES = np.rint(W * 4), np.rint(B * 16)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_step_is_let_through(steps):
    made = pairs(weights=CODES + steps * (W != 0), bias=BIASES + steps)
    refuse_other_weights(float_model(), made, name="net")
    refuse_other_biases(float_model(), made, name="net")


def test_two_steps_are_told_with_layer_and_node():
    wrong = CODES.copy()
    wrong[1, 2] += 2
    message = r"1 of 6 quantized weights of layer fc of net \(Gemm, node 'n1'\) .* more than a step .* up to 0\.5:"
    with pytest.raises(InvalidInput, match=message):
        refuse_other_weights(float_model(), pairs(weights=wrong, bias=BIASES), name="net")


def test_weights_are_read_by_the_scale_that_the_graph_reads():
    made = pairs(weights=CODES, bias=BIASES)
    made.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "other"))
    next(node for node in made.graph.node if node.output[0] == "w").input[1] = "other"  # twice the weights
    with pytest.raises(InvalidInput, match=r"of 6 quantized weights of layer fc of net .* by up to 1:"):
        refuse_other_weights(float_model(), made, name="net")


def test_a_weight_that_lies_the_other_way_is_told():
    made = pairs(weights=CODES.T, bias=BIASES)
    with pytest.raises(InvalidInput, match=r"layer fc of net .* have shape \(2, 3\), its own \(3, 2\)"):
        refuse_other_weights(float_model(), made, name="net")


def test_a_bias_in_the_scale_of_another_input_is_told():
    refuse_other_biases(float_model(), pairs(weights=CODES, bias=BIASES), name="net")
    # An input scale of 1 makes biases of 8/4 and -4/4 where 1/2 and -1/4 are meant.
    with pytest.raises(InvalidInput, match=r"bias of layer fc of net .* is up to 1\.5 from its own"):
        refuse_other_biases(float_model(), pairs(weights=CODES, bias=BIASES, s_x=1.0), name="net")


@pytest.mark.parametrize(("factor", "told"), [(1, False), (1 + 1e-6, False), (1.001, True)])
def test_answers_are_compared_to_a_ten_thousandth(factor, told):
    def adapter(found: onnx.ModelProto):
        return adapter_of(opened(found.SerializeToString(), Options(name="net")))

    other = float_model(**{"fc.weight": (W * factor).astype(np.float32), "fc.bias": (B * factor).astype(np.float32)})
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    if told:
        with pytest.raises(InvalidInput, match=r"net answers otherwise .* in \d+ of 64 rows, by up to 0\.001 of"):
            refuse_other_answers(adapter(float_model()), adapter(other), x, name="net")
    else:
        refuse_other_answers(adapter(float_model()), adapter(other), x, name="net")
