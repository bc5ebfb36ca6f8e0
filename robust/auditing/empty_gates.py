"""Gates that no value of their measure can settle, refused before anything is measured."""

from typing import Any

from robust.check import Check
from robust.errors import InvalidInput
from robust.metrics.catalogue import METRICS
from robust.types import Purpose
from robust.verdict import Operator, is_empty, reach_words

_METRICS = {metric.name: metric for metric in METRICS}
_DEFAULT: dict[Purpose, str] = {"classification": "accuracy", "multilabel": "accuracy", "regression": "rmse"}


def refuse_empty(
    name: str, check: Check, options: Any, comparison: Operator, limit: float, *, task: Purpose | None = None
) -> None:
    """Refuse a gate whose answer is known before anything is measured, or that never has one.

    Args:
        name: Of the gate.
        check: What measures it.
        options: Its options.
        comparison: The operator.
        limit: The limit.
        task: What the model does, which settles the metric of a change where none is named; None where that is not
            known yet.

    Raises:
        InvalidInput: If an estimate is to equal a number, or no value of the measure can miss, or meet, the limit,
            where the catalogue knows the measure's range. What it does not know is judged with the measurement.
    """
    known = _known(check, options, task)
    if known is None:
        return
    reach, change, higher_is_better = known

    def empty(operator: Operator, number: float) -> bool:
        return is_empty(operator, number, reach, change=change, higher_is_better=higher_is_better)

    meant = f"{limit:g}"
    if 1 <= abs(limit) <= 100 and empty(comparison, limit) and not empty(comparison, limit / 100):
        meant = f"{limit:g}%"  # the sign was forgotten
    if comparison in ("==", "!="):
        better: Operator = "<" if higher_is_better is False or change else ">="
        raise InvalidInput(
            f"gate {name!r}: {check.name} is an estimate: {comparison} with a number is never settled; "
            f'compare with <, <=, > or >=, as in "{better} {meant}"'
        )
    if empty(comparison, limit):
        hint = f'; "{comparison} {meant}" would be right' if meant.endswith("%") else ""
        raise InvalidInput(
            f"gate {name!r}: {check.name} {comparison} {limit:g} decides nothing: it {reach_words(reach)}, whatever "
            f"the model{hint}"
        )


def _known(check: Check, options: Any, task: Purpose | None) -> tuple[tuple[float, float], bool, bool | None] | None:
    """Range of an estimate, whether it is a change between two models, and its direction; None where not known."""
    metric = _METRICS.get(check.name)
    if metric is not None:
        return (metric.low, metric.high), False, metric.higher_is_better
    named: str | None = getattr(options, "metric", None)
    if named is not None:
        compared = _METRICS.get(named or _DEFAULT.get(task, "") if task else named)
        relative: bool | None = getattr(options, "relative", None)
        if compared is None or (compared.relative if relative is None else relative):
            return None  # a share of the reference's value has no end
        span = compared.high - compared.low
        return (-span, span), True, None
    return None if check.reach is None else (check.reach, False, None)
