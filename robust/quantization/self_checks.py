"""Whether a comparison of two models compares anything: a null result can only fake a low loss."""

from robust.data.dataset import Dataset
from robust.evidence import SelfCheck
from robust.models.base import Model
from robust.quantization.coverage import coverage_by_layer


def comparison_checks(
    old: Model, new: Model, *, same: bool, agree: bool, quantized: bool | None, data: Dataset | None = None
) -> tuple[SelfCheck, ...]:
    """Self-checks of a comparison.

    Args:
        old: The reference.
        new: The candidate.
        same: Whether both are one object: then a comparison with itself is what was asked for.
        agree: Whether both answer bit for bit alike on every row.
        quantized: Whether the candidate has to be quantized.
        data: Rows, one of which is run where multiply-accumulates can only be counted by watching.

    Returns:
        The checks; bias `lowers`, since what they find can only have hidden a loss.
    """
    weights = old.weights(), new.weights()
    checks = []
    if not same and None not in weights:
        equal = weights[0] == weights[1]
        if equal and agree:
            reason = (
                f"{old.name} and {new.name} hold bit-equal weights and answer alike: this compares a model with itself"
            )
        elif equal:
            reason = "the two models hold bit-equal weights, but do not answer alike"
        else:
            reason = "the two models hold different weights"
        checks.append(SelfCheck(name="two models", passed=not (equal and agree), reason=reason, bias="lowers"))
    if quantized:
        checks.append(_coverage_check(new, data))
    return tuple(checks)


def _coverage_check(model: Model, data: Dataset | None) -> SelfCheck:
    found = coverage_by_layer(model, data=data)
    if found.weights == 0:
        reason = f"{model.name}: 0 % of the weights are quantized: this is the float model"
    else:
        reason = f"{model.name}: {found}"
    return SelfCheck(name="quantized", passed=bool(found.weights), reason=reason, bias="lowers")
