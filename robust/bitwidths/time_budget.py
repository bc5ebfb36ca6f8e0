"""What can be asked of a model in the time that an audit has for it: fewer points first, fewer rows last."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from robust.bitwidths.simulation import simulator_of
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.predicting.calling import bind

#: Seconds of a clock; looked up at each call.
clock: Callable[[], float] = time.perf_counter
#: Rows that a pass is timed on, and how much longer than a plain pass a simulated one may take.
_TIMED, _SLOWER = 32, 1.3
#: Fewest rows that are still measured on, looked at layer by layer, and taken ranges from.
_FEWEST, _FEWEST_BY_LAYER, _FEWEST_RANGES = 100, 128, 128
#: Share of the time that ranges may take, and layers that may win back more on the test rows.
_RANGES, _KEPT = 0.25, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a model is.

    Args:
        a_row: Seconds a row of the simulated model, about.
        layers: Layers that can be simulated.
    """

    a_row: float
    layers: int


def pace_of(model: Model, rows: Dataset) -> Pace:
    """Time a few rows, twice: the first call pays for what is made once.

    Args:
        model: The float model.
        rows: Rows that it takes.
    """
    few = rows.rows(np.arange(min(len(rows), model.fixed_batch or _TIMED)))
    caller = bind(model, few.schema)
    caller.outputs(few.x)
    started = clock()
    caller.outputs(few.x)
    took = clock() - started
    return Pace(a_row=_SLOWER * took / len(few), layers=len(simulator_of(model, few).layers))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What of a sweep there is time for.

    Args:
        points: All of them, those of the curve that is judged, or the one that is.
        rows: Rows that they are measured on.
        ranges: Calibration rows.
        layers: Layers that are looked at one by one; 0 for none.
        layer_rows: Rows that they are looked at on.
        told: What was left out, in words; empty where nothing was.
    """

    points: int
    rows: int
    ranges: int
    layers: int
    layer_rows: int
    told: str


def plan_sweep(
    pace: Pace, *, seconds: float, points: tuple[int, ...], rows: int, ranges: int, layers: int, layer_rows: int
) -> SweepPlan:
    """Cut a sweep down to the time for it.

    Args:
        pace: Of the model.
        seconds: Time for it.
        points: Numbers of points to choose from, the most first.
        rows: Rows to measure on.
        ranges: Calibration rows.
        layers: Most layers to look at one by one.
        layer_rows: Most rows to look at them on.

    Raises:
        InvalidInput: If there is no time for one point on a hundred rows.

    >>> wanted = {"points": (15, 5, 1), "rows": 1000, "ranges": 500, "layers": 24, "layer_rows": 512}
    >>> plan_sweep(Pace(a_row=1e-4, layers=3), seconds=60, **wanted).told
    ''
    >>> found = plan_sweep(Pace(a_row=0.005, layers=3), seconds=60, **wanted)
    >>> found.points, found.rows, found.ranges, found.layers, found.layer_rows
    (5, 1000, 500, 3, 333)
    >>> found = plan_sweep(Pace(a_row=0.05, layers=3), seconds=60, **wanted)
    >>> found.points, found.rows, found.ranges, found.layers
    (1, 450, 300, 0)
    """
    most = _most_rows(pace, seconds)
    taken = _ranges(most, ranges)
    count = next((count for count in points if taken + (1 + count) * rows <= most), points[-1])
    kept = int(min(rows, (most - taken) // (1 + count)))
    if kept < min(rows, _FEWEST):
        needed = pace.a_row * (taken + (1 + count) * rows)
        raise InvalidInput(_no_time(pace, rows, needed, seconds, "bit_width_sweep"))
    left = most - taken - (1 + count) * kept - taken
    looked, on = _by_layer(left, min(layers, pace.layers), min(layer_rows, kept))
    said = []
    if count < points[0]:
        said.append(f"{count} of {points[0]} points {'was' if count == 1 else 'were'} measured")
    if kept < rows:
        said.append(f"they were measured on {kept} of {rows} rows")
    if taken < ranges:
        said.append(f"ranges were taken from {taken} of {ranges} rows")
    if looked < min(layers, pace.layers):
        said.append(f"{looked or 'none'} of {pace.layers} layers {'was' if looked < 2 else 'were'} looked at alone")
    elif on < min(layer_rows, kept):
        said.append(f"layers were looked at alone on {on} rows")
    told = _told(pace, rows, seconds, said, "bit_width_sweep")
    return SweepPlan(points=count, rows=kept, ranges=taken, layers=looked, layer_rows=on, told=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixPlan:
    """What of a search there is time for.

    Args:
        rows: Validation rows.
        ranges: Calibration rows.
        separately: Layers that have bits of their own.
        told: What was left out, in words; empty where nothing was.
    """

    rows: int
    ranges: int
    separately: int
    told: str


def plan_mix(pace: Pace, *, seconds: float, widths: int, rows: int, test: int, ranges: int, separately: int) -> MixPlan:
    """Cut a search for bits down to the time for it.

    Args:
        pace: Of the model.
        seconds: Time for it.
        widths: Bits to choose from.
        rows: Validation rows.
        test: Test rows, all of which are asked.
        ranges: Calibration rows.
        separately: Most layers that have bits of their own.

    Raises:
        InvalidInput: If there is no time for one width for all on a hundred rows.

    >>> wanted = {"widths": 5, "rows": 300, "test": 700, "ranges": 500, "separately": 24}
    >>> plan_mix(Pace(a_row=1e-4, layers=40), seconds=60, **wanted).told
    ''
    >>> found = plan_mix(Pace(a_row=0.003, layers=40), seconds=60, **wanted)
    >>> found.rows, found.separately
    (102, 16)
    """
    most = _most_rows(pace, seconds)
    taken = _ranges(most, ranges)
    own = min(separately, pace.layers)
    left = most - taken - (3 + min(_KEPT, pace.layers)) * test
    fewest = min(rows, _FEWEST)

    def passes(count: int) -> int:
        return 1 + count * widths + count * (widths - 1) + widths

    count = next((count for count in range(own, 0, -1) if passes(count) * fewest <= left), 0)
    if not count:
        needed = pace.a_row * (most - left + passes(1) * rows) if most < inf else inf
        raise InvalidInput(_no_time(pace, test, needed, seconds, "mixed_precision"))
    kept = int(min(rows, left // passes(count)))
    said = []
    if count < own:
        said.append(f"{count} of {pace.layers} layers had bits of their own")
    if kept < rows:
        said.append(f"bits were chosen on {kept} of {rows} rows")
    if taken < ranges:
        said.append(f"ranges were taken from {taken} of {ranges} rows")
    told = _told(pace, test, seconds, said, "mixed_precision")
    return MixPlan(rows=kept, ranges=taken, separately=count if count < own else separately, told=told)


def _most_rows(pace: Pace, seconds: float) -> float:
    """Rows that there is time for."""
    if not seconds > 0:
        raise InvalidInput(f"seconds got {seconds!r}; a number above 0 would be right")
    return seconds / pace.a_row if pace.a_row > 0 else inf


def _ranges(most: float, wanted: int) -> int:
    """Calibration rows that there is time for."""
    return int(min(wanted, max(_FEWEST_RANGES, _RANGES * most)))


def _by_layer(left: float, layers: int, rows: int) -> tuple[int, int]:
    """Layers, and rows to look at them on: of weights and of activations all, each alone, and all but each."""
    fewest = min(rows, _FEWEST_BY_LAYER)
    count = next((count for count in range(layers, 0, -1) if (3 + 4 * count) * fewest <= left), 0)
    return (count, int(min(rows, left // (3 + 4 * count)))) if count else (0, 0)


def _told(pace: Pace, rows: int, seconds: float, said: list[str], gate: str) -> str:
    """What was left out, and what brings it back."""
    if not said:
        return ""
    return f"{_pass(pace, rows)}: within {seconds:g} s {', '.join(said)}; seconds under [gates.{gate}] allows more"


def _no_time(pace: Pace, rows: int, needed: float, seconds: float, gate: str) -> str:
    """Why nothing was asked, and what asks it."""
    return (
        f"{_pass(pace, rows)}: the least of it would take {needed:.2g} s, more than the {seconds:g} s that there are; "
        f"seconds = {2 * needed:.0f} under [gates.{gate}] runs it"
    )


def _pass(pace: Pace, rows: int) -> str:
    return f"a simulated pass over {rows} rows takes about {pace.a_row * rows:.2g} s on this host"
