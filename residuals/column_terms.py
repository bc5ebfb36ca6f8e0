"""Shapes that a column's effect on residuals may have: the terms that residuals are correlated with."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Column
from robust.types import AnyArray, BoolArray, FloatArray

#: Values that fewer rows than this have, or lack, prove nothing.
FEW = 10
#: Labels of the terms that rise with the column throughout, and of the one that rises to its middle and then falls.
STEADY = ("linear", "rank")
ARCH = "U-shape of rank"
_WAVES = 4
_MOST_LEVELS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Terms of one column on the rows where it is known.

    Args:
        name: Name of the column.
        known: Rows where the column has a value, (n,).
        labels: Name of each term (m,).
        values: Terms (rows known, m), none constant.
        numeric: Whether the column is a number.
        differing: Rows whose value is not the commonest one.
    """

    name: str
    known: BoolArray
    labels: tuple[str, ...]
    values: FloatArray
    numeric: bool
    differing: int


def column_terms(column: Column) -> Terms:
    """Terms of a column.

    A number z: z itself, and cos(πju), j = 1 … 4, of its rank u = (rank − ½)/n in (0, 1): j = 1 is a monotone
    effect (Spearman's, nearly), j = 2 a U-shape, the others waves; as many waves as it has other values. Text
    or booleans: one indicator for each of the commonest 20 values that at least 10 rows have and lack, and
    one for all others.

    Args:
        column: Numbers, dates, booleans or text (n,); NaN and None are unknown.

    Returns:
        The terms; none where the column is constant, or no value is common enough.

    >>> column_terms(Column(name="z", values=np.arange(20.0))).labels
    ('linear', 'rank', 'U-shape of rank', 'wave 3 of rank', 'wave 4 of rank')
    """
    values = column.values
    if values.dtype.kind in "fiumM":
        numbers = values.astype(np.float64)
        if values.dtype.kind in "mM":
            numbers[np.isnat(values)] = np.nan
        known = np.isfinite(numbers)
        return _numeric(column.name, known, numbers[known])
    known = np.array([item is not None and item == item for item in values.tolist()], dtype=bool)
    return _levels(column.name, known, values[known].astype(str))


def _numeric(name: str, known: BoolArray, z: FloatArray) -> Terms:
    """Z and cosine waves of its rank."""
    distinct, codes, counts = np.unique(z, return_inverse=True, return_counts=True)
    labels, terms = [], []
    if len(distinct) > 1:
        # Divided by the largest first: squares of large numbers would overflow.
        labels, terms = [STEADY[0]], [(z - z.mean()) / np.abs(z - z.mean()).max()]
        middle = (np.cumsum(counts) - counts / 2.0) / len(z)
        for wave in range(1, min(_WAVES, len(distinct) - 1) + 1) if len(distinct) > 2 else ():
            labels.append({1: STEADY[1], 2: ARCH}.get(wave, f"wave {wave} of rank"))
            # The sign makes the first wave rise with z, as the linear term does.
            terms.append(-np.cos(np.pi * wave * middle)[codes])
    return _terms(name, known, labels, terms, numeric=True, counts=counts)


def _levels(name: str, known: BoolArray, texts: AnyArray) -> Terms:
    """Indicators of common values."""
    levels, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    common = [i for i in np.argsort(-counts, kind="stable")[:_MOST_LEVELS] if FEW <= counts[i] <= len(texts) - FEW]
    rest = ~np.isin(codes, common)
    labels = [f"= {levels[i]}" for i in common]
    terms = [(codes == i).astype(np.float64) for i in common]
    if common and FEW <= rest.sum() <= len(texts) - FEW:
        labels.append("any other value")
        terms.append(rest.astype(np.float64))
    return _terms(name, known, labels, terms, numeric=False, counts=counts)


def _terms(
    name: str,
    known: BoolArray,
    labels: list[str],
    terms: list[FloatArray],
    *,
    numeric: bool,
    counts: AnyArray,
) -> Terms:
    """Leave out terms that are constant, e.g. a wave whose values coincide."""
    table = np.column_stack(terms) if terms else np.empty((int(known.sum()), 0))
    varies = table.std(axis=0) > 1e-9 if len(table) else np.zeros(0, dtype=bool)
    return Terms(
        name=name,
        known=known,
        labels=tuple(label for label, kept in zip(labels, varies, strict=True) if kept),
        values=table[:, varies],
        numeric=numeric,
        differing=int(counts.sum() - counts.max()) if len(counts) else 0,
    )
