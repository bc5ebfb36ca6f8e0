"""What a model's outputs are held to: learned from its answers on the data's own rows and from what it declares."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from robust.models.base import Model
from robust.predicting.meaning import DECLARED_TOLERANCE, SUM_TOLERANCE, declared_sum_tolerance
from robust.predicting.row_faults import REPEATABLE
from robust.types import AnyArray, BoolArray, FloatArray

#: Differences above this share of the outputs' spread are no rounding; those up to `CHANGE` are told, and decide where
#: they move a label: builds of few bits round to steps.
ROUNDING, CHANGE = 1e-3, 0.05
Decides: TypeAlias = Literal["largest", "half", "zero"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """The yardstick.

    Args:
        columns: Outputs a row.
        spread: How far outputs lie apart on the data, the column that varies most; their size where none does.
        summed: How far a row of probabilities may miss a sum of 1; None where there is no such sum.
        inside: How far a probability may miss 0 … 1; None where outputs are no probabilities.
        declared: Whether the model says that they are; else they were, on all rows of the data.
        decides: How a label comes of outputs; None where they are numbers.
    """

    columns: int
    spread: float
    summed: float | None
    inside: float | None
    declared: bool
    decides: Decides | None

    def rounding(self, outputs: FloatArray, share: float = REPEATABLE) -> FloatArray:
        """How far an answer may move without having changed (b,)."""
        size = np.abs(outputs).max(axis=1, initial=0.0)
        size = size if np.isfinite(size).all() else np.where(np.isfinite(size), size, 0.0)
        return np.asarray(share * (self.spread + size))

    def labels(self, outputs: FloatArray) -> AnyArray | None:
        """Decisions (b,), or None."""
        if self.decides is None:
            return None
        if self.decides == "largest":
            return np.asarray(outputs.argmax(axis=1))
        return np.asarray((outputs >= (0.5 if self.decides == "half" else 0.0)).all(axis=1))

    def improbable(self, outputs: FloatArray) -> tuple[BoolArray, FloatArray, FloatArray]:
        """Which rows are no probabilities (b,), and by how much they miss the sum and the range."""
        nothing = np.zeros(len(outputs))
        if self.inside is None:
            return nothing.astype(bool), nothing, nothing
        with np.errstate(invalid="ignore"):
            beyond = np.maximum(-outputs.min(axis=1), outputs.max(axis=1) - 1.0)
            gap = nothing if self.summed is None else np.abs(outputs.sum(axis=1) - 1.0)
            wrong = (beyond > self.inside) | (gap > (np.inf if self.summed is None else self.summed))
        return wrong & np.isfinite(outputs).all(axis=1), gap, beyond


def expected_of(model: Model, outputs: FloatArray) -> Expected:
    """Learn the yardstick.

    Args:
        model: Declares what it can.
        outputs: Its outputs on rows of the data (m, k), finite ones alone.
    """
    width = outputs.shape[1]
    apart = float((outputs.max(axis=0) - outputs.min(axis=0)).max()) if len(outputs) > 1 else 0.0
    spread = apart or float(np.abs(outputs).max()) or 1.0
    one_class = model.task != "multilabel" and width > 1
    gap = float(np.abs(outputs.sum(axis=1) - 1.0).max()) if one_class else 0.0
    beyond = max(float(-outputs.min()), float(outputs.max()) - 1.0, 0.0)
    declared = model.output == "probabilities"
    found = model.output is None and model.task != "regression" and one_class and max(gap, beyond) <= SUM_TOLERANCE
    summed = inside = None
    if declared or found:
        # What the model keeps to on its own data it must keep to everywhere.
        summed = SUM_TOLERANCE if gap <= SUM_TOLERANCE else declared_sum_tolerance(width)
        inside = SUM_TOLERANCE if beyond <= SUM_TOLERANCE else DECLARED_TOLERANCE
    return Expected(
        columns=width,
        spread=spread,
        summed=summed if one_class else None,
        inside=inside,
        declared=declared,
        decides=_decides(model, width, probable=declared or found),
    )


def _decides(model: Model, width: int, *, probable: bool) -> Decides | None:
    if model.task == "regression" or not (probable or model.output == "logits" or model.task == "classification"):
        return None
    if width > 1 and model.task != "multilabel":
        return "largest"
    return None if model.output is None and not probable else "zero" if model.output == "logits" else "half"
