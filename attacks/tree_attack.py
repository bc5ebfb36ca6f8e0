"""Attack on tree ensembles: leaves in reach, searched greedily, then exactly."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.losses import margins
from robust.attacks.near_points import near_points
from robust.attacks.projection import Space
from robust.attacks.relation_moves import mended
from robust.attacks.target import Target
from robust.attacks.tree_choices import Choices, Thresholds, thresholds_of
from robust.attacks.tree_leaves import Leaves, reachable_leaves
from robust.attacks.tree_milp import exact_state
from robust.attacks.tree_structure import TreeEnsemble, require_trees
from robust.data.budget import Eps, category_eps
from robust.errors import InvalidInput, ModelFault
from robust.predicting.metering import remark
from robust.randomness import row_uniform
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

_STREAM = 66 << 32
_DRAWS = 4  # random leaves that a restart enters
_STEPS = 50
_MENDS = 3  # features of a broken relation that are tried, to close its gap
_ROUNDING = 1e-9  # of sums of leaves, which are probabilities or log-odds
# Leaves times options of one row that the exact search takes on by default.
_LARGEST = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeAttack(Attack):
    """The leaves of a tree ensemble that a row can reach, searched greedily from leaf to leaf, then exactly.

    A leaf is a box; the row moves into the boxes of other leaves by the cheapest changes that enter them, as long as
    the margin rises. For a single tree without relations the first step is exact: it has tried the nearest point of
    every leaf. Rows of an ensemble that hold are handed to an exact search, a mixed-integer program over all
    combinations of leaves, which finds an adversarial row or proves that there is none.

    Integer, one-hot, categorical and immutable features are options like any other, so the exact search is exact under
    them. A row that breaks a relation is mended by one more of its features; such a row counts as proved only if no
    leaves break it even without relations. The model is asked once a row, to verify: its trees are read, not called.
    Supports scikit-learn's decision trees, random forests, ExtraTrees, gradient boosting and histogram gradient
    boosting (without categorical splits).

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template. A number leaves
            categorical features alone; `{"colour": 1}` lets one change to any category, as a move of length 1.
        norm: `linf`, `l2` or `l1`.
        restarts: Greedy searches of a row: the first from the row itself, the others from random leaves.
        exact: Whether rows that hold are searched exactly; None does so where the row's program is small.
        nodes: Branches of the exact search, a row and class.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Leaf to leaf: Zhang, Zhang and Hsieh (2020), section 4; exact: Kantchelian, Tygar and Joseph (2016), section 3.

    >>> TreeAttack(eps=0.5)
    TreeAttack(eps=0.5, norm='linf', restarts=3, exact=None, nodes=1000)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    restarts: int = 3
    exact: bool | None = None
    nodes: int = 1000

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "restarts", "nodes")
        if self.exact is not None and not isinstance(self.exact, bool):
            raise InvalidInput(f"exact got {self.exact!r}; True, False or None would be right")

    @property
    def gradients(self) -> bool:
        """It needs none: it reads the trees."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Row by row: greedily, then exactly."""
        trees = require_trees(target.caller.model)
        columns = _columns(target)
        _require_same(trees, target, columns)
        thresholds = thresholds_of(trees, space, columns)
        categories = category_eps(self.eps, space.schema)
        found, x, keys = target.x.copy(), target.x, target.data.row_keys()
        moved = np.zeros(len(target), dtype=bool)
        settled = np.zeros(len(target), dtype=bool)
        left = np.arange(len(target))
        for ties in (True, False):  # a tie goes to the first class, unless the model's own rounding decides otherwise
            for i in left:
                draws = row_uniform(keys[i : i + 1], self.restarts * _DRAWS, seed=seed, stream=_STREAM)
                row = _Row(trees, thresholds, categories, columns, x[i], int(target.y[i]), ties=ties)
                found[i], settled[i] = row.attacked(draws.reshape(-1, _DRAWS), exact=self.exact, nodes=self.nodes)
                moved[i] = row.broken
            told = moved & ~target.wrong(target.scores(found), slice(None))
            left = np.flatnonzero(told)
        unsettled = int((~settled).sum())
        if unsettled:
            remark(
                f"TreeAttack: {unsettled} of {len(target)} rows held without proof (the exact search was left out or "
                f"ended at nodes={self.nodes}); exact=True or more nodes would decide them"
            )
        return found


class _Row:
    """One row under attack; built for it, thrown away after it."""

    def __init__(
        self,
        trees: TreeEnsemble,
        thresholds: Thresholds,
        categories: FloatArray,
        columns: IntArray,
        x: AnyArray,
        y: int,
        *,
        ties: bool,
    ) -> None:
        self.trees, self.columns, self.y, self.ties = trees, columns, y, ties
        self.broken = False
        self.space = thresholds.space
        self.schema = self.space.schema
        self.categories = np.flatnonzero(categories > 0)
        self.choices: Choices = thresholds.choices(x, categories)
        self.leaves: Leaves = reachable_leaves(trees, self.choices, columns)

    def attacked(self, draws: FloatArray, *, exact: bool | None, nodes: int) -> tuple[AnyArray, bool]:
        """The row that breaks the trees or comes nearest, and whether it is broken or proved to hold."""
        row, height, settled = self._searched(draws, exact=exact, nodes=nodes)
        self.broken = height > 0
        return row, settled or self.broken

    def _searched(self, draws: FloatArray, *, exact: bool | None, nodes: int) -> tuple[AnyArray, float, bool]:
        """The best row, its margin, and whether the search is complete."""
        choices = self.choices
        best, height = choices.x, float(self._margins(choices.x[None])[0])
        if not choices.columns or height > 0:
            return best, height, True
        for number, turn in enumerate(draws):
            state = self._drawn(turn) if number else choices.start[:-1].copy()
            row, margin = self._climbed(state)
            if margin > height and self._related(row[None])[0]:
                best, height = row, margin
            if height > 0 or (len(self.trees.roots) == 1 and not self.schema.relations):
                return best, height, True
        small = self.leaves.box.size <= _LARGEST
        if exact is False or (exact is None and not small):
            return best, height, False
        settled = True
        for other in np.flatnonzero(np.arange(len(self.trees.base)) != self.y):
            gain = self.leaves.values[:, other] - self.leaves.values[:, self.y]
            offset = float(self.trees.base[other] - self.trees.base[self.y])
            tie = self.ties and bool(other < self.y)
            if offset + sum(gain[self.leaves.tree == t].max() for t in range(len(self.trees.roots))) < -_ROUNDING:
                continue  # not even with the best leaf of each tree
            told, ended = exact_state(choices, self.leaves, gain, offset, tie=tie, nodes=nodes)
            settled &= ended
            if told is not None:
                rows = self._tried(told[None])[1]
                if len(rows) and choices.affordable(told[None])[0]:
                    heights = self._margins(rows)
                    if heights.max() > height:
                        best, height = rows[heights.argmax()], float(heights.max())
                if height > 0:
                    return best, height, True
                settled = False  # a relation forbids what the solver found, or its tolerance let it through
        return best, height, settled

    def _climbed(self, state: IntArray) -> tuple[AnyArray, float]:
        """From leaf to leaf while the margin rises."""
        choices = self.choices
        here = self._tried(state[None])[1][:1]
        if len(here) == 0:
            here = choices.x[None]
        margin = float(self._margins(here)[0])
        for _ in range(_STEPS):
            states = np.unique(self.leaves.entered(choices, state), axis=0)
            states = states[choices.affordable(states)]
            place, rows = self._tried(states)
            if len(rows) == 0:
                break
            heights = self._margins(rows)
            top = int(heights.argmax())
            if heights[top] <= margin:
                break
            state, here, margin = states[place[top]], rows[top : top + 1], float(heights[top])
            if margin > 0:
                break
        return here[0], margin

    def _tried(self, states: IntArray) -> tuple[IntArray, AnyArray]:
        """Rows of states that keep the relations, mended where they broke them, and which state each is of."""
        rows, place = self.choices.rows(states), np.arange(len(states))
        fine = self._related(rows)
        if fine.all():
            return place, rows
        broken = np.flatnonzero(~fine)
        # In l2 and l1 what another category costs is not known to the ball: such rows are left out.
        changed = (rows[np.ix_(broken, self.categories)] != self.choices.x[self.categories]).any(axis=1)
        broken = broken[~changed] if self.space.norm != "linf" else broken
        first, second = rows[fine], rows[broken]
        all_rows, all_places = [first], [place[fine]]
        x = np.repeat(self.choices.x[None], len(broken), axis=0)
        for turn in range(_MENDS if len(broken) else 0):
            u = np.full((len(broken), len(self.schema.relations)), (turn + 0.5) / _MENDS)
            near = near_points(self.space, x, mended(second.astype(np.float64), x, self.space, u)).copy()
            near[:, self.categories] = second[:, self.categories]
            kept = self._related(near)
            all_rows.append(near[kept])
            all_places.append(place[broken[kept]])
        return np.concatenate(all_places), np.concatenate(all_rows)

    def _drawn(self, turn: FloatArray) -> IntArray:
        """A random state within the budget: into a few random leaves, one after the other."""
        state = self.choices.start[:-1].copy()
        entered = self.leaves.entered(self.choices, state)
        for number in turn:
            place = int(number * len(entered))
            wish = np.where(entered[place] != self.choices.start[:-1], entered[place], state)
            if self.choices.affordable(wish[None])[0]:
                state = wish
        return state

    def _margins(self, rows: AnyArray) -> FloatArray:
        """Margin of each row in the trees' own sums: above 0 where it is no rounding, or a tie that the row loses."""
        scores = self.trees.scores(rows[:, self.columns])
        scores[:, : self.y] += 2.0 * _ROUNDING * self.ties
        return margins(scores, np.full(len(rows), self.y)) - _ROUNDING

    def _related(self, rows: AnyArray) -> BoolArray:
        """Which rows keep the relations."""
        fine = np.ones(len(rows), dtype=bool)
        for relation in self.schema.relations:
            fine &= ~relation.violated(rows)
        return fine


def _columns(target: Target) -> IntArray:
    """Which feature of the schema each feature of the trees is."""
    names, columns = target.data.schema.names, target.caller.model.columns
    return np.arange(len(names)) if columns is None else np.array([names.index(name) for name in columns])


def _require_same(trees: TreeEnsemble, target: Target, columns: IntArray) -> None:
    """The trees as they were read must decide as the model does, rows at a tie aside.

    Raises:
        ModelFault: If they do not.
    """
    rows = slice(0, min(len(target), target.batch))
    read, told = trees.scores(target.x[rows][:, columns]), target.scores(target.x[rows])
    name = target.caller.model.name
    if read.shape[1] != told.shape[1]:
        raise ModelFault(f"{name} has {told.shape[1]} classes, its trees {read.shape[1]}")
    clear = np.abs(margins(read, read.argmax(axis=1))) > 1e-6
    differ = clear & (read.argmax(axis=1) != told.argmax(axis=1))
    if differ.any():
        raise ModelFault(
            f"{name} decides otherwise than its trees on {int(differ.sum())} of {len(differ)} rows; "
            "RandomSearch(eps=…) attacks it as it is"
        )
