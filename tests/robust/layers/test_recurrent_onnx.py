"""Recurrent operators of files: their module's tensors, faults in quantized ones, and what is left in parts."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from robust.layers.blocks import Block
from robust.layers.blocks_onnx import blocks_of
from robust.layers.flow_onnx import read_flow
from robust.layers.layer_error import layer_errors
from robust.layers.modules_onnx import whole_modules
from robust.quantizers.building import quantize

X = np.random.default_rng(0).normal(size=(64, 6, 4)).astype(np.float32)


def stacked(nets, *, order=(0, 1), aside=False):
    """A GRU of two layers by hand: the states of the last one, and the last states of both, are read."""
    graph, rng = nets.Graph((6, 4), 0), np.random.default_rng(1)
    source = graph.node("Transpose", ["x"], "turned", perm=[1, 0, 2])
    for i, width in enumerate((4, 5)):
        for part, inner in (("w", width), ("r", 5)):
            graph.store(f"rnn.{part}{i}", rng.normal(size=(1, 15, inner)).astype(np.float32))
        inputs, outputs = [source, f"rnn.w{i}", f"rnn.r{i}"], [f"states{i}", f"last{i}"]
        graph.nodes.append(helper.make_node("GRU", inputs, outputs, name=f"/rnn/GRU_{i}", hidden_size=5))
        axes = graph.store(f"axes{i}", np.array([1]))
        source = graph.node("Squeeze", [f"states{i}", axes], f"flat{i}")
    graph.node("Concat", [f"last{i}" for i in order], "both", axis=0)
    graph.node("Transpose", ["flat1"], "states", perm=[1, 0, 2])
    graph.node("ReduceSum", ["states", graph.store("time", np.array([1]))], "summed", keepdims=0)
    graph.node("ReduceSum", ["both", graph.store("layers", np.array([0]))], "total", keepdims=0)
    graph.node("Add", ["summed", "total"], "sum")
    output = "sum"
    if aside:  # the first layer's states are read outside
        graph.node("ReduceSum", ["flat0", "layers"], "early", keepdims=0)
        output = graph.node("Add", ["sum", "early"], "end")
    for node in graph.nodes:
        if node.output[0] in ("turned", "flat0", "flat1", "both", "states"):
            node.name = f"/rnn/{node.output[0]}"
    return read_flow(graph.model(output, 5).SerializeToString(), "net")


TORCH = {"rnn": tuple(Block(name="rnn", kind="GRU", end=f"rnn#{part}", part=part) for part in (0, 1))}


def test_the_states_of_the_last_layer_and_the_last_ones_of_all(nets):
    flow = stacked(nets)
    parts = blocks_of(flow)
    assert [(block.kind, block.end) for block in parts[:5]] == [
        *(("GRU", "states0"), ("GRU", "last0"), ("GRU", "states1"), ("GRU", "last1"), ("Concat", "both"))
    ]
    states, last, *others = whole_modules(flow, parts, TORCH)
    assert (states.label, states.end, states.feeds) == ("rnn (GRU)", "states", ("(input)",))
    assert (last.label, last.end, last.feeds) == ("rnn (GRU h_n)", "both", ("(input)",))
    assert [block.feeds for block in others] == [("states",), ("both",), ("summed", "total")]


@pytest.mark.parametrize("changed", [{"order": (1, 0)}, {"aside": True}])
def test_what_is_no_module_s_tensor_is_left_in_parts(nets, changed):
    flow = stacked(nets, **changed)
    parts = blocks_of(flow)
    assert whole_modules(flow, parts, TORCH) == parts


METHODS = {"last state": "dynamic", "two layers": "static", "both ways": "dynamic"}


@pytest.fixture(scope="module")
def built(nets, tmp_path_factory):
    """A net, its float file, and its honest build."""
    found = {}

    def build(name):
        if name not in found:
            folder = tmp_path_factory.mktemp("recurrent")
            net, shapes = nets.recurrent(name), ({0: torch.export.Dim("batch")},)
            given = (torch.from_numpy(X[:2]),)
            program = torch.onnx.export(net, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
            plain = nets.saved(program.model_proto, folder, "float.onnx")
            made = quantize(plain, X, method=METHODS[name])
            found[name] = net, plain, made.content()
        return found[name]

    return build


def with_fault(content, seed):
    """A file in which one layer's weights are scaled, and that layer's name.

    The scales of integers, and the weights themselves of a GRU, which onnxruntime leaves in float.
    """
    rng, model = np.random.default_rng(seed), onnx.load_model_from_string(content)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    cells = [node for node in model.graph.node if node.op_type in ("GRU", "LSTM", "DynamicQuantizeLSTM")]
    places = (8, 10) if cells[0].op_type == "DynamicQuantizeLSTM" else (1, 2)
    layer = str(rng.choice(["rnn", "rnn", "hidden", "head"]))
    if layer == "rnn":
        names = [str(rng.choice([node.input[place] for node in cells for place in places]))]
    else:  # a product's bias has the scale of its weights in it: one without the other is no layer that a kernel has
        names = [f"{layer}.weight_scale", f"{layer}.bias_quantized_scale"]
    factor = np.float32(rng.uniform(1.5, 3.0))
    for tensor in (stored[name] for name in names if name in stored):
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * factor, tensor.name))
    return model.SerializeToString(), layer


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", METHODS)
def test_a_planted_fault_ranks_first_in_a_quantized_file(built, nets, tmp_path, name, seed):
    net, plain, content = built(name)
    broken, layer = with_fault(content, seed)
    path = nets.saved(broken, tmp_path)
    for reference in (plain, net):
        found = layer_errors(reference, path, X)
        assert found.worst.layer == layer, [(row.label, row.own_sqnr) for row in found.ranking]
        assert [check.reason for check in found.validity if not check.passed] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_honest_builds_are_compared_in_all_their_layers(built, nets, tmp_path, name):
    net, plain, content = built(name)
    path = nets.saved(content, tmp_path)
    exact = layer_errors(net, plain, X)
    labels = [row.label for row in exact.rows]
    assert {row.layer for row in exact.rows} == {"rnn", "hidden", "head"}
    assert all(min(row.sqnr, row.own_sqnr) > 100 for row in exact.rows)
    for candidate, reference in ((path, net), (path, plain)):
        found = layer_errors(reference, candidate, X)
        assert not [one for one in found.unmatched if one.model == "reference" and "rnn" in one.layer]
        assert found.sqnr > 20
    assert [row.label for row in layer_errors(net, path, X).rows] == labels
    # And a torch build of a file: its layers are fed with the module's tensors.
    assert all(row.own_sqnr > 100 for row in layer_errors(plain, net, X).rows)
