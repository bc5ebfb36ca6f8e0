"""Activations that several operators make up, known by what they make of numbers."""

import math

import numpy as np
import pytest

from robust.layers.activations_onnx import composed
from robust.layers.blocks_onnx import blocks_of
from robust.layers.flow_onnx import read_flow


def silu(graph, x):
    return graph.node("Mul", [x, graph.node("Sigmoid", [x], "gate")], "y")


def hardswish(graph, x):
    gate = graph.node("HardSigmoid", [x], "gate", alpha=1 / 6, beta=0.5)
    return graph.node("Mul", [x, gate], "y")


def clipped(graph, x):
    graph.store("low", np.float32(0))
    graph.store("high", np.float32(6))
    moved = graph.node("Add", [x, graph.store("three", np.float32(3))], "moved")
    product = graph.node("Mul", [x, graph.node("Clip", [moved, "low", "high"], "clipped")], "product")
    return graph.node("Div", [product, graph.store("six", np.float32(6))], "y")


def gelu(graph, x):
    inner = graph.node("Div", [x, graph.store("root", np.float32(math.sqrt(2)))], "inner")
    total = graph.node("Add", [graph.node("Erf", [inner], "erf"), graph.store("one", np.float32(1))], "total")
    product = graph.node("Mul", [x, total], "product")
    return graph.node("Mul", [product, graph.store("half", np.float32(0.5))], "y")


def mish(graph, x):
    return graph.node("Mul", [x, graph.node("Tanh", [graph.node("Softplus", [x], "soft")], "gate")], "y")


def softplus(graph, x):
    soft = graph.node("Softplus", [x], "soft")
    large = graph.node("Greater", [x, graph.store("limit", np.float32(20))], "large")
    return graph.node("Where", [large, x, soft], "y")


def softsign(graph, x):
    total = graph.node("Add", [graph.node("Abs", [x], "size"), graph.store("one", np.float32(1))], "total")
    return graph.node("Div", [x, total], "y")


def packed(graph, x):
    """SiLU with a quantizer at each of its tensors."""
    graph.store("scale", np.float32(0.05))
    graph.store("zero", np.int8(0))

    def both(name):
        graph.node("QuantizeLinear", [name, "scale", "zero"], f"{name}_q")
        return graph.node("DequantizeLinear", [f"{name}_q", "scale", "zero"], f"{name}_d")

    inner = both(x)
    gate = both(graph.node("Sigmoid", [inner], "gate"))
    return both(graph.node("Mul", [inner, gate], "y"))


def read(nets, make, *, outputs=()):
    graph = nets.Graph((6,), 0)
    last = make(graph, graph.gemm("x", "fc", 6, 6))
    model = graph.model(last, 6)
    for name in outputs:
        model.graph.output.append(type(model.graph.output[0])(name=name))
    return read_flow(model.SerializeToString(), "net")


MAKERS = {
    "silu": silu,
    "hardswish": hardswish,
    "hardswish, clipped": clipped,
    "gelu": gelu,
    "mish": mish,
    "softplus": softplus,
    "softsign": softsign,
    "silu, packed": packed,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_layer_ends_after_the_whole_activation(nets, name):
    (block,) = blocks_of(read(nets, MAKERS[name]))
    assert (block.name, block.end, block.activations) == ("fc", "y", (name.split(",")[0],))
    (before,) = block.points
    assert (before.end, before.activations) == ("fc_out", ())


def test_what_is_no_known_activation_is_left_in_operators(nets):
    def steeper(graph, x):
        inner = graph.node("Mul", [x, graph.store("two", np.float32(2))], "inner")
        return graph.node("Mul", [x, graph.node("Sigmoid", [inner], "gate")], "y")

    flow = read(nets, steeper)
    assert composed(flow, flow.bundle("fc_out")) is None
    assert [block.kind for block in blocks_of(flow)] == ["Gemm", "Mul", "Mul"]


def test_an_activation_whose_inside_is_read_elsewhere_is_none(nets):
    flow = read(nets, silu, outputs=["gate"])
    assert composed(flow, flow.bundle("fc_out")) is None
    flow = read(nets, silu)
    kind, members, last = composed(flow, flow.bundle("fc_out"))
    assert (kind, len(members), last) == ("silu", 2, "y")
    assert composed(flow, flow.bundle("gate")) is None  # reads another tensor too


def test_a_gate_of_another_tensor_is_no_activation(nets):
    graph = nets.Graph((6,), 0)
    first, second = graph.gemm("x", "a", 6, 6), graph.gemm("x", "b", 6, 6)
    product = graph.node("Mul", [first, graph.node("Sigmoid", [second], "gate")], "y")
    found = blocks_of(read_flow(graph.model(product, 6).SerializeToString(), "net"))
    assert [(block.kind, block.activations) for block in found] == [("Gemm", ()), ("Gemm", ("sigmoid",)), ("Mul", ())]
