"""The files of an anomaly detector's test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from robust.anomalies.anomaly_report import AnomalyReport
from robust.anomalies.detecting import anomaly_detection
from robust.data.dataset import Dataset
from robust.evidence import Figure
from robust.filesets.folder_writer import FolderWriter
from robust.filesets.plain_results import plain_measurement
from robust.filesets.testing_options import AnomalyParts
from robust.measures.threshold_lines import threshold_csv
from robust.models.base import Label
from robust.report.drawing import png

SCORES, ROC, REPORT = "anomaly_scores_test.png", "anomaly_ROC_test.png", "anomaly_report.txt"
RULES, THRESHOLDS = "anomaly_thresholds.csv", "fpr_tpr_thresholds.csv"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnomalyTest:
    """What the files of an anomaly detector rest on.

    Args:
        report: The detector at its threshold.
        parts: What was asked for.
    """

    report: AnomalyReport
    parts: AnomalyParts

    @property
    def text(self) -> str:
        """The figures that were asked for, then every measurement with its bounds."""
        errors, mark, threshold = self.report.text.partition("Recommended threshold")
        block = errors if self.parts.reconstruction_error else ""
        block += mark + threshold if self.parts.threshold_analysis else ""
        return "\n".join([block.rstrip("\n"), "", *(str(m) for m in self.report)]).lstrip("\n") + "\n"

    @property
    def results(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "metrics": {m.name: plain_measurement(m) for m in self.report},
            "anomaly": {
                "kind": self.report.kind,
                "normal_std": self.report.normal_std,
                "anomalous_std": self.report.anomalous_std,
            },
        }


def anomaly_files(
    writer: FolderWriter,
    model: Any,
    data: Dataset,
    normal: Dataset,
    parts: AnomalyParts,
    *,
    anomalous: Label | Sequence[Label],
    level: float,
    seed: int,
) -> AnomalyTest:
    """Write the report, the pictures and the threshold tables of an anomaly detector.

    Args:
        writer: Of the folder.
        model: The detector.
        data: Test rows, labelled.
        normal: Normal rows that the threshold is chosen on.
        parts: What is asked for.
        anomalous: Labels that mean an anomaly.
        level: Confidence of each bound.
        seed: Seed of bootstraps.

    Returns:
        What the files rest on.
    """
    report = anomaly_detection(model, data, normal=normal, anomalous=anomalous, level=level, seed=seed)
    found = AnomalyTest(report=report, parts=parts)
    if parts.reconstruction_error:
        writer.put(SCORES, png(_figure(report.threshold.evidence), by_series=True))
    if parts.threshold_analysis:
        writer.put(ROC, png(_unlabelled(_figure(report.auc.evidence), report), height=400))
        writer.put(RULES, report.csv)
        writer.put(THRESHOLDS, threshold_csv(report.table))
    writer.put(REPORT, found.text)
    return found


def _unlabelled(figure: Figure, report: AnomalyReport) -> Figure:
    """The operating point in a line above the picture: in a good corner its two labels lie over each other."""
    at = f"at threshold {report.threshold.value:.4g}: tpr {report.tpr.value:.4g}, fpr {report.fpr.value:.4g}"
    note = f"{at}; AUC {report.auc.value:.4f}"
    return structs.replace(figure, rules=tuple((axis, place, "") for axis, place, _ in figure.rules), note=note)


def _figure(evidence: Sequence[object]) -> Figure:
    return next(item for item in evidence if isinstance(item, Figure))
