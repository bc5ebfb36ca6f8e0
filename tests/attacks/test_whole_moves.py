"""The smallest changes of linear models with whole numbers and one-hot groups, against all of them and programs."""

import itertools

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from robust.attacks.minimal_linear import LinearStep
from robust.attacks.minimal_rows import minimal_perturbation
from robust.data.live import as_data

NORMS = ("linf", "l2", "l1")
SCHEMA = {
    "red": {"one_hot": "hue"},
    "green": {"one_hot": "hue"},
    "blue": {"one_hot": "hue"},
    "rooms": {"kind": "integer", "bounds": (0, 4)},
    "car": {"kind": "binary"},
    "sex": {"kind": "binary", "immutable": True},
    "size": {"bounds": (0, 1)},
}
UNITS = {"red": 1.0, "green": 2.0, "blue": 0.5, "rooms": 0.7, "car": 3.0, "size": 0.4}


def length(moves, norm):
    return np.linalg.norm(moves, ord={"linf": np.inf, "l2": 2, "l1": 1}[norm], axis=-1)


def enumerated(weights, bias, row, label, norm, units):
    """Least norm over all jumps, the one continuous feature solved for; inf where no row is of another class."""
    jumps = itertools.product(np.eye(3), range(5), (0, 1))
    rows = np.array([[*hue, rooms, car, row[5], row[6]] for hue, rooms, car in jumps])
    allowed = ((rows == row) | (units > 0)).all(axis=1)
    least = np.inf
    for k in np.flatnonzero(np.arange(len(bias)) != label):
        slope = weights[k] - weights[label]
        gap = -(rows @ slope + bias[k] - bias[label])
        move = np.where(gap > 0, gap / slope[6], 0.0)
        fits = allowed & (row[6] + move >= 0) & (row[6] + move <= 1) & ((move == 0) | (units[6] > 0))
        ends = rows.copy()
        ends[:, 6] += move
        shares = np.divide(ends - row, units, out=np.zeros(ends.shape), where=units > 0)
        least = min(least, length(shares[fits], norm).min(initial=np.inf))
    return least


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("units", [None, UNITS], ids=["as they are", "units"])
@pytest.mark.parametrize("seed", range(3))
def test_all_jumps_are_enumerated(linear, seed, units, norm):
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(size=(3, 7)), rng.normal(size=3)
    hue = np.eye(3)[rng.integers(0, 3, 40)]
    x = np.column_stack([hue, rng.integers(0, 5, 40), rng.integers(0, 2, (40, 2)), rng.uniform(0, 1, 40)])
    y = (x @ weights.T + bias).argmax(axis=1)
    data = as_data(x, y, names=list(SCHEMA), schema=SCHEMA)
    worth = np.ones(7) if units is None else np.array([units.get(name, 0.0) for name in SCHEMA])
    worth[5] = 0.0
    exact = np.array([enumerated(weights, bias, *pair, norm, worth) for pair in zip(x, y, strict=True)])
    measured = minimal_perturbation(linear(weights, bias), data, norm=norm, units=units)
    np.testing.assert_allclose(measured.rows, exact, rtol=0.01, atol=1e-9)
    assert np.isfinite(exact).sum() > 0


@pytest.mark.parametrize("seed", range(3))
def test_many_whole_numbers_against_integer_programs(linear, seed):
    """Eight whole features of up to a hundred steps: too many combinations to try, so a few are; l1 is a program."""
    rng = np.random.default_rng(seed)
    tops = np.array([1, 2, 4, 9, 20, 50, 100, 3])
    weights = rng.normal(size=(2, 10)) / np.append(np.sqrt(tops), [1.0, 1.0])
    x = np.column_stack([*(rng.integers(0, top + 1, 30) for top in tops), rng.uniform(-1, 1, (30, 2))])
    bias = np.array([0.0, -np.median(x @ (weights[1] - weights[0]))])
    y = (x @ weights.T + bias).argmax(axis=1)
    schema = {f"n{i}": {"kind": "integer", "bounds": (0, int(top))} for i, top in enumerate(tops)}
    schema |= {"a": {"bounds": (-1, 1)}, "b": {"bounds": (-1, 1)}}
    found = LinearStep(norm="l1").perturb(linear(weights, bias), as_data(x, y, names=list(schema), schema=schema))
    lower, upper = np.append(np.zeros(8), [-1, -1]), np.append(tops, [1, 1])
    ratios = []
    for row, label, new in zip(x, y, found, strict=True):
        slope = weights[1 - label] - weights[label]
        gap = -(row @ slope + bias[1 - label] - bias[label])
        told = milp(
            np.ones(20),  # up and down
            constraints=LinearConstraint(np.append(slope, -slope)[None], lb=gap),
            bounds=Bounds(np.zeros(20), np.append(upper - row, row - lower)),
            integrality=np.tile(np.append(np.ones(8), [0, 0]), 2),
        )
        assert told.success
        ratios.append(length(new - row, "l1") / told.fun)
    assert min(ratios) > 1 - 1e-6
    assert max(ratios) < 1.01, sorted(ratios)[-5:]


@pytest.mark.parametrize("norm", NORMS)
def test_a_table_of_integers_alone(linear, norm):
    weights = np.array([[0.0, 0.0], [2.0, 3.0]])
    x = np.array([[0, 0], [0, 1], [1, 0]])
    data = as_data(x, np.zeros(3, dtype=int), schema={"bounds": (0, 9)})
    new = LinearStep(norm=norm).perturb(linear(weights, [0.0, -6.5]), data)
    assert new.dtype == x.dtype
    # 2a + 3b > 6.5 holds from (2, 1) or (1, 2) on.
    expected = {"linf": [2, 1, 1], "l2": [5**0.5, 2**0.5, 2**0.5], "l1": [3, 2, 2]}[norm]
    np.testing.assert_allclose(length(new - x, norm), expected)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_do_not_depend_on_neighbours(linear, norm):
    rng = np.random.default_rng(0)
    tops = np.array([1, 3, 40, 9, 200])
    weights = rng.normal(size=(3, 7)) / np.append(np.sqrt(tops), [1.0, 1.0])
    x = np.column_stack([*(rng.integers(0, top + 1, 50) for top in tops), rng.uniform(-1, 1, (50, 2))])
    y = (x @ weights.T).argmax(axis=1)
    schema = {f"n{i}": {"kind": "integer", "bounds": (0, int(top))} for i, top in enumerate(tops)}
    data = as_data(x, y, names=[*schema, "a", "b"], schema=schema)
    model = linear(weights, np.zeros(3))
    together = LinearStep(norm=norm).perturb(model, data)
    alone = np.concatenate([LinearStep(norm=norm).perturb(model, data.rows(np.array([i]))) for i in range(50)])
    np.testing.assert_array_equal(together, alone)
    order = rng.permutation(50)
    np.testing.assert_array_equal(LinearStep(norm=norm).perturb(model, data.rows(order)), together[order])
