"""Budgets of rows: one line (1, d) for all of them, a line each (m, d), or a number each (m, 1)."""

import numpy as np

from robust.types import BoolArray, FloatArray, IntArray


def budget_part(eps: FloatArray, keep: IntArray | BoolArray) -> FloatArray:
    """Budgets of some rows; shared ones (1, d) stay shared."""
    return eps if len(eps) == 1 else eps[keep]


def budget_joined(first: FloatArray, second: FloatArray, m: int, k: int) -> FloatArray:
    """Budgets of m rows and k more; equal shared ones stay shared."""
    if len(first) == len(second) == 1 and np.array_equal(first, second):
        return first
    width = max(first.shape[1], second.shape[1])
    return np.concatenate([np.broadcast_to(first, (m, width)), np.broadcast_to(second, (k, width))])
