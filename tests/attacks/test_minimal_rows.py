"""minimal_perturbation: the median, its bounds, its evidence, and the faults that it must catch."""

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from torch import nn

from robust.attacks.ddn import DDN
from robust.attacks.fmn import FMN
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.pgd import PGD
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Rows
from robust.models.conversion import as_model


@pytest.fixture(scope="module")
def line(linear):
    """Class 1 above 0; the distance of a row to 0 is its absolute value."""
    return linear([[0.0], [1.0]])


def test_the_median_of_known_distances(line):
    x = np.array([[0.5], [-1.0], [2.0], [-3.0], [4.0], [5.0], [6.0]])
    y = np.array([1, 0, 1, 0, 1, 1, 0])  # the last is wrong already
    m = minimal_perturbation(line, (x, y))
    assert m.rows == pytest.approx([0.5, 1, 2, 3, 4, 5, 0], rel=1e-2)
    assert m.value == pytest.approx(2.0, rel=1e-2)
    assert (m.lower, m.upper) == (
        0.0,
        m.rows.max(),
    )  # of seven rows the smallest and largest, binom.cdf(0, 7, .5) < 5 %
    assert binom.cdf(0, 7, 0.5) <= 0.05 < binom.cdf(1, 7, 0.5)
    assert m.higher_is_better
    assert m.unit == "l2 norm"
    assert (m > 8).status == "FAIL"
    assert (2 * m).rows == pytest.approx(2 * m.rows)
    fragile = next(item for item in m.evidence if isinstance(item, Rows))
    assert fragile.ids[:2] == (0, 1)
    assert any(isinstance(item, Figure) and item.kind == "histogram" for item in m.evidence)
    assert "half of the rows" in next(item.text for item in m.evidence if isinstance(item, Finding))
    said = next(item.value for item in m.evidence if isinstance(item, Fact) and item.name == "what it means")
    assert "no attack proves that there is no smaller change" in said


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_honest_models_are_believed(digits, digits_model, norm):
    few = digits.rows(np.arange(100))
    m = minimal_perturbation(digits_model, few, norm=norm)
    assert [check.name for check in m.validity if not check.passed and check.bias == "raises"] == []
    assert (m > 1e-3).status == "PASS"
    assert m.lower < m.value < m.upper
    again = minimal_perturbation(digits_model, few.rows(np.arange(100)[::-1]), norm=norm)
    assert again.value == pytest.approx(m.value, rel=1e-4)
    assert again.rows[::-1] == pytest.approx(m.rows, rel=1e-4)
    alone = minimal_perturbation(digits_model, few, attack=DDN() if norm == "l2" else FMN(norm=norm))
    assert (m.rows <= alone.rows * (1 + 1e-6)).all()


class Flat(nn.Module):
    """The decisions of a network without its gradient."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        z = self.net(x)
        return nn.functional.one_hot(z.argmax(1), 10).float() * 10 + 0 * z


class Stairs(nn.Module):
    """A network that reads its input in coarse steps, and passes the gradient of a reversed one."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(torch.round(x * 4) / 4 - (x - x.detach()))


@pytest.mark.parametrize("hide", [Flat, Stairs])
def test_hidden_gradients_make_a_pass_invalid(digits, digits_net, hide):
    m = minimal_perturbation(as_model(hide(digits_net), output="logits"), digits.rows(np.arange(80)))
    verdict = m > 1e-6
    assert verdict.status == "INVALID", m


def test_units_by_name(linear):
    model = linear([[0.0, 0.0], [1.0, 1.0]])
    data = as_data(np.full((9, 2), 3.0), np.ones(9, dtype=int), names=["age", "dose"])
    m = minimal_perturbation(model, data, attack=FMN(norm="linf", eps={"age": 10, "dose": 0.5}))
    assert m.value == pytest.approx(6 / 10.5, rel=1e-2)
    assert m.unit == "linf norm in units of eps"


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_units_of_the_whole_cascade(linear, norm):
    """A named attack alone is no closed form; the cascade is, in units too."""
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(6, 4)), rng.normal(size=(40, 4))
    y = (x @ weights.T).argmax(axis=1)
    data = as_data(x, y, names=["age", "dose", "mass", "sex"])
    m = minimal_perturbation(linear(weights), data, norm=norm, units={"age": 10, "dose": 0.5, "sex": 1})
    scaled = (weights[None] - weights[y][:, None]) * np.array([10, 0.5, 0, 1])
    slopes = np.linalg.norm(scaled, ord={"linf": 1, "l2": 2, "l1": np.inf}[norm], axis=2)
    gaps = (x @ weights.T)[np.arange(40), y][:, None] - x @ weights.T
    exact = np.divide(gaps, slopes, out=np.full(gaps.shape, np.inf), where=slopes > 0).min(axis=1)
    np.testing.assert_allclose(m.rows, exact, rtol=0.01)
    assert m.unit == f"{norm} norm in units of eps"
    with pytest.raises(InvalidInput, match="worths by feature"):
        minimal_perturbation(linear(weights), data, units=2.0)
    with pytest.raises(InvalidInput, match="has its own"):
        minimal_perturbation(linear(weights), data, units={"age": 1}, attack=DDN())


def test_rows_that_cannot_be_broken_are_infinite(linear):
    model = linear([[1.0], [0.0]], [5.0, 0.0])
    data = as_data(np.linspace(0, 1, 20)[:, None], np.zeros(20, dtype=int), schema={"bounds": (0, 1)})
    m = minimal_perturbation(model, data)
    assert np.isinf(m.rows).all()
    assert m.value == m.lower == np.inf


def test_no_row_is_right(line):
    m = minimal_perturbation(line, (np.ones((6, 1)), np.zeros(6, dtype=int)))
    assert m.value == 0.0
    assert (m.rows == 0).all()


def test_immutable_features_leave_no_room(line):
    data = as_data(np.ones((6, 1)), np.ones(6, dtype=int), names=["a"], schema={"a": {"immutable": True}})
    m = minimal_perturbation(line, data)
    assert (m > 1).status == "INVALID"
    assert not m.validity[0].passed


def test_errors(digits, digits_model, line):
    flat = as_data(digits.x.reshape(200, -1), digits.y)
    forest = RandomForestClassifier(n_estimators=2, random_state=0).fit(flat.x, flat.y)
    with pytest.raises(InvalidInput, match="gives no gradients"):
        minimal_perturbation(forest, flat)
    labels = as_model(lambda rows: rows[:, 0].astype(int), name="labels")
    with pytest.raises(InvalidInput, match="gives no gradients"):
        minimal_perturbation(labels, flat)
    x = np.arange(12.0)[:, None]
    with pytest.raises(InvalidInput, match="classifier"):
        minimal_perturbation(LinearRegression().fit(x, 2.5 * x[:, 0]), (x, 2.5 * x[:, 0]))
    with pytest.raises(InvalidInput, match="attack got PGD"):
        minimal_perturbation(digits_model, digits, attack=PGD())
    with pytest.raises(InvalidInput, match="has a budget"):
        minimal_perturbation(digits_model, digits, attack=DDN(eps=0.5))
    with pytest.raises(InvalidInput, match="norm got 'l1'"):
        minimal_perturbation(digits_model, digits, norm="l1", attack=DDN())
    with pytest.raises(InvalidInput, match="norm got 'l3'"):
        minimal_perturbation(digits_model, digits, norm="l3")
    with pytest.raises(InvalidInput, match="level got 2"):
        minimal_perturbation(line, (np.ones((6, 1)), np.ones(6, dtype=int)), level=2)
    with pytest.raises(InvalidInput, match="breaks its schema"):
        minimal_perturbation(line, as_data(np.full((6, 1), 2.0), np.ones(6, dtype=int), schema={"bounds": (0, 1)}))
