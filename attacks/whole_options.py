"""What moves by jumps, and what that costs: whole features, one-hot groups, and the continuous ones beside them."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.projection import Space
from robust.attacks.shortest_move import shortest_in_box
from robust.types import AnyArray, FloatArray, IntArray

# Steps of a feature that are options one by one; of more, none, all, and those around the relaxed move.
_STEPS, _BELOW = 12, 4
# A radius that is a whole number of steps lets all of them through.
_JUST_ABOVE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thing:
    """What moves by jumps: a whole feature, or a one-hot group.

    Args:
        columns: Its features (c,).
        moves: How far they go under each option, the first of which is to stay (m, o, c).
        gain: How much the loss rises (m, o).
        price: Size of the move (m, o), to the power of the norm; inf for what is no option.
    """

    columns: IntArray
    moves: FloatArray
    gain: FloatArray
    price: FloatArray

    def part(self, rows: IntArray) -> "Thing":
        """The options of some rows."""
        return Thing(columns=self.columns, moves=self.moves[rows], gain=self.gain[rows], price=self.price[rows])


def room_of(space: Space, x: AnyArray) -> tuple[FloatArray, FloatArray]:
    """How far rows may move down and up (m, d); nowhere where they must stay, are missing or are no whole numbers."""
    origin = x.astype(np.float64)
    fixed = np.isnan(origin) | (space.eps == 0) | (space.steps & (origin != np.rint(origin)))
    low = np.where(fixed, 0.0, np.minimum(space.lower - origin, 0.0))
    high = np.where(fixed, 0.0, np.maximum(space.upper - origin, 0.0))
    return low, high


def _priced(space: Space, sizes: FloatArray) -> FloatArray:
    return sizes**2 if space.norm == "l2" else sizes


def most_steps(slope: FloatArray, low: FloatArray, high: FloatArray, wanted: FloatArray) -> FloatArray:
    """Steps of whole features the way their slopes point (m, s), no more than give the whole rise."""
    steep = np.abs(slope)
    with np.errstate(over="ignore"):
        needed = np.ceil(np.divide(wanted[:, None], steep, out=np.zeros(slope.shape), where=steep > 0))
    return np.minimum(np.floor(np.where(slope > 0, high, -low)), needed)


def steps_of(space: Space, j: int, slope: FloatArray, most: FloatArray, relaxed: FloatArray) -> Thing:
    """Steps of one whole feature: the same number of options for all rows, whichever they are asked beside."""
    width = int(min(_STEPS, space.upper[j] - space.lower[j])) + 1
    steps = np.broadcast_to(np.arange(float(width)), (len(slope), width))
    if space.upper[j] - space.lower[j] > _STEPS:
        near = np.floor(np.abs(relaxed) * space.eps[j])[:, None] + np.arange(width - 2) - _BELOW
        near = np.hstack([np.zeros((len(slope), 1)), np.clip(near, 0.0, most[:, None]), most[:, None]])
        steps = np.where(most[:, None] <= _STEPS, steps, near)
    gain, price = np.abs(slope)[:, None] * steps, _priced(space, steps / space.eps[j])
    return Thing(
        columns=np.array([j]),
        moves=(np.sign(slope)[:, None] * steps)[:, :, None],
        gain=gain,
        price=np.where(steps <= most[:, None], price, np.inf),
    )


def members_of(space: Space, group: IntArray, x: AnyArray, slope: FloatArray) -> Thing:
    """To stay, or to another member of a one-hot group."""
    values = x[:, group].astype(np.float64)
    hot, every, eye = values.argmax(axis=1), np.arange(len(x)), np.eye(len(group))
    unit = np.divide(1.0, space.eps[group], out=np.full(len(group), np.inf), where=space.eps[group] > 0)
    sizes = _priced(space, unit)
    price = np.maximum(sizes, sizes[hot][:, None]) if space.norm == "linf" else sizes + sizes[hot][:, None]
    own = np.isin(values, (0.0, 1.0)).all(axis=1) & (values.sum(axis=1) == 1.0)
    price = np.where(own[:, None] & (np.arange(len(group)) != hot[:, None]), price, np.inf)
    moves = eye[None] - eye[hot][:, None]
    stay = np.zeros((len(x), 1))
    return Thing(
        columns=group,
        moves=np.concatenate([np.zeros((len(x), 1, len(group))), moves], axis=1),
        gain=np.hstack([stay, slope[:, group] - slope[every, group[hot]][:, None]]),
        price=np.hstack([stay, price]),
    )


def units_of(space: Space) -> FloatArray:
    """Units of features (d,), 1 for those that must stay."""
    return np.where(space.eps > 0, space.eps, 1.0)


class Rest:
    """What the continuous features can give (m rows)."""

    def __init__(self, space: Space, free: IntArray, slope: FloatArray, low: FloatArray, high: FloatArray) -> None:
        self.space, self.free, self.width = space, free, space.schema.width
        self.given = slope, low, high
        self.norm, self.units = space.norm, space.eps[free]
        self.slope, self.low, self.high = slope * self.units, low / self.units, high / self.units
        room = np.where(self.slope > 0, self.high, -self.low)
        self.steep, self.room = np.abs(self.slope), np.where(self.slope == 0, 0.0, room)
        self.most = np.sum(np.where(self.steep > 0, self.steep * self.room, 0.0), axis=1)

    def part(self, rows: IntArray) -> "Rest":
        """The same of some rows."""
        return Rest(self.space, self.free, *(given[rows] for given in self.given))

    def moves(self, rows: IntArray, rise: FloatArray) -> FloatArray:
        """The smallest moves for rises above 0, in the user's units."""
        found = shortest_in_box(self.slope[rows], rise, self.low[rows], self.high[rows], norm=self.norm)
        return found * self.units

    def least(self, rise: FloatArray) -> FloatArray:
        """Prices that rises (m, C) take at least: those without bounds, inf beyond what bounds allow."""
        dual = np.linalg.norm(self.steep, axis=1) if self.norm == "l2" else self.steep.max(axis=1, initial=0.0)
        share = np.divide(rise, dual[:, None], out=np.full(rise.shape, np.inf), where=dual[:, None] > 0)
        price = share**2 if self.norm == "l2" else share
        return np.where(rise <= 0, 0.0, np.where(rise <= self.most[:, None], price, np.inf))

    def price(self, rows: IntArray, rise: FloatArray) -> FloatArray:
        """The price of rises (r,), exactly."""
        some = (rise > 0) & (self.most[rows] > 0)
        found = np.where(rise > 0, np.inf, 0.0)
        if some.any():
            moves = np.abs(self.moves(rows[some], rise[some]) / self.units)
            paid = np.sum(moves**2 if self.norm == "l2" else moves, axis=1)
            found[some] = np.where(rise[some] <= self.most[rows[some]], paid, np.inf)
        return found

    def within(self, radius: FloatArray) -> FloatArray:
        """The largest rises within radii (m,) in linf."""
        return np.asarray(np.sum(self.steep * np.minimum(self.room, radius[:, None]), axis=1))


@dataclass(frozen=True, slots=True)
class Steps:
    """Whole features in linf, of which each goes as many steps as the radius lets it.

    Args:
        columns: The features (s,).
        slope: Gradients (m, s).
        most: Steps at most (m, s).
        units: Their units (s,).
    """

    columns: IntArray
    slope: FloatArray
    most: FloatArray
    units: FloatArray

    def within(self, radius: FloatArray) -> FloatArray:
        """Steps within radii (m, s)."""
        return np.minimum(self.most, np.floor(radius[:, None] * self.units * (1.0 + _JUST_ABOVE)))
