"""hypothesis strategies for rows and batches of a schema, for properties of the user's own."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from robust.data.live import as_data
from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput
from robust.fuzzing.domain import Domain, domain_of
from robust.fuzzing.edge_rows import edge_ladder, edge_rows
from robust.fuzzing.faults import LEVELS, Level
from robust.fuzzing.odd_rows import ODDITIES, odd_rows, odd_table, oddities
from robust.fuzzing.random_rows import inside_rows
from robust.fuzzing.row_source import RowSource
from robust.types import AnyArray

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Random rows behind a strategy.
_ROWS = 1 << 16
#: Rows of up to so many units (features, one-hot groups, features that relations tie) get a value for each; wider ones
#: are random rows of which parts are kept: so many parts of so many parts.
_NARROW, _PARTS = 24, 16


def rows(data: object, *, level: str = "inside") -> "SearchStrategy[AnyArray]":
    """Single rows of a schema.

    Args:
        data: A `FeatureSchema` with finite bounds, or rows with one: what `as_data` takes.
        level: `inside`, at the `edges`, or `outside` the schema.

    Returns:
        A strategy of arrays of the shape of a row, in the number type of the data (float64 for a schema alone). It
        shrinks towards the simplest row: fewer features that differ from it, then simpler values.

    Raises:
        InvalidInput: If the level is unknown, or a schema alone leaves a bound open.

    >>> from hypothesis import given, settings
    >>> @settings(database=None, deadline=None, max_examples=20)
    ... @given(rows(np.array([[0.0, 1.0], [2.0, 3.0]])))
    ... def check(row):
    ...     assert 0 <= row[0] <= 2 and 1 <= row[1] <= 3
    >>> check()
    """
    from hypothesis import strategies as st

    if level not in LEVELS:
        raise InvalidInput(f"level got {level!r}; {', '.join(map(repr, LEVELS))} are known")
    domain = domain_of(data if isinstance(data, FeatureSchema) else as_data(data))
    if len(domain.units) <= _NARROW:
        found = st.tuples(*(_unit(domain, unit, level) for unit in domain.units)).map(partial(_assembled, domain))
    else:
        parts = st.tuples(*[_part()] * _PARTS)
        found = st.tuples(_random_rows(domain, level), parts).map(partial(_kept, domain))
    return found.map(lambda row: row.reshape(domain.schema.shape))


def batches(
    data: object, *, level: str = "inside", min_rows: int = 1, max_rows: int = 16
) -> "SearchStrategy[AnyArray]":
    """Batches of rows of a schema, for `@given(batches(data))`.

    Args:
        data: See `rows`.
        level: See `rows`.
        min_rows: Rows of a batch at least, 0 for empty ones too.
        max_rows: Rows of a batch at most.

    Returns:
        A strategy of arrays (b, *row shape); it shrinks towards fewer and simpler rows.

    Raises:
        InvalidInput: As `rows` does, and if the numbers of rows are no whole numbers with 0 ≤ min ≤ max.

    >>> from hypothesis import given, settings
    >>> @settings(database=None, deadline=None, max_examples=20)
    ... @given(batches(np.array([[0.0, 1.0], [2.0, 3.0]]), max_rows=3))
    ... def check(batch):
    ...     assert 1 <= len(batch) <= 3 and (batch[:, 0] <= 2).all()
    >>> check()
    """
    from hypothesis import strategies as st

    counts = (min_rows, max_rows)
    if any(isinstance(count, bool) or not isinstance(count, int) for count in counts) or not 0 <= min_rows <= max_rows:
        raise InvalidInput(f"a batch has min_rows … max_rows rows, whole numbers with 0 <= min <= max, got {counts}")
    single = rows(data, level=level)
    domain = domain_of(data if isinstance(data, FeatureSchema) else as_data(data))

    def stacked(found: list[AnyArray]) -> AnyArray:
        return np.array(found, dtype=domain.dtype).reshape(len(found), *domain.schema.shape)

    return st.lists(single, min_size=min_rows, max_size=max_rows).map(stacked)


def _random_rows(domain: Domain, level: Level) -> "SearchStrategy[AnyArray]":
    """Random rows of a level by their index."""
    from hypothesis import strategies as st

    sources = _sources(domain, level)

    def row(index: int) -> AnyArray:
        place, source = divmod(index, len(sources))
        return np.asarray(sources[source].take(place, place + 1)[0])

    return st.integers(0, _ROWS).map(row)


def _part() -> "SearchStrategy[tuple[bool, ...]]":
    """Which parts of a part of a row are kept: none is the simplest."""
    from hypothesis import strategies as st

    keep = st.integers(0, 3).map(bool)
    return st.one_of(st.just(()), st.tuples(*[keep] * _PARTS))


def _kept(domain: Domain, drawn: tuple[AnyArray, tuple[tuple[bool, ...], ...]]) -> AnyArray:
    """A wide row: the simplest one, but for the units that are kept of a random one."""
    random, parts = drawn
    row, kept = domain.base.copy(), np.zeros((_PARTS, _PARTS), dtype=bool)
    for i, part in enumerate(parts):
        kept[i] = part or False
    places = np.arange(len(domain.units)) * kept.size // len(domain.units)
    columns = [unit for unit, place in zip(domain.units, places, strict=True) if kept.flat[place]]
    if columns:
        taken = np.concatenate(columns)
        row[taken] = random[taken]
    return row


def _sources(domain: Domain, level: Level) -> list[RowSource]:
    """The random rows of a level."""
    width = domain.width
    if level == "inside":
        return [RowSource(make=lambda draws: inside_rows(domain, draws), width=width, seed=0, stream=1)]
    if level == "edges":
        ladder = edge_ladder(domain)
        return [RowSource(make=lambda draws: edge_rows(domain, draws, ladder=ladder), width=width, seed=0, stream=2)]
    fixed, found = np.zeros(width, dtype=bool), []
    for kind in oddities(domain):
        table = odd_table(domain, kind)

        def make(draws: Any, kind: Any = kind, table: AnyArray = table) -> AnyArray:
            return odd_rows(domain, draws, inside_rows(domain, draws), oddity=kind, table=table, fixed=fixed)

        found.append(RowSource(make=make, width=width, seed=0, stream=100 + ODDITIES.index(kind)))
    return found or _sources(domain, "edges")


def _unit(domain: Domain, unit: AnyArray, level: Level) -> "SearchStrategy[tuple[Any, ...] | None]":
    """Values of the columns of a unit; None, the simplest, for those of the simplest row."""
    from hypothesis import strategies as st

    j = int(unit[0])
    low, high = domain.lower[j].item(), domain.upper[j].item()
    group = next((group for group in domain.groups if set(group) == set(unit)), None)
    values: SearchStrategy[tuple[Any, ...]]
    if group is not None:
        values = st.sampled_from([tuple((unit == member).astype(int)) for member in group])
    elif len(unit) > 1:
        values = _random_rows(domain, "inside" if level == "outside" else level).map(lambda row: tuple(row[unit]))
    elif level == "edges":
        values = st.sampled_from(edge_ladder(domain)[:, j].tolist()).map(lambda value: (value,))
    elif domain.dtype.kind == "b":
        values = st.booleans().map(lambda value: (value,))
    elif domain.whole[j]:
        values = st.integers(int(low), int(high)).map(lambda value: (value,))
    else:
        width: Any = min(64, 8 * domain.dtype.itemsize)
        values = st.floats(low, high, width=width, allow_nan=False).map(lambda value: (value,))
    choices = [st.none(), values]
    if level == "outside":
        tables = [odd_table(domain, kind)[:, unit] for kind in oddities(domain)]
        choices += [st.sampled_from([tuple(entry) for entry in table.tolist()]) for table in tables]
    return st.one_of(*choices)


def _assembled(domain: Domain, values: tuple[tuple[Any, ...] | None, ...]) -> AnyArray:
    """A narrow row from a value for each unit."""
    row = domain.base.copy()
    for unit, value in zip(domain.units, values, strict=True):
        if value is not None:
            row[unit] = value
    return row
