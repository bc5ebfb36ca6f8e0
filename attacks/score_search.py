"""Random search on scores: a proposal is kept if it brings a row nearer to a mistake."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from robust.attacks.balls import Ball, ball_around
from robust.attacks.categories import spent_on
from robust.attacks.losses import log_margins
from robust.attacks.near_points import near_points
from robust.attacks.projection import Space
from robust.attacks.refill import Live, refilled
from robust.attacks.target import Target
from robust.randomness import row_uniform, row_words
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


class Proposals(Protocol):
    """What a random search tries next; hyper-parameters only, all state is the rows'."""

    @property
    def numbers(self) -> int:
        """Uniform numbers a query."""
        ...

    def wish(self, x: AnyArray, now: AnyArray, made: IntArray, u: FloatArray) -> FloatArray:
        """Where to go next.

        Args:
            x: Original rows (m, d).
            now: Best rows so far (m, d).
            made: Queries made by each row (m,); 0 asks for a start.
            u: Uniform numbers (m, numbers).

        Returns:
            Wishes (m, d), float64; they need not obey budget or schema.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """Where rows may go: a space, and categories at a price.

    Args:
        space: Ball, bounds and schema; categorical features stay in it.
        categories: Budget of each categorical feature that may change (d,), see `category_eps`.
    """

    space: Space
    categories: FloatArray

    def points(self, ball: Ball, wish: FloatArray, taste: FloatArray | None = None) -> AnyArray:
        """Rows that obey budget and schema, near wished ones.

        Args:
            ball: Around the original rows (m, d).
            wish: Wished rows (m, d).
            taste: Decides between equal members of a one-hot group (m, d).
        """
        columns = np.flatnonzero(self.categories)
        if len(columns) == 0:
            return near_points(self.space, ball.x, wish, taste=taste, ball=ball)
        x = ball.x
        changed = (wish[:, columns] != x[:, columns]) & ~np.isnan(x[:, columns])
        spent = spent_on(changed, self.categories[columns], self.space.norm)
        changed &= (spent <= 1.0)[:, None]
        spent = np.where(spent <= 1.0, spent, 0.0)
        if self.space.norm != "linf" and spent.any():
            rest = (1.0 - spent) ** (0.5 if self.space.norm == "l2" else 1.0)
            rows = near_points(self.space, x, wish, eps=rest[:, None] * self.space.eps, taste=taste).copy()
        else:
            rows = near_points(self.space, x, wish, taste=taste, ball=ball).copy()
        rows[:, columns] = np.where(changed, wish[:, columns].astype(x.dtype), x[:, columns])
        for relation in self.space.schema.relations:
            broken = relation.violated(rows)
            rows[broken] = x[broken]
        return rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Live(Live):
    """Rows that are being searched.

    Args:
        key: Keys of the rows (m,).
        now: Their best places (m, d).
        best: How near to a mistake those are (m,).
        made: Queries made (m,).
    """

    key: IntArray
    now: AnyArray
    best: FloatArray
    made: IntArray


def search_scores(
    target: Target, reach: Reach, proposals: Proposals, *, queries: int, seed: int, stream: int
) -> AnyArray:
    """Propose, ask, and keep what is no worse, row by row, until a row is broken or its queries are spent.

    A row's numbers depend on its key and on the queries that it has made, not on the rows beside it. A broken row
    leaves at once and the next one takes its place in the batch.

    Args:
        target: The classifier and the rows (n, d).
        reach: Where they may go.
        proposals: What is tried.
        queries: Forward passes a row at most.
        seed: Seed of the proposals.
        stream: Stream of the row generator.

    Returns:
        Rows (n, d): the first broken one, else the one nearest to a mistake.
    """
    found, x = target.x.copy(), target.x
    keys = row_words(target.data.row_keys(), 1, seed=seed, stream=stream)[:, 0]

    def enter(rows: IntArray) -> _Live:
        return _Live(
            rows=rows,
            ball=ball_around(reach.space, x[rows]),
            key=keys[rows],
            now=x[rows],
            best=np.full(len(rows), -np.inf),
            made=np.zeros(len(rows), dtype=np.int64),
        )

    def step(live: _Live) -> _Live | None:
        u = row_uniform(live.key + live.made.astype(np.uint64), proposals.numbers, seed=seed, stream=stream)
        live, right = _queried(target, reach, proposals, live, u.astype(np.float64))
        going = right & (live.made < queries)
        found[live.rows[~going]] = live.now[~going]
        if going.all():
            return live
        return live.part(going) if going.any() else None

    refilled(np.arange(len(target)), batch=target.batch, enter=enter, step=step)
    return found


def _queried(target: Target, reach: Reach, proposals: Proposals, live: _Live, u: FloatArray) -> tuple[_Live, BoolArray]:
    """One query of each live row: the live set after it, and which rows are still right."""
    wish = proposals.wish(live.ball.x, live.now, live.made, u)
    points = reach.points(live.ball, wish, u[:, : wish.shape[1]] if u.shape[1] >= wish.shape[1] else None)
    scores = target.scores(points)
    out = target.wrong(scores, live.rows)
    margins = log_margins(scores, target.y[live.rows], scale=target.scale)
    moved = ((points != live.ball.x) & ~np.isnan(points)).any(axis=1)
    # Equals are taken: a model of steps (a forest, a quantized network) has plateaus that must be crossed.
    better = out | (margins > live.best) | ((margins == live.best) & moved)
    return replace(
        live,
        now=np.where(better[:, None], points, live.now),
        best=np.where(better, margins, live.best),
        made=live.made + 1,
    ), ~out
