"""The anomaly check of the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from robust.anomalies.anomaly_scores import ScoreKind
from robust.anomalies.detecting import anomaly_detection
from robust.check import Check, Subject
from robust.errors import InvalidInput
from robust.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyOptions:
    """What a gate on anomaly detection may set.

    Args:
        figure: Which figure is judged.
        quantile: Share of new normal rows that must not be called anomalous; 0.95 where `k` is not given.
        k: Standard deviations above the mean of normal scores, instead of a quantile.
        kind: What the model's outputs are; None where their shape tells.
    """

    figure: Literal["tpr", "fpr", "auc"] = "tpr"
    quantile: float | None = None
    k: float | None = None
    kind: ScoreKind | None = None


def _run(subject: Subject, options: AnomalyOptions) -> Sequence[Measurement]:
    """The figure that is asked for, then all others."""
    if subject.normal is None:
        raise InvalidInput("no normal rows: a threshold is chosen on held-out normal rows (normal in [data])")
    found = anomaly_detection(
        subject.model,
        subject.test,
        normal=subject.normal,
        anomalous=subject.anomalous,
        quantile=options.quantile,
        k=options.k,
        kind=options.kind,
        level=subject.level,
        seed=subject.seed,
    )
    figures = (found.tpr, found.fpr, found.auc, found.threshold, found.normal_error, found.anomalous_error)
    return sorted(figures, key=lambda m: m.name != options.figure)


CHECKS = (
    Check(
        code="MET051",
        name="anomaly_detection",
        title="anomalies at a threshold from normal rows",
        measure=anomaly_detection,
        run=_run,
        options=AnomalyOptions,
        needs=frozenset({"targets", "normal", "anomaly"}),
        reach=(0.0, 1.0),
        why=(
            "An anomaly detector is used at a threshold that normal rows recommend; what counts is how many anomalies "
            "it finds there and how many normal rows it calls anomalous, on rows that had no part in the choice."
        ),
        remedy=(
            "Look at the scores of both kinds of rows: where they overlap, the model or its inputs cannot tell them "
            "apart; where the false alarms exceed what the quantile promises, the normal rows are unlike those of the "
            "test. Then move the quantile."
        ),
    ),
)
