"""Exact tests of whether mistakes are spread evenly over the values of a column."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from scipy.stats import fisher_exact, hypergeom

from robust.data.dataset import Dataset
from robust.data.ordering import time_order
from robust.intervals.cluster import cluster_index
from robust.intervals.draws import CELLS, generator
from robust.types import BoolArray, FloatArray, IntArray

_DRAWS, _FEWER_DRAWS, _MOST_DRAWS = 9999, 1999, 199_999
#: Mistakes that are shifted in all, at most.
_WORK = 200_000_000
#: Statistics up to this share below the observed one count as equal: sums of the same terms differ in rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenSpread:
    """The answer of a test.

    Args:
        p: Its p-value.
        method: What was exchanged, in words.
        at_most: Whether the p-value is only known to be no larger: nothing that was drawn was as uneven.
    """

    p: float
    method: str
    at_most: bool = False

    @property
    def sign(self) -> str:
        """How it relates to the true one."""
        return "≤" if self.at_most else "="


def even_spread(
    wrong: BoolArray, owner: IntArray, data: Dataset, *, is_group: bool, seed: int, smallest: float = 1e-3
) -> EvenSpread:
    """Test that mistakes fall on the values of a column as by lot.

    The statistic is Σ_v (e_v − ē_v)²/n_v with e_v mistakes among the n_v rows of value v, and ē_v those expected.
    What is exchanged depends on the rows: independent rows are dealt anew (Fisher's exact test for two values, else the
    multivariate hypergeometric law by simulation); of rows in groups, whole groups change their values where every
    group has one value, and rows inside each group are dealt anew where not; rows in time order are shifted around a
    circle, which keeps their dependence. With B draws p = (1 + #{T_b ≥ T})/(B + 1), which is valid at any B.

    Where no draw is as large the p-value would end at 1/(B + 1), too large for the worst of many columns. Rows that are
    dealt have an exact bound then: V times the smallest p-value of one value against the rest (Fisher's exact test,
    Bonferroni). Groups and series are drawn further, until p can be `smallest`. Both keep the level: they are asked for
    where p has fallen to 1/(B + 1), so that at higher levels nothing changes, and at lower ones they decide alone.

    Args:
        wrong: Which rows are wrong (n,).
        owner: Value of each row (n,), 0 … V−1, each at least once, V ≥ 2.
        data: Says how rows depend on each other.
        is_group: Whether the column is the groups themselves: rows are then dealt anew over them.
        seed: Seed of the draws.
        smallest: The p-value that should be in reach.

    Returns:
        P-value and method.

    Source: Fisher (1935), Journal of the Royal Statistical Society 98:39; Phipson and Smyth (2010), Statistical
        Applications in Genetics and Molecular Biology 9:39, for the p-value of simulated draws.
    """
    values = int(owner.max()) + 1
    sizes = np.bincount(owner, minlength=values)
    if not wrong.any() or wrong.all():
        return EvenSpread(p=1.0, method="no test: all rows are alike")
    most = max(math.ceil(1 / smallest), _FEWER_DRAWS)
    if data.groups is not None and not is_group:
        return _of_groups(wrong, owner, sizes, data, seed, most)
    if data.order is not None and not is_group:
        return _of_time(wrong, owner, sizes, data, seed, most)
    errors = np.bincount(owner[wrong], minlength=values)
    if values == 2:
        p = float(fisher_exact(np.stack([errors, sizes - errors]))[1])
        return EvenSpread(p=min(p, 1.0), method="Fisher's exact test")
    total = int(errors.sum())
    drawn = generator(seed).multivariate_hypergeometric(sizes, total, size=_DRAWS, method="marginals")
    expected = total * sizes / len(owner)
    found = _settled(errors, drawn, expected, sizes, f"exact test by {_DRAWS} deals of the mistakes over the rows")
    if not found.at_most:
        return found
    each = hypergeom.sf(errors - 1, len(owner), total, sizes)
    bound = min(found.p, float(values * np.minimum(each, hypergeom.cdf(errors, len(owner), total, sizes)).min() * 2))
    return EvenSpread(p=bound, method=f"{found.method}, none as uneven", at_most=True)


def _of_groups(wrong: BoolArray, owner: IntArray, sizes: IntArray, data: Dataset, seed: int, most: int) -> EvenSpread:
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
        expected = (wrong_in[:, None] * table / table.sum(axis=1, keepdims=True)).sum(axis=0)
        observed = _statistic(errors[None], expected, sizes)[0]

        def inside(count: int) -> int:
            drawn = np.zeros((count, values), dtype=np.int64)
            for rows, found in zip(table, wrong_in.tolist(), strict=True):
                drawn += rng.multivariate_hypergeometric(rows, found, size=count, method="marginals")
            return _as_large(_statistic(drawn, expected, sizes), observed)

        return _drawn_further(inside, values, most, "exact test by {} deals of the mistakes inside each group")
    size_of, value_of = table.sum(axis=1), table.argmax(axis=1)
    rate = float(wrong.mean())
    observed = _statistic(errors[None], rate * sizes, sizes)[0]

    def over_groups(count: int) -> int:
        dealt = rng.permuted(np.tile(value_of, (count, 1)), axis=1)
        cells = (dealt + np.arange(count)[:, None] * values).ravel()
        shape = (count, values)
        e = np.bincount(cells, weights=np.tile(wrong_in, count), minlength=count * values).reshape(shape)
        n = np.bincount(cells, weights=np.tile(size_of, count), minlength=count * values).reshape(shape)
        return _as_large(_statistic(e, rate * n, n), observed)

    return _drawn_further(over_groups, clusters, most, f"exact test by {{}} deals of the values over {clusters} groups")


def _drawn_further(draw: Callable[[int], int], width: int, most: int, method: str) -> EvenSpread:
    """Draw a first lot, and a second one where nothing in it was as large and a smaller p-value is wanted.

    Args:
        draw: Draws so many and returns how many are as large.
        width: Cells a draw.
        most: Draws in all.
        method: With a place for their number.
    """
    portion = max(1, CELLS // width)
    done = as_large = 0
    for wanted in (min(_FEWER_DRAWS, most), min(most, _MOST_DRAWS)):
        while done < wanted:
            count = min(portion, wanted - done)
            as_large += draw(count)
            done += count
        if as_large:
            break  # the second lot is drawn whole or not at all: where it stops must not depend on what it finds
    return EvenSpread(p=(1 + as_large) / (done + 1), method=method.format(done), at_most=not as_large)


def _of_time(wrong: BoolArray, owner: IntArray, sizes: IntArray, data: Dataset, seed: int, most: int) -> EvenSpread:
    """The series of mistakes is turned around against that of the values."""
    rows = time_order(data).rows
    n = len(rows)
    errors = np.bincount(owner[wrong], minlength=len(sizes))
    in_time, at = owner[rows], np.flatnonzero(wrong[rows])
    expected = len(at) * sizes / n
    observed = _statistic(errors[None], expected, sizes)[0]
    most = min(most, max(_WORK // len(at), _FEWER_DRAWS), n - 1)
    shifts = iter(generator(seed).permutation(np.arange(1, n))[:most].tolist())

    def shifted(count: int) -> int:
        drawn = [np.bincount(in_time[(at + shift) % n], minlength=len(sizes)) for shift in islice(shifts, count)]
        return _as_large(_statistic(np.array(drawn), expected, sizes), observed)

    found = _drawn_further(shifted, len(sizes), most, "exact test by {} shifts of the series of mistakes")
    # All shifts, with the series as it is, are the whole distribution.
    return replace(found, at_most=found.at_most and most < n - 1)


def _statistic(errors: FloatArray | IntArray, expected: FloatArray, sizes: FloatArray | IntArray) -> FloatArray:
    return np.asarray(((errors - expected) ** 2 / sizes).sum(axis=1))


def _settled(errors: IntArray, drawn: IntArray, expected: FloatArray, sizes: IntArray, method: str) -> EvenSpread:
    observed = _statistic(errors[None], expected, sizes)[0]
    as_large = _as_large(_statistic(drawn, expected, sizes), observed)
    return EvenSpread(p=(1 + as_large) / (len(drawn) + 1), method=method, at_most=not as_large)


def _as_large(statistics: FloatArray, observed: float) -> int:
    return int((statistics >= observed * (1 - _ROUNDING)).sum())
