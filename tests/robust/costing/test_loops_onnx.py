"""Loops: how often they turn, what a turn costs, and which of them cannot be counted."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.costing.count_onnx import count_onnx
from robust.costing.graph_onnx import read_graph
from robust.costing.loops_onnx import turns
from robust.errors import InvalidInput

INT, BOOL, FLOAT = TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT
TRUE, FALSE = np.array(True), np.array(False)


def counted(content, *shapes):
    return count_onnx(content, row_shapes=shapes or None, values=None)


def macc(tally):
    return sum(layer.macc or 0 for layer in tally.layers)


def looped(
    files, inside, *, times=3, most="times", begins="true", ends="on", state=(), stored=None, before=(), rows="n"
):
    """A file of one loop that hands s (n, 5) on as t; `inside` makes t of s."""
    value = files.value
    starts = [value("i", [], INT), value("on", [], BOOL), value("s", state or None)]
    last = [value("go", [], BOOL), value("t", state or None)]
    body = helper.make_graph([*inside, files.node("Identity", [ends], ["go"])], "body", starts, last)
    weights = {"w": np.ones((5, 5), np.float32), "times": np.array(times), "true": TRUE, "false": FALSE}
    weights |= stored or {}
    loop = files.node("Loop", [most, begins, "x"], ["y"], body=body, name="loop")
    return files.model([*before, loop], [value("x", [rows, 5])], [value("y", None)], weights)


def product(files, left="s", out="t", right="w"):
    return files.node("MatMul", [left, right], [out], name="inner")


def unrolled(files, rows="n"):
    nodes = [product(files, "x", "a"), product(files, "a", "b"), product(files, "b", "y")]
    weights = {"w": np.ones((5, 5), np.float32)}
    return files.model(nodes, [files.value("x", [rows, 5])], [files.value("y", None)], weights)


# --- how often ------------------------------------------------------------------------------------------------


def step(files):
    return [files.node("Add", ["s", "one"], ["t"])]


CASES = {
    "so often": ({}, 3),
    "never": ({"times": 0}, 0),
    "less than never": ({"times": -2}, 0),
    "one number in a row": ({"stored": {"times": np.array([4])}}, 4),
    "no condition to begin with": ({"begins": ""}, 3),
    "a condition stored outside": ({"ends": "true"}, 3),
    "not begun": ({"begins": "false"}, 0),
    "ended by the first turn": ({"ends": "false"}, None),
    "ended by a condition alone": ({"most": "", "ends": "false"}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_turns_are_those_of_a_run(files, case):
    given, expected = CASES[case]
    stored = {"one": np.ones((), np.float32)} | given.get("stored", {})
    content = looped(files, step(files), **(given | {"stored": stored}))
    graph = read_graph(content, row_shapes=None, values=None)
    found = turns(graph.nodes[-1], graph)
    assert found == expected
    if found is not None:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {"x": np.zeros((1, 5), np.float32)})
        assert answer.tolist() == [[found] * 5]


def test_turns_through_what_keeps_the_number(files):
    before = [
        files.node("Constant", [], ["c"], value_ints=[2]),
        files.node("Squeeze", ["c"], ["d"]),
        files.node("Identity", ["d"], ["e"]),
    ]
    assert macc(counted(looped(files, [product(files)], before=before, most="e"))) == 2 * 25
    small = [files.node("Cast", ["few"], ["e"], to=INT)]
    content = looped(files, [product(files)], before=small, most="e", stored={"few": np.array(4, np.int32)})
    assert macc(counted(content)) == 4 * 25


# --- what a turn costs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [(), ("n", 5), (1, 5)], ids=["not told", "by name", "told"])
def test_a_loop_costs_what_it_does_unrolled(files, state):
    tally, flat = counted(looped(files, [product(files)], state=state)), counted(unrolled(files))
    assert macc(tally) == macc(flat) == 3 * 25
    assert (tally.parameters, flat.parameters) == (25, 25)
    (missed,) = tally.uncounted
    assert (missed.name, missed.affects) == ("loop", ("ram",))
    assert "inside it" in missed.reason


def test_a_batch_that_the_file_fixes_is_seen_through_a_loop(files):
    tally = counted(looped(files, [product(files)], rows=4))
    assert (macc(tally), tally.rows, tally.whole_call) == (75, 4, False)
    meeting = [
        files.node("Transpose", ["s"], ["u"]),
        files.node("MatMul", ["u", "s"], ["v"]),
        files.node("MatMul", ["s", "v"], ["t"]),
    ]
    tally = counted(looped(files, meeting, rows=4))
    # u = sᵀ s is 5·4·5, s u is 4·5·5; rows meet.
    assert (macc(tally), tally.whole_call) == (3 * 200, True)


def test_loops_inside_loops(files):
    inner = helper.make_graph(
        [files.node("MatMul", ["p", "w"], ["q"]), files.node("Identity", ["along"], ["further"])],
        "inner",
        [files.value("j", [], INT), files.value("along", [], BOOL), files.value("p", None)],
        [files.value("further", [], BOOL), files.value("q", None)],
    )
    inside = [
        files.node("Constant", [], ["twice"], value_int=2),
        files.node("Loop", ["twice", "true", "s"], ["t"], body=inner, name="deep"),
    ]
    assert macc(counted(looped(files, inside))) == 3 * 2 * 25


def test_a_turn_whose_nodes_stand_in_any_order(files):
    inside = [files.node("Relu", ["a"], ["t"]), product(files, out="a")]
    assert macc(counted(looped(files, inside))) == 75


def test_a_broken_product_inside_is_named(files):
    inside = [files.node("MatMul", ["s", "odd"], ["a"], name="inner"), files.node("Relu", ["s"], ["t"])]
    with pytest.raises(InvalidInput, match=r"'loop' \(Loop\): node 'inner' \(MatMul\): its factors[^:]*: export"):
        counted(looped(files, inside, stored={"odd": np.zeros((4, 5), np.float32)}))


# --- what cannot be counted -----------------------------------------------------------------------------------


def test_why_a_loop_is_uncounted(files):
    length = [files.node("ReduceSum", ["x"], ["z"], keepdims=0), files.node("Cast", ["z"], ["many"], to=INT)]
    wish = [files.node("Cast", ["many"], ["may"], to=BOOL)]
    end = [product(files), files.node("Less", ["i", "times"], ["still"])]
    grows = [files.node("Concat", ["s", "s"], ["t"], axis=0), product(files, out="a")]
    odd = [files.node("Secret", ["s"], ["a"], domain="com.microsoft", name="odd"), files.node("Relu", ["s"], ["t"])]
    cases = [
        (looped(files, [product(files)], before=length, most="many"), "decided in the run"),
        (looped(files, [product(files)], before=length + wish, begins="may"), "decided in the run"),
        (looped(files, end, ends="still"), "decided in the run"),
        (looped(files, grows), "no shape that is known and stays the same"),
        (looped(files, odd), "inside it, 'odd' (Secret): this operator is not known"),
    ]
    for content, reason in cases:
        missed = next(item for item in counted(content).uncounted if "macc" in item.affects)
        assert (missed.name, missed.kind, missed.affects) == ("loop", "Loop", ("macc", "ram"))
        assert reason in missed.reason


def test_a_loop_that_never_turns_costs_nothing(files):
    assert macc(counted(looped(files, [product(files)], times=0))) == 0


# --- bags of rows, as exporters write them --------------------------------------------------------------------


def bags(files):
    """Each of n rows of a table is taken by a turn and put in a list; a row of zeros where there is nothing."""
    node, value = files.node, files.value
    row = numpy_helper.from_array(np.zeros((1, 5), np.float32), "nothing")
    choice = {
        "then_branch": helper.make_graph([], "none", [], [value("nothing", [1, 5])], [row]),
        "else_branch": helper.make_graph(
            [node("Unsqueeze", ["i", "first"], ["at"]), node("Gather", ["looked", "at"], ["row"])],
            "some", [], [value("row", None)],
        ),
    }  # fmt: skip
    listed = helper.make_tensor_sequence_value_info
    body = helper.make_graph(
        [
            node("Less", ["i", "none"], ["empty"]),
            node("If", ["empty"], ["taken"], **choice),
            node("SequenceInsert", ["list", "taken"], ["longer"]),
            node("Identity", ["on"], ["go"]),
        ],
        "body",
        [value("i", [], INT), value("on", [], BOOL), listed("list", FLOAT, None)],
        [value("go", [], BOOL), listed("longer", FLOAT, None)],
    )
    nodes = [
        node("SequenceEmpty", [], ["begun"]),
        node("Loop", ["rows", "", "begun"], ["all"], body=body, name="loop"),
        node("Size", ["x"], ["rows"]),
        node("Gather", ["e.weight", "x"], ["looked"], name="e"),
        node("ConcatFromSequence", ["all"], ["bag"], axis=0),
        node("MatMul", ["bag", "f.weight"], ["y"], name="f"),
    ]
    weights = {"e.weight": np.ones((9, 5), np.float32), "f.weight": np.ones((5, 2), np.float32)}
    weights |= {"first": np.array([0]), "none": np.array(0)}
    return files.model(nodes, [value("x", ["n"], INT)], [value("y", None)], weights)


def test_lists_and_loops_without_a_product_are_counted_in_any_order(files):
    content = bags(files)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.array([3, 8])})[0].tolist() == [[5, 5], [5, 5]]
    tally = counted(content)
    # The row of zeros is handed out as it is: stored, not trained.
    assert (macc(tally), tally.parameters, tally.rom) == (10, 55, 4 * (55 + 5) + 16)
    assert {missed.affects for missed in tally.uncounted} == {("ram",)}
