"""Random rows inside a schema: uniform between the bounds, like the data, and between the two."""

import numpy as np

from robust.fuzzing.domain import Domain
from robust.fuzzing.row_source import TURNS, Draws, as_shares
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: Purposes of random numbers.
CELLS, MEMBERS, LINKS = 1, 2, 1000
#: Of eight rows, four are uniform, one is a row of the data with some cells drawn anew, one lies between a row of the
#: data and a uniform one, two between two rows of the data.
_SPLICED, _TOWARDS, _BETWEEN = 4, 5, slice(6, 8)
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
    scale, cells = domain.scale, turns * domain.width
    drawn = draws.words(_DRAWN * cells + turns * TURNS * 4, CELLS)
    words, style = drawn[: _DRAWN * cells].reshape(_DRAWN, cells), as_shares(drawn[_DRAWN * cells :])
    style = style.reshape(turns, TURNS, 4)
    place = (style[:, :, :2] * np.float32(len(domain.pool))).astype(np.intp)
    # One kind of rows after the other, and in turn at the end.
    kinds = np.empty((TURNS, turns, width), dtype=scale.work)
    lines = kinds.reshape(TURNS, cells)
    _spread(domain, words, out=lines[:_DRAWN])
    with np.errstate(invalid="ignore", over="ignore"):
        fresh = by_lower_digits(words[_SPLICED].reshape(turns, width), style[:, _SPLICED, 2:3] ** 2)
        kinds[_SPLICED] = np.where(fresh, kinds[_SPLICED], domain.pool[place[:, _SPLICED, 0]])
        start = domain.pool[place[:, _TOWARDS:, 0].T].astype(scale.work, copy=False)
        kinds[_BETWEEN] = domain.pool[place[:, _BETWEEN, 1].T]
        share = style[:, _TOWARDS:, 2].T.astype(scale.work)
        share[0] *= share[0]
        blend = kinds[_TOWARDS:]
        blend -= start
        blend *= share[:, :, None]
        blend += start
        _bounded(domain, lines[_TOWARDS:] if scale.safe else lines)
    rows = np.ascontiguousarray(kinds.transpose(1, 0, 2))
    if domain.groups:
        # Uniform rows draw their groups, spliced ones sometimes.
        own = domain.pool[place[:, :, 0]].reshape(-1, width)
        anew = np.broadcast_to(np.arange(TURNS) < _SPLICED, (turns, TURNS)).copy()
        anew[:, _SPLICED] = style[:, _SPLICED, 3] < style[:, _SPLICED, 2]
        _grouped(domain, rows.reshape(-1, width), draws, own, anew.ravel())
    if scale.missing:
        again = np.isnan(rows)
        absent = by_lower_digits(words[:_DRAWN:_SPLICED].reshape(-1, turns, width), domain.missing)
        again[:, :_DRAWN:_SPLICED] |= absent.transpose(1, 0, 2)
        rows[again & (domain.missing > 0)] = np.nan
    found = rows.reshape(-1, width).astype(domain.dtype, copy=False)
    if domain.linked:
        write_linked(domain, found, draws, ends=False)
    return found


def uniform_rows(domain: Domain, words: IntArray) -> AnyArray:
    """Rows (m, d) of the domain's number type, uniform between the bounds, from numbers 0 … 65535 (m·d,)."""
    lines = np.empty((1, len(words)), dtype=domain.scale.work)
    _spread(domain, words[None], out=lines)
    if not domain.scale.safe:
        with np.errstate(invalid="ignore", over="ignore"):
            _bounded(domain, lines)
    return lines.reshape(-1, domain.width).astype(domain.dtype, copy=False)


def _bounded(domain: Domain, lines: AnyArray) -> None:
    """Whole numbers where they belong, nothing past a bound; lines of many rows (k, rows·d)."""
    if domain.scale.whole:
        cells = lines.reshape(-1, domain.width)
        cells[:, domain.whole] = np.rint(cells[:, domain.whole])
    lower, upper, _ = domain.scale.along(lines.shape[1] // domain.width)
    np.maximum(lines, lower, out=lines)
    np.minimum(lines, upper, out=lines)


def _spread(domain: Domain, words: IntArray, *, out: AnyArray) -> None:
    """Write numbers 0 … 65535, in lines of many rows (k, rows·d), as values between the bounds."""
    scale = domain.scale
    lower, upper, step = scale.along(out.shape[1] // domain.width)
    if scale.far:
        share = words * 2.0**-16
        out[...] = lower.astype(np.float64) * (1.0 - share) + upper.astype(np.float64) * share
        return
    np.multiply(words, step, out=out)
    out += lower
    if scale.whole:
        cells = out.reshape(-1, domain.width)
        cells[:, domain.whole] = np.floor(cells[:, domain.whole])


def by_lower_digits(words: IntArray, share: FloatArray) -> BoolArray:
    """Decisions that fall so with a chance (…), by the lower digits of numbers 0 … 65535: none of their own are needed.

    >>> by_lower_digits(np.array([256, 383, 384], dtype=np.uint16), np.array(0.5))
    array([ True,  True, False])
    """
    most = np.ceil(share * 256.0).astype(np.uint16)
    return np.asarray((words & np.uint16(255)) < most)


def table_values(table: AnyArray, words: IntArray) -> AnyArray:
    """Values of each feature (…, d) from a table (t, d), by numbers 0 … 65535 (…, d)."""
    if len(table) == 1:
        return np.broadcast_to(table[0], words.shape)
    # One flat place a value: indexing by two arrays takes three times as long. Half words hold it but in huge tables.
    whole = np.uint32 if table.size < 1 << 16 else np.int64
    place = words * whole(len(table))
    place >>= 16
    place *= whole(table.shape[1])
    place += np.arange(table.shape[1]).astype(whole)
    return np.asarray(table.ravel().take(place))


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
