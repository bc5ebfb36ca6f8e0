"""The moves of the Square attack on rows of any shape."""

from dataclasses import dataclass, field

import numpy as np

from robust.attacks.categories import codes_of, drawn_codes
from robust.attacks.relation_moves import mended
from robust.attacks.score_search import Reach
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

# The share halves after these parts of all queries, in 1/10,000 (Andriushchenko et al. 2020, section 5).
_HALVINGS = np.array([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000])
_MOST_CHANNELS = 4
_TILES = 5  # tiles a side of the first move in l2 and l1
_SUBSETS = 0.5  # of the blocks of rows of one axis; the others are runs of neighbours
_FAR = 3.0  # budgets: past the edge of any ball, so that the ball decides where a corner is


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Windows of features, as proposals of a random search.

    Args:
        reach: Where rows may go.
        share: First share of the features that a block takes.
        queries: Queries of a row, which the schedule is spread over.
    """

    reach: Reach
    share: float
    queries: int
    grid: tuple[int, int, int] = field(init=False)
    last: bool = field(init=False)

    def __post_init__(self) -> None:
        """Find the grid (channels, height, width) behind a row, and whether the channels come last."""
        grid, last = grid_of(self.reach.space.schema.shape)
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "last", last)

    @property
    def numbers(self) -> int:
        """Two windows, a sign a channel or feature, a jump a group or category, and a mend a relation."""
        space = self.reach.space
        channels, _, width = self.grid
        own = 2 * width if self._line else channels * max(width, _TILES**2)
        return 6 + channels + own + len(space.groups) + int((self.reach.categories > 0).sum()) + self._relations

    @property
    def _line(self) -> bool:
        """Whether rows have one axis, and nobody knows whether neighbours on it are related."""
        return self.grid[:2] == (1, 1)

    @property
    def _relations(self) -> int:
        return len(self.reach.space.schema.relations)

    def wish(self, x: AnyArray, now: AnyArray, made: IntArray, u: FloatArray) -> FloatArray:
        """A block of each row at the edge of the ball; at first, stripes or tiles all over."""
        space = self.reach.space
        channels = self.grid[0]
        jumps = len(space.groups) + int((self.reach.categories > 0).sum())
        spots, signs, own = u[:, :6], u[:, 6 : 6 + channels], u[:, 6 + channels : u.shape[1] - jumps - self._relations]
        later = u[:, u.shape[1] - jumps - self._relations :]
        share = shares(made, self.queries, self.share)
        mask, peak = self._window(share, spots[:, :3], own)
        sign = self._flat(np.where(signs < 0.5, -1.0, 1.0)[:, :, None, None])
        if self._line:  # a subset's features have nothing to do with each other: a sign each
            sign = np.where((spots[:, 2] < _SUBSETS)[:, None], np.where(own[:, self.grid[2] :] < 0.5, -1.0, 1.0), sign)
        first = made == 0
        if space.norm == "linf":
            wish = np.where(mask, x + sign * _FAR * space.eps, now)
        else:
            away, _ = self._window(share, spots[:, 3:], own[:, ::-1])
            wish = x + space.eps * _refilled(_relative(now, x, space.eps), mask, peak * sign, away, space.norm)
        if first.any():
            wish[first] = x[first] + _FAR * space.eps * self._stripes(own[first], space.norm)
        touched = mask | first[:, None]
        self._jump(wish, x, touched, later[:, :jumps])
        return mended(wish, x, space, later[:, jumps:]) if self._relations else wish

    def _window(self, share: FloatArray, spot: FloatArray, own: FloatArray) -> tuple[BoolArray, FloatArray]:
        """Which features a block takes (m, d), and its weights, largest in its middle."""
        _, height, width = self.grid
        area = share * height * width
        tall = np.clip(np.rint(np.sqrt(area)), 1, height)
        wide = np.clip(np.rint(area / tall), 1, width)
        tall = np.clip(np.rint(area / wide), 1, height)  # what does not fit sideways goes upwards
        rise, run = (
            _distance(size, length, spot[:, axis])
            for axis, (size, length) in enumerate(((tall, height), (wide, width)))
        )
        peak = self._flat(np.minimum(rise[:, :, None], run[:, None, :])[:, None])
        peak = np.maximum(peak, 0.0)
        if self._line:
            ranks = own[:, :width].argsort(axis=1).argsort(axis=1)
            peak = np.where((spot[:, 2] < _SUBSETS)[:, None], ranks < wide[:, None], peak)
        return peak > 0, peak

    def _stripes(self, own: FloatArray, norm: Norm) -> FloatArray:
        """The first move: vertical stripes in linf, tiles in l2 and l1, a sign each; tables: a sign a feature."""
        channels, height, width = self.grid
        if self._line:
            return np.where(own[:, width:] < 0.5, -1.0, 1.0)
        down, across = (1, width) if norm == "linf" else (min(_TILES, height), min(_TILES, width))
        signs = np.where(own[:, : channels * down * across] < 0.5, -1.0, 1.0).reshape(-1, channels, down, across)
        tiles = signs[:, :, np.arange(height) * down // height][:, :, :, np.arange(width) * across // width]
        return self._flat(tiles)

    def _flat(self, values: AnyArray) -> AnyArray:
        """Values on the grid (m, c or 1, h or 1, w or 1) as features (m, d)."""
        full = np.broadcast_to(values, (len(values), *self.grid))
        return np.moveaxis(full, 1, 3).reshape(len(values), -1) if self.last else full.reshape(len(values), -1)

    def _jump(self, wish: FloatArray, x: AnyArray, touched: BoolArray, u: FloatArray) -> None:
        """One-hot groups and categories that a block touches go to random members."""
        space = self.reach.space
        for g, group in enumerate(space.groups):
            rows = np.flatnonzero(touched[:, group].any(axis=1))
            wish[np.ix_(rows, group)] = 0.0
            wish[rows, group[np.floor(u[rows, g] * len(group)).astype(int)]] = 1.0
        for k, j in enumerate(np.flatnonzero(self.reach.categories), start=len(space.groups)):
            rows = np.flatnonzero(touched[:, j])
            wish[rows, j] = drawn_codes(x[rows, j], codes_of(space.schema, int(j)), u[rows, k])


def grid_of(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], bool]:
    """Channels, height and width of rows, and whether the channels are the last axis.

    >>> grid_of((3, 32, 20)), grid_of((32, 20, 3)), grid_of((12, 5)), grid_of((7,))
    (((3, 32, 20), False), ((3, 32, 20), True), ((1, 12, 5), False), ((1, 1, 7), False))
    """
    if len(shape) == 3:
        last = shape[2] <= _MOST_CHANNELS < shape[0]
        return ((shape[2], shape[0], shape[1]), True) if last else (shape, False)
    if len(shape) == 2:
        return (1, *shape), False
    return (1, 1, int(np.prod(shape, dtype=int))), False


def shares(made: IntArray, queries: int, first: float) -> FloatArray:
    """Share of the features that the next block of each row takes.

    >>> shares(np.array([0, 1, 5, 80]), 100, 0.8)
    array([0.8     , 0.2     , 0.1     , 0.003125])
    """
    halvings = np.searchsorted(_HALVINGS, made * 10_000 // queries, side="left")
    return np.asarray(first / 2.0**halvings)


def _distance(size: FloatArray, length: int, spot: FloatArray) -> FloatArray:
    """For each place on an axis, how deep it lies in a run of `size` at a random spot, above 0 inside (m, length)."""
    start = np.floor(spot * (length - size + 1.0))
    middle = start + (size - 1.0) / 2.0
    half = (size + 1.0) / 2.0
    gap: FloatArray = np.abs(np.arange(length)[None, :] - middle[:, None])
    return np.asarray(1.0 - gap / half[:, None])


def _relative(now: AnyArray, x: AnyArray, eps: FloatArray) -> FloatArray:
    """Moves in units of the budget."""
    gap = np.nan_to_num(now.astype(np.float64) - x.astype(np.float64))
    return np.divide(gap, eps, out=np.zeros(gap.shape), where=eps > 0)


def _refilled(move: FloatArray, mask: BoolArray, fresh: FloatArray, away: BoolArray, norm: Norm) -> FloatArray:
    """Moves (m, d) whose window gets a new direction, with the norm of both windows and the rest of the budget."""
    power = 2.0 if norm == "l2" else 1.0

    def size(values: FloatArray) -> FloatArray:
        return np.asarray((np.abs(values) ** power).sum(axis=1, keepdims=True))

    def unit(values: FloatArray) -> FloatArray:
        length = size(values) ** (1.0 / power)
        return np.asarray(np.divide(values, length, out=np.zeros(values.shape), where=length > 0))

    inside = np.where(mask, move, 0.0)
    mass = size(np.where(mask | away, move, 0.0)) + np.maximum(1.0 - size(move), 0.0)
    direction = unit(unit(np.where(mask, fresh, 0.0)) + unit(inside))
    return np.where(mask, direction * mass ** (1.0 / power), np.where(away, 0.0, move))
