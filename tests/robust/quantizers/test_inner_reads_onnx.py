"""Loops and branches that read from outside: every method builds them, and the file says what it costs."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.costing.count_onnx import count_onnx
from robust.quantization.coverage_onnx import onnx_layers
from robust.quantizers.calibration_rows import calibration_rows
from robust.quantizers.files_onnx import quantized_file
from robust.quantizers.inner_reads_onnx import with_plain_reads, without_plain_reads
from robust.quantizers.recipe import read_recipe

METHODS = ("static", "qoperator", "dynamic", "weight-only")
X = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
PLACES = np.random.default_rng(1).integers(0, 20, (64, 4))


def recipe(method):
    usual = {"calibrate": "minmax", "percentile": 99.9, "per_channel": True, "weight_type": None}
    return read_recipe(method=method, **usual, activation_type=None, reduce_range=None, keep=())


def model(nodes, weights, *, rows, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def normal(*shape):
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


def loop(turn, *, name="loop"):
    """Three turns of `turn`, which makes t of s and of what it takes from outside."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [*turn, helper.make_node("Identity", ["on"], ["go"])],
        "body",
        [value("i", TensorProto.INT64, []), value("on", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, None)],
        [value("go", TensorProto.BOOL, []), value("t", TensorProto.FLOAT, None)],
    )
    return helper.make_node("Loop", ["times", "", "start"], ["l"], name=name, body=body)


def reading(outside):
    """Layers a and b; between them a loop takes an activation from outside, in a branch inside it."""
    value = helper.make_tensor_value_info
    branch = {
        "then_branch": helper.make_graph(
            [helper.make_node("Abs", [outside], ["p"])], "then", [], [value("p", TensorProto.FLOAT, None)]
        ),
        "else_branch": helper.make_graph(
            [helper.make_node("Neg", [outside], ["n"])], "else", [], [value("n", TensorProto.FLOAT, None)]
        ),
    }
    turn = [helper.make_node("If", ["on"], ["c"], **branch), helper.make_node("Add", ["s", "c"], ["t"])]
    nodes = [
        helper.make_node("Gemm", ["x", "a.weight"], ["h"], name="a"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Mul", ["r", "two"], ["d"], name="mul"),
        helper.make_node("Gemm", ["d", "c.weight"], ["start"], name="c"),
        loop(turn),
        helper.make_node("Gemm", ["l", "b.weight"], ["y"], name="b"),
    ]
    weights = {"a.weight": normal(6, 8), "c.weight": normal(8, 8), "b.weight": normal(8, 3)}
    return model(nodes, weights | {"two": np.array(2, np.float32), "times": np.array(3)}, rows=6)


def table():
    """A table of 20 rows; a loop reads the rows that were looked up, by no input of its own."""
    turn = [helper.make_node("Add", ["s", "looked"], ["t"])]
    nodes = [
        helper.make_node("Gather", ["e.weight", "x"], ["looked"], name="e"),
        helper.make_node("Mul", ["looked", "half"], ["start"], name="mul"),
        loop(turn),
        helper.make_node("ReduceMean", ["l", "one"], ["m"], keepdims=0),
        helper.make_node("Gemm", ["m", "b.weight"], ["y"], name="b"),
    ]
    weights = {"e.weight": normal(20, 8), "b.weight": normal(8, 3)}
    weights |= {"half": np.array(0.5, np.float32), "one": np.array([1])}
    return model(nodes, weights | {"times": np.array(3)}, rows=4, kind=TensorProto.INT64)


def outputs(content, x):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].astype(np.float64)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("outside", ["h", "r", "d", "table"])
def test_every_method_builds_a_valid_file_that_stays_near_the_float_one(method, outside):
    source, x = (table(), PLACES) if outside == "table" else (reading(outside), X)
    content = source.SerializeToString()
    made = quantized_file(content, calibration_rows(x, batch=16, fixed=None), recipe(method), name="net")
    onnx.checker.check_model(onnx.load_model_from_string(made), full_check=True)
    want, got = outputs(content, x), outputs(made, x)
    assert 10 * np.log10(np.sum(want**2) / np.sum((want - got) ** 2)) > (10 if method == "weight-only" else 25)
    tallies = [count_onnx(file, row_shapes=None, values=None) for file in (content, made)]
    figures = [(sum(layer.macc or 0 for layer in tally.layers), tally.parameters) for tally in tallies]
    assert figures[0] == figures[1]
    assert not [missed for tally in tallies for missed in tally.uncounted if "macc" in missed.affects]
    kinds = {node.op_type for node in onnx.load_model_from_string(made).graph.node}
    assert "Loop" in kinds
    assert "Identity" not in kinds


@pytest.mark.parametrize(("method", "bits"), [("static", 8), ("dynamic", 8), ("weight-only", 32)])
def test_a_table_that_a_loop_alone_reads_is_a_layer(method, bits):
    rows = calibration_rows(PLACES, batch=16, fixed=None)
    found = onnx_layers(quantized_file(table().SerializeToString(), rows, recipe(method), name="net"))
    assert [(layer.name, layer.weights) for layer in found] == [("e", 160), ("b", 24)]
    assert found[0].bits == bits


def test_what_is_added_changes_no_answer_and_can_be_taken_away():
    source = reading("d")
    before, want = source.SerializeToString(deterministic=True), outputs(source.SerializeToString(), X)
    added = with_plain_reads(source)
    assert len(added) == 1
    assert [node.op_type for node in source.graph.node if node.name in added] == ["Identity"]
    np.testing.assert_array_equal(outputs(source.SerializeToString(), X), want)
    without_plain_reads(source, added)
    assert source.SerializeToString(deterministic=True) == before


def test_nothing_is_added_for_stored_tensors_inputs_and_plain_graphs():
    assert with_plain_reads(reading("x")) == with_plain_reads(reading("two")) == ()
    plain = model([helper.make_node("Gemm", ["x", "w"], ["y"])], {"w": normal(6, 3)}, rows=6)
    before = plain.SerializeToString(deterministic=True)
    added = with_plain_reads(plain)
    without_plain_reads(plain, added)
    assert (added, plain.SerializeToString(deterministic=True)) == ((), before)


def test_a_name_that_is_taken_is_not_given_again():
    source = reading("d")
    source.graph.node.append(helper.make_node("Relu", ["d"], ["d_inside"], name="other"))
    (name,) = with_plain_reads(source)
    assert name == "d_inside_inside"
    onnx.checker.check_model(source, full_check=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_bags_of_embeddings_as_torch_exports_them(tmp_path):
    torch = pytest.importorskip("torch")

    class Bags(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.f = torch.nn.EmbeddingBag(20, 8, mode="mean"), torch.nn.Linear(8, 3)

        def forward(self, x):
            return self.f(self.e(x))

    torch.manual_seed(0)
    free = ({0: torch.export.Dim("b")},)
    program = torch.onnx.export(
        Bags().eval(), (torch.tensor(PLACES[:2]),), dynamic_shapes=free, input_names=["x"], dynamo=True, verbose=False
    )
    content = program.model_proto.SerializeToString()
    want = outputs(content, PLACES)
    for method in METHODS:
        made = quantized_file(content, calibration_rows(PLACES, batch=16, fixed=None), recipe(method), name="net")
        onnx.checker.check_model(onnx.load_model_from_string(made), full_check=True)
        got = outputs(made, PLACES)
        assert 10 * np.log10(np.sum(want**2) / np.sum((want - got) ** 2)) > (10 if method == "weight-only" else 25)
        for file in (content, made):
            tally = count_onnx(file, row_shapes=None, values=None)
            assert (sum(layer.macc or 0 for layer in tally.layers), tally.parameters) == (24, 20 * 8 + 8 * 3 + 3)
            assert {missed.affects for missed in tally.uncounted} == {("ram",)}
