"""Which layers need which bits: a search on validation rows alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from robust.bitwidths.judging import Judge
from robust.bitwidths.rounding import FLOAT
from robust.bitwidths.settings import Bits, Setting
from robust.bitwidths.simulators import SimulatedLayer
from robust.errors import InvalidInput
from robust.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParetoPoint:
    """One setting that was tried.

    Args:
        choice: Bits of the weights of each layer; 32 is float.
        size: Bytes of the model.
        degradation: Loss against the float model on the validation rows.
        optimal: Whether no setting that was tried is smaller and loses less.
    """

    choice: Mapping[str, int]
    size: int
    degradation: Measurement
    optimal: bool


def setting_of(choice: Mapping[str, int], activations: int | str | None, *, per_channel: bool) -> Setting:
    """A choice of bits for weights as a setting.

    Args:
        choice: Bits of the weights of each layer.
        activations: Bits of what goes into all layers, None for float, `same` for those of the layer's weights.
        per_channel: Whether each channel of the weights has a scale of its own.
    """
    layers = {
        name: Bits(weights=stored(bits), activations=stored(bits) if activations == "same" else _number(activations))
        for name, bits in choice.items()
    }
    return Setting(layers=layers, per_channel=per_channel)


def stored(bits: int) -> int | None:
    """A width as a setting has it: None for float."""
    return None if bits == FLOAT else bits


def _number(activations: int | str | None) -> int | None:
    return activations if isinstance(activations, int) else None


def search(
    judge: Judge,
    widths: Sequence[int],
    activations: int | str | None,
    *,
    per_channel: bool,
    separately: int | None = None,
) -> tuple[ParetoPoint, ...]:
    """Settings from the widest to the narrowest, each tried on the judge's rows.

    Each layer is rounded alone to each width, to see how far the outputs move: n(l, w), the mean squared change as a
    share of their variance, which is nearly additive over layers. From all layers at the widest, that layer takes the
    next width whose bytes saved are most a unit of n added. All settings on the way are tried, and all uniform ones:
    2 · layers · widths forward passes or fewer, not widths ** layers.

    Args:
        judge: Compares settings on the validation rows.
        widths: Bits, the widest first.
        activations: As in `setting_of`.
        per_channel: Whether each channel of the weights has a scale of its own.
        separately: Layers that have a width of their own, at most: those with most weights. All others share one.

    Returns:
        What was tried, the smallest first.
    """
    groups = _groups(judge.simulation.layers, separately)
    inputs = "same" if activations == "same" else None
    alone = [(name, bits) for name in groups for bits in widths if bits != FLOAT]
    settings = [
        setting_of({layer.name: bits for layer in groups[name]}, inputs, per_channel=per_channel)
        for name, bits in alone
    ]
    moved = {of: answer.noise for of, answer in zip(alone, judge.answers(settings), strict=True)}
    noise = {name: [moved.get((name, bits), 0.0) for bits in widths] for name in groups}
    saved = {
        name: [
            sum(judge.simulation.layer_size(layer, stored(bits), per_channel=per_channel) for layer in layers)
            for bits in widths
        ]
        for name, layers in groups.items()
    }
    place = dict.fromkeys(noise, 0)
    choices = [dict.fromkeys(noise, bits) for bits in widths]
    while any(step + 1 < len(widths) for step in place.values()):
        able = [name for name, step in place.items() if step + 1 < len(widths)]
        best = max(able, key=lambda name: _gain(noise[name], saved[name], place[name]))
        place[best] += 1
        choices.append({name: widths[step] for name, step in place.items()})
    distinct = [
        {layer.name: bits for name, bits in choice.items() for layer in groups[name]}
        for choice in {tuple(sorted(choice.items())): choice for choice in choices}.values()
    ]
    order = {layer.name: i for i, layer in enumerate(judge.simulation.layers)}
    distinct = [dict(sorted(choice.items(), key=lambda item: order[item[0]])) for choice in distinct]
    points = []
    settings = [setting_of(choice, activations, per_channel=per_channel) for choice in distinct]
    for choice, setting, answer in zip(distinct, settings, judge.answers(settings), strict=True):
        lost = judge.change(judge.reference, answer, name="degradation on the validation rows")
        points.append(ParetoPoint(choice=choice, size=judge.simulation.size(setting), degradation=lost, optimal=False))
    points.sort(key=lambda point: (point.size, _lost(point)))
    front = math.inf
    marked = []
    for point in points:
        marked.append(replace(point, optimal=_lost(point) < front))
        front = min(front, _lost(point))
    return tuple(marked)


def _groups(layers: Sequence[SimulatedLayer], separately: int | None) -> dict[str, list[SimulatedLayer]]:
    """The layers that take a width together, by the name of the first: the largest alone, the rest as one."""
    if separately is None or len(layers) <= separately:
        return {layer.name: [layer] for layer in layers}
    order = sorted(layers, key=lambda layer: -layer.parameters)
    alone, rest = order[: separately - 1], order[separately - 1 :]
    return {layer.name: [layer] for layer in alone} | {rest[0].name: rest}


def _gain(noise: Sequence[float], sizes: Sequence[int], step: int) -> float:
    """Bytes saved by the next width a unit of noise added."""
    added, less = noise[step + 1] - noise[step], sizes[step] - sizes[step + 1]
    return less / added if added > 0 else math.inf


def _lost(point: ParetoPoint) -> float:
    """The loss; what is not defined is no gain."""
    value = point.degradation.value
    return value if not math.isnan(value) else math.inf


def choose(
    points: Sequence[ParetoPoint], *, limit: float | None, budget: float | None, by: str
) -> tuple[ParetoPoint, str]:
    """The setting to take, by the validation rows alone.

    Args:
        points: What was tried.
        limit: Largest loss; of those within it the smallest is taken.
        budget: Most bytes; of those within them the one that loses least is taken.
        by: What of a loss counts: its `upper` bound or its `value`.

    Returns:
        The setting, and the rule in words.

    Raises:
        InvalidInput: If no setting is small enough for the budget.
    """

    def lost(point: ParetoPoint) -> tuple[float, float]:
        return (point.degradation.upper if by == "upper" else _lost(point)), _lost(point)

    word = "upper bound of the loss" if by == "upper" else "loss"
    if budget is not None:
        within = [point for point in points if point.size <= budget]
        if not within:
            raise InvalidInput(
                f"budget got {budget:g} bytes; the smallest setting takes {min(point.size for point in points)}: allow "
                "fewer bits, or more bytes"
            )
        return min(within, key=lambda point: (*lost(point), point.size)), f"least {word} within {budget:g} bytes"
    most = 0.01 if limit is None else limit
    kept = [point for point in points if lost(point)[0] < most]
    if kept:
        return min(kept, key=lambda point: (point.size, *lost(point))), f"fewest bytes with the {word} below {most:g}"
    least = min(points, key=lambda point: (lost(point)[0], point.size))
    why = "" if by == "value" or _lost(least) >= most else ": the rows are too few to prove more"
    return least, f"least {word}, since no setting has it below {most:g}{why}"
