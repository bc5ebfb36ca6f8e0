"""Whether an activation's scale is wider than its values need, as one outlier among the calibration rows makes it.

No layer stands out by that: all codes are right, but few are used.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from robust.evidence import Finding
from robust.layers.point_sums import PointSums
from robust.types import FloatArray

#: From here on a scale is told to be too wide: half a bit; on few rows, which leave their tails to chance, a whole one.
_WIDE, _TWICE = 1.4, 2.0
#: Fewer rows tell no range; fewer than the second number are few.
_LEAST, _FEW = 16, 128
#: Share of the codes that even many more rows must leave unused, as they go on.
_SPARE = 0.15
#: Doublings of the rows to which their largest value is carried on: ranges rest on more rows than are compared.
_DOUBLINGS = 6
#: Doublings that tell by how much it grows: the last one, and several at once, which depend less on a single row.
_LAST = (1, 2, 3)
#: Steps by which the ends of symmetric codes may differ in size.
_UNEVEN = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """What the codes of a point stand for, by one scale for all.

    Args:
        name: Of the tensor.
        low: Number of the lowest code.
        high: Number of the highest code.
        step: The scale.
    """

    name: str
    low: float
    high: float
    step: float

    def used(self, below: float, above: float) -> float:
        """Share of the range that values between −below and above fill, 0 included; of symmetric codes the fuller half.

        >>> Codes(name="x", low=0.0, high=25.5, step=0.1).used(0.0, 6.375)
        0.25
        >>> Codes(name="x", low=-12.8, high=12.7, step=0.1).used(6.4, 3.2)
        0.5
        """
        if abs(self.low + self.high) <= _UNEVEN * self.step:
            return max(below, above) / max(-self.low, self.high)
        return (below + above) / (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """A point that is quantized, and what it held.

    Args:
        label: Of its layer.
        codes: What its codes stand for.
        sums: Least and largest value of each row, in either model: a fault before the point makes no range too wide.
    """

    label: str
    codes: Codes
    sums: PointSums


def wide_ranges(points: Iterable[Filled]) -> tuple[Finding, ...]:
    """Scales that are wider than the values need, in sentences.

    k = range of the codes / range of the values with 0, told from 1.4 on, of fewer than 128 rows from 2 on; log2 k bits
    are lost. A range of which the values would fill 85 % on 64 times as many rows, if their extremes grow on as they do
    among these, is not told. Points with one scale for all of them, such as before and behind a pooling, are as full as
    the fullest.

    Args:
        points: Quantized points, in the order of a run.
    """
    groups: dict[tuple[float, float], list[Filled]] = {}
    for point in points:
        if point.sums.rows >= _LEAST and point.sums.finite:
            groups.setdefault((point.codes.low, point.codes.high), []).append(point)
    fullest = [max(group, key=_seen) for group in groups.values()]
    return tuple(
        _told(point)
        for point, group in zip(fullest, groups.values(), strict=True)
        if _is_wide(point) and max(map(_expected, group)) < 1 - _SPARE
    )


def _is_wide(point: Filled) -> bool:
    return 0 < (_WIDE if point.sums.rows >= _FEW else _TWICE) * _seen(point) <= 1


def _told(point: Filled) -> Finding:
    times = 1 / _seen(point)
    return Finding(
        text=f"{point.codes.name} at {point.label}: its scale is {times:.2g} times wider than its values need: on "
        f"{point.sums.rows} rows they use {100 / times:.2g} % of its codes, which loses {math.log2(times):.1f} bits; "
        "calibrating without outliers (percentile) would recover them"
    )


def _seen(point: Filled) -> float:
    """Share of the codes that the values use."""
    below, above = _sides(point.sums)
    return point.codes.used(float(below.max()), float(above.max()))


def _expected(point: Filled) -> float:
    """The share that they would use on many more rows."""
    below, above = _sides(point.sums)
    return point.codes.used(_carried_on(below), _carried_on(above))


def _sides(sums: PointSums) -> tuple[FloatArray, FloatArray]:
    """How far each row reaches below 0 and above."""
    return np.maximum(-sums.least, 0.0), np.maximum(sums.most, 0.0)


def _carried_on(values: FloatArray) -> float:
    """Largest value of many more rows: it grows with each doubling by the most that it has grown by with the last ones.

    The largest of a random share p of the rows is expected at Σ v₍ᵢ₎ p (1 − p)ⁱ⁻¹, v₍₁₎ ≥ v₍₂₎ ≥ …
    """
    ordered = np.sort(values)[::-1]
    grown = 0.0
    for doublings in _LAST:
        share = 0.5**doublings
        weights = share * (1.0 - share) ** np.arange(len(ordered))
        before = float(ordered @ weights / weights.sum())
        grown = max(grown, (float(ordered[0]) - before) / doublings)
    return float(ordered[0]) + _DOUBLINGS * grown
