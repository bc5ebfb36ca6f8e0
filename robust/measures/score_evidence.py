"""How sure a classifier is where it is right and where it is wrong, and its confident mistakes."""

from dataclasses import replace

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Figure, Finding, Rows
from robust.measures.details import WORST, largest, numbers, row_ids, sampled, words
from robust.measures.truth import Scored
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: A mistake at least this probable to the model is a confident one.
CONFIDENT = 0.9
#: Rows of each kind in a histogram, at most.
_KEPT = 1000


def score_evidence(labelled: Scored, probabilities: FloatArray, data: Dataset) -> tuple[Evidence, ...]:
    """Distributions of class scores, of right and wrong rows apart, and confident mistakes.

    Args:
        labelled: Labels beside the truth, one class a row.
        probabilities: Of the same rows (n, k), as the model gives them: a row is found again by its score.
        data: Names the rows.

    Returns:
        Confident mistakes as rows and as a finding, the histogram of the predicted class's score, and that of its lead
        over the second class.
    """
    right = labelled.right()
    top, lead = top_and_lead(probabilities)
    return (
        *confident_mistakes(labelled, top, right, data),
        parted_histogram(top, right, title="Score of the predicted class", axis="score"),
        parted_histogram(lead, right, title="Lead of the predicted class over the second", axis="score difference"),
    )


def top_and_lead(probabilities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The largest score of each row, and its lead over the second (n,)."""
    n, k = probabilities.shape
    top, second = np.full(n, -np.inf), np.full(n, -np.inf)
    for c in range(k):
        column = probabilities[:, c]
        np.maximum(second, np.minimum(top, column), out=second)
        np.maximum(top, column, out=top)
    return top, top - second


def confident_mistakes(labelled: Scored, top: FloatArray, right: BoolArray, data: Dataset) -> tuple[Evidence, ...]:
    """Wrong rows with the largest scores, and a sentence where some are above 0.9."""
    wrong = np.flatnonzero(~right)
    if not len(wrong):
        return ()
    sure = int((top[wrong] >= CONFIDENT).sum())
    shown = wrong[largest(top[wrong], WORST)]
    rows = Rows(
        what="mistakes with the highest score (true → predicted): " + ", ".join(_mistakes(labelled, shown)),
        ids=row_ids(data, shown),
        values=tuple(float(round(value, 4)) for value in top[shown]),
        total=len(wrong),
    )
    if not sure:
        return (rows,)
    worst = shown[0]
    true, predicted = _mistakes(labelled, shown[:1])[0].split(" → ")
    finding = Finding(
        text=f"{sure} of {len(wrong)} mistakes are confident, with a score of {CONFIDENT:g} or more: the surest is row "
        f"{row_ids(data, np.array([worst]))[0]}, {true} taken for {predicted} at {top[worst]:.4g}"
    )
    return (finding, rows)


def parted_histogram(values: FloatArray, right: BoolArray, *, title: str, axis: str) -> Figure:
    """A distribution, of right and of wrong rows apart."""
    parts = [("right", np.flatnonzero(right)), ("wrong", np.flatnonzero(~right))]
    kept = [(name, rows[sampled(len(rows), _KEPT)]) for name, rows in parts if len(rows)]
    shares = ", ".join(f"{name}: {len(rows)} rows" for name, rows in parts)
    return Figure(
        kind="histogram",
        title=title,
        x_title=axis,
        y_title="rows shown",
        columns=(
            numbers("x", np.concatenate([values[rows] for _, rows in kept])),
            words("series", [name for name, rows in kept for _ in rows]),
        ),
        note=f"{shares}; at most {_KEPT} of each are drawn",
    )


def wrong_rows(scored: Scored, data: Dataset) -> Rows:
    """Wrong rows, the most confident mistakes first where there are probabilities."""
    wrong = np.flatnonzero(~scored.right())
    confidence: tuple[float, ...] = ()
    shown: AnyArray = wrong[:WORST]
    if scored.predictions.kind != "labels" and not scored.multilabel and len(wrong):
        top = _top(scored, wrong)
        order = largest(top, WORST)
        shown, confidence = wrong[order], tuple(float(round(value, 4)) for value in top[order])
    return Rows(what="wrong rows, most confident first", ids=row_ids(data, shown), values=confidence, total=len(wrong))


def _top(scored: Scored, rows: IntArray) -> FloatArray:
    """Probability of the predicted class of some rows: the others are not worked out."""
    part = replace(scored.predictions, outputs=scored.predictions.outputs[rows])
    return np.asarray(part.probabilities.max(axis=1))


def _mistakes(labelled: Scored, rows: IntArray) -> list[str]:
    classes = labelled.predictions.classes
    return [f"{classes[labelled.truth[i]]} → {classes[labelled.prediction[i]]}" for i in rows.tolist()]
