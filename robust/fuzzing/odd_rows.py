"""Random rows outside a schema, a kind at a time: what a file with a fault, a sensor or another unit may bring."""

from typing import Literal, TypeAlias, get_args

import numpy as np

from robust.fuzzing.domain import Domain
from robust.fuzzing.random_rows import by_lower_digits, inside_rows, table_values
from robust.fuzzing.row_source import ROUND, TURNS, Draws
from robust.types import AnyArray, BoolArray, FloatArray

#: Missing, infinite, 1e30 … the largest number, the smallest numbers that there are, past a bound, no whole number or
#: no single member of a group where one belongs.
Oddity: TypeAlias = Literal["nan", "infinite", "huge", "denormal", "beyond", "unlike"]
ODDITIES: tuple[Oddity, ...] = get_args(Oddity)

#: Purposes of random numbers, beside those of rows inside.
_CELLS, _STYLES, _TURN = 21, 22, 23
#: Of four rows, one stays as it is, beside the odd ones: its answer must stay what it is, too. One has a single odd
#: value, one some, one mostly odd ones.
_SINGLE, _SOME, _MOST = 1, 2, 3
#: Values of a sort that are drawn from.
_STEPS = 24


def oddities(domain: Domain) -> tuple[Oddity, ...]:
    """The kinds that rows of a domain can have: integers are never NaN, infinite or denormal."""
    if domain.dtype.kind == "b":
        return ()
    if domain.dtype.kind != "f":
        return ("huge", "beyond")
    return ODDITIES if domain.whole.any() else ODDITIES[:-1]


def odd_table(domain: Domain, oddity: Oddity) -> AnyArray:
    """Odd values of each feature (t, d), to draw from.

    Args:
        domain: The schema, closed.
        oddity: Which sort.
    """
    kind, width = domain.dtype, domain.width
    lower, upper = domain.lower, domain.upper
    if kind.kind != "f":
        limit = np.iinfo(kind)
        if oddity == "huge":
            return np.repeat(np.array([[limit.min], [limit.max]], dtype=kind), width, axis=1)
        # The whole numbers next to the bounds, where the number type has them; else the bounds.
        return np.stack([lower - (lower > limit.min).astype(kind), upper + (upper < limit.max).astype(kind)])
    limits = np.finfo(kind)
    if oddity == "nan":
        return np.full((1, width), np.nan, dtype=kind)
    steps = np.linspace(0.0, 1.0, _STEPS)
    if oddity == "infinite":
        values = np.array([-np.inf, np.inf])
    elif oddity == "huge":
        most = np.log10(float(limits.max))
        sizes = np.append(
            10.0 ** (min(30.0, most - 1) + steps * (most - min(30.0, most - 1)) * 0.999), float(limits.max)
        )
        values = np.concatenate([sizes, -sizes])
    elif oddity == "denormal":
        sizes = np.unique(np.rint(10.0 ** (3 * steps))) * float(limits.smallest_subnormal)
        values = np.concatenate([sizes, -sizes])
    else:
        return _beyond(domain, steps) if oddity == "beyond" else _unlike(domain, steps)
    return np.repeat(values.astype(kind)[:, None], width, axis=1)


def odd_rows(
    domain: Domain, draws: Draws, rows: AnyArray, *, oddity: Oddity, table: AnyArray, fixed: BoolArray
) -> AnyArray:
    """Rows with odd values in one, some or all of their features; a quarter of them without any.

    Args:
        domain: The schema, closed.
        draws: The random numbers.
        rows: Rows inside the schema (m, d), of `inside_rows`, to be written to.
        oddity: Which values.
        table: These values, of `odd_table`.
        fixed: Features that take no such value, because the model gets labels in place of their codes (d,).

    Returns:
        Rows (m, d) of the domain's number type.
    """
    may = np.ones(domain.width, dtype=bool) if oddity == "nan" else ~fixed
    may &= domain.whole if oddity == "unlike" else True
    candidates = np.flatnonzero(may)
    if not len(candidates):
        return rows
    together = TURNS if len(rows) % ROUND == 0 else 1
    style = draws.uniform(3, _STYLES)
    # Views: a quarter of the rows each. Ordinary ones come first in some blocks, odd ones in others: a model may look
    # at the first row of a batch alone.
    quarters, styles = rows.reshape(-1, 4, together, domain.width), style.reshape(-1, 4, together, 3)
    shift = int(draws.words(1, _TURN)[0]) % 2
    single_at, some_at, most_at = ((kind + shift) % 4 for kind in (_SINGLE, _SOME, _MOST))
    some, most = quarters[:, some_at], quarters[:, most_at]
    words = draws.words(some.size, _CELLS).reshape(some.shape)
    values = table_values(table, words)
    odd = by_lower_digits(words, styles[:, some_at, :, 1:2] ** 2)
    every = bool(may.all())
    some[...] = np.where(odd if every else odd & may, values, some)
    most[...] = values if every else np.where(may, values, most)
    # One odd value each, also where chance has chosen none.
    few = np.arange(len(rows)).reshape(-1, 4, together)[:, [single_at, some_at]].ravel()
    place = candidates[(style[few, 0] * np.float32(len(candidates))).astype(np.intp)]
    rows[few, place] = table[(style[few, 2] * np.float32(len(table))).astype(np.intp), place]
    return rows


def missing_rows(domain: Domain, draws: Draws) -> AnyArray:
    """Rows inside the schema, one value missing in every second of them, from the first on."""
    rows = inside_rows(domain, draws).copy()
    places = np.arange(0, len(rows), 2)
    rows[places, places // 2 % domain.width] = np.nan
    return rows


def _beyond(domain: Domain, steps: FloatArray) -> AnyArray:
    """Values past both bounds: the next numbers, and up to a hundred times as far as the bounds lie apart."""
    kind, whole = domain.dtype, domain.whole
    low, high = domain.lower.astype(np.float64), domain.upper.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        far = (high - low + 1.0) * 10.0 ** (4.0 * steps[:, None] - 2.0)
        above = np.where(whole, high + 1.0, np.nextafter(domain.upper, kind.type(np.inf)))
        below = np.where(whole, low - 1.0, np.nextafter(domain.lower, kind.type(-np.inf)))
        up, down = (np.where(whole, np.rint(value), value) for value in (high + far + whole, low - far - whole))
        # Rounding to the number type may lead back inside.
        up, down = up.astype(kind), down.astype(kind)
        up, down = np.where(up > domain.upper, up, above), np.where(down < domain.lower, down, below)
        near = [np.stack([above, below])] * max(1, len(steps) // 8)
        return np.asarray(np.concatenate([up, down, *near]).astype(kind))


def _unlike(domain: Domain, steps: FloatArray) -> AnyArray:
    """Fractions between the bounds of features that take whole numbers."""
    low, high = domain.lower.astype(np.float64), domain.upper.astype(np.float64)
    between = low + (high - low + (high == low)) * np.linspace(0.0, 1.0, 2 * len(steps))[1:-1, None] ** 1.1
    return np.asarray(np.where(between == np.rint(between), between + 0.5, between).astype(domain.dtype))
