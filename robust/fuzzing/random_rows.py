"""Random rows inside a schema: uniform between the bounds, like the data, and between the two."""

import numpy as np

from robust.fuzzing.domain import Domain
from robust.fuzzing.row_source import TURNS, Draws
from robust.types import AnyArray, BoolArray, FloatArray

#: Purposes of random numbers.
CELLS, MEMBERS, LINKS = 1, 2, 1000
#: Of eight rows, four are uniform, one is a row of the data with some cells drawn anew, one lies between a row of the
#: data and a uniform one, two between two rows of the data.
_SPLICED, _TOWARDS, _BETWEEN = 4, 5, (6, 7)
_DRAWN = 6


def inside_rows(domain: Domain, draws: Draws) -> AnyArray:
    """Rows that obey a schema.

    Args:
        domain: The schema, closed.
        draws: The random numbers.

    Returns:
        Rows (m, d) of the domain's number type, independent of each other.
    """
    width, turns = domain.width, draws.rows // TURNS
    work = domain.scale.work
    drawn = draws.uniform(_DRAWN * width + TURNS * 4, CELLS, rows=turns)
    uniform = drawn[:, : _DRAWN * width].reshape(turns, _DRAWN, width)
    style = drawn[:, _DRAWN * width :].reshape(turns, TURNS, 4)
    place = (style[:, :, :2] * np.float32(len(domain.pool))).astype(np.intp)
    share = style[:, :, 2:3].astype(work)
    rows = np.empty((turns, TURNS, width), dtype=work)
    rows[:, :_DRAWN] = spread(domain, uniform)
    own = domain.pool[place[:, :, 0]] if domain.groups else None
    with np.errstate(invalid="ignore", over="ignore"):
        fresh = lower_digits(uniform[:, _SPLICED]) < style[:, _SPLICED, 2:3] ** 2
        rows[:, _SPLICED] = np.where(fresh, rows[:, _SPLICED], domain.pool[place[:, _SPLICED, 0]])
        start = domain.pool[place[:, _TOWARDS, 0]].astype(work, copy=False)
        rows[:, _TOWARDS] = start + (rows[:, _TOWARDS] - start) * share[:, _TOWARDS] ** 2
        for turn in _BETWEEN:
            start, end = (domain.pool[place[:, turn, i]].astype(work, copy=False) for i in (0, 1))
            rows[:, turn] = start + (end - start) * share[:, turn]
        _bounded(domain, rows[:, _TOWARDS:] if domain.scale.safe else rows)
    if own is not None:
        # Uniform rows draw their groups, spliced ones sometimes.
        anew = np.broadcast_to(np.arange(TURNS) < _SPLICED, (turns, TURNS)).copy()
        anew[:, _SPLICED] = style[:, _SPLICED, 3] < style[:, _SPLICED, 2]
        _grouped(domain, rows.reshape(-1, width), draws, own.reshape(-1, width), anew.ravel())
    if domain.scale.missing:
        again = np.isnan(rows)
        again[:, :_DRAWN:_SPLICED] |= lower_digits(uniform[:, ::_SPLICED]) < domain.missing
        rows[again & (domain.missing > 0)] = np.nan
    found = rows.reshape(-1, width).astype(domain.dtype, copy=False)
    if domain.linked:
        write_linked(domain, found, draws, ends=False)
    return found


def _bounded(domain: Domain, rows: AnyArray) -> None:
    """Whole numbers where they belong, nothing past a bound."""
    if domain.scale.whole:
        rows[..., domain.whole] = np.rint(rows[..., domain.whole])
    np.maximum(rows, domain.scale.lower, out=rows)
    np.minimum(rows, domain.scale.upper, out=rows)


def spread(domain: Domain, uniform: FloatArray) -> AnyArray:
    """Uniform numbers (…, d) as values between the bounds, in a floating type."""
    scale = domain.scale
    if scale.far:
        lower, upper = scale.lower.astype(np.float64), scale.upper.astype(np.float64)
        return np.asarray(lower * (1.0 - uniform.astype(np.float64)) + upper * uniform.astype(np.float64))
    rows: AnyArray = uniform * scale.span
    rows += scale.lower
    if scale.whole:
        rows[..., domain.whole] = np.floor(rows[..., domain.whole])
    return rows


def lower_digits(uniform: FloatArray) -> FloatArray:
    """Uniform numbers from the lower digits of others: decisions that need no numbers of their own."""
    scaled = uniform * np.float32(256)
    return np.asarray(scaled - np.floor(scaled))


def write_linked(domain: Domain, rows: AnyArray, draws: Draws, *, ends: bool, keep: BoolArray | None = None) -> None:
    """Write the features that relations tie together, but in the rows that keep theirs."""
    for i, part in enumerate(domain.linked):
        drawn = part.draw(draws.uniform(part.numbers, LINKS + i), domain.dtype, ends=ends)
        rows[:, part.columns] = drawn if keep is None else np.where(keep[:, None], rows[:, part.columns], drawn)


def hot_members(rows: AnyArray, group: AnyArray, which: AnyArray) -> None:
    """Write one-hot groups, the member `which` (m,) of each row."""
    rows[:, group] = 0
    rows[np.arange(len(rows)), group[which]] = 1


def _grouped(domain: Domain, rows: AnyArray, draws: Draws, own: AnyArray, anew: BoolArray) -> None:
    """Write one-hot groups: a member by chance, or that of the row of the data."""
    drawn = draws.uniform(len(domain.groups), MEMBERS)
    for i, group in enumerate(domain.groups):
        chance = (drawn[:, i] * np.float32(len(group))).astype(np.intp)
        hot_members(rows, group, np.where(anew, chance, own[:, group].argmax(axis=1)))
