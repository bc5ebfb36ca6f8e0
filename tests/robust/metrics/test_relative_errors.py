"""MAPE and sMAPE."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error

from robust.errors import InvalidInput
from robust.metrics.relative_errors import MAPE, SMAPE, percentage_error_rows, symmetric_error_rows


def test_values():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 2)) + 5
    values = y + rng.normal(size=(50, 2))
    assert percentage_error_rows(y, values).mean() == pytest.approx(mean_absolute_percentage_error(y, values))
    by_hand = np.mean([2 * abs(a - b) / (abs(a) + abs(b)) for a, b in zip(y.ravel(), values.ravel(), strict=True)])
    assert symmetric_error_rows(y, values).mean() == pytest.approx(by_hand)


def test_scale_changes_nothing():
    y, values = np.array([[1.0], [-3.0]]), np.array([[2.0], [-1.0]])
    for rows in (percentage_error_rows, symmetric_error_rows):
        assert rows(y, values) == pytest.approx(rows(8 * y, 8 * values))


def test_zero_targets():
    y = np.array([[1.0], [0.0], [0.0]])
    with pytest.raises(InvalidInput, match="mape is undefined for targets of 0: 2 of 3 rows, the first at position 1"):
        percentage_error_rows(y, y + 1)
    assert symmetric_error_rows(y, np.array([[1.0], [0.0], [3.0]])).ravel().tolist() == [0.0, 0.0, 2.0]


def test_a_wrong_sign_costs_two_whatever_the_error():
    assert symmetric_error_rows(np.array([[1e-9]]), np.array([[-1e-9]])).tolist() == [[2.0]]
    assert SMAPE.effect(None, None, None)(0.1) == 2.0


def test_effect_bounds_a_change_within_the_range_that_was_seen():
    y, values = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [4.0]])
    worst = max(
        percentage_error_rows(y, np.where(np.arange(3)[:, None] == i, v, values)).mean()
        for i in range(3)
        for v in (1, 4)
    )
    assert worst == pytest.approx(MAPE.effect(y, values, values)(1 / 3) / 3)
