"""Which layers suffer from fewer bits: each quantized alone, and each spared alone."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.bitwidths.judging import Judge, open_judge
from robust.bitwidths.rounding import read_bits
from robust.bitwidths.settings import Bits, Part, read_parts, uniform
from robust.bitwidths.simulation import simulate
from robust.bitwidths.simulators import SimulatedLayer
from robust.bitwidths.telling import columns, points, volume
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Figure
from robust.measurement import Measurement
from robust.measures.details import numbers, words
from robust.models.conversion import as_model

_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sensitivity:
    """What a part of one layer costs.

    Args:
        layer: The user's name of the module, or the node's.
        kind: Class of the module, or type of the operator.
        part: What was rounded: `weights`, `activations` (what goes into the layer) or `both`.
        alone: Degradation where only this layer is rounded.
        spared: Degradation where all layers but this one are rounded; this one stays in float, or at `keep` bits.
        recovered: How much less is lost where it is spared than where all layers are rounded, paired by row: positive
            where sparing it helps.
        sqnr: Of the model's outputs against the float model's where only this layer is rounded, dB.
        bytes: What sparing its weights costs; 0 for activations.
    """

    layer: str
    kind: str
    part: Part
    alone: Measurement
    spared: Measurement
    recovered: Measurement
    sqnr: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerSensitivities:
    """The sensitivities of all layers, the worst first; iterating gives them.

    Attributes:
        rows: One a layer and part: those that lose most alone first, of equal ones those that disturb the outputs most.
        together: Degradation where all layers are rounded, by part.
        bits: The width.
        simultaneous: Whether the bounds hold for all of them at once, or each for itself.
        findings: What was seen, in words.
        figure: Degradation of each layer alone, with bounds.
    """

    rows: tuple[Sensitivity, ...]
    together: Mapping[Part, Measurement]
    bits: int
    simultaneous: bool
    findings: tuple[str, ...]
    figure: Figure

    def __iter__(self) -> Iterator[Sensitivity]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"LayerSensitivities({self.bits} bits, {len(self.rows)} rows, worst {self.worst.layer!r})"

    @property
    def worst(self) -> Sensitivity:
        """The most sensitive part of a layer."""
        return self.rows[0]

    def of(self, layer: str, part: Part) -> Sensitivity:
        """The sensitivity of a part of a layer.

        Raises:
            InvalidInput: If it was not measured.
        """
        for row in self.rows:
            if (row.layer, row.part) == (layer, part):
                return row
        known = sorted({(row.layer, row.part) for row in self.rows})
        raise InvalidInput(f"there is no {part!r} of layer {layer!r}; measured were {known[:20]}")

    def table(self) -> str:
        """All rows as text."""
        cells: list[tuple[str, ...]] = [
            ("layer", "kind", "rounded", "alone", "lower", "upper", "all but it", "recovered", "SQNR dB", "bytes")
        ]
        for row in self.rows:
            alone = tuple(f"{value:.4f}" for value in (row.alone.value, row.alone.lower, row.alone.upper))
            others = (f"{row.spared.value:.4f}", f"{row.recovered.value:.4f}", f"{row.sqnr:.1f}", f"{row.bytes:,}")
            cells.append((row.layer, row.kind, row.part, *alone, *others))
        return columns(cells, right=tuple(range(3, 10)))


def layer_sensitivity(
    model: Any,
    calibration: Any,
    data: Any,
    *,
    bits: int = 4,
    metric: str = "accuracy",
    parts: Part | Sequence[Part] = ("weights", "activations"),
    keep: int | None = None,
    most: int | None = None,
    per_channel: bool = True,
    calibrate: str = "minmax",
    percentile: float = 99.99,
    simultaneous: bool = False,
    level: float = 0.95,
    seed: int = 0,
) -> LayerSensitivities:
    """Which layers lose most in fewer bits: each one rounded alone, and all but each.

    alone: m(float) − m(only this layer rounded); spared: m(float) − m(all but it rounded); recovered: m(all but it
    rounded) − m(all rounded); with the signs of `degradation`, so that positive is worse, and recovered is what sparing
    the layer wins back

    Two forward passes a layer and part, and one a part; the float model is predicted once.

    Args:
        model: A torch module or a float ONNX file.
        calibration: Rows (n, …) that activations take their ranges from.
        data: Rows with targets, on which the loss is measured.
        bits: Width, in 2 … 16.
        metric: Name of a metric.
        parts: What is rounded, one after the other: `weights`, `activations`, `both`.
        keep: Bits of the layer that is spared, more than `bits`; None for float.
        most: How many layers are looked at, those with most weights; None for all. All are rounded with them.
        per_channel: Whether each channel of the weights has a scale of its own.
        calibrate: `minmax`, or `percentile` to leave out the outermost values.
        percentile: With `percentile`, how many per cent of the values are inside the range.
        simultaneous: Whether bounds hold for all figures at once (Bonferroni), or each for itself.
        level: Confidence of each bound, in (0.5, 1), or of all at once.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The layers, ranked, with bounds paired by row as in `degradation`; `together`, `findings`, a `figure` and a
        `table()`.

    Raises:
        InvalidInput: As `bit_width_sweep` does.

    >>> import numpy as np, torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    >>> net[0].weight.data = torch.tensor([[10.0, 2.0], [2.0, 10.0]])
    >>> net[1].weight.data = torch.eye(2)
    >>> x = np.array([[1.0, 0.6], [0.6, 1.0], [1.0, 0.9], [0.9, 1.0]], dtype=np.float32)
    >>> found = layer_sensitivity(net, x, (x, [0, 1, 0, 1]), bits=2, parts="activations")
    >>> found.worst.layer, found.worst.alone.value, found.of("1", "activations").alone.value
    ('0', 0.25, 0.25)
    """
    found, rows, chosen = as_model(model), as_data(data), read_parts(parts)
    width = read_bits(bits)
    if width is None:
        raise InvalidInput(f"bits got {bits!r}; the float model is what is compared with: 2 … 16 would be right")
    kept = read_bits(keep, what="keep")
    if kept is not None and kept <= width:
        raise InvalidInput(f"keep got {keep!r}; more than {width} bits would be right, or None for float")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise InvalidInput(f"most got {most!r}; a number of layers would be right, or None for all")
    simulation = simulate(
        found, as_data(calibration), row_shape=rows.x.shape[1:], calibrate=calibrate, percentile=percentile
    )
    judge = open_judge(simulation, rows, metric=metric, level=level, seed=seed)
    able = [(part, layer) for part in chosen for layer in simulation.layers if _applies(layer, part, judge)]
    if not able:
        raise InvalidInput(f"{found.name}: no layer's {' or '.join(chosen)} can be rounded")
    largest = sorted(simulation.layers, key=lambda layer: -layer.parameters)[:most]
    shown = {layer.name for layer in largest}
    count = sum(layer.name in shown for _, layer in able)
    each = 1.0 - (1.0 - level) / (3 * count + len(chosen)) if simultaneous else level
    table: list[Sensitivity] = []
    together: dict[Part, Measurement] = {}
    for part in chosen:
        layers = [layer for other, layer in able if other == part]
        table += _of_part(judge, part, layers, shown, (width, kept), per_channel, each, together)
    table.sort(key=_rank)
    findings = _findings(judge, table, together, width, kept)
    return LayerSensitivities(
        rows=tuple(table),
        together=together,
        bits=width,
        simultaneous=simultaneous,
        findings=findings,
        figure=_figure(table, width, simultaneous=simultaneous, level=level),
    )


def _applies(layer: SimulatedLayer, part: Part, judge: Judge) -> bool:
    """Whether a part of a layer can be rounded at all."""
    return part != "activations" or layer.name in judge.simulation.ranges.ends


def _of_part(
    judge: Judge,
    part: Part,
    layers: Sequence[SimulatedLayer],
    shown: Set[str],
    bits: tuple[int, int | None],
    per_channel: bool,
    level: float,
    together: dict[Part, Measurement],
) -> list[Sensitivity]:
    """All layers with one part rounded; what all lose together is put into `together`."""
    simulation, widths, kept = judge.simulation, Bits.of(bits[0], part), Bits.of(bits[1], part)
    names = [layer.name for layer in layers]
    layers = [layer for layer in layers if layer.name in shown]
    every = [uniform(names, widths, per_channel=per_channel)]
    every += [uniform([layer.name], widths, per_channel=per_channel) for layer in layers]
    if len(names) > 1 or bits[1] is not None:
        every += [uniform(names, widths, per_channel=per_channel, but=layer.name, kept=kept) for layer in layers]
    everything, *answers = judge.answers(every)
    spared = answers[len(layers) :] or [judge.reference]
    together[part] = judge.change(judge.reference, everything, name=f"{part} of all layers", level=level)
    table = []
    for layer, only, others in zip(layers, answers, spared, strict=False):
        wide, packed = (simulation.layer_size(layer, own, per_channel=per_channel) for own in bits[::-1])
        table.append(
            Sensitivity(
                layer=layer.name,
                kind=layer.kind,
                part=part,
                alone=judge.change(judge.reference, only, name=f"{part} of {layer.name} alone", level=level),
                spared=judge.change(judge.reference, others, name=f"{part} of all but {layer.name}", level=level),
                recovered=judge.change(others, everything, name=f"{part} of {layer.name} spared", level=level),
                sqnr=only.sqnr,
                bytes=0 if part == "activations" else wide - packed,
            )
        )
    return table


def _rank(row: Sensitivity) -> tuple[float, float, str, str]:
    """Worst first: by what is lost alone, then by how much the outputs are disturbed."""
    lost = row.alone.value
    return (-lost if math.isfinite(lost) else -math.inf, row.sqnr, row.layer, row.part)


def _findings(
    judge: Judge, table: Sequence[Sensitivity], together: Mapping[Part, Measurement], bits: int, kept: int | None
) -> tuple[str, ...]:
    """What was seen, in words."""
    told = [f"{part} of all layers at {bits} bits cost {points(m)}" for part, m in together.items()]
    for row in table[:_TOLD]:
        what = f"its {row.part}" if row.part != "both" else "its weights and activations"
        price = f"costs {volume(row.bytes)} and " if row.bytes else ""
        unsettled = "" if row.recovered.lower > 0 else ", which these rows do not settle"
        told.append(
            f"{row.layer} ({row.kind}): {what} alone at {bits} bits cost {points(row.alone)} (SQNR of the outputs "
            f"{row.sqnr:.1f} dB); keeping them {'in float' if kept is None else f'at {kept} bits'} while all others "
            f"are at {bits} bits {price}recovers {points(row.recovered)}{unsettled}"
        )
    return (*told, *judge.simulation.remarks(judge.data, inputs=any(part != "weights" for part in together)))


def _figure(table: Sequence[Sensitivity], bits: int, *, simultaneous: bool, level: float) -> Figure:
    """Degradation of each layer alone."""
    kind = "hold for all of them at once (Bonferroni)" if simultaneous else "hold each for itself"
    return Figure(
        kind="interval",
        title=f"Degradation of each layer alone at {bits} bits",
        x_title=f"degradation ({table[0].alone.unit})",
        y_title="layer",
        columns=(
            words("y", [f"{row.layer} {row.part}" for row in table]),
            numbers("x", np.array([row.alone.value for row in table])),
            numbers("lower", np.array([row.alone.lower for row in table])),
            numbers("upper", np.array([row.alone.upper for row in table])),
        ),
        rules=(("x", 0.0, ""),),
        note=f"simulated; bounds are one-sided at {level:g} and {kind}",
    )
