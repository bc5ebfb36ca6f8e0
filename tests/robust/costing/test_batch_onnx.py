"""Which axis of an ONNX file is the batch: rows that do not meet, against time, height and tokens in front."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from robust.costing.count_onnx import count_onnx
from robust.costing.whole_model import cost
from robust.errors import InvalidInput


def zeros(*shape):
    return np.zeros(shape, np.float32)


def counted(content, *shapes):
    return count_onnx(content, row_shapes=shapes or None, values=None)


def macc(tally):
    return sum(layer.macc or 0 for layer in tally.layers)


@pytest.fixture
def graph(files):
    """A file of nodes, with inputs and outputs by name and shape."""

    def make(nodes, inputs, outputs, weights=None, **options):
        given = [files.value(name, shape) for name, shape in inputs.items()]
        made = [files.value(name, shape) for name, shape in outputs.items()]
        return files.model(nodes, given, made, weights, **options)

    return make


#: Seven steps of one row: 7 · 4 · 5 · (3 + 5).
STEPS = 7 * 160
RECURRENT = {"w": zeros(1, 20, 3), "r": zeros(1, 20, 5)}


def lstm(files, more=()):
    return files.node("LSTM", ["x", "w", "r", *more], ["y"], hidden_size=5, name="rnn")


# --- time, height, tokens in front ----------------------------------------------------------------------------


def test_a_fixed_time_axis_in_front_is_a_whole_call(files, graph):
    tally = counted(graph([lstm(files)], {"x": [7, 1, 3]}, {"y": [7, 1, 1, 5]}, RECURRENT))
    assert (macc(tally), tally.rows, tally.whole_call, tally.uncounted) == (STEPS, 1, True, ())
    assert tally.notes[0] == (
        "no axis was taken for the batch, MACC are those of a whole call (axis 0 of input 'x': rnn (LSTM) takes its "
        "steps along it)"
    )


def test_as_many_steps_as_rows_are_told_apart(files, graph):
    # Seven rows of seven steps: no number of the file says which is which.
    tally = counted(graph([lstm(files)], {"x": [7, 7, 3]}, {"y": [7, 1, 7, 5]}, RECURRENT))
    assert (macc(tally), tally.whole_call) == (7 * STEPS, True)
    nodes = [files.node("Transpose", ["b"], ["x"], perm=[1, 0, 2]), lstm(files)]
    nodes += [files.node("Squeeze", ["y", "one"], ["s"]), files.node("Transpose", ["s"], ["t"], perm=[1, 0, 2])]
    content = graph(nodes, {"b": [7, 7, 3]}, {"t": [7, 7, 5]}, RECURRENT | {"one": np.array([1])})
    tally = counted(content)
    assert (macc(tally), tally.rows, tally.whole_call) == (STEPS, 7, False)


def test_a_free_time_axis_in_front_has_to_be_told(files, graph):
    # It was counted as one row, that is one step of an unknown number.
    content = graph([lstm(files)], {"x": ["T", 1, 3]}, {"y": ["T", 1, 1, 5]}, RECURRENT)
    message = r"free axis 0 \('T'\) of input 'x' cannot be the batch \(rnn \(LSTM\) takes its steps along it\)"
    for shapes in ((), ((1, 3),)):
        with pytest.raises(InvalidInput, match=message + r": give input_shape= .* such as \(10, 1, 3\) for 'x'"):
            counted(content, *shapes)
    tally = counted(content, (7, 1, 3))
    assert (macc(tally), tally.whole_call) == (STEPS, True)


@pytest.mark.parametrize("layout", [0, 1])
def test_both_layouts_of_the_standard(files, graph, layout):
    node = files.node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5, layout=layout, name="rnn")
    content = graph([node], {"x": ["a", "b", 3]}, {"y": None}, RECURRENT)
    tally = counted(content, (7, 4, 3))
    assert (macc(tally), tally.rows, tally.whole_call) == ((7 * 4 * 160, 1, True) if layout == 0 else (640, 7, False))


SEGMENTATION = {"axes": np.array([0]), "k": zeros(4, 3, 3, 3)}


def segmentation(files):
    return [
        files.node("Transpose", ["x"], ["t"], perm=[2, 0, 1]),
        files.node("Unsqueeze", ["t", "axes"], ["u"]),
        files.node("Conv", ["u", "k"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        files.node("Squeeze", ["c", "axes"], ["q"]),
        files.node("Transpose", ["q"], ["y"], perm=[1, 2, 0]),
    ]


def test_a_height_in_front_is_no_batch(files, graph):
    # The output has it too, and the work grows with it: only the convolution tells.
    tally = counted(graph(segmentation(files), {"x": [32, 32, 3]}, {"y": [32, 32, 4]}, SEGMENTATION))
    assert (macc(tally), tally.whole_call) == (32 * 32 * 4 * 27, True)
    assert "conv (Conv) moves its kernel along it" in tally.notes[0]
    content = graph(segmentation(files), {"x": ["h", "w", 3]}, {"y": ["h", "w", 4]}, SEGMENTATION)
    with pytest.raises(InvalidInput, match=r"cannot be the batch \(conv \(Conv\) moves its kernel along it"):
        counted(content, (32, 3))
    assert macc(counted(content, (32, 32, 3))) == 32 * 32 * 4 * 27


def test_tokens_in_front_are_no_batch(files, graph):
    nodes = [
        files.node("Transpose", ["x"], ["t"]),
        files.node("MatMul", ["x", "t"], ["s"], name="scores"),
        files.node("Softmax", ["s"], ["p"]),
        files.node("MatMul", ["p", "x"], ["y"]),
    ]
    tally = counted(graph(nodes, {"x": [16, 6]}, {"y": [16, 6]}))
    assert (macc(tally), tally.whole_call) == (2 * 16 * 16 * 6, True)
    with pytest.raises(InvalidInput, match=r"the products of scores \(MatMul\) grow 4 times with twice its length"):
        counted(graph(nodes, {"x": ["T", 6]}, {"y": ["T", 6]}))


def test_a_sum_over_the_first_axis_is_no_batch(files, graph):
    nodes = [files.node("MatMul", ["x", "w"], ["a"]), files.node("ReduceMean", ["a"], ["y"], axes=[0])]
    with pytest.raises(InvalidInput, match=r"cannot be the batch \(output 'y' does not have it\)"):
        counted(graph(nodes, {"x": ["T", 6]}, {"y": [1, 5]}, {"w": zeros(6, 5)}, opset=13))
    tally = counted(graph(nodes, {"x": [9, 6]}, {"y": [1, 5]}, {"w": zeros(6, 5)}, opset=13))
    assert (macc(tally), tally.whole_call) == (9 * 30, True)
    # Gram matrix of the rows, and linear attention: the work grows with the rows, which meet all the same.
    nodes = [
        files.node("Transpose", ["x"], ["t"]),
        files.node("MatMul", ["t", "x"], ["g"], name="gram"),
        files.node("MatMul", ["x", "g"], ["y"]),
    ]
    tally = counted(graph(nodes, {"x": [9, 6]}, {"y": [9, 6]}))
    assert (macc(tally), tally.whole_call) == (2 * 9 * 36, True)


def test_inputs_that_differ_in_front_are_a_whole_call(files, graph):
    node = files.node("LSTM", ["x", "w", "r", "", "", "h", "c"], ["y", "hn", "cn"], hidden_size=5, name="rnn")
    inputs = {"x": [7, 1, 3], "h": [1, 1, 5], "c": [1, 1, 5]}
    tally = counted(graph([node], inputs, {"y": None, "hn": None, "cn": None}, RECURRENT))
    assert (macc(tally), tally.whole_call) == (STEPS, True)
    assert "axis 0 of input 'x', axis 0 of input 'h' and axis 0 of input 'c' differ in length" in tally.notes[0]


def test_an_output_without_the_axis_in_front_is_a_whole_call(files, graph):
    node = files.node("LSTM", ["x", "w", "r"], ["y", "hn"], hidden_size=5, layout=1, name="rnn")
    nodes = [node, files.node("Transpose", ["hn"], ["last"], perm=[1, 0, 2])]
    tally = counted(graph(nodes, {"x": [4, 7, 3]}, {"y": None, "last": None}, RECURRENT))
    assert (macc(tally), tally.whole_call) == (4 * STEPS, True)
    assert "output 'last' does not have it in front" in tally.notes[0]


# --- batches --------------------------------------------------------------------------------------------------


def test_a_batch_is_told(files, graph):
    node = files.node("MatMul", ["x", "w"], ["y"])
    free = counted(graph([node], {"x": ["n", 6]}, {"y": ["n", 5]}, {"w": zeros(6, 5)}))
    assert (macc(free), free.notes[0]) == (30, "taken for the batch, of 1 row: axis 0 ('n') of input 'x'")
    fixed = counted(graph([node], {"x": [4, 6]}, {"y": [4, 5]}, {"w": zeros(6, 5)}))
    note = "taken for the batch, of 4 rows: axis 0 of input 'x'; MACC are those of one row"
    assert (macc(fixed), fixed.rows, fixed.notes[0]) == (30, 4, note)
    given = counted(graph([node], {"x": ["n", 6]}, {"y": ["n", 5]}, {"w": zeros(6, 5)}), (4, 6))
    assert (macc(given), given.rows, given.ram.bytes) == (30, 4, 4 * 44)
    one = counted(graph([node], {"x": [1, 6]}, {"y": [1, 5]}, {"w": zeros(6, 5)}))
    assert (one.rows, len(one.notes)) == (1, 1)


def test_lengths_that_an_exporter_wrote_down_hide_no_batch(files, graph):
    nodes = [
        files.node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        files.node("Reshape", ["c", "flat"], ["f"], allowzero=1),
        files.node("Gemm", ["f", "v"], ["y"]),
    ]
    weights = {"k": zeros(2, 1, 3, 3), "flat": np.array([4, 128]), "v": zeros(128, 10)}
    tally = counted(graph(nodes, {"x": [4, 1, 8, 8]}, {"y": [4, 10]}, weights))
    assert (macc(tally), tally.rows) == (64 * 2 * 9 + 1280, 4)
    assert "not tried" not in tally.notes[0]
    # Cut to four rows, the graph takes no more of them: the numbers in front, which all agree, have to do.
    nodes[1:2] = [files.node("Slice", ["c", "from", "to"], ["d"]), files.node("Reshape", ["d", "flat"], ["f"])]
    tally = counted(
        graph(nodes, {"x": [4, 1, 8, 8]}, {"y": [4, 10]}, weights | {"from": np.array([0]), "to": np.array([4])})
    )
    assert (macc(tally), tally.rows) == (64 * 2 * 9 + 1280, 4)
    assert "not tried with more rows" in tally.notes[0]


def test_a_file_that_takes_one_row_alone_is_counted_for_it(files, graph):
    nodes = [files.node("Reshape", ["x", "flat"], ["f"]), files.node("Gemm", ["f", "v"], ["y"])]
    weights = {"flat": np.array([1, -1]), "v": zeros(64, 10)}
    tally = counted(graph(nodes, {"x": ["n", 1, 8, 8]}, {"y": ["n", 10]}, weights))
    assert (macc(tally), tally.rows) == (640, 1)
    assert "that it is the batch could not be seen (the graph does not take twice the length" in tally.notes[0]


def test_a_target_for_one_row_does_not_make_rows_tokens(files, graph):
    # Written down for one row as (1, 6, -1): two rows would be twice as many tokens, which attend to each other.
    nodes = [
        files.node("Reshape", ["x", "flat"], ["f"]),
        files.node("Transpose", ["f"], ["t"], perm=[0, 2, 1]),
        files.node("MatMul", ["t", "f"], ["s"]),
        files.node("MatMul", ["s", "t"], ["y"]),
    ]
    content = graph(nodes, {"x": ["n", 6, 4, 4]}, {"y": ["n", 16, 6]}, {"flat": np.array([1, 6, -1])})
    tally = counted(content)
    assert (macc(tally), tally.rows) == (2 * 16 * 16 * 6, 1)
    assert "could not be seen (f (Reshape) is made for one length)" in tally.notes[0]


def test_rows_merged_with_steps_in_front_are_still_rows(files, graph):
    nodes = [
        files.node("Transpose", ["b"], ["x"], perm=[1, 0, 2]),
        lstm(files),
        files.node("Reshape", ["y", "flat"], ["f"]),
        files.node("MatMul", ["f", "v"], ["g"]),
        files.node("Reshape", ["g", "apart"], ["h"]),
        files.node("Transpose", ["h"], ["z"], perm=[1, 0, 2]),
    ]
    weights = RECURRENT | {"flat": np.array([-1, 5]), "v": zeros(5, 2), "apart": np.array([7, -1, 2])}
    tally = counted(graph(nodes, {"b": ["n", 7, 3]}, {"z": ["n", 7, 2]}, weights))
    assert (macc(tally), tally.notes[0]) == (STEPS + 70, "taken for the batch, of 1 row: axis 0 ('n') of input 'b'")
    weights |= {"flat": np.array([28, 5]), "apart": np.array([7, 4, 2])}
    tally = counted(graph(nodes, {"b": [4, 7, 3]}, {"z": [4, 7, 2]}, weights))
    assert (macc(tally), tally.rows) == (STEPS + 70, 4)


def test_heads_beside_the_batch_are_still_rows(files, graph):
    # Four rows of two heads, merged into eight as exporters do: (4, 7, 6) -> (8, 7, 3) -> scores -> (4, 7, 6).
    nodes = [
        files.node("Reshape", ["x", "apart"], ["a"]),
        files.node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3]),
        files.node("Reshape", ["b", "merged"], ["q"]),
        files.node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
        files.node("MatMul", ["q", "k"], ["s"]),
        files.node("MatMul", ["s", "q"], ["v"]),
        files.node("Reshape", ["v", "again"], ["c"]),
        files.node("Transpose", ["c"], ["d"], perm=[0, 2, 1, 3]),
        files.node("Reshape", ["d", "back"], ["y"]),
    ]
    targets = {"apart": [4, 7, 2, 3], "merged": [8, 7, 3], "again": [4, 2, 7, 3], "back": [4, 7, 6]}
    tally = counted(graph(nodes, {"x": [4, 7, 6]}, {"y": [4, 7, 6]}, {k: np.array(v) for k, v in targets.items()}))
    assert (macc(tally), tally.rows) == (2 * 7 * 7 * 6, 4)


def test_values_decide_the_shape_of_an_output(files):
    nodes = [files.node("MatMul", ["x", "w"], ["a"]), files.node("NonZero", ["a"], ["y"])]
    outputs = [files.value("y", None, TensorProto.INT64)]
    tally = counted(files.model(nodes, [files.value("x", ["n", 6])], outputs, {"w": zeros(6, 5)}))
    assert (macc(tally), tally.rows) == (30, 1)
    assert "could not be seen (output 'y' does not have it)" in tally.notes[0]


def test_states_with_the_batch_behind_and_single_numbers(files):
    # As recurrent detectors have it: rows in front of the signal, behind in the states, and a rate without axes.
    node = files.node("LSTM", ["t", "w", "r", "", "", "h", "h"], ["y", "hn"], hidden_size=5, name="rnn")
    nodes = [files.node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node, files.node("Neg", ["rate"], ["same"])]
    inputs = [files.value("x", ["b", 7, 3]), files.value("h", [1, "b", 5]), files.value("rate", [])]
    outputs = [files.value(name, None) for name in ("y", "hn", "same")]
    content = files.model(nodes, inputs, outputs, RECURRENT)
    tally = counted(content, (7, 3), (1, 5))
    assert (macc(tally), tally.whole_call, tally.uncounted) == (STEPS, False, ())
    with pytest.raises(InvalidInput, match=r"takes 2 inputs \('x', 'h'\), got 3 shapes"):
        counted(content, (7, 3), (1, 5), (1,))
    with pytest.raises(InvalidInput, match="dimension 'b' of input 'h' got 2, and 4 in another place"):
        counted(content, (4, 7, 3), (1, 2, 5))


def test_two_free_axes_that_multiply_have_to_be_told(files, graph):
    nodes = [files.node("Transpose", ["b"], ["t"]), files.node("MatMul", ["a", "t"], ["y"])]
    content = graph(nodes, {"a": ["q", 4], "b": ["k", 4]}, {"y": ["q", "k"]})
    with pytest.raises(InvalidInput, match=r"axis 0 \('q'\) of input 'a' and axis 0 \('k'\) of input 'b' cannot be"):
        counted(content)
    assert macc(counted(content, (3, 4), (100, 4))) == 3 * 100 * 4


def test_whole_shapes_must_fit(files, graph):
    content = graph([files.node("Relu", ["x"], ["y"])], {"x": [7, "b", 3]}, {"y": None})
    with pytest.raises(InvalidInput, match=r"input 'x' takes as a whole \(7, any, 3\), got \(8, 2, 3\)"):
        counted(content, (8, 2, 3))


@pytest.mark.parametrize("unknown", [0, -1])
def test_numbers_that_stand_for_a_free_axis(files, graph, unknown):
    content = graph([files.node("MatMul", ["x", "w"], ["y"])], {"x": [unknown, 6]}, {"y": None}, {"w": zeros(6, 5)})
    tally = counted(content)
    assert (macc(tally), tally.rows) == (30, 1)


# --- what torch exports ---------------------------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self, kind, batch_first):
        super().__init__()
        self.rnn = kind(3, 5, batch_first=batch_first)

    def forward(self, x):
        return self.rnn(x)[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_exported_recurrent_layers_agree_in_all_formats(kind, gates, free, batch_first, tmp_path):
    module = Recurrent(kind, batch_first).eval()
    x = torch.zeros(2, 7, 3) if batch_first else torch.zeros(7, 2, 3)
    # Along its steps torch does not leave a recurrent layer free.
    shapes = ({0 if batch_first else 1: torch.export.Dim("rows")},) if free else None
    torch.onnx.export(module, (x,), dynamic_shapes=shapes, dynamo=True, verbose=False).save(tmp_path / "net.onnx")
    torch.export.save(torch.export.export(module, (x,), dynamic_shapes=shapes), tmp_path / "net.pt2")
    step, numbers = gates * 5 * (3 + 5), gates * 5 * (3 + 5 + 2)
    for name in ("net.onnx", "net.pt2"):
        found = cost(tmp_path / name, input_shape=tuple(x.shape))
        # Rows in front are a batch of two; behind the steps, all of a call is counted.
        expected = (7 * step, 2, False) if batch_first else (2 * 7 * step, 1, True)
        assert (found.macc.value, found.rows, found.whole_call) == expected
        assert (found.parameters.value, found.uncounted) == (numbers, ())
        if not free:
            assert cost(tmp_path / name).macc.value == expected[0]
    live = cost(module, input_shape=x.shape[1:])
    assert live.parameters.value == numbers
    assert ((live.macc <= 10**9).status == "PASS") == batch_first


def test_the_older_exporters_free_steps(tmp_path, files, graph):
    # As torch's older exporter writes it: states made from the length of the batch axis, the direction squeezed away.
    nodes = [
        files.node("Shape", ["x"], ["s"]),
        files.node("Gather", ["s", "one"], ["n"], axis=0),
        files.node("Unsqueeze", ["n", "zero"], ["m"]),
        files.node("Concat", ["a", "m", "b"], ["hs"], axis=0),
        files.node("ConstantOfShape", ["hs"], ["h"]),
        lstm(files, ["", "", "h", "h"]),
        files.node("Squeeze", ["y", "axis"], ["out"]),
    ]
    weights = {"one": np.array(1), "zero": np.array([0]), "a": np.array([1]), "b": np.array([5]), "axis": np.array([1])}
    content = graph(nodes, {"x": ["T", 2, 3]}, {"out": ["T", 2, 5]}, RECURRENT | weights)
    with pytest.raises(InvalidInput, match=r"rnn \(LSTM\) takes its steps along it"):
        counted(content)
    tally = counted(content, (7, 2, 3))
    assert (macc(tally), tally.parameters, tally.whole_call) == (2 * STEPS, 160, True)


def test_nothing_is_written_where_a_graph_does_not_run(capfd, files, graph):
    nodes = [
        files.node("Expand", ["x", "s"], ["e"]),
        files.node("NonZero", ["e"], ["z"]),
        files.node("Cast", ["z"], ["y"], to=1),
    ]
    counted(graph(nodes, {"x": [3, 2]}, {"y": None}, {"s": np.array([5, 7])}))
    assert capfd.readouterr() == ("", "")


def test_files_are_not_changed_by_a_second_look(files, graph):
    content = graph([files.node("Relu", ["x"], ["y"])], {"x": ["n", 6]}, {"y": ["n", 6]})
    before = bytes(content)
    assert counted(content) == counted(content)
    assert content == before


@pytest.mark.parametrize(
    ("axis", "shape", "whole"), [(0, [5, 2, 8], True), (1, [5, 2, 8], False), (-2, [5, 2, 8], False)]
)
def test_the_axis_that_a_scan_steps_along_is_no_batch(files, graph, axis, shape, whole):
    slice_shape = [size for place, size in enumerate(shape) if place != axis % 3]
    inner = helper.make_graph(
        [files.node("MatMul", ["i", "w"], ["o"]), files.node("Identity", ["s"], ["t"])],
        "body",
        [files.value("s", [1]), files.value("i", slice_shape)],
        [files.value("t", [1]), files.value("o", slice_shape)],
    )
    scan = files.node(
        "Scan", ["s0", "x"], ["last", "y"], body=inner, num_scan_inputs=1, scan_input_axes=[axis],
        scan_output_axes=[axis], name="scan",
    )  # fmt: skip
    tally = counted(graph([scan], {"x": shape}, {"y": shape}, {"w": zeros(8, 8), "s0": zeros(1)}))
    assert (tally.whole_call, tally.rows) == (whole, 1 if whole else 5)
    assert ("scan (Scan) takes its steps along it" in tally.notes[0]) == whole
    assert [missed.kind for missed in tally.uncounted] == ["Scan"]
