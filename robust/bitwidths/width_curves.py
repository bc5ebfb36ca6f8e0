"""What a model loses as all its layers get fewer bits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.bitwidths.judging import Answer, Judge, open_judge
from robust.bitwidths.settings import Bits, Part, read_channels, read_parts, read_widths, uniform
from robust.bitwidths.simulation import Simulation, simulate
from robust.bitwidths.telling import columns, points, volume
from robust.curve import Curve
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Figure, Finding, Flips
from robust.measurement import Measurement
from robust.measures.details import numbers, words
from robust.models.conversion import as_model
from robust.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WidthCurve(Curve):
    """Degradation against bits; `grid` increases, and iterating gives the measurements.

    Args:
        part: What was rounded: `weights`, `activations` or `both`.
        per_channel: Whether each channel of the weights had a scale of its own.
        sizes: Bytes of the model at each point (k,).
        sqnr: Of the outputs against the float model's at each point (k,), dB.
    """

    part: Part
    per_channel: bool
    sizes: IntArray
    sqnr: FloatArray

    @property
    def label(self) -> str:
        """The curve in words."""
        if self.part == "activations":
            return "activations"
        scales = "per channel" if self.per_channel else "per tensor"
        return f"weights, {scales}" if self.part == "weights" else f"weights and activations, {scales}"

    def at(self, bits: int) -> Measurement:
        """The measurement at a width.

        Raises:
            InvalidInput: If the curve has no such point.
        """
        place = np.flatnonzero(self.grid == bits)
        if not len(place):
            raise InvalidInput(f"the curve has no point at {bits!r} bits; its widths are {self.grid.tolist()}")
        return self.points[int(place[0])]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BitWidthSweep:
    """Curves of degradation against bits; iterating gives them.

    Attributes:
        curves: One for each part and kind of scales; the first is the main one.
        float_size: Bytes of the float model.
        simultaneous: Whether the bounds hold for all points of all curves at once, or each for its own point.
        findings: What was seen, in words.
        figure: All curves with their bands.
    """

    curves: tuple[WidthCurve, ...]
    float_size: int
    simultaneous: bool
    findings: tuple[str, ...]
    figure: Figure

    def __iter__(self) -> Iterator[WidthCurve]:
        return iter(self.curves)

    def __len__(self) -> int:
        return len(self.curves)

    def __repr__(self) -> str:
        return f"BitWidthSweep({len(self.curves)} curves, widths={self.grid.astype(int).tolist()})"

    @property
    def grid(self) -> FloatArray:
        """Bits (k,), increasing: of all curves."""
        return self.curves[0].grid

    @property
    def values(self) -> FloatArray:
        """Degradations of the main curve (k,)."""
        return self.curves[0].values

    @property
    def lower(self) -> FloatArray:
        """Lower bounds of the main curve (k,)."""
        return self.curves[0].lower

    @property
    def upper(self) -> FloatArray:
        """Upper bounds of the main curve (k,)."""
        return self.curves[0].upper

    def at(self, bits: int) -> Measurement:
        """The measurement of the main curve at a width."""
        return self.curves[0].at(bits)

    def curve(self, part: Part, *, per_channel: bool = True) -> WidthCurve:
        """The curve of a part.

        Raises:
            InvalidInput: If it was not measured.
        """
        for curve in self.curves:
            if curve.part == part and (part == "activations" or curve.per_channel is per_channel):
                return curve
        raise InvalidInput(
            f"the sweep has no curve of {part!r} with per_channel={per_channel}; it has "
            f"{[curve.label for curve in self.curves]}"
        )

    def table(self) -> str:
        """All points as text, the widest first."""
        head = ("degradation", "lower", "upper", "right->wrong", "wrong->right", "bytes", "SQNR dB")
        rows = [("rounded", "bits", *head)]
        for curve in self.curves:
            for k in reversed(range(len(curve))):
                m = curve[k]
                moved = next((item for item in m.evidence if isinstance(item, Flips)), None)
                both = ("", "") if moved is None else (str(moved.right_to_wrong), str(moved.wrong_to_right))
                ends = (f"{m.value:.4f}", f"{m.lower:.4f}", f"{m.upper:.4f}")
                size, db = f"{curve.sizes[k]:,}", f"{curve.sqnr[k]:.1f}"
                rows.append((curve.label, str(int(curve.grid[k])), *ends, *both, size, db))
        return columns(rows, right=tuple(range(1, 9)))


def bit_width_sweep(
    model: Any,
    calibration: Any,
    data: Any,
    *,
    widths: Sequence[int] = (8, 6, 4, 3, 2),
    per_channel: bool | Sequence[bool] = (True, False),
    parts: Part | Sequence[Part] = ("both", "weights", "activations"),
    metric: str = "accuracy",
    calibrate: str = "minmax",
    percentile: float = 99.99,
    simultaneous: bool = False,
    level: float = 0.95,
    seed: int = 0,
) -> BitWidthSweep:
    """What all layers in fewer bits would cost, simulated, with the metric's interval at each point.

    weights: w' = s · clip(round(w / s), −m, m), m = 2^(b−1) − 1, s = max|w| / m of a channel or of the tensor;
    activations: x' = s · (clip(round(x / s) + z, 0, 2^b − 1) − z), before each layer that has weights

    Sums and all else stay in float, as do biases, which devices keep in 32 bits. Batch normalisation is folded before
    weights are rounded. Each point is one forward pass; the float model is predicted once.

    Args:
        model: A torch module or a float ONNX file; anything `as_model` takes that shows its layers.
        calibration: Rows (n, …) that activations take their ranges from, such as training rows.
        data: Rows with targets, on which the loss is measured.
        widths: Bits, in 2 … 16.
        per_channel: Whether weights have a scale a channel, one for all, or both, one curve each.
        parts: What is rounded, one curve each: `weights`, `activations`, `both`.
        metric: Name of a metric.
        calibrate: `minmax`, or `percentile` to leave out the outermost values.
        percentile: With `percentile`, how many per cent of the values are inside the range.
        simultaneous: Whether bounds hold for all points at once (Bonferroni), so that the best may be picked from them,
            or each for its own point.
        level: Confidence of each bound, in (0.5, 1), or of all at once.
        seed: Seed of the bootstrap, where one is used.

    Returns:
        The sweep: curves with `grid` (bits), `values`, `lower`, `upper` (positive is worse, paired by row as in
        `degradation`), `sizes` (bytes); `findings`, a `figure`, and a `table()`.

    Raises:
        InvalidInput: If the model shows no layers or has none with weights, is quantized already, or calibration rows
            cannot tell a range; on widths out of range.

    Source:
        Jacob et al. (2018), equation 1.

    >>> import numpy as np, torch
    >>> net = torch.nn.Linear(2, 2, bias=False)
    >>> net.weight.data = torch.tensor([[10.0, 2.0], [2.0, 10.0]])
    >>> x = np.array([[1.0, 0.6], [0.6, 1.0], [1.0, 0.9], [0.9, 1.0]], dtype=np.float32)
    >>> sweep = bit_width_sweep(net, x, (x, [0, 1, 0, 1]), widths=(8, 2), parts="both", per_channel=True)
    >>> sweep.values.tolist(), sweep.curves[0].sizes.tolist(), sweep.float_size
    ([0.25, 0.0], [9, 12], 16)
    """
    found, rows = as_model(model), as_data(data)
    grid, channels, chosen = read_widths(widths), read_channels(per_channel), read_parts(parts)
    kinds = [(part, own) for part in chosen for own in (channels[:1] if part == "activations" else channels)]
    simulation = simulate(
        found, as_data(calibration), row_shape=rows.x.shape[1:], calibrate=calibrate, percentile=percentile
    )
    judge = open_judge(simulation, rows, metric=metric, level=level, seed=seed)
    each = 1.0 - (1.0 - level) / (len(grid) * len(kinds)) if simultaneous else level
    names = simulation.names()
    settings = [uniform(names, Bits.of(bits, part), per_channel=own) for part, own in kinds for bits in grid[::-1]]
    answers = judge.answers(settings)
    curves = tuple(
        _curve(judge, part, own, grid[::-1], answers[i * len(grid) : (i + 1) * len(grid)], each)
        for i, (part, own) in enumerate(kinds)
    )
    findings = _findings(simulation, curves, judge)
    figure = _figure(curves, simultaneous=simultaneous, level=level)
    shared: tuple[Evidence, ...] = (*(Finding(text=text) for text in findings), *judge.remarks, figure)
    first = replace(curves[0], points=tuple(replace(m, evidence=(*m.evidence, *shared)) for m in curves[0].points))
    return BitWidthSweep(
        curves=(first, *curves[1:]),
        float_size=simulation.size(None),
        simultaneous=simultaneous,
        findings=findings,
        figure=figure,
    )


def _curve(
    judge: Judge, part: Part, per_channel: bool, grid: Sequence[int], answers: Sequence[Answer], level: float
) -> WidthCurve:
    """All widths of a part, the fewest bits first."""
    simulation = judge.simulation
    measured = [
        judge.change(judge.reference, answer, name=f"degradation at {bits} bits", level=level)
        for bits, answer in zip(grid, answers, strict=True)
    ]
    return WidthCurve(
        name="bits",
        grid=np.array(grid, dtype=np.float64),
        points=tuple(measured),
        part=part,
        per_channel=per_channel,
        sizes=np.array([simulation.size(answer.setting) for answer in answers]),
        sqnr=np.array([answer.sqnr for answer in answers]),
    )


def _findings(simulation: Simulation, curves: Sequence[WidthCurve], judge: Judge) -> tuple[str, ...]:
    """What was seen, in words."""
    title = judge.metric.title
    told = []
    main = curves[0]
    for k in (len(main) - 1, 0) if len(main) > 1 else (0,):
        told.append(
            f"{main.label}: at {int(main.grid[k])} bits {title} loses {points(main[k])}, in "
            f"{volume(int(main.sizes[k]))} instead of {volume(simulation.size(None))}"
        )
    parts = {curve.part: curve for curve in curves[::-1]}
    if "weights" in parts and "activations" in parts:
        k = int(np.argmax(np.maximum(parts["weights"].values, parts["activations"].values)))
        told.append(
            f"at {int(main.grid[k])} bits the weights alone cost {points(parts['weights'][k])}, the activations alone "
            f"{points(parts['activations'][k])}"
        )
    return (*told, *simulation.remarks(judge.data, inputs=any(curve.part != "weights" for curve in curves)))


def _figure(curves: Sequence[WidthCurve], *, simultaneous: bool, level: float) -> Figure:
    """All curves with their bands."""
    unit = curves[0].points[0].unit
    kind = "hold for all points at once (Bonferroni)" if simultaneous else "hold each for its own point"
    return Figure(
        kind="line",
        title="Degradation by bits",
        x_title="bits",
        y_title=f"degradation ({unit})",
        columns=(
            numbers("x", np.concatenate([curve.grid for curve in curves])),
            numbers("y", np.concatenate([curve.values for curve in curves])),
            numbers("lower", np.concatenate([curve.lower for curve in curves])),
            numbers("upper", np.concatenate([curve.upper for curve in curves])),
            words("series", [curve.label for curve in curves for _ in curve.grid]),
        ),
        rules=(("y", 0.0, ""),),
        note=f"simulated; bounds are one-sided at {level:g} and {kind}",
    )
