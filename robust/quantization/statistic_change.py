"""The paired change of a plain statistic from a reference to a candidate."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.intervals.bca import bca
from robust.intervals.clipping import clip
from robust.intervals.interval import Interval
from robust.intervals.resampling import influence
from robust.measures.class_floors import floored_by_class
from robust.measures.dependence import dependent_interval, is_dependent
from robust.measures.floors import floored
from robust.measures.paired import Change
from robust.measures.truth import Scored, truth_of
from robust.measures.zero_reference import ROUNDING
from robust.predicting.predictions import Predictions
from robust.quantization.plain_statistic import Statistic
from robust.quantization.statistic_effects import effects_of
from robust.quantization.statistic_rows import StatisticRows, statistic_rows
from robust.types import AnyArray, BoolArray, FloatArray

#: Bootstrap samples: each asks the function twice, which may be slow.
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatisticYardstick:
    """A plain statistic, by which two models are compared.

    Args:
        statistic: The statistic.
    """

    statistic: Statistic

    @property
    def name(self) -> str:
        """The statistic's."""
        return self.statistic.label

    @property
    def title(self) -> str:
        """The same."""
        return self.statistic.label

    @property
    def higher_is_better(self) -> bool:
        """The statistic's."""
        return self.statistic.higher_is_better

    @property
    def relative(self) -> bool:
        """Never: nothing says that its 0 means anything."""
        return False

    @property
    def options(self) -> Mapping[str, object]:
        """What it is a function of."""
        return {"of": self.statistic.of}

    def scored(self, predictions: Predictions, data: Dataset) -> Scored:
        """Predictions in the form that the function takes."""
        form = self.statistic.of
        prediction: AnyArray
        if form == "labels":
            prediction = predictions.labels
        elif form == "probabilities":
            prediction = predictions.probabilities
        else:
            prediction = predictions.values
        return Scored(truth=truth_of(predictions, data), prediction=prediction, predictions=predictions)

    def judged(self, scored: Scored) -> Scored:
        """As they are."""
        return scored

    def value(self, judged: Scored) -> float:
        """The figure of one model."""
        rows = statistic_rows(self.statistic, judged, judged, often=False)
        return rows.whole(rows.old, judged.predictions.model)

    def checks(self, _data: Dataset) -> tuple[SelfCheck, ...]:
        """None."""
        return ()

    def change(self, reference: Scored, candidate: Scored, data: Dataset, *, level: float, seed: int) -> Change:
        """The change, positive is worse: a paired bootstrap, never narrower than what the rows that differ prove.

        Raises:
            InvalidInput: If the function gives no figure of the rows, or of too many resamples of them for a bound.
        """
        statistic = self.statistic
        rows = statistic_rows(statistic, reference, candidate)
        old = rows.whole(rows.old, reference.predictions.model)
        new = rows.whole(rows.new, candidate.predictions.model)
        span = statistic.high - statistic.low
        interval = self._interval(rows, reference, candidate, data, level, seed)
        return Change(
            interval=clip(interval, -span, span) if math.isfinite(span) else interval,
            reference=old,
            candidate=new,
            unit=statistic.unit,
            reach=(-span, span),
            validity=(),
        )

    def _interval(
        self, rows: StatisticRows, reference: Scored, candidate: Scored, data: Dataset, level: float, seed: int
    ) -> Interval:
        """Bootstrap, then floors of all rows and of each class."""
        differ = rows.differ()[rows.owner]
        found = effects_of(rows)
        scale = max(abs(rows.whole(p, "the rows")) for p in (rows.old, rows.new))
        resolution = ROUNDING * scale
        rate = found.rate
        in_rows = _OfRows(rows)
        if is_dependent(data):
            interval = dependent_interval(
                in_rows, data, level=level, seed=seed, odd=differ, effect=rate, anchor=0.0, resolution=resolution
            )
        else:
            interval = floored(
                bca(rows, rows.counts, level=level, seed=seed, resamples=RESAMPLES),
                differing=int(differ.sum()),
                units=len(differ),
                rate=lambda _share: rate,
                level=level,
                anchor=0.0,
                resolution=resolution,
            )
        lost = rows.asked.lost
        if lost and rate is not None and not math.isfinite(interval.upper - interval.lower):
            why = f" ({rows.asked.first})" if rows.asked.first else ""
            raise InvalidInput(
                f"{self.name} gives no figure of {lost} of {rows.asked.calls} resamples of the {len(data)} rows{why}: "
                "no bound can rest on the others; use more rows, of every class, or a function that is defined there"
            )
        if found.classes is not None:
            moved = reference.prediction != candidate.prediction if reference.multilabel else differ
            interval = floored_by_class(
                interval,
                data,
                reference.truth,
                differ=np.asarray(moved),
                effects=found.classes,
                slopes=lambda: influence(in_rows, np.ones(len(differ))),
                level=level,
                added=_undone(rows, reference, candidate),
                classes=reference.predictions.classes,
            )
        if abs(interval.value) <= resolution:
            interval = replace(interval, value=0.0, lower=min(interval.lower, 0.0), upper=max(interval.upper, 0.0))
        return interval


class _OfRows:
    """The change under weights of rows, each of which is one of the distinct ones."""

    __slots__ = ("_rows",)

    def __init__(self, rows: StatisticRows) -> None:
        self._rows = rows

    def __call__(self, weights: FloatArray) -> FloatArray:
        number = len(self._rows.counts)
        return self._rows(np.array([np.bincount(self._rows.owner, weights=row, minlength=number) for row in weights]))

    def leave_one_out(self, counts: FloatArray) -> FloatArray:
        """Without each row in turn (n,): rows that are alike share it."""
        rows = self._rows
        held = np.bincount(rows.owner, weights=counts, minlength=len(rows.counts))
        table = np.repeat(held[np.newaxis], len(held), axis=0) - np.eye(len(held))
        return rows(table)[rows.owner]


def _undone(rows: StatisticRows, reference: Scored, candidate: Scored) -> Callable[[BoolArray, int | None], float]:
    """From rows (n,), and of several labels one of them, to what those rows have added to the change."""

    def change(prediction: Scored) -> float:
        found = statistic_rows(rows.statistic, reference, prediction, often=False)
        return float(found(found.counts[np.newaxis].astype(np.float64))[0])

    whole = change(candidate)

    def added(where: BoolArray, column: int | None) -> float:
        prediction = candidate.prediction.copy()
        place = where if column is None else (where, column)
        prediction[place] = reference.prediction[place]
        undone = change(replace(candidate, prediction=prediction))
        return whole - undone if math.isfinite(undone) else 0.0

    return added
