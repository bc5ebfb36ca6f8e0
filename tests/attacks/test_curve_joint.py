import pickle

import numpy as np
import pytest

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.curve_band import joint_bounds
from robust.attacks.curve_joint import RobustnessCurve
from robust.attacks.fgsm import FGSM
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure
from robust.intervals.clopper_pearson import clopper_pearson
from robust.measures.row_means import share_interval

GRID = [0.1, 0.3, 0.5, 0.7, 0.9]


@pytest.fixture
def model(linear):
    return linear([[0.0], [1.0]])


def rows(n=100, **more):
    """Rows whose distances from the threshold are spread evenly from 0 to 1, none of them at a budget."""
    return as_data((np.arange(n)[:, None] + 0.5) / n, np.ones(n, dtype=int), **more)


def test_the_band_is_joint_and_lies_between_the_points_own_bounds_and_bonferroni_s(model):
    curve = robustness_curve(model, rows(), FGSM(), eps=GRID)
    counts = curve.survived[1:].sum(axis=1)
    assert counts.tolist() == [90, 70, 50, 30, 10]
    lower, upper, *_ = joint_bounds(counts, 100, level=0.95)
    assert curve.band.lower.tolist() == lower.tolist()
    assert curve.band.upper.tolist() == upper.tolist()
    plain = [clopper_pearson(int(k), 100, level=0.99) for k in counts]
    assert (curve.band.lower < curve.lower).all()
    assert (curve.band.upper > curve.upper).all()
    assert (curve.band.lower > [one.lower for one in plain]).all()
    assert (curve.band.upper < [one.upper for one in plain]).all()
    assert (curve.band.level, curve.band.method) == (0.95, "joint clopper-pearson")
    assert curve.lower.tolist() == [point.lower for point in curve]  # points keep their own


def test_one_budget_has_its_own_bounds(model):
    curve = robustness_curve(model, rows(), FGSM(), eps=[0.3])
    assert (curve.band.lower[0], curve.band.upper[0]) == pytest.approx((curve[0].lower, curve[0].upper))


def test_rows_that_depend_on_each_other_get_bonferroni_s(model):
    data = rows(groups=np.arange(100) % 20)
    curve = robustness_curve(model, data, FGSM(), eps=GRID)
    alone = [share_interval(held, data, level=0.99, seed=0) for held in curve.survived[1:]]
    assert curve.band.lower == pytest.approx([one.lower for one in alone])
    assert curve.band.upper == pytest.approx([one.upper for one in alone])
    assert curve.band.method.endswith("Bonferroni")


def test_a_margin_gates_all_budgets_and_its_bounds_are_the_worst_point_s(model):
    curve = robustness_curve(model, rows(), FGSM(), eps=GRID)
    limits = [0.8, 0.55, 0.35, 0.15, 0.02]
    m = curve.margin(limits)
    assert m > 0
    assert all(point > limit for point, limit in zip(curve, limits, strict=True))
    assert m.value == pytest.approx(0.08)
    assert m.lower == pytest.approx((curve.lower - limits).min())
    assert m.upper == pytest.approx((curve.band.upper - limits).min())
    assert next(item.value for item in m.evidence if isinstance(item, Fact)) == 0.9
    assert (curve.margin(0.5) > 0).status == "FAIL"
    assert (curve.margin(0.0) > 0.02).status == "PASS"


def test_a_margin_names_the_rows_that_would_settle_it(model):
    verdict = robustness_curve(model, rows(), FGSM(), eps=GRID).margin([0.85, 0.65, 0.45, 0.25, 0.05]) > 0
    assert verdict.status == "INCONCLUSIVE"
    more = rows(10 * (1 + verdict.needed_n // 10))
    assert robustness_curve(model, more, FGSM(), eps=GRID).margin([0.85, 0.65, 0.45, 0.25, 0.05]) > 0


def test_passing_at_every_point_needs_no_joint_bounds():
    # At the worst true curve, all its budgets at their limits, all points pass together less often than one alone:
    # 'every budget' is tested at each point's own level. 'Some budget' is not: any passes far more often than 5 %.
    rng, limits, every, some, runs = np.random.default_rng(0), np.array([0.8, 0.7, 0.6]), 0, 0, 600
    for _ in range(runs):
        counts = (rng.random(60)[:, None] < limits).sum(axis=0)
        above = [clopper_pearson(int(k), 60, level=0.95).lower > limit for k, limit in zip(counts, limits, strict=True)]
        every, some = every + all(above), some + any(above)
    assert every / runs < 0.04 < 0.05 < some / runs


def test_a_curve_is_no_number(model):
    curve = robustness_curve(model, rows(), FGSM(), eps=GRID)
    with pytest.raises(TypeError):
        assert curve > 0.3
    with pytest.raises(InvalidInput, match="limits got 2 for 5 budgets"):
        curve.margin([0.5, 0.4])
    with pytest.raises(TypeError):
        curve.margin("90%")


def test_the_figure_shows_the_band(model):
    curve = robustness_curve(model, rows(), FGSM(), eps=GRID)
    figure = curve.figure(limit=0.4)
    columns = {column.name: column.values for column in figure.columns}
    assert columns["x"] == tuple(GRID)
    assert columns["y"] == (0.9, 0.7, 0.5, 0.3, 0.1)
    assert columns["lower"] == pytest.approx(curve.band.lower, rel=1e-5)
    assert columns["upper"] == pytest.approx(curve.band.upper, rel=1e-5)
    assert figure.rules == (("y", 1.0, "clean accuracy"), ("y", 0.4, "limit"))
    assert "all 5 budgets at once" in figure.note
    for m in (curve.area(), curve.margin(0.4)):
        assert any(isinstance(item, Figure) for item in m.evidence)


def test_it_is_a_curve_that_survives_pickling(model):
    curve = robustness_curve(model, rows(), FGSM(), eps=GRID)
    again = pickle.loads(pickle.dumps(curve))
    assert isinstance(again, RobustnessCurve)
    assert again.values.tolist() == curve.values.tolist() == [0.9, 0.7, 0.5, 0.3, 0.1]
    assert again.area().value == curve.area().value
