"""A comparison as plain data: what a script reads instead of the table."""

from collections.abc import Mapping

from robust.crosscheck.agreement_result import Agreement
from robust.crosscheck.output_rows import OutputRow
from robust.crosscheck.summary_table import L2R_LIMIT
from robust.errors import InvalidInput
from robust.measurement import Measurement

#: Of the layout; a number that changes its meaning raises it.
VERSION = 1
_FIGURES = ("acc", "rmse", "mae", "l2r", "mean", "std", "nse", "cos", "mse", "var", "f1", "l2r_reference")


def plain_form(found: Agreement) -> dict[str, object]:
    """A comparison as dictionaries, lists, numbers and texts.

    Args:
        found: The comparison.

    Returns:
        `version`, `samples`, `level`, `seed`, `random`, `limit`, `close` (None without a reference), `rows` (one a line
        of the table; figures that do not apply are None) and `bounds` (l2r, rmse, cos and acc of the worst output).
    """
    crossed = found.tensors.m_outputs is not None
    return {
        "version": VERSION,
        "samples": found.n,
        "level": found.level,
        "seed": found.seed,
        "random": found.random,
        "limit": L2R_LIMIT,
        "close": found.close if crossed else None,
        "rows": [_row(row) for row in found.rows],
        "bounds": _bounds(found) if crossed else {},
        "log": list(found.log),
    }


def _row(row: OutputRow) -> dict[str, object]:
    confusion = row.confusion
    return {
        "output": row.number,
        "role": row.role,
        "tensor": row.tensor,
        "samples": row.metrics.samples,
        "items": row.metrics.items,
        **{name: getattr(row.metrics, name) for name in _FIGURES},
        "notes": list(row.notes),
        "confusion": None if confusion is None or confusion.counts is None else confusion.counts.tolist(),
    }


def _bounds(found: Agreement) -> Mapping[str, object]:
    """Bounds of the worst output; acc only where outputs are classes."""
    bounds = {name: _bounded(getattr(found, name)) for name in ("l2r", "rmse", "cos")}
    try:
        bounds["acc"] = _bounded(found.acc)
    except InvalidInput:
        bounds["acc"] = None
    return bounds


def _bounded(m: Measurement) -> dict[str, object] | None:
    return {"value": m.value, "lower": m.lower, "upper": m.upper, "n": m.n, "method": m.method}
