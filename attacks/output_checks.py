"""The checks of the catalogue on how far outputs of a regression move."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from robust.attacks.checks import default_eps
from robust.attacks.output_change import largest_output_change
from robust.attacks.output_least import minimal_perturbation_for_change
from robust.check import Check, Subject
from robust.measurement import Measurement
from robust.predicting.predictions import predict

# Of the standard deviation of the outputs, where nobody says how far they have to move.
_OF_SPREAD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestOutputChangeOptions:
    """What a gate on the largest change of an output may set.

    Args:
        eps: Budget in the data's units, one number or numbers by feature; None for 3 % of a bounded feature's range,
            and a tenth of an unbounded one's standard deviation.
        norm: `linf`, `l2` or `l1`.
        output: Position of the output; None for the one that moves farthest.
        direction: `both`, `up` or `down`.
        quantile: This share of the rows moves by at most the figure, in (0, 1]; None for the mean.
        tolerance: Count the rows that move by more than this instead.
        strength: `quick`, `standard` or `thorough`.
    """

    eps: float | dict[str, float] | None = None
    norm: Literal["linf", "l2", "l1"] = "linf"
    output: int | None = None
    direction: Literal["both", "up", "down"] = "both"
    quantile: float | None = 0.95
    tolerance: float | None = None
    strength: Literal["quick", "standard", "thorough"] = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalChangeOptions:
    """What a gate on the smallest perturbation that moves an output may set.

    Args:
        change: How far the output has to move, in its unit; None for a tenth of the standard deviation of the outputs.
        norm: `linf`, `l2` or `l1`.
        units: Units of the features by name, in which the change of the input is measured; None for their own.
        output: Position of the output; None for the one that is easiest to move.
        direction: `both`, `up` or `down`.
    """

    change: float | None = None
    norm: Literal["linf", "l2", "l1"] = "l2"
    units: dict[str, float] | None = None
    output: int | None = None
    direction: Literal["both", "up", "down"] = "both"


def _largest(subject: Subject, options: LargestOutputChangeOptions) -> Measurement:
    """Measure the candidate."""
    return largest_output_change(
        subject.model,
        subject.test,
        eps=default_eps(subject.test) if options.eps is None else options.eps,
        norm=options.norm,
        output=options.output,
        direction=options.direction,
        quantile=options.quantile,
        tolerance=options.tolerance,
        strength=options.strength,
        level=subject.level,
        seed=subject.seed,
    )


def _least(subject: Subject, options: MinimalChangeOptions) -> Measurement:
    """Measure the candidate."""
    change = options.change
    if change is None:
        values = predict(subject.model, subject.test).values
        spread = values.std(axis=0) if options.output is None else values[:, options.output].std()
        change = _OF_SPREAD * float(np.max(spread))
    return minimal_perturbation_for_change(
        subject.model,
        subject.test,
        change=change,
        norm=options.norm,
        units=options.units,
        output=options.output,
        direction=options.direction,
        level=subject.level,
        seed=subject.seed,
    )


CHECKS = (
    Check(
        code="ATK010",
        name="largest_output_change",
        title="largest change of the output under attack",
        measure=largest_output_change,
        run=_largest,
        options=LargestOutputChangeOptions,
        needs=frozenset({"regression"}),
        why="A regression may be right on the test rows and swing wildly right beside them. A measurement error, or "
        "somebody who chooses it, finds the change that moves the output farthest; random noise seldom does.",
        remedy="Look at the rows that move farthest, and whether eps is a change that can happen. Smooth the model "
        "(weight decay, training on attacked rows, monotone or linear parts), or narrow what it accepts.",
    ),
    Check(
        code="ATK011",
        name="minimal_perturbation_for_change",
        title="smallest perturbation that moves the output",
        measure=minimal_perturbation_for_change,
        run=_least,
        options=MinimalChangeOptions,
        needs=frozenset({"regression"}),
        by_request=True,
        why="How far an input must be off before the output is off by an amount that matters tells what accuracy of "
        "measurement the model needs. In one figure, it is a length only where features share a unit: give units.",
        remedy="Compare it with the error of your sensors in the same units. Where it is smaller, smooth the model or "
        "measure better; the most fragile rows show where.",
    ),
)
