"""A recommendation of bits in words and as a figure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robust.bitwidths.precision_search import ParetoPoint
from robust.bitwidths.rounding import FLOAT
from robust.bitwidths.simulation import Simulation
from robust.bitwidths.telling import points, volume
from robust.data.dataset import Dataset
from robust.evidence import Figure
from robust.measurement import Measurement
from robust.measures.details import numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptLayer:
    """A layer that the choice keeps at more bits than the rest.

    Args:
        layer: Its name.
        bits: Its bits.
        instead: The fewest bits in the choice.
        bytes: What keeping it costs.
        recovered: What keeping it wins back on the test rows, paired by row: positive where it helps.
    """

    layer: str
    bits: int
    instead: int
    bytes: int
    recovered: Measurement


def findings_of(
    simulation: Simulation,
    point: ParetoPoint,
    lost: Measurement,
    kept: Sequence[KeptLayer],
    test: Dataset,
    activations: int | str | None,
) -> tuple[str, ...]:
    """The recommendation in words."""
    told = [
        f"{_words(point.choice)}: {volume(point.size)} instead of {volume(simulation.size(None))}, degradation "
        f"{points(lost)} on other rows than those it was chosen on"
    ]
    told += [
        f"keeping {item.layer} {_width(item.bits)} instead of {item.instead} bits costs {volume(item.bytes)} and "
        f"recovers {points(item.recovered)}" + ("" if item.recovered.lower > 0 else ", which these rows do not settle")
        for item in kept
    ]
    if not simulation.layers[1:]:
        told.append("the model has one layer: there is nothing to mix")
    elif len(set(point.choice.values())) == 1:
        told.append("no layer is kept at more bits than the rest")
    return (*told, *simulation.remarks(test, inputs=activations is not None))


def _words(choice: Mapping[str, int]) -> str:
    """Who has how many bits, the commonest width last."""
    ((common, count),) = Counter(choice.values()).most_common(1)
    if count == len(choice):
        return f"all layers {_width(common)}"
    if count == 1:
        return ", ".join(f"{name} {_width(bits)}" for name, bits in choice.items())
    odd = [f"{name} {_width(bits)}" for name, bits in choice.items() if bits != common]
    return ", ".join(odd[:6]) + (f" and {len(odd) - 6} more" if len(odd) > 6 else "") + f", others {_width(common)}"


def _width(bits: int) -> str:
    return "in float" if bits == FLOAT else f"at {bits} bits"


def front_figure(tried: Sequence[ParetoPoint], point: ParetoPoint, *, limit: float | None, level: float) -> Figure:
    """The settings that no other one beats."""
    front = [item for item in tried if item.optimal]
    unit = front[0].degradation.unit
    rules: list[tuple[Literal["x", "y"], float, str]] = [("x", float(point.size), "chosen")]
    if limit is not None:
        rules.append(("y", float(limit), "limit"))
    return Figure(
        kind="line",
        title="Pareto: size against degradation",
        x_title="bytes",
        y_title=f"degradation ({unit})",
        columns=(
            numbers("x", np.array([item.size for item in front])),
            numbers("y", np.array([item.degradation.value for item in front])),
            numbers("lower", np.array([item.degradation.lower for item in front])),
            numbers("upper", np.array([item.degradation.upper for item in front])),
        ),
        rules=tuple(rules),
        note=f"simulated, on the validation rows, each bound one-sided at {level:g} and for its own point: the choice "
        "is judged on other rows",
    )
