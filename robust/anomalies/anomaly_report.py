"""What an anomaly detector reaches: its measurements, its threshold table, and both as text."""

from collections.abc import Iterator
from dataclasses import dataclass

from robust.anomalies.anomaly_scores import ScoreKind
from robust.measurement import Measurement
from robust.measures.score_thresholds import ThresholdTable
from robust.measures.threshold_lines import threshold_csv


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnomalyReport:
    """An anomaly detector at its recommended threshold; iterates as its measurements.

    Args:
        kind: Whether rows are scored by reconstruction error or by the model's own score.
        threshold: The recommended threshold, exact; a row is called anomalous where its score ≥ threshold.
        tpr: Share of anomalous rows that are called so.
        fpr: Share of normal rows that are called anomalous.
        auc: Area under the ROC curve: anomalous rows above normal ones.
        normal_error: Mean score of normal test rows.
        anomalous_error: Mean score of anomalous test rows.
        normal_std: Standard deviation of the scores of normal test rows (divisor n).
        anomalous_std: That of anomalous test rows.
        rules: How each threshold of `table` comes about.
        table: Thresholds from the normal rows alone: mean + k standard deviations, and quantiles.
    """

    kind: ScoreKind
    threshold: Measurement
    tpr: Measurement
    fpr: Measurement
    auc: Measurement
    normal_error: Measurement
    anomalous_error: Measurement
    normal_std: float
    anomalous_std: float
    rules: tuple[str, ...]
    table: ThresholdTable

    def __iter__(self) -> Iterator[Measurement]:
        return iter((self.threshold, self.tpr, self.fpr, self.auc, self.normal_error, self.anomalous_error))

    @property
    def text(self) -> str:
        """The figures as a block of lines."""
        what = "reconstruction error" if self.kind == "reconstruction" else "score"
        threshold = f"{self.threshold.value:.4g}"
        return "\n".join(
            [
                "Normal Data:",
                f"  Mean {what}: {self.normal_error.value:.4g}",
                f"  Std {what}: {self.normal_std:.4g}",
                "Anomaly Data:",
                f"  Mean {what}: {self.anomalous_error.value:.4g}",
                f"  Std {what}: {self.anomalous_std:.4g}",
                f"Recommended threshold: {threshold}",
                f"At threshold {threshold}:",
                f"  TPR: {self.tpr.value:.4g}",
                f"  FPR: {self.fpr.value:.4g}",
            ]
        )

    @property
    def csv(self) -> str:
        """The threshold table: `rule,threshold,tpr,fpr,precision,recall,f1`, a line a rule, thresholds ascending."""
        lines = threshold_csv(self.table).splitlines()
        return "\n".join([f"{rule},{line}" for rule, line in zip(("rule", *self.rules), lines, strict=True)] + [""])
