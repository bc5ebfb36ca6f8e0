"""By what two models are compared: a metric of the catalogue, bare or with options, turned into a paired change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, get_args

import numpy as np
from msgspec import structs

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.measures import classification, error_quantiles, regression, score_quality
from robust.measures.change_statistic import metric_value
from robust.measures.class_averages import ChosenThreshold, Threshold, detected_at, position_of
from robust.measures.paired import Change, paired_change
from robust.measures.row_contents import other_rows
from robust.measures.truth import Scored, score
from robust.metrics.catalogue import find_metric
from robust.metrics.class_ratios import Average, Ratio, ratio_metric
from robust.metrics.classification import ACCURACY, F1
from robust.metrics.metric import Metric
from robust.models.base import Label
from robust.predicting.predictions import Predictions

_HOMES = tuple(module.__name__ for module in (classification, regression, score_quality, error_quantiles))
_RATIOS = ("precision", "recall", "f1")
#: Ratios that are the accuracy where a row has one label.
_ACCURACIES = ("precision_micro", "recall_micro", "f1_micro", "recall_weighted")


class Yardstick(Protocol):
    """By what two models are compared on the same rows."""

    @property
    def name(self) -> str:
        """Name users write."""
        ...

    @property
    def title(self) -> str:
        """Name tables show."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Direction."""
        ...

    @property
    def relative(self) -> bool:
        """Whether the change is divided by the reference's value."""
        ...

    @property
    def options(self) -> Mapping[str, object]:
        """What else shapes the number."""
        ...

    def scored(self, predictions: Predictions, data: Dataset) -> Scored:
        """Predictions of one model beside the truth."""
        ...

    def judged(self, scored: Scored) -> Scored:
        """The same in the form that is compared, once both models have the same classes in the same order."""
        ...

    def value(self, judged: Scored) -> float:
        """The figure of one model."""
        ...

    def change(self, reference: Scored, candidate: Scored, data: Dataset, *, level: float, seed: int) -> Change:
        """How much worse the candidate is, paired by row; both in the form that is compared."""
        ...

    def checks(self, data: Dataset) -> tuple[SelfCheck, ...]:
        """Self-checks of the yardstick itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CatalogueYardstick:
    """A metric of the catalogue.

    Args:
        metric: The metric.
        relative: Whether its change is divided by the reference's value.
        ratio: Precision, recall or F1 of one class, or at a threshold; None for the metric as it is.
        label: That class.
        threshold: That threshold.
    """

    metric: Metric
    relative: bool
    ratio: Ratio | None = None
    average: Average | None = None
    label: Label | None = None
    threshold: Threshold | None = None

    @property
    def name(self) -> str:
        """The metric's, or the ratio's."""
        return self.metric.name if self.ratio is None else self.ratio

    @property
    def title(self) -> str:
        """The metric's, and of which class."""
        return self.metric.title if self.label is None else f"{self.metric.title} of {self.label}"

    @property
    def higher_is_better(self) -> bool:
        """The metric's."""
        return self.metric.higher_is_better

    @property
    def options(self) -> Mapping[str, object]:
        """Average, class and threshold, where they were given."""
        given = (("average", self.average), ("label", self.label), ("threshold", self.threshold))
        return {name: value for name, value in given if value is not None}

    def scored(self, predictions: Predictions, data: Dataset) -> Scored:
        """Predictions of one model beside the truth."""
        return score(self.metric if self.ratio is None else F1, predictions, data)

    def judged(self, scored: Scored) -> Scored:
        """Labels by the threshold, and of one class whether each row is it, as a model of that label alone says."""
        one = None if self.label is None else position_of(scored.predictions, self.label)
        if self.threshold is not None:
            scored, one = detected_at(scored, self.threshold, one, self.average)
            scored = _decided(scored)
        return scored if one is None or self.ratio is None else _of_one(scored, one)

    def value(self, judged: Scored) -> float:
        """The metric."""
        return metric_value(self.metric, judged)

    def change(self, reference: Scored, candidate: Scored, data: Dataset, *, level: float, seed: int) -> Change:
        """The paired change of the metric."""
        metric = self.metric
        if not reference.multilabel and metric.name in _ACCURACIES:
            # One label a row: each mistake is one wrong prediction and one missed row, so that it is the accuracy.
            metric = replace(ACCURACY, name=metric.name, title=metric.title)
        return paired_change(metric, reference, candidate, data, relative=self.relative, level=level, seed=seed)

    def checks(self, data: Dataset) -> tuple[SelfCheck, ...]:
        """Whether the threshold was chosen on other rows: one of these fits each model by another amount."""
        if not isinstance(self.threshold, ChosenThreshold):
            return ()
        what = str(getattr(self.threshold, "validation", "the rows that it was chosen on"))
        check = other_rows(self.threshold.overlap(data), data, what=what, higher_is_better=True)
        return (structs.replace(check, bias="either"),)


def catalogue_yardstick(metric: object, *, relative: bool | None) -> CatalogueYardstick | None:
    """A metric of the catalogue, if that is what was meant.

    Args:
        metric: A name, a public measure of that name, or a `functools.partial` of one.
        relative: Whether the change is relative; None for the metric's own convention.

    Returns:
        The yardstick; None for another callable.

    Raises:
        InvalidInput: If no metric has that name, its change has no valid bound, or options contradict each other.
    """
    if isinstance(metric, str):
        found = find_metric(metric)
        return CatalogueYardstick(metric=found, relative=found.relative if relative is None else relative)
    function: Any = metric
    keywords: dict[str, Any] = {}
    if isinstance(metric, partial) and not metric.args:
        function, keywords = metric.func, dict(metric.keywords)
    if getattr(function, "__module__", "") not in _HOMES:
        return None
    options = {name: value for name, value in keywords.items() if name not in ("level", "seed") and value is not None}
    if not options:
        return catalogue_yardstick(str(function.__name__), relative=relative)
    if function.__name__ not in _RATIOS or not set(options) <= {"average", "label", "threshold"}:
        return None
    return _with_options(function.__name__, relative=bool(relative), **options)


def _with_options(
    ratio: Ratio,
    *,
    relative: bool,
    average: Average | None = None,
    label: Label | None = None,
    threshold: Threshold | None = None,
) -> CatalogueYardstick:
    """Precision, recall or F1 with options."""
    if average is not None and average not in get_args(Average):
        raise InvalidInput(f"average got {average!r}; one of {', '.join(get_args(Average))} would be right")
    if average is not None and label is not None:
        raise InvalidInput(f"average={average!r} and label={label!r} exclude each other: one class is no average")
    metric = ratio_metric(ratio, average or "macro")
    if label is not None or (threshold is not None and average is None):
        metric = replace(metric, title="F1" if ratio == "f1" else ratio)
    return CatalogueYardstick(
        metric=metric, relative=relative, ratio=ratio, average=average, label=label, threshold=threshold
    )


def _decided(scored: Scored) -> Scored:
    """Predictions that say what a threshold made of them, for flips and slices."""
    labels = scored.prediction.astype(np.float64)
    predictions = scored.predictions
    if scored.multilabel:
        decided = replace(predictions, kind="probabilities", outputs=labels)
    else:
        decided = replace(predictions, kind="labels", outputs=labels[:, None])
    return replace(scored, predictions=decided)


def _of_one(scored: Scored, one: int) -> Scored:
    """One class against the others, as the one label of a model of several."""
    if scored.multilabel:
        truth, prediction = scored.truth[:, [one]], scored.prediction[:, [one]]
    else:
        truth, prediction = ((part == one).astype(np.int64)[:, None] for part in (scored.truth, scored.prediction))
    predictions = replace(
        scored.predictions,
        task="multilabel",
        kind="probabilities",
        outputs=prediction.astype(np.float64),
        classes=(scored.predictions.classes[one],),
        gap=0.0,
        outside=0.0,
    )
    return Scored(truth=truth, prediction=prediction, predictions=predictions)
