"""The change of a plain statistic between two models as a function of how often each distinct row counts."""

import inspect
import math
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from robust.errors import InvalidInput
from robust.intervals.resampling import distinct
from robust.measures.truth import Scored
from robust.models.foreign_errors import PASSING, brief
from robust.quantization.plain_statistic import Statistic
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: Weightings by which `sample_weight` is compared with repeated rows.
_TRIALS = 3


@dataclass(slots=True, eq=False)
class Asked:
    """How often the function was asked about resamples, how often it gave no figure, and why it did not first."""

    calls: int = 0
    lost: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatisticRows:
    """Distinct rows of truth and both models' predictions.

    Args:
        statistic: The function.
        truth: In the form of `Scored`, (u, …).
        old: Predictions of the reference (u, …).
        new: Of the candidate.
        counts: How often each row occurs (u,).
        owner: Which distinct row each row is (n,).
        names: Labels of the classes, for a function of labels; empty where predictions are handed on as they are.
        weighted: Whether the function's `sample_weight` means repeated rows.
    """

    statistic: Statistic
    truth: AnyArray
    old: AnyArray
    new: AnyArray
    counts: IntArray
    owner: IntArray
    names: AnyArray
    weighted: bool = False
    asked: Asked = field(default_factory=Asked)

    def __call__(self, weights: FloatArray) -> FloatArray:
        """The change, positive is worse, under each row of weights (B, u); NaN where the function gives no figure."""
        if np.array_equal(self.old, self.new):
            return np.zeros(len(weights))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of resamples that lack a class, which are counted instead
            return np.array([self._change(row) for row in weights])

    def _change(self, weights: FloatArray) -> float:
        self.asked.calls += 1
        found = []
        for prediction in (self.old, self.new):
            try:
                found.append(self.figure(prediction, weights))
            except PASSING:
                raise
            except Exception as error:
                found.append(math.nan)
                self.asked.first = self.asked.first or brief(error)
        worse = found[0] - found[1] if self.statistic.higher_is_better else found[1] - found[0]
        if not math.isfinite(worse):
            self.asked.lost += 1
            return math.nan
        return worse

    def figure(self, prediction: AnyArray, weights: AnyArray) -> float:
        """The figure of predictions (u, …) where each row counts so often."""
        kept = np.flatnonzero(weights > 0)
        if self.weighted:
            return float(self._ask(self.truth[kept], prediction[kept], weights[kept]))
        rows = np.repeat(kept, np.rint(weights[kept]).astype(np.int64))
        return float(self._ask(self.truth[rows], prediction[rows], None))

    def whole(self, prediction: AnyArray, who: str) -> float:
        """The figure on the rows themselves.

        Raises:
            InvalidInput: If the function raises, or gives no finite number.
        """
        rows = self.owner
        try:
            found = self._ask(self.truth[rows], prediction[rows], None)
            value = float(found)
        except PASSING:
            raise
        except Exception as error:
            raise InvalidInput(f"{self.statistic.label} gives no figure of {who}: {brief(error)}") from error
        if not math.isfinite(value):
            raise InvalidInput(f"{self.statistic.label} of {who} is {value}: a finite figure is needed")
        return value

    def _ask(self, truth: AnyArray, prediction: AnyArray, weights: FloatArray | None) -> float:
        if len(self.names):
            truth = self.names[truth]
            if self.statistic.of == "labels":
                prediction = self.names[prediction]
        if weights is None:
            return self.statistic.function(truth, prediction)
        return self.statistic.function(truth, prediction, sample_weight=weights)  # type: ignore[call-arg]

    def differ(self) -> BoolArray:
        """Distinct rows on which the predictions differ by more than a thousandth of a typical error (u,)."""
        moved = _by_row(np.abs(self.new - self.old))
        if self.statistic.of == "labels":
            return np.asarray(moved > 0)
        truth = self.truth
        if truth.ndim == 1 and self.old.ndim == 2:
            truth = np.eye(self.old.shape[1])[truth]
        typical = sum(float(np.average(_by_row(np.abs(p - truth)), weights=self.counts)) for p in (self.old, self.new))
        return np.asarray(moved > 1e-3 * typical / 2)


def statistic_rows(statistic: Statistic, reference: Scored, candidate: Scored, *, often: bool = True) -> StatisticRows:
    """Line two models' predictions up by distinct row, in the order of their content.

    Args:
        statistic: The function.
        reference: Of the reference; both in the same classes.
        candidate: Of the candidate.
        often: Whether the function is to be asked so often that it pays to see what its weights mean.

    Returns:
        The rows.
    """
    parts = [part.reshape(len(part), -1) for part in (reference.truth, reference.prediction, candidate.prediction)]
    table = np.hstack(parts).astype(np.float64)
    rows, counts = distinct(table)
    owner = _places(table)
    first = np.empty(len(rows), dtype=np.int64)
    first[owner[::-1]] = np.arange(len(owner))[::-1]
    truth, old, new = (part[first] for part in (reference.truth, reference.prediction, candidate.prediction))
    if reference.predictions.task == "regression":
        truth, old, new = (part[:, 0] if part.shape[1] == 1 else part for part in (truth, old, new))
    named = reference.predictions.task == "classification"
    found = StatisticRows(
        statistic=statistic,
        truth=truth,
        old=old,
        new=new,
        counts=counts,
        owner=owner,
        names=np.array(reference.predictions.classes) if named else np.empty(0),
    )
    return replace(found, weighted=_weights_repeat(found)) if often else found


def _places(table: FloatArray) -> IntArray:
    """Which of the distinct, ascending rows each row is (n,)."""
    order = np.lexsort(table.T[::-1])
    ordered = table[order]
    fresh = np.concatenate(([False], (ordered[1:] != ordered[:-1]).any(axis=1)))
    places = np.empty(len(table), dtype=np.int64)
    places[order] = np.cumsum(fresh)
    return places


def _weights_repeat(rows: StatisticRows) -> bool:
    """Whether `sample_weight` gives what repeated rows give, seen on a few weightings."""
    try:
        takes = "sample_weight" in inspect.signature(rows.statistic.function).parameters
    except (TypeError, ValueError):  # a function without a signature
        return False
    if not takes:
        return False
    rng = np.random.Generator(np.random.Philox(key=0))
    counted = replace(rows, weighted=True)
    for _ in range(_TRIALS):
        weights = (rows.counts * rng.integers(1, 4, len(rows.counts))).astype(np.float64)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pair = [part.figure(p, weights) for p in (rows.old, rows.new) for part in (rows, counted)]
        except PASSING:
            raise
        except Exception:  # asked about the rows themselves, it will say so again
            return False
        if not np.allclose(pair[::2], pair[1::2], rtol=1e-9, atol=1e-12):
            return False
    return True


def _by_row(table: AnyArray) -> FloatArray:
    """The largest of each row (u,)."""
    return np.asarray(table.reshape(len(table), -1).max(axis=1), dtype=np.float64)
