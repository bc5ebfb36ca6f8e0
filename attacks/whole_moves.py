"""The smallest move of whole numbers, one-hot groups and continuous features by which a linear loss rises enough.

What moves by jumps has a few options, each with a gain and a price; the continuous features give the rest, for which
the smallest move is known. In linf the best options within a radius are known one by one, so that a bisection finds the
smallest radius. In l2 and l1 all combinations of options are looked at where they are few; of many, those that prices
of the rise suggest (Lagrangian relaxation), and then every change of one option and of two.
"""

import itertools
import math

import numpy as np

from robust.attacks.projection import Space
from robust.attacks.shortest_move import shortest_in_box
from robust.attacks.whole_options import Rest, Steps, Thing, members_of, most_steps, room_of, steps_of, units_of
from robust.types import AnyArray, FloatArray, IntArray

# Combinations of options that are all looked at, those whose price is found exactly, and prices of the rise.
_COMBINATIONS, _EXACT, _PRICES = 4096, 16, np.geomspace(0.25, 4.0, 24)
_ROUNDS, _HALVINGS, _JUST_ABOVE = 2, 60, 1e-12
# Exchanges of options that are all tried, at most, numbers that they take a row, and numbers held at a time.
_EXCHANGES, _WIDEST, _CELLS = 4096, 1 << 18, 1 << 22


def whole_moves(space: Space, x: AnyArray, slope: FloatArray, wanted: FloatArray) -> FloatArray:
    """Small moves that obey whole numbers and one-hot groups, by which linear losses rise by some amounts.

    Args:
        space: Norm, units and schema, without relations.
        x: Original rows (m, d).
        slope: Gradients of the losses (m, d).
        wanted: Rises (m,), above 0.

    Returns:
        Moves (m, d); as far as may be where bounds forbid the rise.
    """
    slope, whole = slope.astype(np.float64), np.flatnonzero(space.steps & (space.eps > 0))
    low, high = room_of(space, x)
    free = np.flatnonzero((space.eps > 0) & ~space.steps & ~space.members)
    rest = Rest(space, free, slope[:, free], low[:, free], high[:, free])
    groups = [members_of(space, group, x, slope) for group in space.groups]
    most = most_steps(slope[:, whole], low[:, whole], high[:, whole], wanted)
    if space.norm == "linf":
        move, gained = _within_radius(Steps(whole, slope[:, whole], most, space.eps[whole]), groups, rest, wanted)
    else:
        units = units_of(space)
        relaxed = shortest_in_box(slope * space.eps, wanted, low / units, high / units, norm=space.norm)
        steps = [steps_of(space, j, slope[:, j], most[:, i], relaxed[:, j]) for i, j in enumerate(whole.tolist())]
        move, gained = _cheapest([*steps, *groups], rest, wanted)
    left = wanted - gained
    short = np.flatnonzero(left > 0)
    if len(free) and len(short):
        move[np.ix_(short, free)] = rest.moves(short, left[short])
    return move


def whole_rows(space: Space, x: AnyArray, slope: FloatArray, wanted: FloatArray) -> AnyArray:
    """Rows after these moves, in the data's number type, inside the bounds."""
    low, high = (bound.astype(space.dtype) for bound in (space.lower, space.upper))
    moved = x.astype(np.float64) + whole_moves(space, x, slope, wanted)
    return np.asarray(np.clip(moved.astype(space.dtype), low, high))


def _within_radius(steps: Steps, groups: list[Thing], rest: Rest, wanted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Jumps of the smallest radius in linf, by bisection, and how much they gain: each is at its best."""

    def gains(radius: FloatArray) -> list[FloatArray]:
        return [np.where(group.price <= radius[:, None] * (1.0 + _JUST_ABOVE), group.gain, -np.inf) for group in groups]

    def gained(radius: FloatArray) -> FloatArray:
        total = np.sum(np.abs(steps.slope) * steps.within(radius), axis=1)
        return np.asarray(total + sum(gain.max(axis=1) for gain in gains(radius)))

    high, low = np.ones(len(wanted)), np.zeros(len(wanted))
    for _ in range(_HALVINGS):
        short = gained(high) + rest.within(high) < wanted
        if not short.any():
            break
        low, high = np.where(short, high, low), np.where(short, 4.0 * high, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        enough = gained(middle) + rest.within(middle) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    move = np.zeros((len(wanted), rest.width))
    move[:, steps.columns] = np.sign(steps.slope) * steps.within(high)
    for group, gain in zip(groups, gains(high), strict=True):
        move[:, group.columns] = group.moves[np.arange(len(wanted)), gain.argmax(axis=1)]
    return move, gained(high)


def _cheapest(things: list[Thing], rest: Rest, wanted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Jumps whose price, with that of the rest, is smallest in l2 and l1, and how much they gain."""
    move, gained = np.zeros((len(wanted), rest.width)), np.zeros(len(wanted))
    numbers = max(_WIDEST, _COMBINATIONS * max(len(things), 1))
    few = max(1, _CELLS // numbers)
    for start in range(0, len(wanted) if things else 0, few):
        rows = np.arange(start, min(start + few, len(wanted)))
        some, every = [thing.part(rows) for thing in things], np.arange(len(rows))
        chosen = _chosen(some, rest.part(rows), wanted[rows])
        for t, thing in enumerate(some):
            move[np.ix_(rows, thing.columns)] = thing.moves[every, chosen[:, t]]
            gained[rows] += thing.gain[every, chosen[:, t]]
    return move, gained


def _chosen(things: list[Thing], rest: Rest, wanted: FloatArray) -> IntArray:
    """The option of each thing (m, things)."""
    m, counts = len(wanted), [thing.gain.shape[1] for thing in things]
    if math.prod(counts) <= _COMBINATIONS:
        every = np.array(list(itertools.product(*map(range, counts))))
        return _best_of(things, rest, wanted, np.broadcast_to(every, (m, *every.shape)))[0]
    # Without jumps the whole rise has a price a unit; options are worth it at shares and multiples of that.
    gains, prices = (np.concatenate([getattr(t, name) for t in things], axis=1) for name in ("gain", "price"))
    rate = np.divide(prices, gains, out=np.full(gains.shape, np.inf), where=gains > 0)
    own = np.divide(rest.least(wanted[:, None])[:, 0], wanted, out=np.full(m, np.inf), where=wanted > 0)
    usual = np.minimum(np.where(np.isfinite(own), 2.0 * own, np.inf), rate.min(axis=1, initial=np.inf) * 4.0)
    usual = np.where(np.isfinite(usual), usual, 1.0)
    tried = usual[:, None] * _PRICES
    chosen = np.stack([(t.price[:, None] - tried[:, :, None] * t.gain[:, None]).argmin(axis=2) for t in things], axis=2)
    best, paid = _best_of(things, rest, wanted, chosen)
    for together in (1, 2):
        number = sum(counts) if together == 1 else (sum(counts) ** 2 - sum(count**2 for count in counts)) // 2
        if number > _EXCHANGES or number * len(counts) > _WIDEST:
            break
        places, options = _exchanges(counts, together)
        for _ in range(_ROUNDS):
            changed = np.repeat(best[:, None], len(places), axis=1)
            changed[:, np.arange(len(places))[:, None], places] = options
            other, price = _best_of(things, rest, wanted, changed)
            better = price < paid
            if not better.any():
                break
            best, paid = np.where(better[:, None], other, best), np.where(better, price, paid)
    return best


def _exchanges(counts: list[int], together: int) -> tuple[IntArray, IntArray]:
    """Which things (e, together) take which options, for every so many things and all of their options."""
    found = [
        (group, options)
        for group in itertools.combinations(range(len(counts)), together)
        for options in itertools.product(*(range(counts[t]) for t in group))
    ]
    places, options = zip(*found, strict=True) if found else ((), ())
    shape = (len(found), together)
    return np.array(places, dtype=np.int64).reshape(shape), np.array(options, dtype=np.int64).reshape(shape)


def _best_of(things: list[Thing], rest: Rest, wanted: FloatArray, chosen: IntArray) -> tuple[IntArray, FloatArray]:
    """The cheapest of some combinations (m, C, things), and its price (m,)."""
    m, every = len(wanted), np.arange(len(wanted))
    gain = np.sum([np.take_along_axis(t.gain, chosen[:, :, k], axis=1) for k, t in enumerate(things)], axis=0)
    price = np.sum([np.take_along_axis(t.price, chosen[:, :, k], axis=1) for k, t in enumerate(things)], axis=0)
    with np.errstate(invalid="ignore"):
        rise = wanted[:, None] - gain
    promising = price + rest.least(rise)
    # The true price is no less than this one: what promises more than the best true price needs no look.
    order = np.argsort(promising, axis=1, kind="stable")
    best, paid = order[:, 0], np.full(m, np.inf)
    for start in range(0, order.shape[1], _EXACT):
        rows = np.flatnonzero(promising[every, order[:, start]] < paid)
        if not len(rows):
            break
        few = order[rows, start : start + _EXACT]
        each = np.repeat(rows, few.shape[1])
        exact = price[each, few.ravel()] + rest.price(each, rise[each, few.ravel()])
        exact = exact.reshape(few.shape)
        top, place = exact.argmin(axis=1), np.arange(len(rows))
        better = exact[place, top] < paid[rows]
        best[rows[better]] = few[place, top][better]
        paid[rows[better]] = exact[place, top][better]
    return chosen[every, best], paid
