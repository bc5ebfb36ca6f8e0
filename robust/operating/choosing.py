"""A threshold chosen on validation rows, to be judged on others."""

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.limits import is_number
from robust.measures.row_contents import RowContents, row_contents
from robust.measures.score_thresholds import ThresholdTable, threshold_table
from robust.models.base import Label
from robust.models.conversion import as_model
from robust.operating.positive_class import against_rest
from robust.types import BoolArray, FloatArray

Aim: TypeAlias = Literal["f1", "youden", "tpr", "specificity"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatingPoint:
    """A threshold on the score of one class, and the rows that it was chosen on.

    Args:
        threshold: A row is detected where its score ≥ threshold.
        positive: The class.
        model: Name of the model.
        validation: Name of the data that it was chosen on.
        fingerprint: Content hash of that data.
        rule: How it was chosen, in words.
        tpr: True positive rate on the validation rows; like the next three a description, not an estimate for new
            rows, since the threshold was fitted to these.
        fpr: False positive rate on them.
        precision: Precision on them.
        f1: F1 on them.
        contents: Their contents, hashed, so that testing on the same rows is noticed.
    """

    threshold: float
    positive: Label
    model: str
    validation: str
    fingerprint: str
    rule: str
    tpr: float
    fpr: float
    precision: float
    f1: float
    contents: RowContents

    def overlap(self, data: Dataset) -> int:
        """Rows of `data` that were among the validation rows; 0 where rows of few distinct values repeat by chance.

        Args:
            data: Rows that are to be tested.

        Returns:
            Number of rows, 0 … len(data).
        """
        return self.contents.shared(data)

    def __repr__(self) -> str:
        return (
            f"OperatingPoint(score of {self.positive!r} >= {self.threshold:.6g}, {self.rule} on {self.validation}: "
            f"tpr {self.tpr:.4g}, fpr {self.fpr:.4g}, f1 {self.f1:.4g})"
        )


def choose_threshold(
    model: Any,
    validation: Any,
    *,
    positive: Label | None = None,
    maximize: Aim = "f1",
    max_fpr: float | None = None,
    min_tpr: float | None = None,
) -> OperatingPoint:
    """Choose a threshold on a class score from validation rows, exactly over all scores.

    Among the thresholds with fpr ≤ `max_fpr` and tpr ≥ `min_tpr` on these rows, the one with the largest
    f1 = 2 TP / (2 TP + FP + FN), youden = tpr − fpr, tpr, or specificity = 1 − fpr. Ties go to the lowest threshold; of
    thresholds with the same largest tpr the highest is taken, which raises the fewest false alarms.

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        validation: Anything `as_data` takes, with targets; other rows than those of the test.
        positive: The class that is detected; None for the second of two.
        maximize: `f1`, `youden`, `tpr` (needs `max_fpr`) or `specificity` (needs `min_tpr`).
        max_fpr: Largest share of negative validation rows that may be detected, in [0, 1].
        min_tpr: Smallest share of positive validation rows that must be detected, in [0, 1].

    Returns:
        The operating point. What it reaches on new rows is for `at_threshold` to say: here the threshold was fitted.

    Raises:
        InvalidInput: If no threshold meets both limits, a limit is no share, the aim needs a limit, or as
            `threshold_table` for rows that are all alike.
        ModelFault: If the model breaks its contract.

    Source: Youden (1950), Cancer 3:32, for J = tpr − fpr.

    >>> import numpy as np
    >>> net = as_model(lambda x: x[:, 0], output="probabilities")
    >>> held_out = (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1])
    >>> choose_threshold(net, held_out).threshold, choose_threshold(net, held_out, max_fpr=0.0).threshold
    (0.35, 0.8)
    """
    limits = [check_share(name, limit) for name, limit in (("max_fpr", max_fpr), ("min_tpr", min_tpr))]
    if maximize not in get_args(Aim):
        raise InvalidInput(f"maximize got {maximize!r}; one of {', '.join(get_args(Aim))} would be right")
    for aim, name, limit in (("tpr", "max_fpr", limits[0]), ("specificity", "min_tpr", limits[1])):
        if maximize == aim and limit is None:
            raise InvalidInput(f"maximize={aim!r} alone is reached by an empty rule: say {name}= too")
    judged, data = as_model(model), as_data(validation)
    scored = against_rest(judged, data, positive)
    table = threshold_table(scored.truth, scored.scores)
    row = _best_row(table, _meeting(table, *limits), maximize)
    return OperatingPoint(
        threshold=float(table.threshold[row]),
        positive=scored.label,
        model=judged.name,
        validation=data.name,
        fingerprint=data.fingerprint,
        rule=", ".join(
            [f"largest {maximize}"]
            + [
                f"{name} {sign} {limit:g}"
                for name, sign, limit in (("fpr", "≤", limits[0]), ("tpr", "≥", limits[1]))
                if limit is not None
            ]
        ),
        tpr=float(table.tpr[row]),
        fpr=float(table.fpr[row]),
        precision=float(table.precision[row]),
        f1=float(table.f1[row]),
        contents=row_contents(data),
    )


def check_share(name: str, limit: object) -> float | None:
    """A share in [0, 1], or None.

    Args:
        name: Subject of the message.
        limit: What was given.

    Returns:
        The share as a float.

    Raises:
        InvalidInput: If it is no number from 0 to 1.
    """
    if limit is None:
        return None
    share = float(limit) if is_number(limit) else math.nan
    if not 0.0 <= share <= 1.0:
        raise InvalidInput(f"{name} got {limit!r}; a share from 0 to 1 would be right")
    return share


def _meeting(table: ThresholdTable, max_fpr: float | None, min_tpr: float | None) -> BoolArray:
    """Which thresholds meet both limits."""
    fits = np.ones(len(table), dtype=bool)
    if max_fpr is not None:
        fits &= table.fpr <= max_fpr
    if min_tpr is not None:
        fits &= table.tpr >= min_tpr
    if not fits.any():
        best = float(table.fpr[table.tpr >= (min_tpr or 0.0)].min())
        raise InvalidInput(
            f"no threshold has fpr <= {max_fpr:g} and tpr >= {min_tpr:g} on these rows: with that tpr the least fpr is "
            f"{best:.4g}; relax a limit or better the model"
        )
    return fits


def _best_row(table: ThresholdTable, fits: BoolArray, aim: Aim) -> int:
    """Where the aim is largest."""
    merits: dict[str, FloatArray] = {
        "f1": table.f1,
        "youden": table.tpr - table.fpr,
        "tpr": table.tpr,
        "specificity": 1.0 - table.fpr,
    }
    merit = np.where(fits, merits[aim], -np.inf)
    near = np.flatnonzero(merit == merit.max())
    return int(near[-1] if aim == "tpr" else near[0])
