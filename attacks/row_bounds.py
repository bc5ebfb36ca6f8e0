"""Figures that may be infinite, and measurements that keep the value of every row."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from robust.data.dataset import read_only
from robust.intervals.exact import ExactSizing
from robust.intervals.interval import Interval, RootSizing, Sizing, UnboundedSizing
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RowsMeasurement(Measurement):
    """A measurement that keeps the value of each row, whatever it makes of them.

    Args:
        rows: One value a row (n,), in the order of the data; read-only. Not part of a record.
    """

    rows: FloatArray

    def _affine(self, scale: float, shift: float, *, divisor: float = 1.0) -> Self:
        # A dataclass with slots is made twice: super() would name the first.
        moved = Measurement._affine(self, scale, shift, divisor=divisor)
        return replace(moved, rows=scale * self.rows / divisor + shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBounds:
    """A figure of rows and its bounds, any of which may be infinite: as an interval, whose value may not.

    Args:
        value: The figure, at least 0.
        lower: Lower bound, one-sided at the level.
        upper: Upper bound.
        level: One-sided confidence of each bound, in (0.5, 1].
        n: Rows.
        method: How the bounds were made.
        sizing: How they move with n.
        notes: Facts about them, in words.
    """

    value: float
    lower: float
    upper: float
    level: float
    n: int
    method: str
    sizing: Sizing
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The bounds of an interval."""
        return cls(**{field.name: getattr(interval, field.name) for field in fields(Interval)})

    @classmethod
    def known(cls, value: float, n: int) -> Self:
        """No uncertainty: of these rows and no others, or infinite in all rows like them."""
        return cls(
            value=value, lower=value, upper=value, level=1.0, n=n, method="exact", sizing=ExactSizing(value=value)
        )

    def finite(self) -> Interval:
        """The same as an interval; 0 for a figure that is infinite, and for its bounds."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        if not math.isfinite(self.value):
            parts |= dict.fromkeys(("value", "lower", "upper"), 0.0)
        return Interval(**parts)


def root_sizing(value: float, lower: float, upper: float, n: int) -> Sizing:
    """Half-widths that shrink with the square root of n, where the figure is finite."""
    return RootSizing(value=value, lower=lower, upper=upper, n=n) if math.isfinite(value) else UnboundedSizing()


def assemble_rows(bounds: RowBounds, rows: FloatArray, **told: Any) -> RowsMeasurement:
    """A measurement with the value of each row.

    Args:
        bounds: The figure.
        rows: One value a row (n,).
        told: What `assemble` is told beside an interval.
    """
    measured = assemble(bounds.finite(), **told)
    parts = {field.name: getattr(measured, field.name) for field in fields(Measurement)}
    figure = {"value": bounds.value, "lower": bounds.lower, "upper": bounds.upper}
    return RowsMeasurement(**{**parts, **figure}, rows=read_only(np.asarray(rows, dtype=np.float64)))
