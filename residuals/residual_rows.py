"""One residual a row, for regression and for classification."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact
from robust.measures.magnitude import require_moderate
from robust.predicting.predictions import Predictions, class_indices
from robust.types import AnyArray, FloatArray

#: Largest standardised residual: beyond it one confident mistake would carry every figure alone.
LARGEST = 10.0
#: Fewer rows than this, away from the commonest residual, prove nothing about a correlation.
FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """Residuals of a model.

    Args:
        values: One a row (n,), finite, not all equal.
        kind: What they are, in words.
        unit: Unit of the values, for a figure.
        facts: What was found on the way.
    """

    values: FloatArray
    kind: str
    unit: str
    facts: tuple[Evidence, ...]

    @property
    def differing(self) -> int:
        """Rows whose residual is not the commonest one."""
        _, counts = np.unique(self.values, return_counts=True)
        return int(len(self.values) - counts.max())


def residual_rows(predictions: Predictions, data: Dataset) -> Residuals:
    """One residual a row.

    regression e = y − ŷ; two classes, Pearson: e = (y − p)/√(p(1 − p)) for the second class with y in {0, 1};
    more classes: the same for the event "the predicted class is right", with p the probability that the model
    gives to its own prediction. Both have mean 0 and variance 1 for a model whose probabilities are true, and
    are cut at ±10. A classifier that gives labels alone: y − ŷ for two classes, 1 for a wrong row and 0
    otherwise for more.

    Args:
        predictions: One a row of `data`.
        data: Has targets: numbers (n,) or (n, 1), or class labels.

    Returns:
        The residuals; for more than two classes they are negative where the model is wrong (1 where labels
        are all there is).

    Raises:
        InvalidInput: If targets and outputs do not fit or their squares would overflow, or all residuals are equal.

    Source: McCullagh and Nelder (1989), Generalized Linear Models, section 2.4.1.
    """
    found = _regression(predictions, data) if predictions.task == "regression" else _classes(predictions, data)
    values = found.values
    spread = float(values.max() - values.min())
    if spread <= 1e-12 * max(1.0, float(np.abs(values).max())):
        raise InvalidInput(
            f"all residuals of {predictions.model} on {data.name} are {values[0]:.4g}: residuals that do "
            "not vary correlate with nothing; rows on which the model errs would be right"
        )
    return found


def _regression(predictions: Predictions, data: Dataset) -> Residuals:
    y = data.targets
    if y.dtype.kind not in "fiub":
        raise InvalidInput(f"residuals of a regression model need numbers as targets, {data.name} has {y.dtype}")
    truth = y.reshape(len(y), -1).astype(np.float64)
    outputs = predictions.values
    if truth.shape[1] != 1 or outputs.shape[1] != 1:
        raise InvalidInput(
            f"residual analysis takes one target at a time; {data.name} has {truth.shape[1]} and "
            f"{predictions.model} gives {outputs.shape[1]} values a row"
        )
    require_moderate(truth, f"targets of {data.name}")
    require_moderate(outputs, f"predictions of {predictions.model}")
    values = truth[:, 0] - outputs[:, 0]
    return _residuals(values, kind="target − prediction", unit="residual (target − prediction)")


def _classes(predictions: Predictions, data: Dataset) -> Residuals:
    truth, labels = class_indices(data.targets, predictions), predictions.labels
    two = len(predictions.classes) == 2
    if predictions.kind == "labels":
        if two:
            return _residuals((truth - labels).astype(np.float64), kind="label − predicted label", unit="residual")
        wrong = (truth != labels).astype(np.float64)
        return _residuals(wrong, kind="1 for a wrong row, 0 for a right one", unit="wrong (1) or right (0)")
    table = predictions.probabilities
    if two:
        event, share = truth == 1, table[:, 1]
        kind = f"Pearson residual of class {predictions.classes[1]!r}"
    else:
        event, share = truth == labels, table[np.arange(len(labels)), labels]
        kind = "Pearson residual of the event that the predicted class is right"
    raw = pearson_residuals(event, share)
    cut = np.clip(raw, -LARGEST, LARGEST)
    clipped = int(np.sum(cut != raw))
    facts = (Fact(name=f"residuals cut at ±{LARGEST:g} (confident mistakes)", value=clipped),) if clipped else ()
    return _residuals(cut, kind=kind, unit="Pearson residual", facts=facts)


def pearson_residuals(event: AnyArray, share: FloatArray) -> FloatArray:
    """Standardised residuals of events with given probabilities.

    e = (event − p)/√(p(1 − p))

    Args:
        event: Whether it happened (n,).
        share: Probability p in [0, 1] (n,).

    Returns:
        Residuals (n,); 0 for a certain event that happened, ±inf for one that was ruled out.

    >>> pearson_residuals(np.array([True, False]), np.array([0.8, 0.5])).round(6).tolist()
    [0.5, -1.0]
    """
    p = np.clip(np.asarray(share, dtype=np.float64), 0.0, 1.0)
    # √((1 − p)/p) and √(p/(1 − p)) are the two cases, without the cancellation of event − p near certainty.
    with np.errstate(divide="ignore"):
        return np.where(event, np.sqrt((1.0 - p) / p), -np.sqrt(p / (1.0 - p)))


def _residuals(values: FloatArray, *, kind: str, unit: str, facts: tuple[Evidence, ...] = ()) -> Residuals:
    """Add what every kind reports."""
    shown = (
        Fact(name="residual", value=kind),
        Fact(name="mean residual", value=float(f"{values.mean():.4g}")),
    )
    return Residuals(values=values, kind=kind, unit=unit, facts=(*shown, *facts))
