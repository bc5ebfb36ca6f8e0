"""What a given threshold reaches on test rows, with bounds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, SelfCheck
from robust.intervals.interval import Interval
from robust.limits import is_number
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import is_dependent
from robust.measures.row_contents import other_rows
from robust.measures.score_range import require_reachable
from robust.measures.score_thresholds import threshold_table
from robust.measures.share_bounds import f1_interval, hit_share
from robust.measures.threshold_figures import roc_figure, trade_figure
from robust.models.base import Label, Model
from robust.models.conversion import as_model
from robust.operating.choosing import OperatingPoint
from robust.operating.positive_class import OneAgainstRest, against_rest
from robust.predicting.metering import Meter, metered
from robust.types import BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdRates:
    """What a threshold reaches; iterates as its four measurements.

    Args:
        threshold: A row is detected where its score ≥ threshold.
        positive: The class that is detected.
        tpr: True positive rate (recall, sensitivity).
        fpr: False positive rate.
        precision: Share of detections that are right.
        f1: Harmonic mean of precision and recall.
    """

    threshold: float
    positive: Label
    tpr: Measurement
    fpr: Measurement
    precision: Measurement
    f1: Measurement

    def __iter__(self) -> Iterator[Measurement]:
        return iter((self.tpr, self.fpr, self.precision, self.f1))


def at_threshold(
    model: Any,
    data: Any,
    point: OperatingPoint | float,
    *,
    positive: Label | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> ThresholdRates:
    """Rates, precision and F1 of a classifier at a threshold on the score of one class.

    With TP, FP, FN, TN counted where score ≥ threshold: tpr = TP / (TP + FN), fpr = FP / (FP + TN),
    precision = TP / (TP + FP), f1 = 2 TP / (2 TP + FP + FN).

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes, with targets; other rows than those that the threshold was chosen on.
        point: From `choose_threshold`, or a number that was fixed beforehand.
        positive: The class that is detected, for a number; None for the second of two.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        Four shares in [0, 1]; of `fpr` lower is better. Bounds are exact (Clopper and Pearson 1934), given how many
        rows are positive, negative, or detected. F1 = 2J/(1 + J) rises with J = TP / (TP + FP + FN), the share of hits
        among the rows that are positive or detected, whose exact bounds it takes. With an order or groups they come
        from blocks or clusters. Where nothing is detected precision and F1 are 0, and precision has no bounds.
        If rows were among those that the threshold was chosen on, a self-check fails: what they flatter is INVALID.

    Raises:
        InvalidInput: If the threshold is no number from 0 to 1 (scores are probabilities as the model gives them, of
            logits the softmax; what a quantized model gives beyond, by up to 0.01, is a threshold, too), classes do not
            fit, or rows of one kind are missing.
        ModelFault: If the model breaks its contract.

    >>> import numpy as np
    >>> net = as_model(lambda x: x[:, 0], output="probabilities")
    >>> rates = at_threshold(net, (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1]), 0.35)
    >>> [round(m.value, 4) for m in rates]
    [1.0, 0.5, 0.6667, 0.8]
    """
    judged, rows = as_model(model), as_data(data)
    chosen = point if isinstance(point, OperatingPoint) else None
    if chosen is not None and positive is not None and str(positive) != str(chosen.positive):
        raise InvalidInput(f"positive got {positive!r}; the operating point detects {chosen.positive!r}")
    threshold = chosen.threshold if chosen is not None else check_threshold(point)
    with metered() as meter:
        scored = against_rest(judged, rows, chosen.positive if chosen is not None else positive)
        shared = None if chosen is None else chosen.overlap(rows)
        return _rates(
            judged,
            rows,
            scored,
            threshold=threshold,
            checks=_checks(chosen, shared, rows),
            meter=meter,
            level=level,
            seed=seed,
        )


def check_threshold(threshold: object) -> float:
    """A threshold on a probability.

    Args:
        threshold: What was given.

    Returns:
        The number.

    Raises:
        InvalidInput: If it is something else, or beyond what declared probabilities can be.
    """
    if not is_number(threshold) or not np.isfinite(float(threshold)):
        raise InvalidInput(f"threshold got {threshold!r}; an OperatingPoint or a finite number would be right")
    return require_reachable(float(threshold))


def _checks(point: OperatingPoint | None, shared: int | None, data: Dataset) -> Mapping[bool, tuple[SelfCheck, ...]]:
    """Self-checks by the direction of the figure."""
    if point is None or shared is None:
        return {True: (), False: ()}
    return {up: (other_rows(shared, data, what=point.validation, higher_is_better=up),) for up in (True, False)}


def _rates(
    model: Model,
    data: Dataset,
    scored: OneAgainstRest,
    *,
    threshold: float,
    checks: Mapping[bool, tuple[SelfCheck, ...]],
    meter: Meter,
    level: float,
    seed: int,
) -> ThresholdRates:
    truth, detected = scored.truth, np.asarray(scored.scores >= threshold)
    table = threshold_table(truth, scored.scores)
    counts = Fact(
        name=f"at threshold {threshold:.6g}",
        value=f"{int((truth & detected).sum())} of {int(truth.sum())} rows of {scored.label} detected, "
        f"{int((~truth & detected).sum())} of {int((~truth).sum())} others too",
    )

    def measured(name: str, interval: Interval, *figures: Figure, higher_is_better: bool = True) -> Measurement:
        return assemble(
            interval,
            name=name,
            unit="share",
            higher_is_better=higher_is_better,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed if is_dependent(data) else None,
            options={"threshold": threshold, "positive": scored.label},
            evidence=(counts, *figures),
            validity=checks[higher_is_better],
        )

    def share(hits: BoolArray, among: BoolArray) -> Interval:
        return hit_share(hits, among, data, level=level, seed=seed)

    return ThresholdRates(
        threshold=threshold,
        positive=scored.label,
        tpr=measured("tpr", share(detected, truth), roc_figure(table, threshold)),
        fpr=measured("fpr", share(detected, ~truth), higher_is_better=False),
        precision=measured("precision", share(truth, detected)),
        f1=measured("f1", f1_interval(truth, detected, data, level=level, seed=seed), trade_figure(table, threshold)),
    )
