"""Sweeps: what must be seen on the digits example, curves and their bounds, what is left alone."""

import numpy as np
import pytest

from robust.bitwidths.width_curves import bit_width_sweep
from robust.errors import InvalidInput
from robust.evidence import Figure, Finding
from robust.limits import percent
from robust.report.charts import still


@pytest.fixture(scope="module", params=["onnx", "torch"])
def sweep(request, nets):
    return bit_width_sweep(getattr(nets, request.param), nets.train, nets.test)


def test_eight_bits_pass_and_two_fail(sweep):
    assert sweep.at(8) < percent(1)
    assert (sweep.at(2) < percent(1)).status == "FAIL"
    assert sweep.curve("weights", per_channel=False).at(8) < percent(1)
    assert (sweep.curve("weights", per_channel=False).at(2) < percent(1)).status == "FAIL"


def test_curves_of_parts_and_scales(sweep):
    assert [curve.label for curve in sweep] == [
        "weights and activations, per channel",
        "weights and activations, per tensor",
        "weights, per channel",
        "weights, per tensor",
        "activations",
    ]
    assert sweep.grid.tolist() == [2, 3, 4, 6, 8]
    for curve in sweep:
        assert (curve.lower <= curve.values).all()
        assert (curve.values <= curve.upper).all()
        assert (np.diff(curve.sqnr) > 0).all()
    shape = sweep.float_size - 24_360  # 16 bytes that the file tells a Reshape by; a module has none
    assert shape in (0, 16)
    assert sweep.curve("activations").sizes.tolist() == [24_360 + shape] * 5
    assert [size - shape for size in sweep.curves[0].sizes] == [1972, 2726, 3480, 4988, 6496]


def test_words_table_and_figure(sweep):
    first, second, third = sweep.findings
    assert first.startswith(
        "weights and activations, per channel: at 8 bits accuracy loses 0 points (-0.504 .. 0.504), in"
    )
    assert second.startswith("weights and activations, per channel: at 2 bits accuracy loses ")
    assert second.endswith("in 2.0 kB instead of 24.4 kB")
    assert third.startswith("at 2 bits the weights alone cost ")
    assert still(sweep.figure)
    assert len(sweep.table().splitlines()) == 26
    assert sweep.figure in sweep.at(8).evidence
    assert Finding(text=sweep.findings[0]) in sweep.at(8).evidence
    assert {len(column.values) for column in sweep.figure.columns} == {25}
    assert "each for its own point" in sweep.figure.note


def test_bounds_of_all_points_at_once_are_wider(nets):
    own = bit_width_sweep(nets.onnx, nets.train, nets.test, widths=(8, 4), parts="both", per_channel=True)
    all_ = bit_width_sweep(
        nets.onnx, nets.train, nets.test, widths=(8, 4), parts="both", per_channel=True, simultaneous=True
    )
    assert np.array_equal(own.values, all_.values)
    assert (all_.upper > own.upper).all()
    assert (all_.lower < own.lower).all()
    assert all_.at(8).level == pytest.approx(0.975)
    assert "all points at once (Bonferroni)" in all_.figure.note
    assert all_.simultaneous


def test_calibration_rows_that_are_the_test_rows_are_told(nets):
    sweep = bit_width_sweep(nets.onnx, nets.test, nets.test, widths=(8,), parts="both", per_channel=True)
    assert any("leakage: 719 of 719 rows" in text for text in sweep.findings)
    weights = bit_width_sweep(nets.onnx, nets.test, nets.test, widths=(8,), parts="weights", per_channel=True)
    assert not any("leakage" in text for text in weights.findings)


def test_row_order_changes_nothing(nets):
    order = np.random.default_rng(0).permutation(719)
    said = {"widths": (3,), "parts": "both", "per_channel": True, "metric": "log_loss"}
    one = bit_width_sweep(nets.onnx, nets.train, nets.test, **said)
    other = bit_width_sweep(nets.onnx, nets.train, nets.test.rows(order), **said)
    assert other.at(3).value == pytest.approx(one.at(3).value, rel=1e-6)
    assert other.at(3).upper == pytest.approx(one.at(3).upper, rel=1e-3)


def test_points_and_curves_that_there_are_not(sweep):
    with pytest.raises(InvalidInput, match="no point at 5 bits"):
        sweep.at(5)
    (only,) = [curve for curve in sweep if curve.part == "weights" and curve.per_channel]
    assert only is sweep.curve("weights")
    assert isinstance(sweep.figure, Figure)


def test_a_curve_that_was_not_measured(nets):
    sweep = bit_width_sweep(nets.onnx, nets.train, nets.test, widths=(8,), parts="weights", per_channel=True)
    with pytest.raises(InvalidInput, match="no curve of 'both' with per_channel=True; it has"):
        sweep.curve("both")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"widths": (8, 1)}, "widths got 1"),
        ({"parts": "gradients"}, "parts got 'gradients'"),
        ({"metric": "rmse"}, "rmse is a regression metric"),
    ],
)
def test_bad_options(said, match, nets):
    with pytest.raises(InvalidInput, match=match):
        bit_width_sweep(nets.onnx, nets.train, nets.test, **said)


def test_rows_of_another_shape_and_without_targets(nets):
    with pytest.raises(InvalidInput, match=r"the calibration rows of data have shape \(64,\), those of the data"):
        bit_width_sweep(nets.onnx, nets.train.x.reshape(-1, 64), nets.test)
    with pytest.raises(InvalidInput, match="has no targets"):
        bit_width_sweep(nets.onnx, nets.train, nets.test.x)
