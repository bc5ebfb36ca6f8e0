"""The checks of operating points in the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from robust.check import Check, Subject
from robust.errors import InvalidInput
from robust.evidence import Fact
from robust.measurement import Measurement
from robust.models.base import Label
from robust.operating.choosing import Aim, choose_threshold
from robust.operating.class_thresholds import class_tables
from robust.operating.f1_search import best_f1
from robust.operating.threshold_rates import at_threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingOptions:
    """What a gate on an operating point may set.

    Args:
        figure: Which figure at the threshold is judged.
        positive: The class that is detected; empty for the second of two, and of more for the one whose best F1 on the
            validation rows is lowest.
        maximize: What the threshold is chosen for, on the validation rows.
        max_fpr: Largest share of negative validation rows that may be detected.
        min_tpr: Smallest share of positive validation rows that must be detected.
    """

    figure: Literal["f1", "tpr", "fpr", "precision"] = "f1"
    positive: int | str = ""
    maximize: Aim = "f1"
    max_fpr: float | None = None
    min_tpr: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestF1Options:
    """What a gate on the best F1 may set.

    Args:
        positive: The class that is detected; empty for the second of two.
        grid: `tenths` for the thresholds 0.1 … 0.9; None for all scores.
    """

    positive: int | str = ""
    grid: Literal["tenths"] | None = None


def _operating(subject: Subject, options: OperatingOptions) -> Sequence[Measurement]:
    """The figure that is asked for, then the three others."""
    if subject.validation is None:
        raise InvalidInput("no validation rows: a threshold is chosen on rows of its own (validation in [data])")
    positive, why = _class(subject, options)
    point = choose_threshold(
        subject.model,
        subject.validation,
        positive=positive,
        maximize=options.maximize,
        max_fpr=options.max_fpr,
        min_tpr=options.min_tpr,
    )
    rates = at_threshold(subject.model, subject.test, point, level=subject.level, seed=subject.seed)
    facts = (
        Fact(name="class that is detected", value=why or str(point.positive)),
        Fact(
            name="threshold",
            value=f"{point.threshold:.6g}: {point.rule} on {point.validation}, f1 {point.f1:.4g}, tpr {point.tpr:.4g}, "
            f"fpr {point.fpr:.4g} there",
        ),
    )
    told = [replace(m, evidence=(*facts, *m.evidence)) for m in rates]
    return sorted(told, key=lambda m: m.name != options.figure)


def _class(subject: Subject, options: OperatingOptions) -> tuple[Label | None, str]:
    """The class that is detected, and how it was found where nobody named it.

    Of several, the one that is hardest on the validation rows: the test rows have no part in the choice, so that bounds
    need no allowance for it.
    """
    if options.positive != "":
        return options.positive, ""
    found = class_tables(subject.model, subject.validation)
    if found.pooled is None:
        return None, ""
    best = [float(table.f1.max()) for _, table in found.tables]
    hardest = best.index(min(best))
    label = found.tables[hardest][0]
    return label, (
        f"{label}: its best F1 on the validation rows, {best[hardest]:.4g}, is the lowest of {len(best)} classes; "
        "positive names another"
    )


def _best(subject: Subject, options: BestF1Options) -> Measurement:
    positive = None if options.positive == "" else options.positive
    return best_f1(
        subject.model, subject.test, positive=positive, grid=options.grid, level=subject.level, seed=subject.seed
    )


CHECKS = (
    Check(
        code="MET041",
        name="at_threshold",
        title="operating point chosen on validation rows",
        measure=at_threshold,
        run=_operating,
        options=OperatingOptions,
        needs=frozenset({"targets", "validation", "classification", "multilabel"}),
        reach=(0.0, 1.0),
        why=(
            "A classifier in use has a threshold, and what it catches and how often it cries wolf are rates at that "
            "threshold. Chosen on validation rows and judged on test rows, they hold for rows to come."
        ),
        remedy=(
            "Look at the curve and at the threshold on it: allow more false alarms (max_fpr), aim at another figure "
            "(maximize), or better the ranking itself, of which the AUC tells. Where the validation rows promised "
            "more, they are too few or unlike those of the test."
        ),
    ),
    Check(
        code="MET042",
        name="best_f1",
        title="best F1 over thresholds",
        measure=best_f1,
        run=_best,
        options=BestF1Options,
        needs=frozenset({"targets", "classification", "multilabel"}),
        reach=(0.0, 1.0),
        by_request=True,
        why=(
            "The best F1 that a threshold can reach says what the scores of a class are worth where there are no "
            "validation rows; its bounds allow for the threshold having been searched for on the test rows."
        ),
        remedy=(
            "Look at the trade-off between precision and recall; choose the threshold on validation rows "
            "(at_threshold), whose bounds are narrower, and give the class more rows."
        ),
    ),
)
