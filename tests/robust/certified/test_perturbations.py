import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.certified.perturbations import perturbations
from robust.data.budget import every_eps, read_norm, require_eps
from robust.data.live import as_data
from robust.errors import InvalidInput

NAMES = ["dose", "age", "sex", "a", "b", "c", "colour"]
SCHEMA = {
    "dose": {"bounds": (0, 1)},
    "age": {"kind": "integer", "bounds": (0, 120)},
    "sex": {"kind": "binary", "immutable": True},
    "a": {"one_hot": "city"},
    "b": {"one_hot": "city"},
    "c": {"one_hot": "city"},
    "colour": {"categories": ["red", "green", "blue"]},
}
ROWS = np.array([[0.95, 40.0, 1.0, 0.0, 1.0, 0.0, 1.0], [0.2, 119.0, 0.0, 1.0, 0.0, 0.0, 0.0]])


def changes(eps, norm="linf"):
    data = as_data(ROWS, [0, 1], names=NAMES, schema=SCHEMA)
    return perturbations(ROWS, data.schema, eps=every_eps(require_eps(eps), data.schema), norm=norm)


def test_by_hand():
    found = changes(1.5)
    np.testing.assert_allclose(found.lower, [[0, 39, 1, 0, 0, 0, 1], [0, 118, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(found.upper, [[1, 41, 1, 1, 1, 1, 1], [1, 120, 0, 1, 1, 1, 0]])
    found = changes(0.1)  # less than a step: whole features and groups stay
    np.testing.assert_allclose(found.upper - found.lower, [[0.15, 0, 0, 0, 0, 0, 0], [0.2, 0, 0, 0, 0, 0, 0]])
    assert found.groups == ()
    found = changes({"colour": 1.0, "sex": 5.0})  # a category may become any other, what is immutable stays
    np.testing.assert_allclose(found.upper - found.lower, [[0, 0, 0, 0, 0, 0, 2]] * 2)


def test_a_group_has_exactly_one_member():
    found = changes({"a": 1.0, "b": 1.0, "c": 1.0})
    a = np.zeros((2, 1, 7))
    a[:, 0, 3:6] = [5.0, -1.0, -2.0]
    np.testing.assert_allclose(found.least(a, np.zeros((2, 7)))[:, 0], [-2.0, -2.0], atol=1e-12)
    found = changes({"a": 1.0, "b": 1.0})  # c cannot become hot, and where b is, a or b are
    np.testing.assert_allclose(found.least(a, np.zeros((2, 7)))[:, 0], [-1.0, -1.0], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["linf", "l2", "l1"]))
def test_the_least_value_is_below_all_and_is_reached(seed, norm):
    rng = np.random.default_rng(seed)
    x, eps = rng.normal(size=(1, 5)), rng.uniform(0.1, 2, 5)
    data = as_data(x, [0])
    budget = every_eps({name: float(e) for name, e in zip(data.names, eps, strict=True)}, data.schema)
    space = perturbations(x, data.schema, eps=budget, norm=norm)
    a = rng.normal(size=(1, 3, 5))
    found = space.least(a, np.zeros((1, 5)))[0]
    order = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    for k in range(3):
        closed = a[0, k] @ x[0] - np.linalg.norm(a[0, k] * eps, ord=order)
        assert found[k] <= closed
        assert found[k] == pytest.approx(closed, abs=1e-7)


def test_rounding_of_the_ends_goes_outwards():
    x = np.array([[1e8 + 0.1]])
    found = perturbations(x, as_data(x, [0]).schema, eps=np.array([1e-9]), norm="linf")
    assert found.lower[0, 0] < x[0, 0] < found.upper[0, 0]


@pytest.mark.parametrize("eps", [-1, np.nan, np.inf, "1", True, None, {}, {"x0": -1}, {3: 1.0}])
def test_budgets_that_are_none(eps):
    with pytest.raises(InvalidInput, match="eps"):
        require_eps(eps)


def test_norms_and_names():
    with pytest.raises(InvalidInput, match="norm got 'l0'; one of 'linf', 'l2', 'l1'"):
        read_norm("l0")
    with pytest.raises(InvalidInput, match="there is no feature"):
        changes({"hat": 1.0})
