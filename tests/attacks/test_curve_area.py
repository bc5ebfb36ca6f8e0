import numpy as np
import pytest

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.curve_area import merged, row_areas
from robust.attacks.curve_joint import RobustnessCurve
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson
from robust.limits import percent
from robust.measurement import Measurement
from robust.measures.row_means import share_interval
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation


def curve_of(breaks, grid, data=None, checks=()):
    """A curve of rows that break at given budgets, 0 for a row that is wrong before."""
    breaks, data = np.asarray(breaks, dtype=float), data or as_data(np.zeros((len(breaks), 1)))
    survived = np.vstack([breaks > 0, *[breaks > eps for eps in grid]])
    points = []
    for held in survived[1:]:
        found = share_interval(held, data, level=0.95, seed=0)
        points.append(
            Measurement(
                name="robust_accuracy",
                value=found.value,
                lower=found.lower,
                upper=found.upper,
                n=found.n,
                method=found.method,
                sizing=found.sizing,
                higher_is_better=True,
                validity=checks,
                row_values=held.astype(float),
            )
        )
    return RobustnessCurve(name="eps", grid=np.array(grid), points=tuple(points), survived=survived, data=data, seed=0)


def test_by_hand():
    # Four rows: wrong at once, broken in (0, 1], in (1, 4], never.
    low, high = row_areas(curve_of([0, 0.5, 2, 9], [1, 4]).survived, np.array([1.0, 4.0]), 4.0)
    assert low.tolist() == [0.0, 0.0, 0.25, 1.0]
    assert high.tolist() == [0.0, 0.25, 1.0, 1.0]
    m = curve_of([0, 0.5, 2, 9], [1, 4]).area()
    assert m.row_values.tolist() == [0.0, 0.125, 0.625, 1.0]
    assert (m.value, m.n, m.unit, m.name, m.higher_is_better) == (0.4375, 4, "share", "robustness_area", True)
    # To 1 alone, and to a budget between two of the grid.
    assert curve_of([0, 0.5, 2, 9], [1, 4]).area(upto=1).row_values.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert curve_of([0, 0.5, 2, 9], [1, 4]).area(upto=2).row_values.tolist() == [0.0, 0.25, 0.75, 1.0]


def test_the_value_is_the_trapezoids_from_clean_accuracy_on():
    breaks, grid = np.random.default_rng(0).exponential(size=500) - 0.1, [0.1, 0.5, 0.7, 2.0]
    curve = curve_of(np.maximum(breaks, 0), grid)
    line = np.r_[(breaks > 0).mean(), curve.values]
    assert curve.area().value == pytest.approx(np.trapezoid(line, np.r_[0, grid]) / 2.0)


def test_the_bracket_holds_the_true_area_and_shrinks_with_the_grid():
    breaks = np.random.default_rng(1).uniform(0, 1.5, size=1000)
    truth, widths = np.minimum(breaks, 1).mean(), []
    for steps in (2, 8, 32):
        grid = np.linspace(0, 1, steps + 1)[1:]
        low, high = row_areas(curve_of(breaks, grid).survived, grid, 1.0)
        assert low.mean() <= truth <= high.mean()
        widths.append(high.mean() - low.mean())
        m = curve_of(breaks, grid).area()
        assert m.lower < low.mean()
        assert m.upper > high.mean()
    assert widths[0] > 3 * widths[1] > 9 * widths[2] > 0


def test_rows_that_never_break_are_clopper_and_pearson_s():
    m = curve_of([9] * 30, [1, 2]).area()
    assert (m.lower, m.upper, m.method) == (pytest.approx(clopper_pearson(30, 30, level=0.95).lower), 1.0, "gaffke")


def test_it_gates_and_says_how_many_rows_it_wants():
    breaks = np.r_[np.full(70, 9.0), np.full(30, 0.5)]
    curve = curve_of(breaks, [1, 2])
    assert curve.area() > percent(60)
    assert (curve.area() > percent(90)).status == "FAIL"
    # The 30 rows broke between 0 and 1: from 0.7 to 0.85 nothing is known, and no rows settle it.
    inside = curve.area() > percent(72)
    assert (inside.status, inside.needed_n) == ("INCONCLUSIVE", None)
    near = curve.area() > percent(68)
    assert near.status == "INCONCLUSIVE"
    assert near.needed_n > 100
    assert curve_of(np.tile(breaks, 1 + near.needed_n // 100), [1, 2]).area() > percent(68)


def test_a_failed_self_check_at_any_budget_makes_a_pass_invalid():
    blind = SelfCheck(name="gradients", passed=False, reason="none", bias="raises")
    seen = SelfCheck(name="gradients", passed=True, reason="all", bias="raises")
    whole = curve_of([9] * 60, [1, 2, 4], checks=(seen,))
    points = list(whole.points)
    failing = curve_of([9] * 60, [1, 2, 4], checks=(blind,))
    mixed = RobustnessCurve(
        name="eps",
        grid=whole.grid,
        points=(points[0], failing[1], points[2]),
        survived=whole.survived,
        data=whole.data,
        seed=0,
    )
    assert (whole.area() > 0.5).status == "PASS"
    verdict = mixed.area() > 0.5
    assert verdict.status == "INVALID"
    assert "at eps 2: none" in verdict.reason
    # It lies beyond the area, or, between its last two budgets, takes part.
    assert (mixed.area(upto=1) > 0.5).status == "PASS"
    assert (mixed.area(upto=1.5) > 0.5).status == "INVALID"
    assert merged(failing.points, failing.grid) == (blind,)


def test_hidden_gradients_of_a_model_make_the_area_invalid(linear):
    # Rounded inputs have no gradient: the attack sees nothing and the curve stays at 1.
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(80, 2))
    y = (x[:, 0] > 0.5).astype(int)
    steps = as_model(
        lambda v: np.c_[np.zeros(len(v)), np.round(v[:, 0] * 8) / 8 - 0.5],
        gradients=lambda v, cotangent: (
            (outputs := np.c_[np.zeros(len(v)), np.round(v[:, 0] * 8) / 8 - 0.5]),
            np.zeros_like(v) * cotangent(outputs).sum(),
        ),
        output="logits",
        name="steps",
    )
    right = np.asarray(np.round(x[:, 0] * 8) / 8 > 0.5).astype(int) == y
    data = as_data(x[right], y[right], schema={"bounds": (0, 1)})
    assert (robustness_curve(steps, data, FGSM(), eps=[0.1, 0.2, 0.4]).area() > 0.8).status == "INVALID"


def test_what_a_report_is_told():
    m = curve_of(np.r_[np.full(40, 0.3), np.full(60, 0.7), np.full(5, 9)], [0.5, 1.0]).area()
    facts = {item.name: item.value for item in m.evidence if isinstance(item, Fact)}
    assert facts["largest eps"] == 1.0
    assert facts["area that is certain between the budgets tried"] == pytest.approx((60 * 0.5 + 5) / 105)
    (found,) = (item.text for item in m.evidence if isinstance(item, Finding))
    assert found == "fewer than half of the rows are still right from somewhere between eps 0.5 and 1 on"
    assert [item.kind for item in m.evidence if isinstance(item, Figure)] == ["line"]


def test_groups_and_time_widen_it():
    rng = np.random.default_rng(0)
    breaks, groups = np.repeat(rng.uniform(0, 2, 30), 10), np.repeat(np.arange(30), 10)
    alone = curve_of(breaks, np.linspace(0.3, 1.5, 5)).area()
    clustered = curve_of(breaks, np.linspace(0.3, 1.5, 5), as_data(np.zeros((300, 1)), groups=groups)).area()
    series = curve_of(breaks, np.linspace(0.3, 1.5, 5), as_data(np.zeros((300, 1)), order=np.arange(300))).area()
    assert clustered.value == series.value == alone.value
    assert clustered.upper - clustered.lower > 1.5 * (alone.upper - alone.lower)
    assert series.upper - series.lower > 1.5 * (alone.upper - alone.lower)
    assert (clustered.method, series.method) == ("cluster-bootstrap", "block-bootstrap")
    assert clustered.sizing.at(3000)[0] > clustered.lower


def test_areas_of_two_models_are_paired_by_row(linear):
    data = as_data(np.linspace(0.01, 1, 100)[:, None], np.ones(100, dtype=int))

    def area(model, rows):
        return robustness_curve(model, rows, FGSM(), eps=[0.25, 0.5, 0.75, 1.0]).area()

    wide, near = linear([[0.0], [1.0]]), linear([[0.0], [1.0]], [0.0, -0.2])
    loss = degradation(wide, near, data, metric=area)
    assert loss.value == pytest.approx(area(wide, data).value - area(near, data).value)
    assert loss.value > 0.1
    assert loss.lower > 0.05


def test_limits_of_the_area():
    curve = curve_of([1, 2, 3], [0.5, 2])
    for upto in (0, 2.1, -1, float("nan")):
        with pytest.raises(InvalidInput, match="got"):
            curve.area(upto=upto)
    with pytest.raises(InvalidInput, match="a number above 0"):
        curve_of([1, 2], [0.0]).area()


def test_cost_and_options_are_those_of_the_curve(linear):
    model, data = linear([[0.0], [1.0]]), as_data(np.arange(1, 11)[:, None] / 10, np.ones(10, dtype=int))
    curve = robustness_curve(model, data, RandomNoise(), eps=[0.2, 0.4], seed=3)
    m = curve.area()
    assert m.provenance.cost == curve[0].provenance.cost
    assert m.provenance.seed == 3
    options = dict(m.provenance.options)
    assert (options["eps"], options["upto"]) == ("[0.2, 0.4]", "0.4")
    assert "RandomNoise" in options["attack"]
    assert m.provenance.models == curve[0].provenance.models
