"""What is cut where a model is slow: points, then rows, and nothing without being told."""

import itertools

import pytest

from robust.bitwidths import time_budget
from robust.bitwidths.time_budget import Pace, pace_of, plan_mix, plan_sweep
from robust.errors import InvalidInput

SWEEP = {"seconds": 60, "points": (15, 5, 1), "rows": 1000, "ranges": 500, "layers": 24, "layer_rows": 512}
MIX = {"seconds": 60, "widths": 5, "rows": 300, "test": 700, "ranges": 500, "separately": 24}


def spent(plan, pace):
    """Seconds that a plan takes: ranges twice, the sweep, and the layers one by one."""
    alone = plan.ranges + (3 + 4 * plan.layers) * plan.layer_rows if plan.layers else 0
    return pace.a_row * (plan.ranges + (1 + plan.points) * plan.rows + alone)


@pytest.mark.parametrize("layers", [1, 3, 60])
@pytest.mark.parametrize("a_row", [0.0, 1e-5, 1e-3, 3e-3, 1e-2, 5e-2, 0.1])
def test_no_plan_takes_longer_than_there_is_time(a_row, layers):
    pace = Pace(a_row=a_row, layers=layers)
    plan = plan_sweep(pace, **SWEEP)
    assert spent(plan, pace) <= 60
    whole = (15, 1000, 500, min(24, layers), 512)
    assert (plan.told == "") == ((plan.points, plan.rows, plan.ranges, plan.layers, plan.layer_rows) == whole)


def test_slower_models_never_get_more():
    plans = [plan_sweep(Pace(a_row=1e-4 * 1.3**k, layers=10), **SWEEP) for k in range(26)]
    for one, other in itertools.pairwise(plans):
        assert one.points >= other.points
        if one.points == other.points:
            assert one.rows >= other.rows
    assert {plan.points for plan in plans} == {15, 5, 1}
    assert plans[-1].rows < 1000


def test_points_go_before_rows_and_all_is_told():
    told = plan_sweep(Pace(a_row=0.05, layers=3), **SWEEP).told
    assert told == (
        "a simulated pass over 1000 rows takes about 50 s on this host: within 60 s 1 of 15 points was measured, they "
        "were measured on 450 of 1000 rows, ranges were taken from 300 of 500 rows, none of 3 layers was looked at "
        "alone; seconds under [gates.bit_width_sweep] allows more"
    )


def test_what_there_is_no_time_for_is_not_run():
    with pytest.raises(InvalidInput, match=r"more than the 60 s that there are; seconds = 4256 under .* runs it"):
        plan_sweep(Pace(a_row=1.0, layers=3), **SWEEP)
    with pytest.raises(InvalidInput, match=r"seconds = \d+ under \[gates.mixed_precision\] runs it"):
        plan_mix(Pace(a_row=0.1, layers=3), **MIX)
    for seconds in (0, -1, float("nan")):
        with pytest.raises(InvalidInput, match="seconds got"):
            plan_sweep(Pace(a_row=0.1, layers=3), **{**SWEEP, "seconds": seconds})


@pytest.mark.parametrize("a_row", [1.0, 0.3])
def test_the_seconds_that_are_told_are_enough(a_row):
    for plan, wanted in ((plan_sweep, SWEEP), (plan_mix, MIX)):
        with pytest.raises(InvalidInput) as caught:
            plan(Pace(a_row=a_row, layers=3), **wanted)
        seconds = float(str(caught.value).split("seconds = ")[1].split()[0])
        assert plan(Pace(a_row=a_row, layers=3), **{**wanted, "seconds": seconds}).rows >= 100


@pytest.mark.parametrize("a_row", [0.0, 1e-4, 1e-3, 5e-3, 8e-3])
def test_a_search_stays_within_its_time(a_row):
    plan = plan_mix(Pace(a_row=a_row, layers=12), **MIX)
    layers = min(12, plan.separately)
    passes = 1 + layers * 5 + layers * 4 + 5
    assert a_row * (plan.ranges + passes * plan.rows + 6 * 700) <= 60
    assert (plan.told == "") == ((plan.rows, plan.separately) == (300, 24))


def test_the_pace_is_that_of_the_second_call(nets, monkeypatch):
    monkeypatch.setattr(time_budget, "clock", itertools.count(0, 3.2).__next__)
    pace = pace_of(nets.onnx, nets.test)
    assert pace.a_row == pytest.approx(1.3 * 3.2 / 32)
    assert pace.layers == 3
