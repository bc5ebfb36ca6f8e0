"""Operators put together to the modules that they come from."""

import numpy as np

from robust.layers.blocks import Block
from robust.layers.blocks_onnx import blocks_of
from robust.layers.flow_onnx import read_flow
from robust.layers.modules_onnx import whole_modules


def torch_layer(name, kind, part=0):
    return Block(name=name, kind=kind, end=name, part=part)


def graph_of(nets, *, leak):
    """A gate σ(Ax) · Bx of module `gate`, handed on in another shape, and a layer after it."""
    graph = nets.Graph((6,), 0)
    graph.gemm("x", "gate.a", 6, 8)
    graph.node("Sigmoid", ["gate.a_out"], "open")
    graph.gemm("x", "gate.b", 6, 8)
    graph.node("Mul", ["open", "gate.b_out"], "product")
    graph.store("shape", np.array([0, 8, 1]))
    graph.node("Reshape", ["product", "shape"], "tall")
    graph.node("Squeeze", ["tall", graph.store("axes", np.array([2]))], "flat")
    graph.gemm("flat", "head", 8, 4)
    for node in graph.nodes:
        if node.output[0] in ("product", "tall"):
            node.name = f"/gate/{node.op_type}"
    output = "head_out"
    if leak:
        graph.store("sum", np.ones((8, 4), dtype=np.float32))
        graph.node("MatMul", ["open", "sum"], "aside")
        output = graph.node("Add", ["head_out", "aside"], "both")
    return read_flow(graph.model(output, 4).SerializeToString(), "net")


def test_a_module_ends_where_its_numbers_leave_it(nets):
    flow = graph_of(nets, leak=False)
    parts = blocks_of(flow)
    assert [block.name for block in parts] == ["gate.a", "gate.b", "gate", "head"]
    gate, head = whole_modules(
        flow, parts, {"gate": [torch_layer("gate", "Gate")], "head": [torch_layer("head", "Linear")]}
    )
    assert (gate.name, gate.kind, gate.end, gate.feeds) == ("gate", "Gate", "tall", ("(input)",))
    assert gate.weight is None  # it has two
    assert (head.name, head.kind, head.feeds) == ("head", "Gemm", ("tall",))
    assert whole_modules(flow, parts, {}) == parts


def test_a_module_whose_inside_others_read_is_left_in_parts(nets):
    flow = graph_of(nets, leak=True)
    parts = blocks_of(flow)
    assert whole_modules(flow, parts, {"gate": [torch_layer("gate", "Gate")]}) == parts
