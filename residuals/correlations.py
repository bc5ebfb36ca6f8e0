"""Correlations of residuals with the terms of one column, with robust errors."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from robust.data.dataset import Column, Dataset
from robust.measures.row_sampling import Sampling
from robust.residuals.column_terms import Terms, column_terms
from robust.types import FloatArray

# Rows for each regressor, at least, when inputs are projected out.
_ROWS_A_REGRESSOR = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correlations:
    """Correlations of residuals with the terms of one column.

    Args:
        labels: Names of the terms (m,).
        values: Pearson correlations (m,).
        null_errors: Standard errors if there were no correlation (m,).
        errors: Standard errors at the estimate (m,).
        dof: Degrees of freedom of both (m,).
        n: Rows.
    """

    labels: tuple[str, ...]
    values: FloatArray
    null_errors: FloatArray
    errors: FloatArray
    dof: FloatArray
    n: int

    def reach(self, share: float) -> FloatArray:
        """Half-widths (m,) of bounds that each hold with probability `share`, from the larger error."""
        return np.asarray(stdtrit(self.dof, share) * np.maximum(self.null_errors, self.errors))

    def p(self) -> float:
        """p-value of no correlation with any term: Bonferroni's over the terms."""
        ratios = np.divide(
            np.abs(self.values), self.null_errors, out=np.zeros(len(self.values)), where=self.null_errors > 0
        )
        return min(1.0, 2.0 * len(ratios) * float(np.min(stdtr(self.dof, -ratios))))

    @property
    def strongest(self) -> int:
        """Position of the largest correlation by size."""
        return int(np.argmax(np.abs(self.values)))


def correlate(residuals: FloatArray, terms: Terms, sampling: Sampling, *, lost: int = 0) -> Correlations:
    """Correlate residuals with terms.

    r = Σ ẽ t̃ / n with ẽ, t̃ standardised; its influence is ψ = ẽ t̃ − r(ẽ² + t̃²)/2, and ẽ t̃ if there were
    no correlation. Both hold for unequal variances; `sampling` says how rows depend on each other.

    Args:
        residuals: On the rows where the column is known (n,).
        terms: Of the column, (n, m).
        sampling: Of the same rows.
        lost: Degrees of freedom lost to regressors that were projected out.

    Returns:
        The correlations; 0 where the residuals do not vary.
    """
    n = len(residuals)
    e = _standardised(residuals)
    width = terms.values.shape[1]
    values, null_errors, errors, dof = (np.empty(width) for _ in range(4))
    inflation = np.sqrt(n / max(n - lost, 1))
    for j in range(width):
        t = _standardised(terms.values[:, j])
        product = e * t
        values[j] = product.mean()
        null_errors[j], dof[j] = sampling.error(product)
        errors[j], _ = sampling.error(product - values[j] * (e * e + t * t) / 2.0)
    return Correlations(
        labels=terms.labels,
        values=np.clip(values, -1.0, 1.0),
        null_errors=null_errors * inflation,
        errors=errors * inflation,
        dof=np.maximum(dof - lost, 1.0) if sampling.kind == "rows" else dof,
        n=n,
    )


def input_table(data: Dataset) -> FloatArray | None:
    """Smooth effects of the model's own inputs, to project out.

    Of every input its value and four waves of its rank, as for unused columns; its value alone where ten rows
    a regressor are not there; nothing where even that is too much, or inputs are unknown.

    Args:
        data: The rows.

    Returns:
        Regressors (n, q), the constant first, or None.
    """
    x = data.schema.flat(data.x).astype(np.float64)
    n, width = x.shape
    if (width + 1) * _ROWS_A_REGRESSOR > n or not np.isfinite(x).all():
        return None
    labels = dict(data.schema.categories)
    constant = np.ones((n, 1))
    parts: list[FloatArray] = [constant]
    for j in range(width):
        values = np.asarray(labels[j], dtype=object)[x[:, j].astype(np.int64)] if j in labels else x[:, j]
        parts.append(column_terms(Column(name=data.names[j], values=values)).values)
    if sum(part.shape[1] for part in parts) * _ROWS_A_REGRESSOR <= n:
        return np.hstack(parts)
    return np.hstack([constant, np.column_stack([_standardised(column) for column in x.T])])


def orthonormal(table: FloatArray) -> FloatArray:
    """Orthonormal basis (n, r) of the columns of a table (n, q), rounding aside."""
    left, sizes, _ = np.linalg.svd(table, full_matrices=False)
    return np.asarray(left[:, sizes > 1e-9 * sizes[0]])


def without(values: FloatArray, basis: FloatArray) -> FloatArray:
    """What is left of values (n,) or (n, m) when an orthonormal basis is projected out."""
    return np.asarray(values - basis @ (basis.T @ values))


def _standardised(values: FloatArray) -> FloatArray:
    """Mean 0, variance 1; zeros where the values do not vary."""
    centred = values - values.mean()
    largest = float(np.abs(centred).max())
    if largest == 0.0:
        return np.zeros(len(values))
    centred = centred / largest
    return np.asarray(centred / np.sqrt(np.mean(centred * centred)))
