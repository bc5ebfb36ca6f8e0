"""Attack on regression trees: the reachable leaves with the largest, or smallest, sum, greedily and then exactly."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.output_target import OutputTarget
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.attacks.tree_choices import Choices, thresholds_of
from robust.attacks.tree_leaves import Leaves, reachable_leaves
from robust.attacks.tree_milp import exact_state
from robust.attacks.tree_structure import TreeEnsemble, TreePart, joined_trees
from robust.data.budget import Eps, category_eps
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model, adapter_of
from robust.predicting.metering import remark
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

_STEPS = 50
# Leaves times options of one row that the exact search takes on, and sums that it may improve in turn.
_LARGEST, _TURNS = 60_000, 40
# How far sums of leaves may be from the model's answers, of the largest of these.
_SAME = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOutput(Attack):
    """The leaves of a regression ensemble that a row can reach, and of these the largest sum.

    A leaf is a box; the row moves into the boxes of other leaves by the cheapest changes that enter them, as long as
    the sum rises. Where its program is small, a mixed-integer program over all combinations of leaves is then asked for
    a larger sum, again and again, until it proves that there is none, up to 1e-5 of the largest leaf.

    For scikit-learn's decision trees, random forests, ExtraTrees, gradient boosting and histogram gradient boosting
    (without categorical splits, and with a loss whose link is the identity).

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        nodes: Branches of each program.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Leaf to leaf: Zhang, Zhang and Hsieh (2020), section 4; exact: Kantchelian, Tygar and Joseph (2016), section 3.

    >>> TreeOutput(eps=0.5)
    TreeOutput(eps=0.5, norm='linf', nodes=300)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    nodes: int = 300

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "nodes")

    @property
    def gradients(self) -> bool:
        """It needs none: it reads the trees."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002 - nothing is random
        """Row by row: greedily, then exactly."""
        model, x = target.caller.model, target.x
        trees = regression_trees(model)
        if trees is None or not isinstance(target, OutputTarget):
            raise InvalidInput(f"{model.name} is no regression tree ensemble that can be read; RandomSearch attacks it")
        columns = _columns(target)
        _require_same(trees, target, columns)
        thresholds, categories = thresholds_of(trees, space, columns), category_eps(self.eps, space.schema)
        found, proved = x.copy(), 0
        for i in range(len(x)):
            choices = thresholds.choices(x[i], categories)
            if not choices.columns:
                proved += 1
                continue
            goal = np.inf if target.patient else float(target.sign * target.base[i] + target.by)
            row = _Row(trees=trees, choices=choices, columns=columns, target=target, space=space, goal=goal)
            found[i], settled = row.pushed(self.nodes)
            proved += settled
        if proved < len(x):
            remark(
                f"TreeOutput: {len(x) - proved} of {len(x)} rows without proof that their leaves reach no farther (the "
                "exact search was too large, or ended early)"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Row:
    """One row that is pushed, as far as it goes or until its sum reaches a goal."""

    goal: float
    trees: TreeEnsemble
    choices: Choices
    columns: IntArray
    target: OutputTarget
    space: Space

    def pushed(self, nodes: int) -> tuple[AnyArray, bool]:
        """The row with the largest sum that was found, and whether it is proved to be the largest."""
        choices, leaves = self.choices, reachable_leaves(self.trees, self.choices, self.columns)
        best, height = self._climbed(leaves)
        if height >= self.goal or leaves.box.size > _LARGEST:
            return best, height >= self.goal
        gain = self.target.sign * leaves.values[:, self.target.output]
        least = np.array([gain[leaves.tree == t].min() for t in range(len(self.trees.roots))])
        # From the smallest leaf of each tree: the solver's precision is a share of the largest gain.
        gain, base = gain - least[leaves.tree], float(self._base + least.sum())
        wanted = height if np.isinf(self.goal) else self.goal
        for _ in range(_TURNS):
            if base + sum(gain[leaves.tree == t].max() for t in range(len(least))) <= wanted:
                return best, True  # not even with the best leaf of each tree
            told, ended = exact_state(choices, leaves, gain, base - wanted, tie=False, nodes=nodes)
            if told is None:
                return best, ended
            rows = choices.rows(told[None])
            reached = float(self._heights(rows)[0])
            if reached <= height or not choices.affordable(told[None])[0] or not self._related(rows)[0]:
                return best, False  # a relation forbids what the solver found, or its tolerance let it through
            best, height, wanted = rows[0], reached, reached
            if height >= self.goal:
                return best, True
        return best, False

    def _climbed(self, leaves: Leaves) -> tuple[AnyArray, float]:
        """From leaf to leaf while the sum rises."""
        choices, state = self.choices, self.choices.start[:-1].copy()
        here = choices.rows(state[None])
        height = float(self._heights(here)[0])
        for _ in range(_STEPS):
            states = np.unique(leaves.entered(choices, state), axis=0)
            states = states[choices.affordable(states)]
            rows = choices.rows(states)
            fine = self._related(rows)
            states, rows = states[fine], rows[fine]
            if len(states) == 0:
                break
            heights = self._heights(rows)
            top = int(heights.argmax())
            if heights[top] <= height:
                break
            state, here, height = states[top], rows[top : top + 1], float(heights[top])
        return here[0], height

    @property
    def _base(self) -> float:
        return self.target.sign * float(self.trees.base[self.target.output])

    def _heights(self, rows: AnyArray) -> FloatArray:
        """Sums of leaves the way that is asked for (m,)."""
        return np.asarray(self.target.sign * self.trees.scores(rows[:, self.columns])[:, self.target.output])

    def _related(self, rows: AnyArray) -> BoolArray:
        """Which rows keep the relations."""
        fine = np.ones(len(rows), dtype=bool)
        for relation in self.space.schema.relations:
            fine &= ~relation.violated(rows)
        return fine


def regression_trees(model: Model) -> TreeEnsemble | None:
    """The trees of a scikit-learn regressor, a column of `values` for each output; None for every other model.

    Args:
        model: Any model.
    """
    estimator: Any = getattr(adapter_of(model), "estimator", None) if model.framework == "sklearn" else None
    kind = type(estimator)
    if not kind.__module__.startswith(("sklearn.tree.", "sklearn.ensemble.")):
        return None
    name = kind.__name__
    if name in ("DecisionTreeRegressor", "ExtraTreeRegressor"):
        return joined_trees([_part(estimator.tree_, 1.0)], np.zeros(0), single=True)
    if name in ("RandomForestRegressor", "ExtraTreesRegressor"):
        members = estimator.estimators_
        parts = [_part(member.tree_, 1.0 / len(members)) for member in members]
        return joined_trees(parts, np.zeros(0), single=True)
    if name == "GradientBoostingRegressor":
        if estimator.init_ != "zero" and type(estimator.init_).__name__ != "DummyRegressor":
            return None  # it starts from another model's answer, which no tree tells
        rows = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
        base = np.asarray(estimator._raw_predict_init(rows), dtype=np.float64)[0]
        parts = [_part(stage[0].tree_, estimator.learning_rate) for stage in estimator.estimators_]
        return joined_trees(parts, base, single=True)
    return _histogram(estimator) if name == "HistGradientBoostingRegressor" else None


def _part(tree: Any, weight: float) -> TreePart:
    """A tree of scikit-learn, its outputs weighted."""
    return TreePart(
        feature=np.where(tree.children_left < 0, -1, tree.feature),
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left.astype(bool),
        values=weight * tree.value[:, :, 0],
    )


def _histogram(estimator: Any) -> TreeEnsemble | None:
    """Stages of histogram gradient boosting, whose values are compared in double precision."""
    if estimator._preprocessor is not None or type(estimator._loss.link).__name__ != "IdentityLink":
        return None
    parts = []
    for stage in estimator._predictors:
        nodes = stage[0].nodes
        leaf = nodes["is_leaf"].astype(bool)
        if (nodes["is_categorical"].astype(bool) & ~leaf).any():
            return None
        parts.append(
            TreePart(
                feature=np.where(leaf, -1, nodes["feature_idx"].astype(np.int64)),
                threshold=nodes["num_threshold"].astype(np.float64),
                left=nodes["left"].astype(np.int64),
                right=nodes["right"].astype(np.int64),
                missing_left=nodes["missing_go_to_left"].astype(bool),
                values=nodes["value"].astype(np.float64)[:, None],
            )
        )
    base = np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel()
    return joined_trees(parts, base, single=False)


def _columns(target: OutputTarget) -> IntArray:
    """Which feature of the schema each feature of the trees is."""
    names, columns = target.data.schema.names, target.caller.model.columns
    return np.arange(len(names)) if columns is None else np.array([names.index(name) for name in columns])


def _require_same(trees: TreeEnsemble, target: OutputTarget, columns: IntArray) -> None:
    """The trees as they were read must answer as the model does.

    Raises:
        ModelFault: If they do not.
    """
    read, told = trees.scores(target.x[:, columns])[:, target.output], target.base
    if np.abs(read - told).max() > _SAME * max(float(np.abs(told).max()), 1e-30):
        raise ModelFault(f"{target.caller.model.name} answers otherwise than the sums of its trees")
