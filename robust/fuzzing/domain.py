"""The space that random rows come from: a schema whose every feature has an end, in the number type of the rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.large import row_blocks
from robust.data.schema import FeatureSchema
from robust.data.violations import as_stored
from robust.errors import InvalidInput
from robust.fuzzing.linked_features import LinkedFeatures, linked_features
from robust.fuzzing.row_source import TURNS, block_rows
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: Rows of the data that random rows are blended from, at most: of more, so many are taken, evenly spaced.
_POOL, _POOL_CELLS = 2048, 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """What turns uniform numbers into values between the bounds, in the floating type that this is done in.

    Args:
        work: The type.
        lower: Lower bounds (d,).
        upper: Upper bounds (d,).
        span: How far they lie apart (d,), one more where numbers are whole.
        far: Whether they lie further apart than a number can say.
        safe: Whether no uniform value is rounded past a bound.
        whole: Whether any feature takes whole numbers alone.
        missing: Whether any value of the data is missing.
        lines: Lower bounds, upper bounds and 2⁻¹⁶ spans of many rows in one line (3, r·d): numpy works through one long
            line several times as fast as through many short ones.
    """

    work: Any
    lower: AnyArray
    upper: AnyArray
    span: AnyArray
    far: bool
    safe: bool
    whole: bool
    missing: bool
    lines: AnyArray

    def along(self, rows: int) -> AnyArray:
        """Lower bounds, upper bounds and 2⁻¹⁶ spans of so many rows, one after the other (3, rows·d)."""
        cells = rows * len(self.lower)
        if cells <= self.lines.shape[1]:
            return np.asarray(self.lines[:, :cells])
        return np.tile(self.lines, -(-cells // self.lines.shape[1]))[:, :cells]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domain:
    """What a row may be.

    Args:
        schema: The features.
        dtype: Number type of the rows.
        lower: Lower bounds (d,), finite, in the number type.
        upper: Upper bounds (d,).
        whole: Features that take whole numbers alone (d,), members of one-hot groups included.
        groups: Members of each one-hot group.
        linked: Features that relations tie together.
        pool: Rows of the data (m, d).
        missing: Share of missing values of each feature of the data (d,): where there are some, NaN is inside.
        base: The simplest row (d,): zeros where the schema allows them.
        units: Columns that only change together: single features, one-hot groups, linked features.
        ranged: Features without declared bounds, whose ends are those of the data.
        scale: From uniform numbers to values.
    """

    schema: FeatureSchema
    dtype: np.dtype[Any]
    lower: AnyArray
    upper: AnyArray
    whole: BoolArray
    groups: tuple[IntArray, ...]
    linked: tuple[LinkedFeatures, ...]
    pool: AnyArray
    missing: FloatArray
    base: AnyArray
    units: tuple[IntArray, ...]
    ranged: IntArray
    scale: Scale

    @property
    def width(self) -> int:
        """Number of features d."""
        return self.schema.width

    def obeyed(self, rows: AnyArray) -> BoolArray:
        """Which rows (m, d) obey bounds, kinds, groups and relations (m,); NaN only where the data has some."""
        fine: BoolArray = np.all((rows >= self.lower) & (rows <= self.upper), axis=1)
        if rows.dtype.kind == "f":
            if self.missing.any() and not fine.all():
                absent = np.isnan(rows) & (self.missing > 0)
                fine = np.all((rows >= self.lower) & (rows <= self.upper) | absent, axis=1)
            whole = rows[:, self.whole]
            if whole.shape[1]:
                with np.errstate(invalid="ignore"):
                    fine &= ((whole == np.rint(whole)) | np.isnan(whole)).all(axis=1)
        for group in self.groups:
            # Zeros and ones as they were found to be: what is no number is not counted.
            fine &= (rows[:, group] == 1).sum(axis=1) == 1
            fine &= ((rows[:, group] == 0) | (rows[:, group] == 1)).all(axis=1)
        if self.linked and fine.any():
            for relation in self.schema.relations:
                fine[fine] &= ~relation.violated(rows[fine])
        return fine


def domain_of(
    data: Dataset | FeatureSchema, *, whole_numbers: bool = False, dtype: "np.dtype[Any] | None" = None
) -> Domain:
    """Close a schema: every end that it leaves open is taken from the data.

    Args:
        data: The data, or a schema alone, whose bounds must then all be finite.
        whole_numbers: Whether the model takes whole numbers alone, whatever the schema says.
        dtype: Number type of the rows, where it is not that of the data: what a model takes of floating rows.

    Raises:
        InvalidInput: If a schema alone leaves a bound open, or no row can obey it.
    """
    schema = data if isinstance(data, FeatureSchema) else data.schema
    dtype = dtype or (np.dtype(np.float64) if isinstance(data, FeatureSchema) else data.x.dtype)
    whole = schema.mask("integer", "binary", "categorical", "one_hot") | (dtype.kind != "f") | whole_numbers
    lower, upper = _settled(schema.lower, dtype, whole, up=True), _settled(schema.upper, dtype, whole, up=False)
    open_ends = ~(np.isfinite(lower) & np.isfinite(upper))
    missing: FloatArray = np.zeros(schema.width)
    if isinstance(data, Dataset):
        low, high, missing = _ranges(data)
        lower, upper = np.where(np.isfinite(lower), lower, low), np.where(np.isfinite(upper), upper, high)
    elif open_ends.any():
        names = ", ".join(repr(schema.names[j]) for j in np.flatnonzero(open_ends)[:5])
        raise InvalidInput(
            f"the schema leaves bounds of {int(open_ends.sum())} features open ({names}): declare bounds, or give data "
            "with this schema, whose ranges are then used"
        )
    groups = tuple(np.array(members) for _, members in schema.groups)
    pool = _feasible(schema, lower, upper, whole) if isinstance(data, FeatureSchema) else _pool(data)
    pool = pool.astype(dtype, copy=False)
    linked = linked_features(schema, pool, lower=lower, upper=upper, whole=whole)
    domain = Domain(
        schema=schema,
        dtype=dtype,
        lower=lower.astype(dtype),
        upper=upper.astype(dtype),
        whole=whole,
        groups=groups,
        linked=linked,
        pool=pool,
        missing=missing,
        base=pool[0],
        units=_units(schema.width, groups, linked),
        ranged=np.flatnonzero(open_ends),
        scale=_scale(lower.astype(dtype), upper.astype(dtype), whole, missing),
    )
    object.__setattr__(domain, "base", _base(domain))
    return domain


def _scale(lower: AnyArray, upper: AnyArray, whole: BoolArray, missing: FloatArray) -> Scale:
    """What is computed once of the bounds, in the number type of the rows."""
    work: Any = np.float32 if lower.dtype == np.float32 else np.float64
    low, high = lower.astype(work), upper.astype(work)
    with np.errstate(over="ignore", invalid="ignore"):
        span = (upper.astype(np.float64) - lower.astype(np.float64) + whole).astype(work)
        safe = bool((low + span <= high).all())
    return Scale(
        work=work,
        lower=low,
        upper=high,
        span=span,
        far=not np.isfinite(span).all(),
        safe=safe,
        whole=bool(whole.any()),
        missing=bool(missing.any()),
        lines=np.tile(np.stack([low, high, span * work(2.0**-16)]), block_rows(len(low)) // TURNS),
    )


def _settled(bounds: FloatArray, dtype: "np.dtype[Any]", whole: BoolArray, *, up: bool) -> FloatArray:
    """Bounds as the number type holds them, whole where the feature is."""
    rounded = np.where(whole, np.ceil(bounds) if up else np.floor(bounds), bounds)
    if dtype.kind == "b":
        return np.clip(rounded, 0.0, 1.0)
    if dtype.kind in "iu":
        limit = np.iinfo(dtype)
        held = (rounded >= float(limit.min)) & (rounded <= float(limit.max))
        return np.where(held, rounded, np.where(np.isfinite(rounded), float(limit.min if up else limit.max), rounded))
    with np.errstate(over="ignore"):
        return as_stored(rounded, dtype).astype(np.float64)


def _ranges(data: Dataset) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least and largest value of each feature, and the share that is missing."""
    low, high = np.full(data.schema.width, np.inf), np.full(data.schema.width, -np.inf)
    missing = np.zeros(data.schema.width)
    for block in row_blocks(data.x):
        rows = data.schema.flat(np.asarray(data.x[block]))
        low, high = np.fmin(low, np.fmin.reduce(rows, axis=0)), np.fmax(high, np.fmax.reduce(rows, axis=0))
        if rows.dtype.kind == "f":
            missing += np.isnan(rows).sum(axis=0)
    empty = ~np.isfinite(low)
    return np.where(empty, 0.0, low), np.where(empty, 0.0, high), missing / len(data)


def _pool(data: Dataset) -> AnyArray:
    """Rows of the data (m, d), in memory."""
    take = np.unique(
        np.linspace(0, len(data) - 1, min(len(data), _POOL, max(8, _POOL_CELLS // data.schema.width)))
        .round()
        .astype(np.int64)
    )
    return np.array(data.schema.flat(np.asarray(data.x[take])))


def _units(width: int, groups: tuple[IntArray, ...], linked: tuple[LinkedFeatures, ...]) -> tuple[IntArray, ...]:
    """Columns that only change together; a relation that names a member of a group ties the whole group."""
    sets = [set(map(int, part)) for part in (*groups, *(part.columns for part in linked))]
    joined: list[set[int]] = []
    for part in sets:
        meeting = [other for other in joined if other & part]
        joined = [other for other in joined if other not in meeting] + [part.union(*meeting)]
    tied = {j for part in joined for j in part}
    found = [[j] for j in range(width) if j not in tied] + [sorted(part) for part in joined]
    return tuple(np.array(part) for part in sorted(found))


def _base(domain: Domain) -> AnyArray:
    """Zeros where they are inside, else what is common in the data; units that cannot be so are as in a row of it."""
    with np.errstate(all="ignore"):
        middle = np.sort(domain.pool, axis=0)[len(domain.pool) // 2]  # NaN sorts last
    middle = np.clip(np.nan_to_num(middle), domain.lower, domain.upper) if domain.dtype.kind == "f" else middle
    row = np.where((domain.lower <= 0) & (domain.upper >= 0), 0, middle).astype(domain.dtype)
    for group in domain.groups:
        row[group] = 0
        row[group[0]] = 1
    for part in domain.linked:
        if not part.obeyed(row[None, part.columns]).all():
            row[part.columns] = part.starts[0] if len(part.starts) else domain.pool[0, part.columns]
    return row if domain.obeyed(row[None]).all() else domain.pool[0]


def _feasible(schema: FeatureSchema, lower: FloatArray, upper: FloatArray, whole: BoolArray) -> AnyArray:
    """A few rows that obey a schema of which there is no data: vertices in random directions, by linear programs."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    equal = [relation for relation in schema.relations if relation.equality]
    sums = np.zeros((len(schema.relations) + len(schema.groups), schema.width))
    least, most = np.full(len(sums), -np.inf), np.zeros(len(sums))
    for i, relation in enumerate(schema.relations):
        sums[i, list(relation.columns)] = relation.weights
        most[i] = -relation.constant
        least[i] = most[i] if relation in equal else -np.inf
    for i, (_, members) in enumerate(schema.groups, start=len(schema.relations)):
        sums[i, list(members)] = 1.0
        least[i] = most[i] = 1.0
    constraints = [LinearConstraint(sums, least, most)] if len(sums) else []
    rows = []
    for sign in (1.0, -1.0):
        aim = sign * np.cos(np.arange(1, schema.width + 1))
        found = milp(aim, integrality=whole.astype(int), bounds=Bounds(lower, upper), constraints=constraints)
        if found.x is None:
            raise InvalidInput(f"no row can obey the schema: its relations and bounds contradict each other {found}")
        rows.append(np.where(whole, np.rint(found.x), found.x))
    return np.array(rows)
