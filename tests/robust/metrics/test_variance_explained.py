"""The explained variance."""

import numpy as np
import pytest
from sklearn.metrics import explained_variance_score

from robust.errors import InvalidInput
from robust.metrics.variance_explained import EXPLAINED_VARIANCE, explained_variance_of_means, explained_variance_rows


def value(y, values):
    return float(explained_variance_of_means(explained_variance_rows(y, values).mean(axis=0, keepdims=True))[0])


def test_values_are_scikit_learns_and_blind_to_an_offset():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 3)) * [1, 5, 100] + [0, 1e6, 0]
    values = y + rng.normal(size=(40, 3))
    assert value(y, values) == pytest.approx(explained_variance_score(y, values), rel=1e-9)
    assert value(y, values + 7) == pytest.approx(value(y, values), rel=1e-9)
    assert value(y, y + 3) == 1.0


def test_constant_targets_are_refused():
    y = np.column_stack([np.arange(3.0), np.ones(3)])
    with pytest.raises(InvalidInput, match="explained_variance is undefined for constant targets"):
        explained_variance_rows(y, y)


def test_effect_bounds_changes_of_one_row():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(20, 1))
    values = y + 0.2 * rng.normal(size=(20, 1))
    bound = EXPLAINED_VARIANCE.effect(y, values, values)(1 / 20) / 20
    for i in range(20):
        for extreme in (min(y.min(), values.min()), max(y.max(), values.max())):
            trial = values.copy()
            trial[i] = extreme
            assert abs(value(y, trial) - value(y, values)) <= bound
