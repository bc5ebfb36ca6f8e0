"""Random rows at the edges of a schema: corners, bounds and their neighbours, zeros of both signs, rows of the data."""

import numpy as np

from robust.fuzzing.domain import Domain
from robust.fuzzing.random_rows import by_lower_digits, hot_members, table_values, uniform_rows, write_linked
from robust.fuzzing.row_source import TURNS, Draws, as_shares
from robust.types import AnyArray

#: Purpose of random numbers, beside those of rows inside.
_CELLS = 11
_HALF = 1 << 15
#: What the rows of a block are in turn: corners, cells from the ladder, a few such cells in a random row, one rung for
#: all features, a row of the data, a few edge cells in it, the row before once more, one value for all features.
_CORNER, _LADDER, _SOME, _CONSTANT, _DATA, _DATA_SOME, _AGAIN, _LEVEL = range(TURNS)


def edge_ladder(domain: Domain) -> AnyArray:
    """Values at the edge of each feature (6, d): both bounds, the numbers next to them inside, 0 and −0.0."""
    lower, upper, kind = domain.lower, domain.upper, domain.dtype
    zero = (lower <= 0) & (upper >= 0)
    if kind.kind != "f":
        step = (lower < upper).astype(np.uint8 if kind.kind == "b" else kind)
        low, high = lower.astype(step.dtype), upper.astype(step.dtype)
        at_zero = np.where(zero, step.dtype.type(0), low)
        return np.stack([low, high, low + step, high - step, at_zero, high]).astype(kind)
    above = np.where(domain.whole, lower + 1, np.nextafter(lower, upper))
    below = np.where(domain.whole, upper - 1, np.nextafter(upper, lower))
    rungs = [lower, upper, above, below, np.where(zero, 0.0, lower), np.where(zero, -0.0, upper)]
    # Not clipped: that would turn −0.0 into 0.0 at a bound of 0.
    ladder = np.stack(rungs)
    return np.where((ladder < lower) | (ladder > upper), lower, ladder).astype(kind)


def edge_rows(domain: Domain, draws: Draws, *, ladder: AnyArray) -> AnyArray:
    """Rows at the edges, all of which obey the schema.

    Args:
        domain: The schema, closed.
        draws: The random numbers.
        ladder: The values at the edge of each feature, of `edge_ladder`.

    Returns:
        Rows (m, d) of the domain's number type.
    """
    places, turns = np.arange(domain.width), draws.rows // TURNS
    cells, rungs = turns * domain.width, np.float32(len(ladder))
    rows = np.empty((turns, TURNS, domain.width), dtype=domain.dtype)
    drawn = draws.words(5 * cells + 5 * turns * TURNS, _CELLS)
    words, style = drawn[: 5 * cells].reshape(5, turns, -1), as_shares(drawn[5 * cells :]).reshape(turns, TURNS, 5)
    place = (style[:, _DATA : _DATA_SOME + 1, 0] * np.float32(len(domain.pool))).astype(np.intp)
    rows[:, _CORNER] = np.where(words[0] < _HALF, domain.lower, domain.upper)
    drawn_rungs = table_values(ladder, words[1:4])
    rows[:, _LADDER] = drawn_rungs[0]
    rows[:, _CONSTANT] = ladder[(style[:, _CONSTANT, 1] * rungs).astype(np.intp)]
    rows[:, _LEVEL] = _level_rows(domain, style[:, _LEVEL, 1])
    rows[:, _DATA : _DATA_SOME + 1] = domain.pool[place]
    others = uniform_rows(domain, words[4].ravel()), rows[:, _DATA_SOME]
    for i, (turn, other) in enumerate(zip((_SOME, _DATA_SOME), others, strict=True), start=1):
        few = by_lower_digits(words[1 + i], style[:, turn, 3:4] ** 4)
        few |= places == (style[:, turn, 2:3] * np.float32(domain.width)).astype(np.intp)
        rows[:, turn] = np.where(few, drawn_rungs[i], other)
    found = rows.reshape(-1, domain.width)
    keep = np.arange(len(found)) % TURNS == _DATA
    flat = style.reshape(-1, 5)
    for group in domain.groups:
        chance = (flat[:, 4] * np.float32(len(group))).astype(np.intp)
        end = np.where(flat[:, 1] < 0.25, 0, np.where(flat[:, 1] < 0.5, len(group) - 1, chance))
        own = np.repeat(domain.pool[place[:, 0]][:, group].argmax(axis=1), TURNS)
        hot_members(found, group, np.where(keep, own, end))
    if domain.linked:
        write_linked(domain, found, draws, ends=True, keep=keep)
    rows[:, _AGAIN] = rows[:, _AGAIN - 1]
    return found


def _level_rows(domain: Domain, shares: AnyArray) -> AnyArray:
    """Rows (m, d) of one value for all features, or the bound next to it."""
    low, high = float(domain.lower.min()), float(domain.upper.max())
    shares = shares.astype(np.float64)
    values = low * (1.0 - shares) + high * shares
    if domain.dtype.kind == "f" and not domain.scale.whole:
        # Rounded first: the bounds are numbers of the type.
        values = values.astype(domain.dtype)
        return np.asarray(np.minimum(np.maximum(values[:, None], domain.lower), domain.upper))
    rows = np.clip(values[:, None], domain.lower.astype(np.float64), domain.upper.astype(np.float64))
    return np.where(domain.whole, np.rint(rows), rows).astype(domain.dtype)
