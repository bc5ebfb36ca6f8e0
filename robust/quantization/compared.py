"""Two models that have been asked about the same rows, compared."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Cost, Evidence, Fact, Finding, Values
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.class_alignment import aligned
from robust.measures.truth import Scored
from robust.models.base import Model
from robust.models.host_facts import host_facts
from robust.predicting.input_codes import check_rows_of_both
from robust.predicting.metering import Meter, metered
from robust.predicting.predictions import predict
from robust.quantization.degradation_evidence import classification_evidence, regression_evidence
from robust.quantization.host_floor import host_floor
from robust.quantization.plain_statistic import Statistic
from robust.quantization.row_value_change import MetricCallable, called, row_value_change
from robust.quantization.self_checks import comparison_checks
from robust.quantization.statistic_change import StatisticYardstick
from robust.quantization.yardsticks import Yardstick, catalogue_yardstick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """A model that has been asked.

    Args:
        model: The model.
        scored: Its predictions beside the truth; None where a callable measured them.
        measured: What a callable gave; None where predictions were scored.
        cost: What that cost.
        findings: What a reader must know of its answers.
    """

    model: Model
    scored: Scored | None = None
    measured: Measurement | None = None
    cost: Cost
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """By what models are compared, and on which rows.

    Args:
        yardstick: A metric of the catalogue or a plain statistic; None for a callable.
        measure: That callable.
        data: The rows.
        quantized: Whether candidates have to be quantized.
        seed: Seed of the bootstrap.
    """

    yardstick: Yardstick | None
    measure: MetricCallable | None
    data: Dataset
    quantized: bool | None
    seed: int

    def ask(self, model: Model) -> Answered:
        """Ask a model once.

        Raises:
            InvalidInput: If it does not fit the metric or the data.
            ModelFault: If it breaks its contract.
        """
        with metered() as meter:
            if self.yardstick is not None:
                scored = self.yardstick.scored(predict(model, self.data), self.data)
                return Answered(model=model, scored=scored, cost=meter.cost(), findings=meter.findings())
            measured = None if self.measure is None else called(self.measure, model, self.data)
            return Answered(model=model, measured=measured, cost=meter.cost(), findings=meter.findings())

    def between(self, old: Answered, new: Answered, *, same: bool) -> Callable[[float], Measurement]:
        """Compare two models that have been asked.

        Args:
            old: The reference.
            new: The candidate.
            same: Whether both are one object.

        Returns:
            From the level of each bound to the degradation; what does not hang on it is worked out once.

        Raises:
            InvalidInput: If the rows are integers that stand for one number to the one model and another to the other.
        """
        read = check_rows_of_both(old.model, new.model, self.data)
        told: tuple[Evidence, ...]
        if old.scored is not None and new.scored is not None and self.yardstick is not None:
            floor = host_floor(self.yardstick, (old.model, old.scored), (new.model, new.scored), self.data)
            told, size = floor.evidence(), floor.size
        else:
            told, size = (Fact(name="host floor", value="not measured: the metric is a callable"),), 0.0
        leakage = None if new.model.calibrated is None else new.model.calibrated.leakage(self.data)
        told = (*(Finding(text=text) for text in (leakage, read) if text is not None), *told)
        host = host_facts([new.model, old.model])

        def at(level: float) -> Measurement:
            measured, agree = self._measured(old, new, level)
            checks = comparison_checks(
                old.model, new.model, same=same, agree=agree, quantized=self.quantized, data=self.data
            )
            return replace(
                measured,
                evidence=(*measured.evidence, *told),
                validity=(*checks, *measured.validity),
                provenance=structs.replace(measured.provenance, cost=old.cost + new.cost, host=host),
                resolution=size,
            )

        return at

    def _measured(self, old: Answered, new: Answered, level: float) -> tuple[Measurement, bool]:
        """The degradation, and whether both answer alike on every row."""
        if old.scored is not None and new.scored is not None and self.yardstick is not None:
            return self._by_yardstick(self.yardstick, old, new, old.scored, new.scored, level)
        if old.measured is None or new.measured is None:
            raise InvalidInput("both models must be asked for the same metric")
        return row_value_change(
            old.measured, new.measured, (old.model, new.model), self.data, level=level, seed=self.seed
        )

    def _by_yardstick(
        self, yardstick: Yardstick, old: Answered, new: Answered, before: Scored, after: Scored, level: float
    ) -> tuple[Measurement, bool]:
        """The same by a metric of predictions."""
        data, seed = self.data, self.seed
        one, other = aligned(before, after)
        agree = np.array_equal(one.predictions.outputs, other.predictions.outputs)
        reference, candidate = yardstick.judged(one), yardstick.judged(other)
        change = yardstick.change(reference, candidate, data, level=level, seed=seed)
        evidence: tuple[Evidence, ...] = (
            Values(metric=yardstick.title, reference=change.reference, candidate=change.candidate),
        )
        if reference.predictions.task == "regression":
            evidence += regression_evidence(reference, candidate, data, level=level, seed=seed)
        else:
            evidence += classification_evidence(reference, candidate, data, level=level, seed=seed)
        measured = assemble(
            change.interval,
            name="degradation" if yardstick.name == "accuracy" else f"degradation of {yardstick.title}",
            unit=change.unit,
            higher_is_better=False,
            models=(new.model, old.model),
            data=data,
            meter=Meter(),
            seed=seed,
            options={"metric": yardstick.name, "relative": change.unit == "relative", **yardstick.options},
            evidence=(*evidence, *dict.fromkeys((*old.findings, *new.findings))),
            validity=(*yardstick.checks(data), *change.validity),
            reach=change.reach,
        )
        return change.settled(measured), bool(agree)


def comparison(
    metric: str | MetricCallable | Statistic,
    data: Dataset,
    *,
    relative: bool | None,
    quantized: bool | None,
    seed: int,
) -> Comparison:
    """Read by what two models are to be compared.

    Args:
        metric: A name, a measure of this package with or without options, a statistic, or another callable.
        data: The rows.
        relative: Whether to divide by the reference; None follows the metric.
        quantized: Whether candidates have to be quantized.
        seed: Seed of the bootstrap.

    Raises:
        InvalidInput: If no metric has that name, or it has no relative change.
    """
    yardstick: Yardstick | None
    if isinstance(metric, Statistic):
        yardstick, kind = StatisticYardstick(statistic=metric), "plain statistic"
    else:
        yardstick, kind = catalogue_yardstick(metric, relative=relative), "callable metric"
    if relative and (yardstick is None or isinstance(metric, Statistic)):
        raise InvalidInput(f"the degradation of a {kind} is absolute; relative=True is for metrics by name")
    if yardstick is None and not callable(metric):
        raise InvalidInput(f"metric got {metric!r}; a name, a measure, a Statistic or a callable would be right")
    measure = metric if yardstick is None and not isinstance(metric, str | Statistic) else None
    return Comparison(yardstick=yardstick, measure=measure, data=data, quantized=quantized, seed=seed)
