"""What a setting costs: its predictions beside those of the float model, which are asked for once."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robust.bitwidths.settings import Bits, Setting, uniform
from robust.bitwidths.simulation import Simulation
from robust.data.dataset import Dataset
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Cost, Evidence, Fact, Finding, SelfCheck, Values
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.class_alignment import aligned
from robust.measures.paired import paired_change
from robust.measures.truth import Scored, score
from robust.metrics.catalogue import find_metric
from robust.metrics.metric import Metric
from robust.models.base import Model
from robust.predicting.calling import bind
from robust.predicting.metering import count_rows, metered
from robust.predicting.predictions import interpret, predict
from robust.quantization.degradation_evidence import flips
from robust.types import FloatArray

#: Bits at which rounding is that of float32 itself: the simulation must give the float answers back.
_CONTROL = 24
_CONTROL_ROWS = 64
_CONTROL_DB = 50.0
_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Predictions of one setting.

    Args:
        setting: The widths; None for the float model.
        scored: Predictions beside the truth.
        sqnr: Of its outputs against the float model's, dB; inf where they are equal.
        noise: Mean squared difference of its outputs from the float model's, as a share of their variance.
        model: The model that gave them.
        cost: What it was asked.
    """

    setting: Setting | None
    scored: Scored
    sqnr: float
    noise: float
    model: Model
    cost: Cost


@dataclass(slots=True, kw_only=True, eq=False)
class Judge:
    """Compares settings on the same rows.

    Args:
        simulation: Gives the models.
        data: Rows with targets.
        metric: What is compared.
        reference: The float model's answer.
        level: Confidence of each bound.
        seed: Seed of the bootstrap, where one is used.
        control: Self-check of the simulation.
        remarks: What was found odd in the float model's answers.
    """

    simulation: Simulation
    data: Dataset
    metric: Metric
    reference: Answer
    level: float
    seed: int
    control: SelfCheck
    remarks: tuple[Finding, ...]
    _power: float

    def answers(self, settings: Sequence[Setting]) -> list[Answer]:
        """Run settings on all rows: one forward pass each, several in one call where the framework gains by it."""
        found: list[FloatArray] = []
        started = time.perf_counter()
        try:
            for count, model in self.simulation.together(settings) if len(settings) > 1 else ():
                outputs = bind(model, self.data.schema).again(self.data.x, size=self._rows())
                found += [np.ascontiguousarray(part) for part in np.split(outputs, count, axis=1)]
        except (InvalidInput, ModelFault):
            found = []  # which setting it is that gives no numbers is told by asking one by one
        if len(found) != len(settings):
            return [self.answer(setting) for setting in settings]
        each = Cost(forward_rows=0, backward_rows=0, seconds=(time.perf_counter() - started) / len(settings))
        answers = [self.answer(setting, outputs) for setting, outputs in zip(settings, found, strict=True)]
        return [replace(answer, cost=answer.cost + each) for answer in answers]

    def _rows(self) -> int:
        """Rows a call; as many as the float model was given where its answers may depend on the rows beside them."""
        model = self.simulation.model
        return (model.fixed_batch or model.batch_size) if self.remarks else self.simulation.batch

    def answer(self, setting: Setting, outputs: FloatArray | None = None) -> Answer:
        """Run a setting on all rows: one forward pass.

        Args:
            setting: The widths.
            outputs: What it gives, where that is known.
        """
        # What the float model's outputs mean is settled; those of a coarse copy could be taken for something else.
        told = self.reference.scored.predictions
        pinned = replace(
            self.simulation.at(setting, later=outputs is not None),
            task=told.task,
            output=told.kind if told.kind != "labels" else None,
            classes=told.classes or None,
        )
        with metered() as meter:
            if outputs is None:
                outputs = bind(pinned, self.data.schema).outputs(self.data.x)
            else:
                count_rows(forward=len(self.data))
            cost = meter.cost()
        scored = score(self.metric, interpret(pinned, outputs, self.data.y), self.data)
        own, other = self.reference.scored.predictions.outputs, scored.predictions.outputs
        noise = float(np.mean((own - other) ** 2)) / self._power if own.shape == other.shape else math.nan
        return Answer(setting=setting, scored=scored, sqnr=_decibels(noise), noise=noise, model=pinned, cost=cost)

    def change(self, old: Answer, new: Answer, *, name: str, level: float | None = None) -> Measurement:
        """How much worse one answer is than another, paired by row; no model is asked."""
        with metered() as meter:
            # What the new answer was asked is a part of what its measurement cost.
            meter.forward_rows, meter.started = new.cost.forward_rows, meter.started - new.cost.seconds
            reference, candidate = aligned(old.scored, new.scored)
            level = self.level if level is None else level
            change = paired_change(
                self.metric, reference, candidate, self.data, relative=None, level=level, seed=self.seed
            )
            names = tuple("float" if answer.setting is None else _words(answer.setting) for answer in (old, new))
            evidence: list[Evidence] = [
                Values(
                    metric=self.metric.title,
                    reference=change.reference,
                    candidate=change.candidate,
                    names=(names[0], names[1]),
                )
            ]
            if self.metric.task == "classification":
                evidence.append(flips(reference.right(), candidate.right(), self.data))
            if new.setting is not None:
                evidence.append(Fact(name="bytes", value=self.simulation.size(new.setting)))
            shape = "float" if new.setting is None else _short(new.setting)
            measured = assemble(
                change.interval,
                name=name,
                unit=change.unit,
                higher_is_better=False,
                models=(new.model, old.model),
                data=self.data,
                meter=meter,
                seed=self.seed,
                options={"metric": self.metric.name, "setting": shape, **self.simulation.options},
                evidence=evidence,
                validity=(self.control, *change.validity),
                reach=change.reach,
            )
        return change.settled(measured)


def open_judge(simulation: Simulation, data: Dataset, *, metric: object, level: float, seed: int) -> Judge:
    """Predict the float model once, and check that the simulation gives it back.

    Args:
        simulation: The model and its ranges.
        data: Rows with targets.
        metric: Name of a metric of the catalogue.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.

    Raises:
        InvalidInput: If the metric is no name, or does not fit the model or the data.
    """
    if not isinstance(metric, str):
        raise InvalidInput(
            f"metric got {metric!r}; a metric's name would be right (for a callable: degradation(model, "
            "simulate_bits(model, calibration, weights=…), data, metric=…))"
        )
    found = find_metric(metric)
    with metered() as meter:
        scored = score(found, predict(simulation.model, data), data)
        cost, remarks = meter.cost(), meter.findings()
    outputs = scored.predictions.outputs
    spread = outputs - outputs.mean(axis=0)
    # Around each output's mean: an offset that all rows share carries nothing. A constant model has none but it.
    power = float(np.mean(spread**2)) or float(np.mean(outputs**2)) or 1.0
    return Judge(
        simulation=simulation,
        data=data,
        metric=found,
        reference=Answer(setting=None, scored=scored, sqnr=math.inf, noise=0.0, model=simulation.model, cost=cost),
        level=level,
        seed=seed,
        control=simulation.checked(_control),
        remarks=remarks,
        _power=power,
    )


def _control(simulation: Simulation) -> SelfCheck:
    """Whether a few calibration rows are answered as by the float model where rounding is as fine as float's own."""
    rows = simulation.calibration.rows(np.arange(min(_CONTROL_ROWS, len(simulation.calibration))))
    fine = uniform(simulation.names(), Bits(weights=_CONTROL, activations=_CONTROL), per_channel=True)
    own = _raw(simulation.model, rows)
    other = _raw(simulation.at(fine, widest=True), rows)
    same = own.shape == other.shape
    power = float(np.mean(own**2)) or 1.0
    db = _decibels(float(np.mean((own - other) ** 2)) / power) if same else -math.inf
    passed = db >= _CONTROL_DB
    return SelfCheck(
        name="simulation",
        passed=passed,
        reason=f"at {_CONTROL} bits the simulation {'gives' if passed else 'does not give'} the float answers back "
        f"(SQNR {db:.4g} dB on {len(rows)} calibration rows"
        + (")" if passed else f", {_CONTROL_DB:g} or more were expected): its figures are not those of the model"),
        bias="either",
    )


def _raw(model: Model, rows: Dataset) -> FloatArray:
    return bind(model, rows.schema).outputs(rows.x)


def _decibels(noise: float) -> float:
    """SQNR of a share of noise."""
    if noise == 0:
        return math.inf
    return -10.0 * math.log10(noise) if math.isfinite(noise) else -math.inf


def _short(setting: Setting) -> str:
    """A setting for the record; of many layers in a word, since the hash of the simulated model tells them apart."""
    key = setting.key()
    return key if len(key) <= _LONGEST else f"{_words(setting)}, {len(setting.layers)} layers"


def _words(setting: Setting) -> str:
    """A setting in a word, where all layers that are rounded have the same widths."""
    kinds = {(bits.weights, bits.activations) for bits in setting.layers.values()}
    if len(kinds) != 1:
        return "mixed bits"
    ((weights, activations),) = kinds
    if activations is None:
        return f"weights {weights} bits"
    if weights is None:
        return f"activations {activations} bits"
    return f"{weights} bits" if weights == activations else f"weights {weights}, activations {activations} bits"
