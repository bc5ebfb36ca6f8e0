"""Changes of one feature: what a sweep is, and the rows that it makes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.intervals.arguments import check_whole
from robust.sensitivity.feature_grid import asked_features, feature_columns, feature_grid
from robust.types import AnyArray, BoolArray, FloatArray

_FEW_FEATURES = 10

SweepSpec: TypeAlias = "Sweep | Mapping[str, object] | Sequence[Sweep | Mapping[str, object]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A range of changes of one feature.

    A number is changed by `relative` (x·(1 + δ)) or by `absolute` (x + δ) changes, δ in `points` even steps
    from the first to the second end; a category, a binary feature or a one-hot group takes neither and is set
    to each value.

    Args:
        feature: Name or position of a feature, or name of a one-hot group.
        relative: Ends (lowest, highest) of relative changes, e.g. (−0.1, 0.1) for ±10 %.
        absolute: Ends of absolute changes, in the feature's unit.
        points: Steps, at least 2; a change of 0 is left out.

    Raises:
        InvalidInput: If both ranges are given, or one is not a pair of increasing finite numbers.

    >>> Sweep(feature="age", absolute=(-1, 1), points=3).changes.tolist()
    [-1.0, 1.0]
    """

    feature: str | int
    relative: tuple[float, float] | None = None
    absolute: tuple[float, float] | None = None
    points: int = 11

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be; keep them as pairs of floats."""
        if self.relative is not None and self.absolute is not None:
            raise InvalidInput(f"a sweep of {self.feature!r} got relative and absolute; one of the two would be right")
        check_whole("points", self.points, least=2)
        for word in ("relative", "absolute"):
            given = getattr(self, word)
            if given is None:
                continue
            try:
                low, high = (float(end) for end in given)
            except (TypeError, ValueError):
                low, high = math.nan, math.nan
            if not -math.inf < low < high < math.inf:
                raise InvalidInput(f"{word} got {given!r}; a pair of finite numbers (lowest, highest) would be right")
            object.__setattr__(self, word, (low, high))

    @property
    def changes(self) -> FloatArray:
        """Changes δ, ascending, without 0; empty for a sweep over the values of a category."""
        ends = self.relative if self.relative is not None else self.absolute
        if ends is None:
            return np.zeros(0)
        steps = np.linspace(*ends, self.points)
        return steps[np.abs(steps) > 1e-12 * max(abs(end) for end in ends)]

    def __str__(self) -> str:
        if self.relative is not None:
            return f"{self.feature} by {_span(100 * self.relative[0], 100 * self.relative[1], '%')}"
        if self.absolute is not None:
            return f"{self.feature} by {_span(*self.absolute, '')}"
        return f"{self.feature} set to each value"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """All rows with one change made.

    Args:
        change: δ, or the value that a category was set to (its position).
        label: The same for people.
        x: Changed rows (n, *row shape), inside the schema.
        moved: Rows that differ from the original (n,): others are at a bound, round back, or would break a
            relation.
    """

    change: float
    label: str
    x: AnyArray
    moved: BoolArray


def _span(low: float, high: float, unit: str) -> str:
    """Two ends for people, in three digits; records have all of them."""
    ends = f"{low:+.3g}{unit}", f"{high:+.3g}{unit}"
    return f"±{ends[1][1:]}" if ends[0][1:] == ends[1][1:] and ends[0] != ends[1] else " … ".join(ends)


def read_sweeps(sweep: object) -> tuple[Sweep, ...]:
    """One or several sweeps, as objects or as dicts.

    Raises:
        InvalidInput: If there is none, or a dict has an unknown key or no feature.
    """
    if isinstance(sweep, Sweep | Mapping):
        return (_read(sweep),)
    if isinstance(sweep, str) or not isinstance(sweep, Sequence) or not sweep:
        raise InvalidInput(
            f'sweep got {sweep!r}; Sweep(feature="age", relative=(-0.1, 0.1)), or a list, would be right'
        )
    return tuple(_read(one) for one in sweep)


def _read(sweep: object) -> Sweep:
    if isinstance(sweep, Sweep):
        return sweep
    if not isinstance(sweep, Mapping):
        raise InvalidInput(f"a sweep got {sweep!r}; a Sweep or a dict with a feature would be right")
    known = [field.name for field in fields(Sweep)]
    unknown = [key for key in sweep if key not in known]
    if unknown or "feature" not in sweep:
        raise InvalidInput(f"a sweep got {sorted(map(str, sweep))}; 'feature' and some of {known[1:]} would be right")
    return Sweep(**{str(key): value for key, value in sweep.items()})


def sweep_steps(sweep: Sweep, data: Dataset) -> Iterator[Step]:
    """Rows with each change of a sweep made, one change at a time.

    Values are clipped to the schema's bounds and rounded where the feature, or the type of x, is whole; a row
    that would break a relation of the schema stays as it is.

    Args:
        sweep: The sweep.
        data: The rows.

    Yields:
        A step for each change.

    Raises:
        InvalidInput: If there is no such feature, it is immutable, or its kind does not fit the sweep.
    """
    schema = data.schema
    name, columns = feature_columns(schema, sweep.feature)
    if schema.immutable[list(columns)].any():
        raise InvalidInput(f"feature {name!r} is immutable in the schema and cannot be swept; another would be right")
    kind = schema.kinds[columns[0]]
    whole_values = kind in ("binary", "categorical", "one_hot")
    ranged = sweep.relative is not None or sweep.absolute is not None
    if whole_values and ranged:
        raise InvalidInput(f"feature {name!r} is {kind}: a sweep without relative= and absolute= sets it to each value")
    if not whole_values and not ranged:
        raise InvalidInput(f"feature {name!r} is {kind}: relative=(-0.1, 0.1) or absolute=(low, high) would be right")
    if whole_values:
        grid = feature_grid(data, sweep.feature)
        for point, value in enumerate(grid.grid):
            label = f"{name} = {grid.labels[point] if grid.labels else f'{value:g}'}"
            yield _step(float(value), label, grid.at(data.x, point), data)
        return
    for change in sweep.changes:
        label = f"{name} {change:+.4g}" if sweep.relative is None else f"{name} {100 * change:+.4g}%"
        yield _step(float(change), label, _changed(sweep, float(change), columns[0], data), data)


def _changed(sweep: Sweep, change: float, j: int, data: Dataset) -> AnyArray:
    """All rows with one number changed, inside bounds and type."""
    schema = data.schema
    x = np.array(data.x)
    flat = x.reshape(len(x), -1)
    old = flat[:, j].astype(np.float64)
    new = old * (1.0 + change) if sweep.relative is not None else old + change
    low, high = float(schema.lower[j]), float(schema.upper[j])
    if schema.kinds[j] == "integer" or x.dtype.kind in "iu":
        new, low, high = np.rint(new), np.ceil(low), np.floor(high)
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        low, high = max(low, float(limits.min)), min(high, float(limits.max))
    flat[:, j] = np.clip(new, low, high)
    return x


def _step(change: float, label: str, x: AnyArray, data: Dataset) -> Step:
    """Undo changes that break relations; find the rows that moved."""
    schema = data.schema
    old, new = schema.flat(data.x), schema.flat(x)
    for relation in schema.relations:
        broken = relation.violated(new)
        new[broken] = old[broken]
    moved = (
        np.any((new != old) & ~(np.isnan(new) & np.isnan(old)), axis=1) if x.dtype.kind == "f" else (new != old).any(1)
    )
    return Step(change=change, label=label, x=x, moved=np.asarray(moved))


def default_sweeps(data: Dataset) -> tuple[Sweep, ...]:
    """Every mutable number by ± 0.1 of its standard deviation, one at a time.

    Where there are more than 20 features, 10 of the largest variance stand for them.

    Raises:
        InvalidInput: If there is no such feature.
    """
    schema = data.schema
    flat = schema.flat(data.x).astype(np.float64)
    sweeps = []
    for feature in asked_features(data, few=_FEW_FEATURES, mutable=True):
        if isinstance(feature, str) or schema.kinds[feature] not in ("continuous", "integer"):
            continue
        size = 0.1 * float(np.nanstd(flat[:, feature]))
        whole = schema.kinds[feature] == "integer" or data.x.dtype.kind in "iu"
        size = max(1.0, float(np.rint(size))) if whole else size
        sweeps.append(Sweep(feature=schema.names[feature], absolute=(-size, size), points=3))
    if not sweeps:
        raise InvalidInput(f"{data.name} has no number that may change; a sweep of a category would be right")
    return tuple(sweeps)
