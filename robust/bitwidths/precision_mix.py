"""Bits for each layer: chosen on validation rows, judged on others."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from robust.bitwidths.judging import Judge, open_judge
from robust.bitwidths.precision_search import ParetoPoint, choose, search, setting_of, stored
from robust.bitwidths.precision_words import KeptLayer, findings_of, front_figure
from robust.bitwidths.rounding import read_bits
from robust.bitwidths.row_keys import shared_rows
from robust.bitwidths.settings import read_widths
from robust.bitwidths.simulation import simulate
from robust.bitwidths.simulators import SimulatedLayer
from robust.bitwidths.telling import columns
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Finding, SelfCheck
from robust.limits import as_bytes, is_number
from robust.measurement import Measurement
from robust.models.conversion import as_model

_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedPrecision:
    """A recommendation.

    Attributes:
        choice: Bits of the weights of each layer.
        size: Bytes of the model with them.
        float_size: Bytes of the float model.
        degradation: Loss against the float model on the test rows, which had no part in the choice.
        pareto: What was tried, the smallest first, with its loss on the validation rows.
        kept: Layers that are kept at more bits than the rest.
        rule: How it was chosen, in words.
        findings: The recommendation and what stands behind it, in words.
        figure: Size against loss of the settings that no other one beats, on the validation rows.
    """

    choice: Mapping[str, int]
    size: int
    float_size: int
    degradation: Measurement
    pareto: tuple[ParetoPoint, ...]
    kept: tuple[KeptLayer, ...]
    rule: str
    findings: tuple[str, ...]
    figure: Figure

    def __repr__(self) -> str:
        return f"MixedPrecision({dict(self.choice)}, {self.size} bytes, {self.degradation})"

    def table(self) -> str:
        """What was tried, as text: the smallest first, `*` where nothing smaller loses less."""
        names = list(self.choice)
        rows = [("", "bytes", "loss", "lower", "upper", *names)]
        for point in self.pareto:
            m = point.degradation
            ends = (f"{m.value:.4f}", f"{m.lower:.4f}", f"{m.upper:.4f}")
            mark = ("*" if point.optimal else " ") + (" chosen" if dict(point.choice) == dict(self.choice) else "")
            rows.append((mark, f"{point.size:,}", *ends, *(str(point.choice[name]) for name in names)))
        return columns(rows, right=tuple(range(1, 5 + len(names))))


def mixed_precision(
    model: Any,
    calibration: Any,
    validation: Any,
    test: Any,
    *,
    limit: float | None = None,
    budget: float | str | None = None,
    widths: Sequence[int] = (8, 6, 4, 3, 2),
    activations: int | Literal["same"] | None = 8,
    metric: str = "accuracy",
    per_channel: bool = True,
    by: Literal["upper", "value"] = "upper",
    separately: int | None = None,
    calibrate: str = "minmax",
    percentile: float = 99.99,
    level: float = 0.95,
    seed: int = 0,
) -> MixedPrecision:
    """Recommend bits for each layer's weights: chosen on validation rows, judged on test rows.

    A search flatters what it finds on the rows that it was made on. So it sees the validation rows alone; the loss that
    is reported is measured afterwards on the test rows, which must be others.

    Args:
        model: A torch module or a float ONNX file.
        calibration: Rows (n, …) that activations take their ranges from.
        validation: Rows with targets, on which bits are chosen.
        test: Other rows with targets, on which the choice is judged.
        limit: Largest loss on the validation rows, in the units of `degradation`: the smallest model below it is
            chosen. 0.01 where neither it nor a budget is given.
        budget: Instead, most bytes, a number or text such as `64KiB`: the model within it that loses least is chosen.
        widths: Bits to choose from, in 2 … 16, and perhaps 32 for layers that stay in float.
        activations: Bits of what goes into each layer; `same` for those of its weights, None for float.
        metric: Name of a metric.
        per_channel: Whether each channel of the weights has a scale of its own.
        by: What of a loss on the validation rows counts: its `upper` bound, or the `value`, which is bolder. Each bound
            is one setting's own: of many that are tried the one that chance flatters most may still be chosen, and it
            is the test rows that tell.
        separately: How many layers have bits of their own, those with most weights; all others share theirs. None: all.
        calibrate: `minmax`, or `percentile` to leave out the outermost values.
        percentile: With `percentile`, how many per cent of the values are inside the range.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The recommendation: `choice`, `size`, `degradation` on the test rows (a Measurement: compare it with a limit),
        `pareto`, `kept`, `findings`, a `figure` and a `table()`.

    Raises:
        InvalidInput: If validation and test rows share some; if both limit and budget are given, or no setting is small
            enough; else as `bit_width_sweep` does.

    >>> import numpy as np, torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    >>> net[0].weight.data = torch.tensor([[10.0, 3.0], [3.0, 10.0]])
    >>> net[1].weight.data = torch.eye(2)
    >>> x = np.array([[0.1, 1.0], [1.0, 0.2], [0.3, 0.9], [0.8, 0.4], [0.2, 0.7], [0.6, 0.5]], dtype=np.float32)
    >>> y = np.array([1, 0] * 3)
    >>> found = mixed_precision(net, x, (x[:2], y[:2]), (x[2:], y[2:]), widths=(8, 2))
    >>> dict(found.choice), found.size, found.float_size, found.degradation.value
    ({'0': 2, '1': 2}, 18, 32, 0.0)
    """
    found, grid, inputs = as_model(model), read_widths(widths, with_float=True), _read_activations(activations)
    chosen_on, judged_on = as_data(validation), as_data(test)
    most = _read_goal(limit, budget, by)
    if separately is not None and (not isinstance(separately, int) or separately < 1):
        raise InvalidInput(f"separately got {separately!r}; a number of layers would be right, or None for all")
    _refuse_shared(chosen_on, judged_on)
    simulation = simulate(
        found, as_data(calibration), row_shape=judged_on.x.shape[1:], calibrate=calibrate, percentile=percentile
    )
    picker = open_judge(simulation, chosen_on, metric=metric, level=level, seed=seed)
    tried = search(picker, grid, inputs, per_channel=per_channel, separately=separately)
    point, rule = choose(tried, limit=limit, budget=most, by=by)
    judge = open_judge(simulation, judged_on, metric=metric, level=level, seed=seed)
    setting = setting_of(point.choice, inputs, per_channel=per_channel)
    answer = judge.answer(setting)
    lost = judge.change(judge.reference, answer, name="degradation in mixed precision")
    kept = _kept(judge, point.choice, inputs, per_channel=per_channel)
    findings = findings_of(simulation, point, lost, kept, judged_on, inputs)
    figure = front_figure(tried, point, limit=_line(limit, budget), level=level)
    evidence: tuple[Evidence, ...] = (
        *(Finding(text=text) for text in findings),
        *judge.remarks,
        Fact(name="chosen", value=f"{rule}, on {chosen_on.name} ({len(chosen_on)} rows), of {len(tried)} settings"),
        figure,
    )
    other = SelfCheck(
        name="chosen on other rows",
        passed=True,
        reason=f"bits were chosen on {chosen_on.name}, whose rows are others than those of {judged_on.name}",
        bias="lowers",
    )
    return MixedPrecision(
        choice=point.choice,
        size=point.size,
        float_size=simulation.size(None),
        degradation=replace(lost, evidence=(*lost.evidence, *evidence), validity=(*lost.validity, other)),
        pareto=tried,
        kept=kept,
        rule=rule,
        findings=findings,
        figure=figure,
    )


def _read_activations(value: object) -> int | str | None:
    """Bits of activations."""
    return "same" if isinstance(value, str) and value == "same" else read_bits(value, what="activations")


def _read_goal(limit: object, budget: object, by: object) -> float | None:
    """The budget in bytes; refuses what is no goal."""
    if limit is not None and budget is not None:
        raise InvalidInput("limit and budget are two ways to choose: one of them would be right")
    if limit is not None and not (is_number(limit) and math.isfinite(float(limit))):
        raise InvalidInput(f"limit got {limit!r}; a finite number such as 0.01 would be right")
    if by not in ("value", "upper"):
        raise InvalidInput(f"by got {by!r}; 'value' or 'upper' would be right")
    return None if budget is None else as_bytes(budget)


def _line(limit: float | None, budget: object) -> float | None:
    """The limit as it is drawn."""
    return None if budget is not None else 0.01 if limit is None else float(limit)


def _refuse_shared(validation: Dataset, test: Dataset) -> None:
    """What is chosen and judged on the same rows is flattered."""
    shared = shared_rows(validation, test)
    if shared:
        raise InvalidInput(
            f"{shared} of {len(test)} test rows of {test.name} are among the validation rows of {validation.name}: "
            "bits must be judged on other rows than those that they are chosen on"
        )


def _kept(
    judge: Judge, choice: Mapping[str, int], activations: int | str | None, *, per_channel: bool
) -> tuple[KeptLayer, ...]:
    """What each of the layers at more bits than the rest costs and wins back, on the test rows; the dearest first."""
    fewest = min(choice.values())
    own = setting_of(choice, activations, per_channel=per_channel)
    layers = [layer for layer in judge.simulation.layers if choice[layer.name] > fewest]

    def price(layer: SimulatedLayer) -> int:
        size = partial(judge.simulation.layer_size, layer, per_channel=per_channel)
        return size(stored(choice[layer.name])) - size(stored(fewest))

    answer = judge.answer(own) if layers else judge.reference
    found = []
    for layer in sorted(layers, key=price, reverse=True)[:_TOLD]:
        narrower = setting_of({**choice, layer.name: fewest}, activations, per_channel=per_channel)
        recovered = judge.change(answer, judge.answer(narrower), name=f"recovered by {layer.name}")
        found.append(
            KeptLayer(
                layer=layer.name, bits=choice[layer.name], instead=fewest, bytes=price(layer), recovered=recovered
            )
        )
    return tuple(found)
