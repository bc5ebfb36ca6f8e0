"""Float files that carry a quantized layer whose weights could be any others."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.quantization.coverage_onnx import onnx_layers

RNG = np.random.default_rng(0)
CODES = RNG.integers(-99, 99, (16, 5), dtype=np.int8)
SCALE = np.full(5, 0.01, np.float32)
TENSORS = {
    "w": RNG.normal(size=(16, 8)).astype(np.float32),
    "v": RNG.normal(size=(8, 5)).astype(np.float32),
    "q": CODES,
    "s": SCALE,
}
NET = [
    helper.make_node("MatMul", ["x", "w"], ["h"]),
    helper.make_node("Relu", ["h"], ["r"]),
    helper.make_node("MatMul", ["r", "v"], ["y"]),
]
UNPACK = helper.make_node("DequantizeLinear", ["q", "s"], ["d"], axis=1)
BESIDE = [UNPACK, helper.make_node("MatMul", ["x", "d"], ["z"], name="beside")]
AWAY = {"from": np.array([0]), "to": np.array([5]), "axis": np.array([1])}


def content(nodes, tensors, out=TensorProto.FLOAT):
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16]),
        helper.make_tensor_value_info("out", out, None),
    ]
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in {**TENSORS, **tensors}.items()]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], initialisers)
    return helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString()


def counts(nodes, tensors=(), rows=None, out=TensorProto.FLOAT):
    found = onnx_layers(content(nodes, dict(tensors), out), rows)
    return sum(one.weights for one in found), sum(one.quantized for one in found)


def node(kind, *inputs, out="out"):
    return helper.make_node(kind, list(inputs), [out])


def branch(result):
    inside = BESIDE if result == "z" else [helper.make_node("Identity", ["y"], ["same"])]
    value = helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
    return helper.make_graph(inside, result, [], [value])


CHOICE = helper.make_node("If", ["no"], ["out"], then_branch=branch("z"), else_branch=branch("same"))


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        ([*BESIDE, helper.make_node("Concat", ["y", "z"], ["yz"], axis=1), node("Slice", "yz", *AWAY)], AWAY),
        ([*BESIDE, node("Where", "no", "z", "y")], {"no": np.array([False])}),
        ([*BESIDE, node("Shape", "z", out="n"), node("Reshape", "y", "n")], {}),
        ([*BESIDE, node("Add", "y", "z")], {"s": np.zeros(5, np.float32)}),
        ([*BESIDE, node("Clip", "z", "o", "o", out="c"), node("Add", "y", "c")], {"o": np.float32(0)}),
        ([*BESIDE, node("Sub", "z", "z", out="c"), node("Add", "y", "c")], {}),
        ([CHOICE], {"no": np.array(False)}),
    ],
)
@pytest.mark.parametrize("rows", [None, (np.ones((2, 16)),)])
def test_a_layer_whose_weights_could_be_any_others_does_not_count(nodes, tensors, rows):
    """By hand: 16 · 8 and 8 · 5 weights in float."""
    assert counts([*NET, *nodes], tensors, rows) == (168, 0)


def test_a_layer_that_changes_the_answer_counts():
    assert counts([*NET, *BESIDE, node("Add", "y", "z")]) == (248, 80)
    assert counts([*NET, CHOICE], {"no": np.array(True)}) == (248, 80)


def test_one_of_two_quantized_layers():
    """Both are tried together, then each."""
    used = [helper.make_node("DequantizeLinear", ["p", "s"], ["e"], axis=1), node("MatMul", "r", "e", out="y")]
    nodes = [*NET[:2], *used, *BESIDE, node("Shape", "z", out="n"), node("Reshape", "y", "n")]
    assert counts(nodes, {"p": CODES[:8]}) == (168, 40)


def test_labels_are_too_coarse_to_tell_one_layer():
    """All together they change; that one alone does not is no proof."""
    used = [helper.make_node("DequantizeLinear", ["p", "s"], ["e"], axis=1), node("MatMul", "r", "e", out="y")]
    small = [*BESIDE, node("Mul", "z", "tiny", out="t"), node("Add", "y", "t", out="l"), node("ArgMax", "l")]
    tensors = {"p": CODES[:8], "tiny": np.float32(1e-6)}
    assert counts([*NET[:2], *used, *small], tensors, out=TensorProto.INT64) == (248, 120)


def test_a_file_that_takes_no_such_rows_is_believed():
    assert counts([*NET, *BESIDE, node("Where", "no", "z", "y")], {"no": np.array([False])}, (np.ones((2, 3)),)) == (
        248,
        80,
    )
