"""Precision, recall and F1: averaged over classes, of one class, or at a threshold."""

import math
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, SelfCheck
from robust.intervals.interval import Interval
from robust.limits import is_number
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.class_table import TITLES, ClassTable, class_masks, class_table
from robust.measures.metric_evidence import ratio_evidence
from robust.measures.metric_interval import single_interval
from robust.measures.row_contents import other_rows
from robust.measures.score_range import require_reachable
from robust.measures.share_bounds import f1_interval, hit_share
from robust.measures.single import row_values
from robust.measures.truth import Scored, score
from robust.metrics.class_ratios import Average, Ratio, ratio_metric
from robust.metrics.classification import ACCURACY, F1
from robust.models.base import Label, Model
from robust.predicting.metering import metered
from robust.predicting.predictions import Predictions, predict


@runtime_checkable
class ChosenThreshold(Protocol):
    """A threshold with the class that it is for and the rows that it was chosen on, as `choose_threshold` gives it."""

    @property
    def threshold(self) -> float:
        """A row is detected where its score ≥ threshold."""
        ...

    @property
    def positive(self) -> Label:
        """The class."""
        ...

    def overlap(self, data: Dataset) -> int:
        """Rows of `data` that were among those that it was chosen on."""
        ...


Threshold: TypeAlias = float | ChosenThreshold


def measure_ratio(
    ratio: Ratio,
    model: Model,
    data: Dataset,
    *,
    average: Average | None,
    label: Label | None,
    threshold: Threshold | None,
    level: float,
    seed: int,
) -> Measurement:
    """Measure precision, recall or F1.

    Args:
        ratio: Which.
        model: The model.
        data: Rows with targets.
        average: How it is averaged over classes; None for `macro`, or for one class where a label, or a threshold for
            one of two classes, is given.
        label: One class; None for an average.
        threshold: Scores of at least this are detections; None for the largest score.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The measurement, with evidence.

    Raises:
        InvalidInput: If the arguments contradict each other, or labels and outputs do not fit.
    """
    if average is not None and average not in get_args(Average):
        raise InvalidInput(f"average got {average!r}; one of {', '.join(get_args(Average))} would be right")
    if average is not None and label is not None:
        raise InvalidInput(f"average={average!r} and label={label!r} exclude each other: one class is no average")
    with metered() as meter:
        predictions = predict(model, data)
        scored = score(F1, predictions, data)
        checks: tuple[SelfCheck, ...] = ()
        facts: tuple[Evidence, ...] = ()
        one = None if label is None else position_of(predictions, label)
        if threshold is not None:
            scored, one = detected_at(scored, threshold, one, average)
            facts = (Fact(name="threshold", value=threshold_value(threshold)),)
            if isinstance(threshold, ChosenThreshold):
                what = str(getattr(threshold, "validation", "the rows that it was chosen on"))
                shared = threshold.overlap(data)
                checks = (other_rows(shared, data, what=what, higher_is_better=True),)
        table = class_table(scored)
        values = None
        if one is not None:
            interval, name = (
                _of_class(ratio, scored, one, data, level=level, seed=seed),
                f"{ratio} of {table.names[one]}",
            )
            facts += _class_facts(table, one)
        else:
            kind = average or "macro"
            metric = ratio_metric(ratio, kind)
            if not scored.multilabel and (kind == "micro" or (ratio, kind) == ("recall", "weighted")):
                # One label a row: each mistake is one wrong prediction and one missed row, so that it is the accuracy.
                metric = replace(ACCURACY, name=metric.name, title=metric.title)
                values = row_values(metric, scored)
            interval, name = single_interval(metric, scored, data, level=level, seed=seed), metric.name
        return assemble(
            interval,
            name=name,
            unit="share",
            higher_is_better=True,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            options={
                key: value
                for key, value in (("average", average), ("label", label), ("threshold", threshold))
                if value is not None
            },
            evidence=(*facts, *ratio_evidence(ratio, table, scored, data, level=level, seed=seed)),
            validity=checks,
            row_values=values,
        )


def position_of(predictions: Predictions, label: Label) -> int:
    """Which of the classes a label is.

    Raises:
        InvalidInput: If it is none of them.
    """
    for position, name in enumerate(predictions.classes):
        if str(name) == str(label) and not isinstance(label, bool):
            return position
    raise InvalidInput(
        f"label got {label!r}; a class of {predictions.model}, {list(predictions.classes)[:20]}, would be right"
    )


def threshold_value(threshold: Threshold) -> float:
    """The number of a threshold.

    Raises:
        InvalidInput: If it is no finite number and has none, or a number that no score can reach.
    """
    number: Any = threshold.threshold if isinstance(threshold, ChosenThreshold) else threshold
    if not is_number(number) or not math.isfinite(float(number)):
        raise InvalidInput(
            f"threshold got {threshold!r}; a finite number, or what choose_threshold gives, would be right"
        )
    # One that was chosen on other rows may lie just above the largest score.
    return float(number) if isinstance(threshold, ChosenThreshold) else require_reachable(float(number))


def detected_at(
    scored: Scored, threshold: Threshold, one: int | None, average: Average | None
) -> tuple[Scored, int | None]:
    """Predictions by a threshold on probabilities.

    Args:
        scored: The rows.
        threshold: Scores of at least this are detections.
        one: Position of the class whose score it is for; None where it, or two classes, tell.
        average: Over the classes of which a figure is wanted; None for that of one class.

    Returns:
        The rows with predictions so made, and the class that the threshold is for, where a figure of one is wanted.

    Raises:
        InvalidInput: If the arguments contradict each other, or no class is told.
    """
    predictions = scored.predictions
    value = threshold_value(threshold)
    if isinstance(threshold, ChosenThreshold):
        chosen = position_of(predictions, threshold.positive)
        if one is not None and one != chosen:
            raise InvalidInput(
                f"label got {predictions.classes[one]!r}; the threshold was chosen for {threshold.positive!r}"
            )
        one = chosen
    scores = predictions.probabilities
    if scored.multilabel:
        # A threshold that was chosen for one label is for that label; a number is for all.
        return replace(scored, prediction=(scores >= value).astype(np.int64)), one
    k = len(predictions.classes)
    positive = 1 if one is None and k == 2 else one
    if positive is None:
        raise InvalidInput(
            f"{predictions.model} has {k} classes {list(predictions.classes)[:20]}: a threshold is for the score of "
            f"one of them, e.g. label={predictions.classes[-1]!r}"
        )
    detected = scores[:, positive] >= value
    if k == 2:
        labels = np.where(detected, positive, 1 - positive)
        return replace(scored, prediction=labels), (None if average is not None else positive)
    if average is not None:
        raise InvalidInput(f"average={average!r} of {k} classes has no threshold on the score of one of them")
    # The others are told apart by their own largest score.
    rest = scores.copy()
    rest[:, positive] = -np.inf
    return replace(scored, prediction=np.where(detected, positive, rest.argmax(axis=1))), positive


def _of_class(ratio: Ratio, scored: Scored, one: int, data: Dataset, *, level: float, seed: int) -> Interval:
    """Exact bounds, given how many rows are of the class, predicted as it, or either."""
    truth, found = class_masks(scored, one)
    if ratio == "f1":
        return f1_interval(truth, found, data, level=level, seed=seed)
    return hit_share(truth & found, found if ratio == "precision" else truth, data, level=level, seed=seed)


def _class_facts(table: ClassTable, one: int) -> tuple[Evidence, ...]:
    """The class's own counts."""
    counts = f"{table.hits[one]} hits, {table.predicted[one]} predicted, {table.actual[one]} rows"
    others = ", ".join(
        f"{TITLES[ratio]} {float(table.ratios(ratio)[one]):.4g}" for ratio in ("precision", "recall", "f1")
    )
    return (Fact(name=f"class {table.names[one]}", value=f"{counts}; {others}"),)
