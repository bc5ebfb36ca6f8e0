"""Tree ensembles as arrays: which leaf a row ends in, and what each leaf adds to the score of each class."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.models.base import Model, adapter_of
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

_CELLS = 1 << 20  # rows × trees that are walked at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreeEnsemble:
    """Trees whose leaves are summed; the class with the largest sum is the decision.

    Args:
        feature: Feature that a node compares (nodes,), −1 at leaves.
        threshold: A row goes left where its value is at most this (nodes,).
        left: Left child (nodes,); a leaf is its own.
        right: Right child (nodes,).
        missing_left: Whether a missing value goes left (nodes,).
        values: What a leaf adds to each class (nodes, k).
        roots: Root of each tree (trees,).
        base: Score of each class before any tree (k,).
        single: Values are rounded to single precision before they are compared.
    """

    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    missing_left: BoolArray
    values: FloatArray
    roots: IntArray
    base: FloatArray
    single: bool

    def scores(self, x: AnyArray) -> FloatArray:
        """Sums (n, k) of the leaves that rows (n, d) end in."""
        chunk = max(_CELLS // len(self.roots), 1)
        parts = [self.base + self.values[self.leaves(x[i : i + chunk])].sum(axis=1) for i in range(0, len(x), chunk)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.base)))

    def leaves(self, x: AnyArray) -> IntArray:
        """The leaf of each tree that rows (n, d) end in (n, trees)."""
        x = x.astype(np.float32 if self.single else np.float64, copy=False)
        at = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        rows = np.arange(len(x))[:, None]
        while True:
            compared = self.feature[at]
            inner = compared >= 0
            if not inner.any():
                return at
            at = np.where(inner, np.where(self.goes_left(x[rows, compared], at), self.left[at], self.right[at]), at)

    def goes_left(self, value: AnyArray, node: IntArray) -> BoolArray:
        """Which values a node sends left; they are in the precision that is compared."""
        return np.asarray((value <= self.threshold[node]) | (np.isnan(value) & self.missing_left[node]))


def tree_ensemble(model: Model) -> TreeEnsemble | None:
    """The trees of a scikit-learn classifier.

    Args:
        model: Any model.

    Returns:
        The ensemble, for a decision tree, a random forest, extremely randomised trees, gradient boosting and
        histogram gradient boosting without splits on categories; None for every other model.
    """
    estimator: Any = getattr(adapter_of(model), "estimator", None) if model.framework == "sklearn" else None
    kind = type(estimator)
    if not kind.__module__.startswith(("sklearn.tree.", "sklearn.ensemble.")):
        return None
    if np.ndim(getattr(estimator, "n_classes_", 0)) or model.task != "classification":
        return None
    parts: list[TreePart] | None = None
    base: FloatArray = np.zeros(0)
    single = True
    if kind.__name__ in ("DecisionTreeClassifier", "ExtraTreeClassifier"):
        parts = [_stored(estimator.tree_, 1.0)]
    elif kind.__name__ in ("RandomForestClassifier", "ExtraTreesClassifier"):
        parts = [_stored(member.tree_, 1.0 / len(estimator.estimators_)) for member in estimator.estimators_]
    elif kind.__name__ == "GradientBoostingClassifier":
        parts, base = _boosted(estimator)
    elif kind.__name__ == "HistGradientBoostingClassifier":
        parts, base, single = _histogram(estimator)
    return None if parts is None else joined_trees(parts, base, single=single)


def require_trees(model: Model) -> TreeEnsemble:
    """The trees of a model.

    Raises:
        InvalidInput: If it has none that can be read.
    """
    found = tree_ensemble(model)
    if found is None:
        raise InvalidInput(
            f"{model.name} ({model.framework}) is no tree ensemble that can be read: a scikit-learn decision tree, "
            "random forest, ExtraTrees, gradient boosting or histogram gradient boosting classifier (without splits on "
            "categories) would be right; RandomSearch(eps=…) attacks any model"
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreePart:
    """One tree, as an ensemble of it alone would have it: children are counted from its own first node."""

    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    missing_left: BoolArray
    values: FloatArray


def _stored(tree: Any, weight: float, column: int | None = None, classes: int = 0) -> TreePart:
    """A tree of scikit-learn; for boosting, its one value goes to the column of a class."""
    leaf = tree.children_left < 0
    if column is None:
        values = tree.value[:, 0, :]
        values = weight * values / values.sum(axis=1, keepdims=True)
    else:
        values = np.zeros((tree.node_count, classes))
        values[:, column] = weight * tree.value[:, 0, 0]
    return TreePart(
        feature=np.where(leaf, -1, tree.feature),
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left.astype(bool),
        values=values,
    )


def _boosted(estimator: Any) -> tuple[list[TreePart] | None, FloatArray]:
    """Stages of gradient boosting; of two classes the second alone has trees."""
    rows = np.zeros((1, estimator.n_features_in_))
    if estimator.init_ != "zero" and type(estimator.init_).__name__ != "DummyClassifier":
        return None, np.zeros(0)  # it starts from another model's answer, which no tree tells
    raw = np.asarray(estimator._raw_predict_init(rows.astype(np.float32)), dtype=np.float64)[0]
    columns = estimator.estimators_.shape[1]
    classes = max(columns, 2)
    base = np.array([0.0, raw[0]]) if columns == 1 else raw
    parts = [
        _stored(stage[k].tree_, estimator.learning_rate, k if columns > 1 else 1, classes)
        for stage in estimator.estimators_
        for k in range(columns)
    ]
    return parts, base


def _histogram(estimator: Any) -> tuple[list[TreePart] | None, FloatArray, bool]:
    """Stages of histogram gradient boosting, whose values are compared in double precision."""
    raw = np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel()
    columns = len(estimator._predictors[0])
    classes, parts = max(columns, 2), []
    if estimator._preprocessor is not None:
        return None, raw, False
    for stage in estimator._predictors:
        for k, predictor in enumerate(stage):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            if (nodes["is_categorical"].astype(bool) & ~leaf).any():
                return None, raw, False
            values = np.zeros((len(nodes), classes))
            values[:, k if columns > 1 else 1] = nodes["value"]
            part = TreePart(
                feature=np.where(leaf, -1, nodes["feature_idx"].astype(np.int64)),
                threshold=nodes["num_threshold"].astype(np.float64),
                left=nodes["left"].astype(np.int64),
                right=nodes["right"].astype(np.int64),
                missing_left=nodes["missing_go_to_left"].astype(bool),
                values=values,
            )
            parts.append(part)
    return parts, np.array([0.0, raw[0]]) if columns == 1 else raw, False


def joined_trees(parts: list[TreePart], base: FloatArray, *, single: bool) -> TreeEnsemble:
    """All trees in one set of arrays.

    Args:
        parts: The trees.
        base: Score of each class, or value of each output, before any tree (k,); empty for zeros.
        single: Values are rounded to single precision before they are compared.
    """
    sizes = np.array([len(part.feature) for part in parts])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def children(side: str) -> Iterator[IntArray]:
        for part, root in zip(parts, roots, strict=True):
            own = np.arange(root, root + len(part.feature))
            yield np.where(part.feature < 0, own, getattr(part, side).astype(np.int64) + root)

    values = np.concatenate([part.values for part in parts])
    return TreeEnsemble(
        feature=np.concatenate([part.feature for part in parts]).astype(np.int64),
        threshold=np.concatenate([part.threshold for part in parts]),
        left=np.concatenate(list(children("left"))),
        right=np.concatenate(list(children("right"))),
        missing_left=np.concatenate([part.missing_left for part in parts]),
        values=values,
        roots=roots,
        base=base if len(base) else np.zeros(values.shape[1]),
        single=single,
    )
