"""Evidence of a single model's metric: where its errors are, and a figure."""

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Figure, Rows, Series, Slice, Slices
from robust.measures.row_means import share_interval
from robust.measures.slicing import slicings
from robust.measures.truth import Scored
from robust.metrics.metric import Metric
from robust.types import AnyArray, FloatArray

#: Points of a scatter or curve in a figure, at most: reports stay small, the numbers rest on all rows.
POINTS = 300
_WORST = 10
_MOST_CLASSES = 20


def single_evidence(metric: Metric, scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """Worst rows, slices and a figure for one model's metric."""
    if metric.task == "regression":
        return _regression_evidence(metric, scored, data)
    if metric.name == "accuracy":
        return (
            *_label_slices(scored, data, level=level, seed=seed),
            _wrong_rows(scored, data),
            _confusion_figure(scored),
        )
    if metric.name == "f1":
        return (_wrong_rows(scored, data), _f1_figure(scored))
    if metric.name == "log_loss":
        losses = metric.rows(scored.truth, scored.prediction)[:, 0]
        return (_costliest(losses, data, what="rows with the largest loss"), _histogram(losses, "loss of a row (nats)"))
    return (_roc_figure(scored),)


def sampled(n: int, most: int = POINTS) -> AnyArray:
    """Evenly spaced positions of at most `most` of n rows: the same ones every time."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def numbers(name: str, values: AnyArray) -> Series:
    """A numeric column of a figure, rounded to six significant digits: a chart shows no more."""
    return Series(name=name, values=tuple(float(f"{value:.6g}") for value in np.asarray(values, dtype=float)))


def words(name: str, values: object) -> Series:
    """A text column of a figure."""
    return Series(name=name, values=tuple(str(value) for value in values))  # type: ignore[attr-defined]


def _label_slices(scored: Scored, data: Dataset, *, level: float, seed: int) -> tuple[Evidence, ...]:
    """Accuracy by true class, and by each slicing column, with bounds that hold for all parts of a table at once."""
    right = scored.right()
    tables, facts = slicings(scored, data)
    found = []
    for table in tables:
        parts = []
        for name, inside in table.parts:
            interval = share_interval(right[inside], data.rows(inside), level=table.level(level), seed=seed)
            parts.append(
                Slice(name=name, n=interval.n, value=interval.value, lower=interval.lower, upper=interval.upper)
            )
        parts.sort(key=lambda part: part.value)
        found.append(Slices(by=table.by, measure="accuracy", level=level, slices=tuple(parts[:_MOST_CLASSES])))
    return (*found, *facts)


def _wrong_rows(scored: Scored, data: Dataset) -> Rows:
    """Wrong rows, the most confident mistakes first where there are probabilities."""
    wrong = np.flatnonzero(~scored.right())
    confidence: tuple[float, ...] = ()
    if scored.predictions.kind != "labels" and len(wrong):
        top = scored.predictions.probabilities[wrong].max(axis=1)
        order = np.argsort(-top, kind="stable")
        wrong, confidence = wrong[order], tuple(float(round(value, 4)) for value in top[order][:_WORST])
    return Rows(
        what="wrong rows, most confident first", ids=row_ids(data, wrong[:_WORST]), values=confidence, total=len(wrong)
    )


def row_ids(data: Dataset, positions: AnyArray) -> tuple[int | str, ...]:
    """Ids of rows as plain ints or text."""
    return tuple(row if isinstance(row, int) else str(row) for row in data.ids[positions].tolist())


def _costliest(losses: FloatArray, data: Dataset, *, what: str) -> Rows:
    order = np.argsort(-losses, kind="stable")[:_WORST]
    return Rows(
        what=what, ids=row_ids(data, order), values=tuple(float(f"{losses[i]:.4g}") for i in order), total=len(losses)
    )


def _confusion_figure(scored: Scored) -> Figure:
    """Confusion counts, rows actual and columns predicted, over the classes with the most mistakes."""
    k = len(scored.predictions.classes)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (scored.truth, scored.predictions.labels), 1)
    off = counts - np.diag(np.diag(counts))
    shown = np.sort(np.argsort(-(off.sum(0) + off.sum(1)), kind="stable")[:_MOST_CLASSES])
    names = [str(scored.predictions.classes[c]) for c in shown]
    return Figure(
        kind="matrix",
        title="Confusion matrix",
        x_title="predicted",
        y_title="actual",
        columns=(
            words("x", names * len(names)),
            words("y", [name for name in names for _ in names]),
            numbers("value", counts[np.ix_(shown, shown)].ravel()),
        ),
        note="" if k <= _MOST_CLASSES else f"the {_MOST_CLASSES} classes with the most mistakes of {k}",
    )


def _f1_figure(scored: Scored) -> Figure:
    labels = scored.predictions.labels
    present = np.union1d(scored.truth, labels)
    scores = [
        2 * np.sum((labels == c) & (scored.truth == c)) / (np.sum(labels == c) + np.sum(scored.truth == c))
        for c in present
    ]
    order = np.argsort(scores, kind="stable")[:_MOST_CLASSES]
    return Figure(
        kind="bar",
        title="F1 by class",
        x_title="class",
        y_title="F1",
        columns=(
            words("x", [scored.predictions.classes[present[i]] for i in order]),
            numbers("y", np.asarray(scores)[order]),
        ),
        note="worst first",
    )


def _histogram(values: FloatArray, title: str) -> Figure:
    kept = values[sampled(len(values), 2000)]
    return Figure(
        kind="histogram", title=f"Distribution: {title}", x_title=title, y_title="rows", columns=(numbers("x", kept),)
    )


def _roc_figure(scored: Scored) -> Figure:
    """ROC curve of each class against the rest (class 1 of two), at most eight classes."""
    from sklearn.metrics import roc_curve

    columns = (1,) if scored.prediction.shape[1] == 2 else range(min(scored.prediction.shape[1], 8))
    x, y, series = [], [], []
    for c in columns:
        fpr, tpr, _ = roc_curve(scored.truth == c, scored.prediction[:, c])
        keep = sampled(len(fpr), 60)
        x += fpr[keep].tolist()
        y += tpr[keep].tolist()
        series += [str(scored.predictions.classes[c])] * len(keep)
    return Figure(
        kind="line",
        title="ROC curve",
        x_title="false positive rate",
        y_title="true positive rate",
        columns=(numbers("x", np.asarray(x)), numbers("y", np.asarray(y)), words("series", series)),
    )


def _regression_evidence(metric: Metric, scored: Scored, data: Dataset) -> tuple[Evidence, ...]:
    """Rows with the largest errors, and the figure that suits the metric."""
    errors = np.abs(scored.truth - scored.prediction).mean(axis=1)
    worst = _costliest(errors, data, what="rows with the largest absolute error")
    if metric.name == "mae":
        return (worst, _histogram((scored.truth - scored.prediction).mean(axis=1), "residual (target − prediction)"))
    keep = sampled(len(errors))
    figure = Figure(
        kind="point",
        title="Target against prediction",
        x_title="prediction",
        y_title="target",
        columns=(numbers("x", scored.prediction[keep, 0]), numbers("y", scored.truth[keep, 0])),
        note="" if len(keep) == len(errors) else f"{len(keep)} of {len(errors)} rows",
    )
    return (worst, figure)
