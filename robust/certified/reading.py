"""Finds what there is to prove something with: a network's operators, or a model's trees."""

import numpy as np
from scipy.special import expit, log_softmax, softmax

from robust.certified.interval_bounds import interval_bounds
from robust.certified.network import Network
from robust.certified.perturbations import perturbations
from robust.certified.tree_boxes import TreeEnsemble
from robust.certified.unsupported import Unsupported
from robust.data.budget import every_eps
from robust.data.dataset import Dataset
from robust.models.base import Model, adapter_of
from robust.models.linear_gradients import LinearGradients
from robust.predicting.predictions import Predictions
from robust.types import AnyArray, FloatArray

_ROWS = 64  # rows that an ensemble's start is read off


def read_structure(model: Model, data: Dataset) -> Network | TreeEnsemble:
    """What a model computes, as far as bounds of it are known.

    Args:
        model: The classifier.
        data: Rows of the shape and number type that it is given.

    Returns:
        A network or trees.

    Raises:
        Unsupported: If it is neither; the message names what has no bounds.
    """
    shape, kind = data.schema.shape, data.x.dtype
    if isinstance(model.gradients, LinearGradients):
        from robust.certified.network_sklearn import linear_network

        return linear_network(model.gradients, shape, kind)
    adapter = adapter_of(model)
    if model.framework == "torch" and hasattr(adapter, "module"):
        from robust.certified.network_torch import torch_network

        return torch_network(adapter.module, shape, kind)
    if model.framework == "onnx":
        if model.content is None:
            raise Unsupported("an onnxruntime session that was not loaded from its file")
        from robust.certified.network_onnx import onnx_network

        return onnx_network(model.content(), shape, kind, output=getattr(adapter, "output", None))
    if model.framework == "sklearn":
        return _of_estimator(adapter.estimator, data)
    raise Unsupported(f"{model.name} ({model.framework})")


def _of_estimator(estimator: object, data: Dataset) -> Network | TreeEnsemble:
    """The network or the trees of a scikit-learn estimator."""
    from robust.certified.network_sklearn import perceptron_network
    from robust.certified.trees_sklearn import sklearn_trees

    network = perceptron_network(estimator, data.schema.shape, data.x.dtype)
    if network is not None:
        return network
    schema = data.schema
    whole = schema.mask("integer", "binary", "one_hot", "categorical") | (data.x.dtype.kind != "f")
    rows = np.asarray(schema.flat(data.x)[:_ROWS], dtype=np.float64)
    trees = sklearn_trees(estimator, rows, whole=whole)
    if trees is None:
        raise Unsupported(type(estimator).__name__)
    return trees


def require_same_answers(structure: Network | TreeEnsemble, predictions: Predictions, data: Dataset) -> None:
    """Check that what was read gives the model's own answers, within what rounding explains.

    Args:
        structure: What was read.
        predictions: The model's answers.
        data: The rows.

    Raises:
        Unsupported: If a row's answer lies elsewhere: the model does more than its operators say (a hook, another
            precision, a transform of the input).
    """
    x = data.schema.flat(data.x)
    known = ~np.isnan(np.asarray(x, dtype=np.float64)).any(axis=1)
    own = predictions.outputs[known]
    apart = _tree_gap(structure, x[known], own) if isinstance(structure, TreeEnsemble) else None
    if isinstance(structure, Network):
        apart = _network_gap(structure, x[known], own, data)
    if apart is None or apart.any():
        count = len(x) if apart is None else int(apart.sum())
        raise Unsupported(
            f"{predictions.model} gives other answers than the operators that it is made of, on {count} rows: its "
            "arithmetic, or code around them,"
        )


def _network_gap(network: Network, x: AnyArray, own: FloatArray, data: Dataset) -> AnyArray | None:
    """Rows whose outputs are outside the bounds for no change at all (n,); None for another number of outputs."""
    if own.shape[1] != network.nodes[-1].width:
        return None
    still = every_eps(0.0, data.schema)
    apart = np.zeros(len(x), dtype=bool)
    middle: FloatArray
    for start in range(0, len(x), 256):
        rows = slice(start, start + 256)
        bounds = interval_bounds(network, perturbations(x[rows], data.schema, eps=still, norm="linf"))
        lower, upper = bounds.lower[-1], bounds.upper[-1]
        if network.tail != "none":
            middle, radius = (lower + upper) / 2.0, (upper - lower).max(axis=1, keepdims=True)
            tails = {"softmax": softmax, "log_softmax": log_softmax, "sigmoid": None}
            tail = tails[network.tail]
            middle = _pair(middle) if tail is None else tail(middle, axis=1)
            slack = 2.0 * radius + 64.0 * network.unit * (1.0 + np.abs(own[rows]))
            lower, upper = middle - slack, middle + slack
        apart[rows] = ((own[rows] < lower) | (own[rows] > upper)).any(axis=1)
    return apart


def _pair(logits: FloatArray) -> FloatArray:
    """Probabilities of two classes from the logits (0, z)."""
    gap = logits[:, 1] - logits[:, 0]
    return np.stack([expit(-gap), expit(gap)], axis=1)


def _tree_gap(trees: TreeEnsemble, x: AnyArray, own: FloatArray) -> AnyArray | None:
    """Rows on which trees decide otherwise, where the model's own answer is no tie (n,)."""
    if own.shape[1] != len(trees.start):
        return None
    scores = trees.scores(np.asarray(x, dtype=np.float64))
    best = np.sort(own, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-9 if own.shape[1] > 1 else np.ones(len(own), dtype=bool)
    return np.asarray(clear & (scores.argmax(axis=1) != own.argmax(axis=1)))
