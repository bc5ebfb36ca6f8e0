"""Names of layers of files: the user's, whoever else uses the weight."""

import numpy as np
import pytest

from robust.layers.blocks_onnx import blocks_of
from robust.layers.flow_onnx import read_flow


def note(graph, output, scopes):
    """What torch's exporter notes at an operator."""
    node = next(node for node in graph.nodes if node.output[0] == output)
    node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(scopes))


def tied(nets):
    """Two products with one weight, the first one's module noted."""
    graph = nets.Graph((6,), 0)
    graph.store("b.weight", np.eye(6, dtype=np.float32))
    graph.node("Gemm", ["x", "b.weight"], "one", transB=1)
    graph.node("Gemm", [graph.node("Tanh", ["one"], "act"), "b.weight"], "two", transB=1)
    note(graph, "one", ["", "a", "linear"])
    note(graph, "two", ["", "b", "linear"])
    return graph


@pytest.mark.parametrize("modules", [(), ("a", "b")])
def test_a_weight_of_two_layers_does_not_name_both(nets, modules):
    flow = read_flow(tied(nets).model("two", 6).SerializeToString(), "net")
    assert [block.name for block in blocks_of(flow, modules)] == ["a", "b"]


def test_a_weight_names_its_layer_against_other_notes(nets):
    graph = nets.Graph((6,), 0)
    graph.gemm("x", "conv1", 6, 6)
    note(graph, "conv1_out", ["", "other", "linear"])
    flow = read_flow(graph.model("conv1_out", 6).SerializeToString(), "net")
    assert [block.name for block in blocks_of(flow)] == ["conv1"]


@pytest.mark.parametrize(("modules", "name"), [((), "ws.0"), (("(root).ws.0",), "(root).ws.0"), (("ws.0",), "ws.0")])
def test_weights_that_no_module_has_name_themselves(nets, modules, name):
    graph = nets.Graph((6,), 0)
    graph.store("ws.0", np.eye(6, dtype=np.float32))
    graph.node("Gemm", ["x", "ws.0"], "y")
    note(graph, "y", ["", "linear"])
    flow = read_flow(graph.model("y", 6).SerializeToString(), "net")
    (block,) = blocks_of(flow, modules)
    assert (block.name, block.named) == (name, True)


@pytest.mark.parametrize(
    ("operator", "modules", "wanted"),
    [
        ("/conv_1/Gemm", ("conv", "head"), ("conv", True)),  # the second call, as a tracing exporter writes it
        ("/conv_1/Gemm", ("conv", "conv_1"), ("conv_1", True)),
        ("/conv_1/Gemm", (), ("conv_1", True)),
        ("/Gemm_1", ("conv",), ("Gemm_1", False)),
    ],
)
def test_names_of_a_tracing_exporter(nets, operator, modules, wanted):
    graph = nets.Graph((6,), 0)
    graph.store("onnx::Gemm_7", np.eye(6, dtype=np.float32))
    graph.node("Gemm", ["x", "onnx::Gemm_7"], "y")
    graph.nodes[0].name = operator
    (block,) = blocks_of(read_flow(graph.model("y", 6).SerializeToString(), "net"), modules)
    assert (block.name, block.named) == wanted


def test_an_operator_s_own_name_tells_no_module(nets):
    graph = nets.Graph((6,), 0)
    graph.store("val_0", np.eye(6, dtype=np.float32))
    graph.node("MatMul", ["x", "val_0"], "y")
    (block,) = blocks_of(read_flow(graph.model("y", 6).SerializeToString(), "net"))
    assert (block.name, block.named) == ("node_y", False)


def test_sizes_are_no_layers_and_lookups_are(nets):
    graph = nets.Graph((6,), 0)
    graph.node("Shape", ["x"], "shape")
    rows = graph.node("Gather", ["shape", graph.store("first", np.array([0]))], "rows")
    sizes = graph.node("Concat", [rows, graph.store("rest", np.array([2, 3]))], "sizes", axis=0)
    graph.node("Reshape", ["x", sizes], "tall")
    graph.node("Cast", ["tall"], "places", to=7)
    graph.node("Gather", [graph.store("embed.weight", np.eye(6, 4, dtype=np.float32)), "places"], "looked")
    flow = read_flow(graph.model("looked", (2, 3, 4)).SerializeToString(), "net")
    (block,) = blocks_of(flow)
    assert (block.label, block.family, block.feeds) == ("embed (Gather)", "embedding", ("(input)",))
    assert block.weight.shape == (6, 4)
