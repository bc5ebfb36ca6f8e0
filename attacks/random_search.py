"""Random search for tables: a few features at a time, of any kind, to any value in reach."""

from dataclasses import dataclass, field

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.categories import codes_of, drawn_codes
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.projection import Space
from robust.attacks.relation_moves import mended
from robust.attacks.score_search import Reach, search_scores
from robust.attacks.target import Target
from robust.data.budget import Eps, category_eps
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

_STREAM = 65 << 32
# A query changes this share of what may change at first, one feature or group at the end of the queries.
_SHARE = 0.5
_CORNERS = 0.5  # of the new values, which lie at the edge of the budget; the others lie anywhere inside


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSearch(Attack):
    """Random search on scores, a few features at a time, each to a random value in its budget; black-box.

    Continuous features go to x ± eps or anywhere between, whole ones to whole values, one-hot groups to another
    member, categorical features that `eps` names to another category; kept if max_{j≠y} f_j − f_y does not fall. A
    broken relation is mended by one more of its features; rows that still break one are rejected.

    Half of the features change at first, one at a time in the end. For tables of any kind, and models of any kind:
    forests, pipelines, functions. Images and series are better met with `Square`.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template. A number leaves
            categorical features alone; `{"colour": 1}` lets one change to any category, as a move of length 1.
        norm: `linf`, `l2` or `l1`.
        queries: Forward passes a row at most.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Rastrigin (1963), for random search; the schedule is that of Andriushchenko et al. (2020) in spirit.

    >>> RandomSearch().at({"colour": 1})
    RandomSearch(eps={'colour': 1.0}, norm='linf', queries=500)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    queries: int = 500

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "queries")

    @property
    def gradients(self) -> bool:
        """It needs none."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Random search over features."""
        reach = Reach(space=space, categories=category_eps(self.eps, space.schema))
        moves = _Features(reach=reach, queries=self.queries)
        if moves.count == 0:
            return target.x.copy()
        return search_scores(target, reach, moves, queries=self.queries, seed=seed, stream=_STREAM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Features:
    """A few features at a time, as proposals of a random search.

    Args:
        reach: Where rows may go.
        queries: Queries of a row, which the schedule is spread over.
    """

    reach: Reach
    queries: int
    single: IntArray = field(init=False)
    groups: tuple[IntArray, ...] = field(init=False)
    codes: IntArray = field(init=False)

    def __post_init__(self) -> None:
        """Find what may change: single features, groups with two members that may move, categories."""
        space = self.reach.space
        object.__setattr__(self, "single", np.flatnonzero((space.eps > 0) & ~space.members))
        able = tuple(group[space.eps[group] > 0] for group in space.groups)
        object.__setattr__(self, "groups", tuple(group for group in able if len(group) > 1))
        object.__setattr__(self, "codes", np.flatnonzero(self.reach.categories))

    @property
    def count(self) -> int:
        """How many things may change."""
        return len(self.single) + len(self.groups) + len(self.codes)

    @property
    def numbers(self) -> int:
        """Two a thing, one more a single feature, one a relation."""
        return 2 * self.count + len(self.single) + len(self.reach.space.schema.relations)

    def wish(self, x: AnyArray, now: AnyArray, made: IntArray, u: FloatArray) -> FloatArray:
        """New values for a few features of each row; for all of them at first."""
        space, wish, count = self.reach.space, now.astype(np.float64), self.count
        chosen = self._chosen(made, u[:, :count])
        value, edge = u[:, count : 2 * count], u[:, 2 * count : 2 * count + len(self.single)]
        far = 2.0 * value[:, : len(self.single)] - 1.0
        far = np.where((edge < _CORNERS) | (made == 0)[:, None], np.sign(far), far)
        # Whole features: each whole value of [−eps, eps] is as likely as the others; an edge is the largest whole move.
        eps, whole = space.eps[self.single], space.steps[self.single]
        if whole.any():
            step = np.floor(eps[whole])
            drawn = np.minimum(np.floor(value[:, : len(self.single)][:, whole] * (2 * step + 1)), 2 * step) - step
            far[:, whole] = np.where(np.abs(far[:, whole]) == 1.0, far[:, whole] * step, drawn) / eps[whole]
        moved = x[:, self.single].astype(np.float64) + far * eps
        wish[:, self.single] = np.where(chosen[:, : len(self.single)], moved, wish[:, self.single])
        for k, group in enumerate(self.groups, start=len(self.single)):
            rows = np.flatnonzero(chosen[:, k])
            wish[np.ix_(rows, group)] = 0.0
            wish[rows, group[np.floor(value[rows, k] * len(group)).astype(int)]] = 1.0
        for k, j in enumerate(self.codes, start=len(self.single) + len(self.groups)):
            fresh = drawn_codes(now[:, j], codes_of(space.schema, int(j)), value[:, k])
            wish[:, j] = np.where(chosen[:, k], fresh, wish[:, j])
        return mended(wish, x, space, u[:, 2 * count + len(self.single) :]) if space.schema.relations else wish

    def _chosen(self, made: IntArray, u: FloatArray) -> BoolArray:
        """Which things change (m, count): those with the smallest numbers."""
        share = _SHARE * (1.0 - np.minimum(made / max(self.queries / 2.0, 1.0), 1.0))
        few = np.maximum(np.rint(share * self.count), 1)
        few = np.where(made == 0, self.count, few)
        return np.asarray(u.argsort(axis=1).argsort(axis=1) < few[:, None])
