"""Counts how often noisy copies of a row get their true class, and how often is often enough."""

import numpy as np
from scipy.special import ndtri

from robust.data.dataset import Dataset
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.predicting.calling import Caller
from robust.predicting.predictions import Predictions
from robust.randomness import row_words
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

_STREAM = 3 << 32  # of the row generator: draw r uses stream _STREAM + r


def radius_needed(axes: FloatArray, spread: FloatArray, *, norm: Norm) -> float:
    """The largest l2 norm of a change, each feature in units of its noise.

    max ‖δ/σ‖₂ over the ball: max_j eps_j/σ_j for l2 and l1, √Σ (eps_j/σ_j)² for linf

    >>> radius_needed(np.array([3.0, 4.0]), np.ones(2), norm="linf")
    5.0
    """
    moves = axes > 0
    ratio = axes[moves] / spread[moves]
    if norm == "linf":
        return float(np.sqrt(np.sum(ratio**2)))
    return float(ratio.max(initial=0.0))


def hits_needed(probability: float, draws: int, alpha: float) -> int:
    """Fewest hits among the draws whose Clopper-Pearson bound at level 1 − alpha is above a probability.

    Args:
        probability: What the chance of a hit must exceed.
        draws: Draws.
        alpha: Chance of a wrong answer.

    Returns:
        The number; `draws` + 1 where no number is enough.

    >>> hits_needed(0.5, 10, 0.05)  # (1/2)^10 (1 + 10) = 0.011, and with two misses 0.055
    9
    """
    low, high = 0, draws + 1
    while low < high:
        middle = (low + high) // 2
        if clopper_pearson_bounds(middle, draws, 1.0 - alpha)[0] > probability:
            high = middle
        else:
            low = middle + 1
    return low


def count_hits(
    caller: Caller,
    data: Dataset,
    predictions: Predictions,
    y: IntArray,
    spread: FloatArray,
    draws: int,
    hits: int,
    *,
    seed: int,
) -> tuple[BoolArray, IntArray]:
    """Draw noise until it is settled which rows get enough hits; the answer is that of all draws.

    Args:
        caller: The classifier.
        data: The rows (n).
        predictions: What its outputs mean.
        y: True classes (n,).
        spread: Standard deviation of each feature's noise (d,).
        draws: Draws a row.
        hits: How many of them must be right.
        seed: Seed of the noise.

    Returns:
        Rows with enough hits (n,), and the hits of the draws that were made (n,).
    """
    x, keys, n = data.schema.flat(data.x), data.row_keys(), len(data)
    found = np.zeros(n, dtype=np.int64)
    live = np.arange(n)
    dtype = data.x.dtype if data.x.dtype.kind == "f" else np.dtype(np.float64)
    size = caller.model.fixed_batch or caller.model.batch_size
    draw = 0
    while draw < draws and len(live):
        # Few rows are asked several draws at once, so that batches stay full.
        several = min(max(1, size // len(live)), draws - draw)
        right = np.zeros((several, len(live)), dtype=bool)
        for start in range(0, len(live), size):
            rows = live[start : start + size]
            parts = [_noisy(x[rows], keys[rows], spread, dtype, seed=seed, draw=draw + k) for k in range(several)]
            noisy = np.concatenate(parts).reshape(-1, *data.schema.shape)
            labels = _labels(caller, noisy, predictions)
            right[:, start : start + size] = labels.reshape(several, len(rows)) == y[rows]
        found[live] += right.sum(axis=0)
        draw += several
        settled = (found[live] >= hits) | (found[live] + draws - draw < hits)
        live = live[~settled]
    return found >= hits, found


def _noisy(
    x: AnyArray, keys: IntArray, spread: FloatArray, dtype: "np.dtype[np.floating]", *, seed: int, draw: int
) -> AnyArray:
    """Rows with one draw of noise on the features that may move."""
    moves = np.flatnonzero(spread)
    words = row_words(keys, len(moves), seed=seed, stream=_STREAM + draw)
    uniform = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    noisy = np.array(x, dtype=np.float64)
    noisy[:, moves] += spread[moves] * ndtri(uniform)
    return noisy.astype(dtype)


def _labels(caller: Caller, x: AnyArray, predictions: Predictions) -> IntArray:
    """Class of each row, as a number of the classes that were settled; −1 for none of them, or no answer."""
    outputs = caller.outputs(x)
    if predictions.kind != "labels":
        if outputs.shape[1] == 1:  # one score of two classes: a probability of a half, or a logit of 0, is the second
            labels = (outputs[:, 0] >= (0.5 if predictions.kind == "probabilities" else 0.0)).astype(np.int64)
        else:
            labels = outputs.argmax(axis=1)
        return np.where(np.isnan(outputs).any(axis=1), -1, labels)
    named = any(isinstance(label, str) for label in predictions.classes)
    known = np.arange(len(predictions.classes)) if named else np.array(predictions.classes)
    equal = outputs == known
    return np.where(equal.any(axis=1), equal.argmax(axis=1), -1)
