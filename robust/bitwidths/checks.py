"""The checks of simulated bit widths in the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from robust.bitwidths.one_layer import layer_sensitivity
from robust.bitwidths.precision_mix import mixed_precision
from robust.bitwidths.rounding import FLOAT
from robust.bitwidths.settings import Part
from robust.bitwidths.simulation import can_be_simulated
from robust.bitwidths.time_budget import SweepPlan, pace_of, plan_mix, plan_sweep
from robust.bitwidths.width_curves import BitWidthSweep, bit_width_sweep
from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Finding
from robust.measurement import Measurement
from robust.measures.details import sampled
from robust.models.base import Model

#: Training rows that ranges are taken from, at most: more do not move them.
_CALIBRATION = 1024
#: Rows and layers that are looked at one by one, at most, so that an audit takes seconds.
_ROWS, _LAYERS = 512, 24
#: Seconds that each check may take by how long a pass takes.
_SECONDS = 60.0
#: What is rounded, one curve each.
_PARTS: tuple[Part, ...] = ("both", "weights", "activations")
#: Loss from which on it is asked which layer it comes from, and the bits that a layer is kept at instead.
_NOTICED, _KEPT = 0.01, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What a gate on a sweep may set.

    Args:
        bits: The width that is judged.
        part: What is rounded where it is judged.
        widths: Widths of the curves.
        per_channel: Whether each channel of the weights has a scale of its own.
        metric: Name of a metric; empty for accuracy, or RMSE of a regression model.
        calibrate: How ranges of activations are taken.
        seconds: Time for it, by how long a pass takes: where there is too little, fewer points and layers are looked at
            one by one, and then fewer rows, which is told.
    """

    bits: int = 8
    part: Part = "both"
    widths: tuple[int, ...] = (8, 6, 4, 3, 2)
    per_channel: bool = True
    metric: str = ""
    calibrate: Literal["minmax", "percentile"] = "minmax"
    seconds: float = _SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class MixOptions:
    """What a gate on mixed precision may set.

    Args:
        most: Largest loss on the validation rows.
        budget: Most bytes, such as `64KiB`, instead.
        widths: Bits to choose from.
        activations: Bits of what goes into each layer; 32 for float.
        per_channel: Whether each channel of the weights has a scale of its own.
        by: What of a loss on the validation rows counts.
        rows: Validation rows that the bits are chosen on, at most.
        separately: Layers that have bits of their own, at most: those with most weights.
        metric: Name of a metric; empty for accuracy, or RMSE of a regression model.
        seconds: Time for it, by how long a pass takes: where there is too little, fewer rows and layers are searched,
            which is told.
    """

    most: float | None = None
    budget: str | None = None
    widths: tuple[int, ...] = (8, 6, 4, 3, 2)
    activations: int = 8
    per_channel: bool = True
    by: Literal["upper", "value"] = "upper"
    rows: int = _ROWS
    separately: int = _LAYERS
    metric: str = ""
    seconds: float = _SECONDS


def simulable(subject: Subject) -> Model | None:
    """The float model whose bits an audit can simulate: the reference, or else the candidate; None where neither can.

    Args:
        subject: What the audit is about.
    """
    models = (subject.reference, subject.model)
    return next((model for model in models if model is not None and can_be_simulated(model) is None), None)


def _model(subject: Subject) -> Model:
    found = simulable(subject)
    if found is None:
        raise InvalidInput(f"fewer bits cannot be simulated: {can_be_simulated(subject.reference or subject.model)}")
    return found


def _calibration(subject: Subject) -> Dataset:
    """Training rows, evenly spaced where there are many."""
    if subject.train is None:
        raise InvalidInput("no training rows: ranges of activations are taken from them (train in [data])")
    return _some(subject.train, _CALIBRATION)


def _some(rows: Dataset, most: int) -> Dataset:
    """Rows, evenly spaced where there are more."""
    return rows if len(rows) <= most else rows.rows(np.asarray(sampled(len(rows), most)))


def _metric(subject: Subject, name: str) -> str:
    return name or ("rmse" if subject.task == "regression" else "accuracy")


def _sweep(subject: Subject, options: SweepOptions) -> Sequence[Measurement]:
    """The width that is judged, with the curves; then the other widths of its curve."""
    model, calibration = _model(subject), _calibration(subject)
    parts: tuple[Part, ...] = (options.part, *(part for part in _PARTS if part != options.part))
    widths = sorted({*options.widths, options.bits})
    plan = plan_sweep(
        pace_of(model, subject.test),
        seconds=options.seconds,
        points=(len(parts) * len(widths), len(widths), 1),
        rows=len(subject.test),
        ranges=len(calibration),
        layers=_LAYERS,
        layer_rows=_ROWS,
    )
    calibration, rows = _some(calibration, plan.ranges), _some(subject.test, plan.rows)
    found = bit_width_sweep(
        model,
        calibration,
        rows,
        widths=widths if plan.points >= len(widths) else (options.bits,),
        per_channel=options.per_channel,
        parts=parts if plan.points > len(widths) else options.part,
        metric=_metric(subject, options.metric),
        calibrate=options.calibrate,
        level=subject.level,
        seed=subject.seed,
    )
    judged = found.at(options.bits)
    curve = found.curves[0]
    others = [
        replace(m, evidence=tuple(item for item in m.evidence if not isinstance(item, Finding | Figure)))
        for m in reversed(curve.points)
        if m is not judged
    ]
    told = (Finding(text=plan.told),) if plan.told else ()
    layers = _layers(subject, options, found, plan, calibration) if plan.layers else ()
    return [replace(judged, evidence=(*judged.evidence, *layers, *told)), *others]


def _layers(
    subject: Subject, options: SweepOptions, sweep: BitWidthSweep, plan: SweepPlan, calibration: Dataset
) -> tuple[Evidence, ...]:
    """Which layers the loss comes from, at the widest bits at which weights or activations alone have one."""
    apart = [curve for curve in sweep if curve.part != "both"] or list(sweep)
    losing = [bits for curve in apart for bits, m in zip(curve.grid, curve, strict=True) if m.value > _NOTICED]
    bits = int(max(losing, default=sweep.grid[0]))
    rows = _some(subject.test, plan.layer_rows)
    found = layer_sensitivity(
        _model(subject),
        calibration,
        rows,
        bits=bits,
        keep=_KEPT if bits < _KEPT else None,
        most=plan.layers,
        per_channel=options.per_channel,
        metric=_metric(subject, options.metric),
        calibrate=options.calibrate,
        level=subject.level,
        seed=subject.seed,
    )
    known = {item.text for item in sweep.curves[0].points[0].evidence if isinstance(item, Finding)}
    # The loss of all layers together is the sweep's to tell: on other rows it is another number.
    told = [text for text in found.findings[len(found.together) :] if text not in known]
    where = "" if len(rows) == len(subject.test) else f" (on {len(rows)} of {len(subject.test)} rows)"
    asked = Fact(name="layer by layer", value=f"at {bits} bits, on {len(rows)} of {len(subject.test)} rows")
    return (*(Finding(text=f"{text}{where}") for text in told), asked, found.figure)


def _mix(subject: Subject, options: MixOptions) -> Measurement:
    if subject.validation is None:
        raise InvalidInput("no validation rows: bits are chosen on rows of their own (validation in [data])")
    model, calibration, chosen_on = _model(subject), _calibration(subject), _some(subject.validation, options.rows)
    plan = plan_mix(
        pace_of(model, subject.test),
        seconds=options.seconds,
        widths=len(options.widths),
        rows=len(chosen_on),
        test=len(subject.test),
        ranges=len(calibration),
        separately=options.separately,
    )
    found = mixed_precision(
        model,
        _some(calibration, plan.ranges),
        _some(chosen_on, plan.rows),
        subject.test,
        limit=options.most,
        budget=options.budget,
        widths=options.widths,
        activations=options.activations,
        per_channel=options.per_channel,
        by=options.by,
        separately=plan.separately,
        metric=_metric(subject, options.metric),
        level=subject.level,
        seed=subject.seed,
    )
    chosen = ", ".join(f"{name}: {_width(bits)}" for name, bits in found.choice.items())
    facts = (Fact(name="bits by layer", value=chosen), Fact(name="bytes of the float model", value=found.float_size))
    told = (Finding(text=plan.told),) if plan.told else ()
    return replace(found.degradation, evidence=(*facts, *found.degradation.evidence, *told))


def _width(bits: int) -> str:
    return "float" if bits == FLOAT else f"{bits} bits"


CHECKS = (
    Check(
        code="QNT004",
        name="bit_width_sweep",
        title="loss in fewer bits, simulated",
        measure=bit_width_sweep,
        run=_sweep,
        options=SweepOptions,
        needs=frozenset({"bits", "train", "targets", "classification", "multilabel", "regression"}),
        why="How many bits a model needs decides its memory and often its device; a sweep shows where accuracy breaks, "
        "and whether weights or activations break it, before anything is built.",
        remedy="Where activations lose most: more or other calibration rows, percentile ranges, or 16-bit activations. "
        "Where weights do: a scale a channel, mixed precision, or quantization-aware training.",
    ),
    Check(
        code="QNT005",
        name="mixed_precision",
        title="mixed precision, chosen on validation rows",
        measure=mixed_precision,
        run=_mix,
        options=MixOptions,
        needs=frozenset({"bits", "train", "validation", "targets", "classification", "multilabel", "regression"}),
        why="A few layers need more bits than the rest. Which ones is found on validation rows; what the mix costs is "
        "measured on the test rows, which had no part in it.",
        remedy="Allow more bytes or a larger loss, add wider bits (16, or 32 for float) to widths, or train with the "
        "chosen bits in the loop; where the rows settle nothing, more validation rows.",
    ),
)
