"""The files of a classifier's test."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.filesets.folder_writer import FolderWriter
from robust.filesets.plain_results import findings, plain_measurement
from robust.filesets.testing_figures import class_areas, confusion_picture, judged_counts, roc_picture
from robust.filesets.testing_options import Testing
from robust.measures.all_classification import ClassificationMetrics, classification_metrics
from robust.measures.score_evidence import CONFIDENT, parted_histogram, top_and_lead
from robust.mistakes.wrong_rows import Judged, judge_rows
from robust.models.base import Model
from robust.operating.class_thresholds import ClassTables, class_tables
from robust.operating.threshold_files import threshold_texts
from robust.report.drawing import png
from robust.types import IntArray

#: Thresholds of a csv file, at most: a million lines help nobody to choose one.
MOST_THRESHOLDS = 10_000
MATRIX, ROC = "confusion_matrix_test.png", "One_vs_Rest_MultiClass_ROC_test.png"
HISTOGRAM, REPORT = "Histogram_Class_Score_differences_test.png", "classification_report.txt"
THRESHOLDS = "fpr_tpr_thresholds.csv"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassifierTest:
    """What the files of a classifier rest on.

    Args:
        metrics: All metrics.
        judged: Predictions beside the truth.
        counts: Confusion counts; None where a row can have several labels.
        areas: Area under the ROC curve of each class, by name; empty for labels alone.
    """

    metrics: ClassificationMetrics
    judged: Judged
    counts: IntArray | None
    areas: dict[str, float]

    @property
    def text(self) -> str:
        """The classification report, then every metric with its bounds, then what stands out."""
        lines = [self.metrics.text.rstrip("\n"), "", *(str(m) for m in self.metrics)]
        lines += [f"{name} not measured: {reason}" for name, reason in self.metrics.missing]
        found = findings(self.metrics["accuracy"])
        return "\n".join([*lines, *([""] if found else []), *found]) + "\n"

    @property
    def results(self) -> dict[str, Any]:
        """The same as plain data."""
        table = self.metrics.table
        ratios = {ratio: table.ratios(ratio) for ratio in ("precision", "recall", "f1")}
        found: dict[str, Any] = {
            "metrics": {m.name: plain_measurement(m) for m in self.metrics},
            "not_measured": dict(self.metrics.missing),
            "classes": [
                {
                    "label": name,
                    "support": int(table.actual[c]),
                    "predicted": int(table.predicted[c]),
                    "auc": self.areas.get(name),
                    **{ratio: float(values[c]) for ratio, values in ratios.items()},
                }
                for c, name in enumerate(table.names)
            ],
            "findings": findings(self.metrics["accuracy"]),
            "errors": int(self.judged.wrong.sum()),
        }
        if self.counts is not None:
            found["confusion_matrix"] = {
                "labels": list(table.names),
                "counts": self.counts.tolist(),
                "rows": "actual",
                "columns": "predicted",
            }
        return found


def classification_files(
    writer: FolderWriter, model: Model, data: Dataset, testing: Testing, *, level: float, seed: int
) -> ClassifierTest:
    """Write the report, the pictures and the threshold tables of a classifier.

    Args:
        writer: Of the folder.
        model: The classifier.
        data: Rows with targets.
        testing: What is asked for.
        level: Confidence of each bound.
        seed: Seed of bootstraps.

    Returns:
        What the files rest on.
    """
    metrics = classification_metrics(model, data, level=level, seed=seed)
    judged = judge_rows(model, data)
    several = judged.scored.multilabel
    counts = None if several else judged_counts(judged)
    if testing.confusion_matrix:
        if counts is None:
            writer.skip(MATRIX, "a row can have several labels: no one class is taken for another")
        else:
            writer.put(MATRIX, png(confusion_picture(counts, metrics.table.names)))
    tables = _curves(writer, model, data, judged) if testing.roc_curve else None
    if testing.class_histograms:
        writer.attempt(HISTOGRAM, lambda: _histogram(judged))
    found = ClassifierTest(
        metrics=metrics, judged=judged, counts=counts, areas={} if tables is None else class_areas(tables)
    )
    writer.put(REPORT, found.text)
    return found


def _curves(writer: FolderWriter, model: Model, data: Dataset, judged: Judged) -> ClassTables | None:
    """The picture of ROC curves and the tables of thresholds."""
    try:
        if not judged.has_scores:
            raise InvalidInput(f"{model.name} gives labels only; thresholds need probabilities or logits")
        tables = class_tables(model, data)
    except InvalidInput as error:
        writer.skip(ROC, str(error))
        writer.skip(THRESHOLDS, str(error))
        return None
    writer.put(ROC, png(roc_picture(tables), width=560, height=420))
    for name, content in threshold_texts(tables, most=MOST_THRESHOLDS):
        writer.put(name, content)
    return tables


def _histogram(judged: Judged) -> bytes:
    """The lead of the predicted class over the second, of right and of wrong rows apart."""
    if judged.scored.multilabel:
        raise InvalidInput("a row can have several labels: the second most probable is no rival of the first")
    if not judged.has_scores:
        raise InvalidInput(f"{judged.model.name} gives labels only; a score difference needs probabilities or logits")
    top, lead = top_and_lead(judged.scored.predictions.probabilities)
    figure = parted_histogram(
        lead,
        ~judged.wrong,
        title="Score of the predicted class less that of the second",
        axis="score difference",
    )
    wrong = int(judged.wrong.sum())
    sure = int(np.count_nonzero(top[judged.wrong] >= CONFIDENT))
    note = f"{len(lead) - wrong} rows right, {wrong} wrong"
    note += f"; {sure} wrong with a score of {CONFIDENT:g} or more: confident mistakes" if wrong else ""
    return png(structs.replace(figure, note=note), by_series=True)
