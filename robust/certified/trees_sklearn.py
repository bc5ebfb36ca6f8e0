"""Reads scikit-learn's trees and ensembles of trees."""

from collections.abc import Callable
from typing import Any

import numpy as np

from robust.certified.tree_boxes import Leaves, TreeEnsemble, leaves_of
from robust.certified.unsupported import Unsupported
from robust.types import BoolArray, FloatArray

_ALONE = ("DecisionTreeClassifier", "ExtraTreeClassifier")
_FORESTS = ("RandomForestClassifier", "ExtraTreesClassifier")
_BOOSTED = "GradientBoostingClassifier"
_HISTOGRAMS = "HistGradientBoostingClassifier"
# Relative difference of a boosted model's own scores and those of its leaves that rounding explains.
_ROUNDING = 1e-9


def sklearn_trees(estimator: Any, rows: FloatArray, *, whole: BoolArray) -> TreeEnsemble | None:
    """The trees of an estimator; None for one without any.

    Args:
        estimator: A fitted classifier.
        rows: Some rows (n, d), by which the score before all trees is read off.
        whole: Features that take whole values alone (d,).

    Raises:
        Unsupported: If trees compare categories, or start from another model's scores.
    """
    if not type(estimator).__module__.startswith("sklearn."):
        return None
    name = type(estimator).__name__
    if name in (*_ALONE, *_FORESTS):
        members = [estimator] if name in _ALONE else list(estimator.estimators_)
        if estimator.n_outputs_ != 1:
            raise Unsupported(f"{name} of several outputs")
        trees = []
        for member in members:
            tree = member.tree_
            value = tree.value[:, 0, :]
            share = value / value.sum(axis=1, keepdims=True)
            trees.append(_leaves(tree, share / len(members), whole))
        return TreeEnsemble(trees=tuple(trees), start=np.zeros(estimator.n_classes_), single=True, vote=name in _ALONE)
    if name == _BOOSTED:
        scale = estimator.learning_rate
        trees = [
            _leaves(
                member.tree_, _column(scale * member.tree_.value[:, 0, 0], k, estimator.estimators_.shape[1]), whole
            )
            for stage in estimator.estimators_
            for k, member in enumerate(stage)
        ]
        return _started(TreeEnsemble(trees=tuple(trees), start=_zeros(trees), single=True, vote=False), estimator, rows)
    if name == _HISTOGRAMS:
        if estimator.is_categorical_ is not None and estimator.is_categorical_.any():
            raise Unsupported(f"{_HISTOGRAMS} with categorical features")  # its trees compare reordered columns
        trees = [
            _histogram_leaves(member.nodes, k, len(stage), whole)
            for stage in estimator._predictors
            for k, member in enumerate(stage)
        ]
        return _started(
            TreeEnsemble(trees=tuple(trees), start=_zeros(trees), single=False, vote=False), estimator, rows
        )
    return None


def _leaves(tree: Any, value: FloatArray, whole: BoolArray) -> Leaves:
    """Leaves of a tree of nodes in columns."""
    return leaves_of(tree.children_left, tree.children_right, tree.feature, tree.threshold, value, whole=whole)


def _histogram_leaves(nodes: Any, k: int, outputs: int, whole: BoolArray) -> Leaves:
    """Leaves of a tree that was grown on histograms."""
    inner = nodes["is_leaf"] == 0
    left = np.where(inner, nodes["left"].astype(np.int64), -1)
    right = np.where(inner, nodes["right"].astype(np.int64), -1)
    value = _column(np.asarray(nodes["value"], dtype=np.float64), k, outputs)
    return leaves_of(left, right, nodes["feature_idx"], nodes["num_threshold"], value, whole=whole)


def _column(value: FloatArray, k: int, outputs: int) -> FloatArray:
    """Values of one score among all; a single score is that of the second of two classes."""
    columns = np.zeros((len(value), max(outputs, 2)))
    columns[:, 1 if outputs == 1 else k] = value
    return columns


def _zeros(trees: list[Leaves]) -> FloatArray:
    return np.zeros(trees[0].value.shape[1])


def _started(ensemble: TreeEnsemble, estimator: Any, rows: FloatArray) -> TreeEnsemble:
    """The ensemble with the score that it starts from: what the model's own scores have more than its leaves."""
    ask: Callable[[FloatArray], FloatArray] = estimator.decision_function
    own = np.asarray(ask(rows), dtype=np.float64)
    own = np.stack([np.zeros(len(own)), own], axis=1) if own.ndim == 1 else own
    known = ~np.isnan(rows).any(axis=1)
    if not known.any():
        raise Unsupported("rows that all have missing values")
    gap = (own - ensemble.scores(rows))[known]
    start = np.median(gap, axis=0)
    if np.abs(gap - start).max() > _ROUNDING * (1.0 + np.abs(own).max()):
        raise Unsupported(f"{type(estimator).__name__} that starts from another model's scores")
    return TreeEnsemble(trees=ensemble.trees, start=start, single=ensemble.single, vote=False)
