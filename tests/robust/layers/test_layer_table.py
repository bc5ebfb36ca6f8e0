"""Layers as text and figures."""

import dataclasses
import math

import pytest

from robust.layers.layer_result import LayerError, with_losses
from robust.layers.layer_table import bars, decibel_text, findings, short_labels, table_text
from robust.layers.matching import Unmatched


def row(layer, **figures):
    plain = {
        "kind": "Conv",
        "point": layer,
        "matched_by": "tensor name",
        "shape": (2,),
        "sqnr": 30.0,
        "cosine": 1.0,
        "max_error": 0.1,
        "mean_error": 0.01,
        "bias": 0.0,
        "own_sqnr": 35.0,
        "own_max_error": 0.1,
    }
    return LayerError(layer=layer, **(plain | figures))


LEFT = (Unmatched(layer="7 (Softmax)", model="reference", reason="it is gone"),)


def test_the_table_marks_the_worst_and_lists_what_is_left():
    rows = [row("a", sqnr=math.inf, own_sqnr=math.inf), row("b", own_sqnr=12.0), row("c", cosine=math.nan)]
    lines = table_text(rows, LEFT).splitlines()[1:]
    assert [line.split()[0] for line in lines[2:5]] == ["a", "b", "c"]
    assert ["<- worst" in line for line in lines[2:5]] == [False, True, False]
    assert "exact" in lines[2]
    assert "n.a." in lines[4]
    assert table_text(rows, LEFT).startswith("3 of 4 layers compared\n")
    assert lines[-1] == "not compared: 7 (Softmax) of the reference: it is gone"


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (
            {"sqnr": 31.0, "before": 45.2, "loss": 14.2, "own_sqnr": 31.2, "weight_sqnr": 31.3},
            "4 (Conv) loses 14.2 dB at the point after it: 31.0 dB, 45.2 dB before it; by itself it has 31.2 dB; its "
            "weights have 31.3 dB, which is most of it",
        ),
        (
            {"sqnr": 31.0, "before": 45.2, "loss": 14.2, "own_sqnr": 31.2, "weight_sqnr": 44.0},
            "4 (Conv) loses 14.2 dB at the point after it: 31.0 dB, 45.2 dB before it; by itself it has 31.2 dB; its "
            "weights have 44.0 dB: its bias or its activations are to blame",
        ),
        (
            {"sqnr": 31.0, "own_sqnr": 31.0, "weight_sqnr": 34.0},
            "4 (Conv) adds the most noise: 31.0 dB by itself; its weights have 34.0 dB",
        ),
        (
            {"own_sqnr": 30.0, "weight_sqnr": 40.0, "readers": ("5 (Conv)", "sum (Add)")},
            "4 (Conv) adds the most noise: 30.0 dB by itself; its weights have 40.0 dB: its bias or its "
            "activations are to blame, whose quantizer 5 (Conv) and sum (Add) share",
        ),
        (
            {"own_sqnr": 30.0, "weight_sqnr": math.inf},
            "4 (Conv) adds the most noise: 30.0 dB by itself; its weights are exact: its bias or its activations are "
            "to blame",
        ),
        ({"own_sqnr": 33.0}, "4 (Conv) adds the most noise: 33.0 dB by itself, 30.0 dB at the point after it"),
    ],
)
def test_the_worst_layer_in_words(figures, words):
    found = findings([row("4", **figures)], (), nothing=False)
    assert [finding.text for finding in found] == [words]


def test_what_else_there_is_to_say():
    exact = row("a", sqnr=math.inf, own_sqnr=math.inf)
    words = "no layer of 1 adds more than rounding"
    assert findings([exact], (), nothing=True)[0].text == f"{words}: none is quantized"
    assert findings([exact], LEFT, nothing=False)[0].text == f"{words}, of those that were compared"
    told = [finding.text for finding in findings([row("b"), exact], LEFT * 5, nothing=False)]
    assert told[0].endswith("(of those compared, 2 of 7 layers)")
    assert told[1] == "1 layer of 2 adds no error of its own"
    assert told[2].startswith("5 layers could not be compared: 7 (Softmax) of the reference: it is gone; ")
    assert told[2].endswith("; and 2 more")


def test_bars_leave_out_what_is_exact_and_keep_the_lowest():
    rows = [row(str(i), sqnr=float(100 - i)) for i in range(50)] + [row("0", sqnr=math.inf)]
    figure = bars(rows, "title", lambda one: one.sqnr)
    assert len(figure.columns[0].values) == 40
    assert figure.columns[1].values[-1] == 51.0
    assert figure.note == "1 layer without any error left out; the 40 lowest of 50"
    assert bars(rows[-1:], "title", lambda one: one.sqnr) is None
    twice = bars([row("a"), row("a")], "title", lambda one: one.sqnr)
    assert twice.columns[0].values == ("a (Conv)", "a (Conv) #2")


def test_losses_against_the_lowest_input():
    rows = [row("a", sqnr=40.0), row("b", sqnr=45.0), row("c", sqnr=30.0), row("d", sqnr=math.inf)]
    found = with_losses(rows, [(), ("a",), ("a", "b"), ("c",)])
    assert [one.before for one in found] == [math.inf, 40.0, 40.0, 30.0]
    assert [one.loss for one in found] == [None, -5.0, 10.0, None]
    assert dataclasses.replace(found[2], loss=None, before=None) == rows[2]


def test_decibels_in_words():
    assert [decibel_text(value) for value in (math.inf, math.nan, None, -3.04)] == ["exact", "n.a.", "n.a.", "-3.0 dB"]


def test_labels_that_figures_have_room_for():
    rows = [
        row("(input)", kind="Input"),
        row("4"),
        row("node_max_pool2d", kind="MaxPool", named=False),
        row("node_max_pool2d_1", kind="MaxPool", named=False),
        row("encoder.layers.0.self_attn", kind="MultiheadAttention"),
        row("encoder.layers.0.self_attn", kind="MultiheadAttention"),
        row("a" * 40),
    ]
    found = short_labels(rows)
    assert found[:4] == ["(input)", "4 (Conv)", "MaxPool 1", "MaxPool 2"]
    assert found[4:6] == ["…0.self_attn", "…0.self_attn #2"]
    assert max(map(len, found)) <= 17
    figure = bars(rows[1:4], "title", lambda one: one.sqnr)
    assert figure.columns[0].values == ("4 (Conv)", "MaxPool 1", "MaxPool 2")
