"""The largest range of a partial dependence: value, bounds, and a model that leans on one feature."""

import numpy as np
import pytest

from robust.check import Subject
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Slices
from robust.models.conversion import as_model
from robust.sensitivity import dependence_range, partial_dependence
from robust.sensitivity.feature_ranking import CHECKS, DependenceOptions
from robust.sensitivity.feature_reach import feature_reach


def regression(function):
    return as_model(function, task="regression")


def draw(n, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def evidence(m, kind):
    return [item for item in m.evidence if isinstance(item, kind)]


def test_it_is_the_range_of_the_curve_of_the_feature_that_moves_most():
    x = draw(300)
    model = regression(lambda x: x[:, 0] + 3 * np.abs(x[:, 1]) + 0.1 * x[:, 2] * x[:, 0])
    m = dependence_range(model, x)
    curves = [partial_dependence(model, x, j) for j in range(3)]
    ranges = [np.ptp(curve.values) for curve in curves]
    assert m.value == pytest.approx(max(ranges))
    (table,) = evidence(m, Slices)
    assert [part.value for part in table.slices] == pytest.approx(sorted(ranges, reverse=True))
    assert table.slices[0].name == "x1"
    assert m.lower < m.value < m.upper
    assert len(evidence(m, Figure)) == 2


def test_a_model_that_leans_on_one_feature_is_caught():
    x = draw(400)
    model = as_model(lambda x: 1 / (1 + np.exp(-8 * x[:, :1])), output="probabilities")
    m = dependence_range(model, x)
    assert (m < 0.5).status == "FAIL"
    assert "x0" in evidence(m, Fact)[0].value
    assert m.unit == "probability"


def test_bounds_cover_the_population_range():
    # E[x0 exp(x1/2)] at x0 = ±1 differs by 2 exp(1/8); x1 matters less.
    rng, below, above, truth = np.random.default_rng(1), 0, 0, 2 * np.exp(1 / 8)
    for _ in range(60):
        x = np.column_stack([rng.choice([-1.0, 0.0, 1.0], 120), rng.standard_normal(120)])
        m = dependence_range(regression(lambda x: x[:, 0] * np.exp(x[:, 1] / 2)), x, points=5)
        below += m.lower > truth
        above += m.upper < truth
    # 60 repeats at 5 %: 9 misses or more have a probability below 0.3 %.
    assert below < 9
    assert above < 9


def test_a_range_of_zero_is_not_called_larger():
    rng, above = np.random.default_rng(2), 0
    for _ in range(60):
        x = rng.standard_normal((100, 2))
        # The sign of an interaction: each row moves, the mean does not.
        m = dependence_range(regression(lambda x: x[:, 0] * np.sign(x[:, 1])), x, features=0, points=8)
        above += m.lower > 0
    assert above < 9


def test_row_order_does_not_matter():
    data = as_data(draw(300))
    model = regression(lambda x: x[:, 0] * x[:, 1])
    m = dependence_range(model, data)
    again = dependence_range(model, data.rows(np.random.default_rng(3).permutation(300)))
    assert (m.value, m.lower, m.upper) == pytest.approx((again.value, again.lower, again.upper))


def test_groups_widen_and_few_groups_prove_nothing():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(20), 20)
    x = np.column_stack([rng.standard_normal(400), rng.standard_normal(20)[groups]])
    model = regression(lambda x: x[:, 0] * (1 + x[:, 1]))
    free, held = dependence_range(model, x), dependence_range(model, as_data(x, groups=groups))
    assert held.value == free.value
    assert held.upper - held.lower > free.upper - free.lower
    few = dependence_range(model, as_data(x, groups=groups // 4))
    assert (few < 1e9).status == "INCONCLUSIVE"
    ordered = dependence_range(model, as_data(x, order=np.arange(400)))
    assert ordered.method == "hac-robust"


def test_rows_that_act_alike_leave_room_for_rows_that_were_not_seen():
    m = dependence_range(regression(lambda x: 2 * x[:, 0]), draw(60), features=["x0"])
    assert m.lower < m.value < m.upper


def test_contrasts_are_paired():
    ice = np.array([[0.0, 1.0], [5.0, 6.0], [9.0, 10.5]])
    data = as_data(np.zeros((3, 1)))
    from robust.sensitivity.feature_grid import FeatureGrid

    grid = FeatureGrid(name="a", columns=(0,), grid=np.array([0.0, 1.0]), settings=np.array([[0.0], [1.0]]))
    reach = feature_reach(ice, grid, data)
    assert reach.value == pytest.approx(3.5 / 3)
    assert reach.errors[0] == pytest.approx(np.std([1, 1, 1.5], ddof=1) / np.sqrt(3))


def test_many_features_are_stood_for_by_three():
    m = dependence_range(regression(lambda x: x.sum(axis=1)), draw(60, 25) * np.arange(1, 26))
    assert any(item.value == "3 of 25 (largest variance)" for item in evidence(m, Fact))
    assert len(evidence(m, Slices)[0].slices) == 3


@pytest.mark.parametrize(
    ("x", "options", "match"),
    [
        (np.ones((30, 2)), {}, "no feature of data varies"),
        (draw(30), {"features": []}, "at least one"),
        (draw(30), {"features": ["height"]}, "height"),
        (draw(30), {"target": 1}, "regression"),
    ],
)
def test_errors(x, options, match):
    with pytest.raises(InvalidInput, match=match):
        dependence_range(regression(lambda x: x[:, 0]), x, **options)


def test_the_check_runs_with_its_options():
    (check,) = CHECKS
    subject = Subject(model=regression(lambda x: x[:, 0] - 5 * x[:, 1]), task="regression", test=as_data(draw(80)))
    assert check.run(subject, check.options()).value == dependence_range(subject.model, subject.test).value
    one = check.run(subject, DependenceOptions(features=("x0",), points=4))
    assert one.value == dependence_range(subject.model, subject.test, features="x0", points=4).value
