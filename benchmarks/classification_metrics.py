"""All classification metrics with intervals on a million rows of ten classes, against scikit-learn's bare values."""

import resource
import tracemalloc
from collections.abc import Callable

import numpy as np
from sklearn import metrics as sk

from benchmarks.timing import alternate
from robust.data.live import as_data
from robust.measures.all_classification import ClassificationMetrics, classification_metrics
from robust.models.conversion import as_model
from robust.predicting.settings import Settings, using
from robust.types import FloatArray, IntArray

ROWS, CLASSES, BINS = 1_000_000, 10, 15


def run() -> list[tuple[str, str]]:
    """1,000,000 rows, 10 classes: values, bounds, tables by class and figures against the values alone.

    The model hands on the probabilities that are its inputs, so that neither side predicts anything.
    """
    y, p = problem(ROWS)
    model, data = as_model(lambda x: x, name="table", output="probabilities", batch_size=1 << 16), as_data(p, y)

    def ours() -> ClassificationMetrics:
        with using(Settings()):  # an empty cache, so that every call computes
            return classification_metrics(model, data)

    def theirs() -> dict[str, float]:
        return bare_values(y, p)

    mine, other = alternate(ours, theirs, runs=3)
    found, values = ours(), theirs()
    gap = max(abs(found[name].value - value) for name, value in values.items())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = _peak(ours)
    return [
        ("ours, with bounds, CPU s", f"{mine:.2f}"),
        ("the scikit-learn calls that it replaces, values alone, CPU s", f"{other:.2f}"),
        ("ratio (wanted: >= 1)", f"{other / mine:.2f}x"),
        ("largest difference of a value", f"{gap:.1e}"),
        ("ours, peak memory beyond the inputs, MB", f"{peak / 1e6:.0f}"),
        ("the same, in sizes of the predictions (wanted: < 3)", f"{peak / p.nbytes:.2f}"),
        ("the same without the predictions themselves", f"{peak / p.nbytes - 1:.2f}"),
        ("largest resident size of both sides, MB", f"{before / 1e3:.0f}"),
    ]


def problem(rows: int) -> tuple[IntArray, FloatArray]:
    """Labels and calibrated probabilities."""
    rng = np.random.default_rng(0)
    p = rng.standard_normal((rows, CLASSES)) * 2.0
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=CLASSES - 1)
    return y, p


def bare_values(y: IntArray, p: FloatArray) -> dict[str, float]:
    """The calls of scikit-learn that give the same values, and the calibration error in numpy."""
    labels = p.argmax(axis=1)
    accuracy = sk.accuracy_score(y, labels)
    macro = sk.precision_recall_fscore_support(y, labels, average="macro")
    sk.precision_recall_fscore_support(y, labels)
    weighted = sk.precision_recall_fscore_support(y, labels, average="weighted")
    sk.confusion_matrix(y, labels)
    one_hot = np.eye(CLASSES)[y]
    confidence, right = p[np.arange(len(y)), labels], labels == y
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return {
        "accuracy": accuracy,
        "precision": macro[0],
        "recall": macro[1],
        "f1": macro[2],
        "f1_weighted": weighted[2],
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
        "auc": sk.roc_auc_score(y, p, multi_class="ovr"),
        "average_precision": sk.average_precision_score(one_hot, p),
        "calibration_error": float(np.abs(gaps).sum() / len(y)),
    }


def _peak(work: Callable[[], object]) -> int:
    """Peak bytes that numpy and Python allocated during one call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
