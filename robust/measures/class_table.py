"""Precision, recall and F1 of every class, with bounds, and the same as the text that scikit-learn prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Slice, Slices
from robust.intervals.clopper_pearson import clopper_pearson
from robust.intervals.interval import Interval
from robust.measures.dependence import is_dependent
from robust.measures.share_bounds import f1_of_overlap, hit_share
from robust.measures.truth import Scored, score
from robust.metrics.class_ratios import Average, Ratio, averaged, class_ratios
from robust.metrics.classification import F1, f1_rows
from robust.metrics.label_pairs import LabelPairs, label_pairs
from robust.models.conversion import as_model
from robust.predicting.predictions import predict
from robust.types import BoolArray, FloatArray, IntArray

RATIOS: tuple[Ratio, ...] = ("precision", "recall", "f1")
TITLES = {"precision": "precision", "recall": "recall", "f1": "F1"}
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTable:
    """Counts of every class (or label), and what follows from them.

    Args:
        names: The k classes.
        hits: Rows of the class that are predicted as it (k,).
        predicted: Rows predicted as it (k,).
        actual: Rows of it, the support (k,).
        rows: Rows in all.
        right: Rows that are right in all.
        multilabel: Whether a row can have several.
        by_row: Precision, recall and F1 of each row's labels, averaged over rows, where it can; 0 for 0/0.
    """

    names: tuple[str, ...]
    hits: IntArray
    predicted: IntArray
    actual: IntArray
    rows: int
    right: int
    multilabel: bool
    by_row: tuple[float, float, float] | None = None

    @property
    def sums(self) -> FloatArray:
        """The same as sums of `f1_rows` (1, 3k): ratios of means are ratios of sums, which lose no digit."""
        parts = [self.hits, self.predicted, self.actual]
        if self.multilabel:
            parts.append(np.array([self.rows]))
        return np.asarray(np.concatenate(parts)[np.newaxis], dtype=np.float64)

    @property
    def occurs(self) -> BoolArray:
        """Which classes count: those among labels or predictions, or all labels of a row that can have several."""
        return np.asarray(((self.predicted + self.actual) > 0) | self.multilabel)

    def ratios(self, ratio: Ratio) -> FloatArray:
        """Precision, recall or F1 of each class (k,); 0 for 0/0."""
        return np.asarray(class_ratios(self.sums, ratio)[0])

    def average(self, ratio: Ratio, average: Average) -> float:
        """An average of a ratio over the classes that occur."""
        return float(averaged(ratio, average)(self.sums)[0])

    def conventions(self) -> tuple[Fact, ...]:
        """Which numbers are 0 by convention alone, and which classes do not occur."""
        found = []
        for name, predicted, actual in zip(self.names, self.predicted, self.actual, strict=True):
            if not predicted and not actual:
                left = "counts as 0" if self.multilabel else "left out of averages"
                found.append(Fact(name=f"class {name}", value=f"neither among labels nor predictions: {left}"))
            elif not predicted:
                found.append(Fact(name=f"class {name}", value="never predicted: its precision is 0 by convention"))
            elif not actual:
                found.append(Fact(name=f"class {name}", value="has no rows: its recall is 0 by convention"))
        return tuple(found)


def class_table(scored: Scored) -> ClassTable:
    """Count hits, predictions and rows of every class.

    Args:
        scored: Labels beside the truth.

    Returns:
        The table, over all declared classes.
    """
    k = len(scored.predictions.classes)
    pairs, by_row = label_pairs(scored.truth, scored.prediction), None
    if scored.multilabel:
        by_row = _by_row(pairs)
        sums = pairs.counts @ f1_rows(pairs.truth, pairs.labels)
        hits, predicted, actual = (sums[part * k : (part + 1) * k].round().astype(np.int64) for part in range(3))
        right = int(pairs.counts[(pairs.truth == pairs.labels).all(axis=1)].sum())
    else:
        same = pairs.truth == pairs.labels
        hits = np.bincount(pairs.truth[same], weights=pairs.counts[same], minlength=k).astype(np.int64)
        predicted = np.bincount(pairs.labels, weights=pairs.counts, minlength=k).astype(np.int64)
        actual = np.bincount(pairs.truth, weights=pairs.counts, minlength=k).astype(np.int64)
        right = int(hits.sum())
    return ClassTable(
        names=tuple(str(label) for label in scored.predictions.classes),
        hits=hits,
        predicted=predicted,
        actual=actual,
        rows=len(scored.truth),
        right=right,
        multilabel=scored.multilabel,
        by_row=by_row,
    )


def _by_row(pairs: LabelPairs) -> tuple[float, float, float]:
    """Means over rows of hits/predicted, hits/actual and 2 hits/(predicted + actual) labels of a row."""
    hits = (pairs.truth * pairs.labels).sum(axis=1)
    predicted, actual = pairs.labels.sum(axis=1), pairs.truth.sum(axis=1)
    ratios = [
        np.divide(above, below, out=np.zeros(len(hits)), where=below > 0)
        for above, below in ((hits, predicted), (hits, actual), (2 * hits, predicted + actual))
    ]
    precision, recall, f1 = (float(pairs.counts @ ratio / pairs.counts.sum()) for ratio in ratios)
    return precision, recall, f1


def class_slices(
    table: ClassTable, scored: Scored, data: Dataset, *, ratios: Sequence[Ratio], level: float, seed: int
) -> tuple[Slices, ...]:
    """Precision, recall or F1 by class, worst first, with bounds that hold for all classes of a table at once.

    Args:
        table: The counts.
        scored: The rows that they were counted on.
        data: Says how rows depend on each other.
        ratios: Which.
        level: Confidence of all bounds of a table together (Bonferroni).
        seed: Seed of the bootstrap for rows that depend on each other.

    Returns:
        One table a ratio; the number of rows of each part is what the ratio is a share of.
    """
    present = np.flatnonzero(table.occurs)
    each = 1 - (1 - level) / max(len(present), 1)
    found = []
    for ratio in ratios:
        parts = []
        for c in present:
            interval, among = _of_class(table, scored, data, int(c), ratio, level=each, seed=seed)
            parts.append(
                Slice(
                    name=table.names[c],
                    n=among,
                    value=interval.value,
                    lower=interval.lower,
                    upper=interval.upper,
                    note="" if among == table.actual[c] else f"{int(table.actual[c])} rows of the class",
                )
            )
        parts.sort(key=lambda part: part.value)
        found.append(Slices(by="class", measure=TITLES[ratio], level=level, slices=tuple(parts)))
    return tuple(found)


def _of_class(
    table: ClassTable, scored: Scored, data: Dataset, c: int, ratio: Ratio, *, level: float, seed: int
) -> tuple[Interval, int]:
    """One class's ratio, and the rows that it is a share of."""
    hits, predicted, actual = int(table.hits[c]), int(table.predicted[c]), int(table.actual[c])
    among = {"precision": predicted, "recall": actual, "f1": predicted + actual - hits}[ratio]
    if among and not is_dependent(data):
        overlap = clopper_pearson(hits, among, level=level)
    else:
        truth, found = class_masks(scored, c)
        base = {"precision": found, "recall": truth, "f1": truth | found}[ratio]
        overlap = hit_share(truth & found, base, data, level=level, seed=seed)
    return (f1_of_overlap(overlap) if ratio == "f1" else overlap), among


def class_masks(scored: Scored, c: int) -> tuple[BoolArray, BoolArray]:
    """Rows of a class, and rows predicted as it."""
    if scored.multilabel:
        return scored.truth[:, c] == 1, scored.prediction[:, c] == 1
    return scored.truth == c, scored.prediction == c


def table_text(table: ClassTable, *, digits: int = 2) -> str:
    """The table as plain text, number for number what scikit-learn's `classification_report` prints.

    Args:
        table: The counts.
        digits: Decimals, 0 … 12.

    Returns:
        Lines; classes that occur neither among labels nor predictions are left out.

    Raises:
        InvalidInput: If `digits` is no whole number from 0 to 12.
    """
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 12:
        raise InvalidInput(f"digits got {digits!r}; a whole number from 0 to 12 would be right")
    present = np.flatnonzero(table.occurs)
    ratios = {ratio: table.ratios(ratio) for ratio in RATIOS}
    lines = [
        (table.names[c], [float(ratios[ratio][c]) for ratio in RATIOS], int(table.actual[c])) for c in present.tolist()
    ]
    width = max(*(len(name) for name, _, _ in lines), len("weighted avg"), digits)
    total = int(table.actual.sum())
    text = [" " * width + " " + "".join(f" {head:>9}" for head in ("precision", "recall", "f1-score", "support")), ""]

    def line(name: str, values: Sequence[float], support: int) -> str:
        return f"{name:>{width}} " + "".join(f" {value:>9.{digits}f}" for value in values) + f" {support:>9}"

    text += [line(*entry) for entry in lines]
    text.append("")
    if table.multilabel:
        text.append(line("micro avg", [table.average(ratio, "micro") for ratio in RATIOS], total))
    else:
        blank = " " * 10 * 2
        text.append(f"{'accuracy':>{width}} {blank} {table.right / table.rows:>9.{digits}f} {table.rows:>9}")
    for average in AVERAGES[1:]:
        text.append(line(f"{average} avg", [table.average(ratio, average) for ratio in RATIOS], total))
    if table.by_row is not None:
        text.append(line("samples avg", table.by_row, total))
    return "\n".join([*text, ""])


def classification_report_text(model: Any, data: Any, *, digits: int = 2) -> str:
    """Precision, recall, F1 and support of every class as plain text, as scikit-learn prints it.

    Args:
        model: Anything `as_model` takes, with labels, probabilities or logits.
        data: Anything `as_data` takes, with targets.
        digits: Decimals, 0 … 12.

    Returns:
        A line a class, then accuracy (micro average where a row can have several labels), macro and weighted average,
        and where a row can have several labels the average over rows (samples).

    Raises:
        InvalidInput: If labels and outputs do not fit, or `digits` is no whole number from 0 to 12.
        ModelFault: If the model breaks its contract.

    >>> text = classification_report_text(lambda x: np.zeros(len(x), int), (np.zeros((4, 1)), [0, 0, 0, 1]))
    >>> text.splitlines()[2].split(), text.splitlines()[5].split()
    (['0', '0.75', '1.00', '0.86', '3'], ['accuracy', '0.75', '4'])
    """
    rows = as_data(data)
    return table_text(class_table(score(F1, predict(as_model(model), rows), rows)), digits=digits)
