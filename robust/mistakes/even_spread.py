"""Exact tests of whether mistakes are spread evenly over the values of a column."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact

from robust.data.dataset import Dataset
from robust.data.ordering import time_order
from robust.intervals.cluster import cluster_index
from robust.intervals.draws import CELLS, generator
from robust.types import BoolArray, FloatArray, IntArray

_DRAWS, _FEWER_DRAWS = 9999, 1999
#: Statistics up to this share below the observed one count as equal: sums of the same terms differ in rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenSpread:
    """The answer of a test.

    Args:
        p: Its p-value.
        method: What was exchanged, in words.
    """

    p: float
    method: str


def even_spread(wrong: BoolArray, owner: IntArray, data: Dataset, *, is_group: bool, seed: int) -> EvenSpread:
    """Test that mistakes fall on the values of a column as by lot.

    The statistic is Σ_v (e_v − ē_v)²/n_v with e_v mistakes among the n_v rows of value v, and ē_v those expected.
    What is exchanged depends on the rows: independent rows are dealt anew (Fisher's exact test for two values, else the
    multivariate hypergeometric law by simulation); of rows in groups, whole groups change their values where every
    group has one value, and rows inside each group are dealt anew where not; rows in time order are shifted around a
    circle, which keeps their dependence. With B draws p = (1 + #{T_b ≥ T})/(B + 1), which is valid at any B.

    Args:
        wrong: Which rows are wrong (n,).
        owner: Value of each row (n,), 0 … V−1, each at least once, V ≥ 2.
        data: Says how rows depend on each other.
        is_group: Whether the column is the groups themselves: rows are then dealt anew over them.
        seed: Seed of the draws.

    Returns:
        P-value and method.

    Source: Fisher (1935), Journal of the Royal Statistical Society 98:39; Phipson and Smyth (2010), Statistical
        Applications in Genetics and Molecular Biology 9:39, for the p-value of simulated draws.
    """
    values = int(owner.max()) + 1
    sizes = np.bincount(owner, minlength=values)
    if not wrong.any() or wrong.all():
        return EvenSpread(p=1.0, method="no test: all rows are alike")
    if data.groups is not None and not is_group:
        return _of_groups(wrong, owner, sizes, data, seed)
    if data.order is not None and not is_group:
        return _of_time(wrong, owner, sizes, data, seed)
    errors = np.bincount(owner[wrong], minlength=values)
    if values == 2:
        p = float(fisher_exact(np.stack([errors, sizes - errors]))[1])
        return EvenSpread(p=min(p, 1.0), method="Fisher's exact test")
    total = int(errors.sum())
    drawn = generator(seed).multivariate_hypergeometric(sizes, total, size=_DRAWS, method="marginals")
    expected = total * sizes / len(owner)
    return _settled(errors, drawn, expected, sizes, f"exact test by {_DRAWS} deals of the mistakes over the rows")


def _of_groups(wrong: BoolArray, owner: IntArray, sizes: IntArray, data: Dataset, seed: int) -> EvenSpread:
    """Rows of one group are not dealt to another."""
    if data.groups is None:
        raise ValueError("rows have no groups")
    cluster, clusters = cluster_index(data.groups)
    values, rng = len(sizes), generator(seed)
    errors = np.bincount(owner[wrong], minlength=values)
    table = np.zeros((clusters, values), dtype=np.int64)
    np.add.at(table, (cluster, owner), 1)
    wrong_in = np.bincount(cluster[wrong], minlength=clusters)
    if ((table > 0).sum(axis=1) > 1).any():
        drawn = np.zeros((_FEWER_DRAWS, values), dtype=np.int64)
        expected = np.zeros(values)
        for rows, found in zip(table, wrong_in.tolist(), strict=True):
            drawn += rng.multivariate_hypergeometric(rows, found, size=_FEWER_DRAWS, method="marginals")
            expected += found * rows / rows.sum()
        text = f"exact test by {_FEWER_DRAWS} deals of the mistakes inside each group"
        return _settled(errors, drawn, expected, sizes, text)
    size_of, value_of = table.sum(axis=1), table.argmax(axis=1)
    rate = float(wrong.mean())
    observed = _statistic(errors[None], rate * sizes, sizes)[0]
    as_large = 0
    portion = max(1, CELLS // clusters)
    for start in range(0, _FEWER_DRAWS, portion):
        count = min(portion, _FEWER_DRAWS - start)
        dealt = rng.permuted(np.tile(value_of, (count, 1)), axis=1)
        cells = (dealt + np.arange(count)[:, None] * values).ravel()
        shape = (count, values)
        e = np.bincount(cells, weights=np.tile(wrong_in, count), minlength=count * values).reshape(shape)
        n = np.bincount(cells, weights=np.tile(size_of, count), minlength=count * values).reshape(shape)
        as_large += int((_statistic(e, rate * n, n) >= observed * (1 - _ROUNDING)).sum())
    return EvenSpread(
        p=(1 + as_large) / (_FEWER_DRAWS + 1),
        method=f"exact test by {_FEWER_DRAWS} deals of the values over {clusters} groups",
    )


def _of_time(wrong: BoolArray, owner: IntArray, sizes: IntArray, data: Dataset, seed: int) -> EvenSpread:
    """The series of mistakes is turned around against that of the values."""
    rows = time_order(data).rows
    n = len(rows)
    errors = np.bincount(owner[wrong], minlength=len(sizes))
    in_time, at = owner[rows], np.flatnonzero(wrong[rows])
    shifts = np.arange(1, n)
    if len(shifts) > _FEWER_DRAWS:
        shifts = generator(seed).choice(shifts, size=_FEWER_DRAWS, replace=False)
    drawn = np.array([np.bincount(in_time[(at + shift) % n], minlength=len(sizes)) for shift in shifts.tolist()])
    expected = len(at) * sizes / n
    return _settled(errors, drawn, expected, sizes, f"exact test by {len(shifts)} shifts of the series of mistakes")


def _statistic(errors: FloatArray | IntArray, expected: FloatArray, sizes: FloatArray | IntArray) -> FloatArray:
    return np.asarray(((errors - expected) ** 2 / sizes).sum(axis=1))


def _settled(errors: IntArray, drawn: IntArray, expected: FloatArray, sizes: IntArray, method: str) -> EvenSpread:
    observed = _statistic(errors[None], expected, sizes)[0]
    as_large = int((_statistic(drawn, expected, sizes) >= observed * (1 - _ROUNDING)).sum())
    return EvenSpread(p=(1 + as_large) / (len(drawn) + 1), method=method)
