"""The answer of `layer_errors`: a row a layer, worst first where it counts, and a figure that a gate can rest on."""

import dataclasses
import math
from dataclasses import dataclass, field

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Provenance, SelfCheck
from robust.intervals.interval import Interval, UnboundedSizing
from robust.layers.blocks import label_of
from robust.layers.layer_table import bars, evidence, findings, table_text
from robust.layers.matching import How, Unmatched
from robust.layers.point_sums import ROUNDING, PointSums
from robust.layers.sqnr_interval import DecibelSizing, inverse_decibels, worst_noise_interval
from robust.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """A layer of both models, at the point after its bias, normalisation and activation.

    Args:
        layer: The user's name of its module; of the model's own rows, where the candidate quantizes them, `(input)`; of
            what the model gives, where no compared layer ends there, `(output)`.
        kind: Operator or class in the reference, e.g. `Conv`.
        point: Key of the point in the reference: a tensor's name, or a module's and the number of its call.
        matched_by: How the candidate's layer was found.
        shape: Shape of a row's activations.
        sqnr: 10 log10(Σr²/Σ(r − q)²) in dB, r of the float model and q of the candidate, both run from the rows: what
            has come together up to here. Infinite where both are equal.
        cosine: Σrq/√(Σr² Σq²), in [−1, 1]; NaN where one is 0 everywhere.
        max_error: Largest |r − q|, in the units of the activation.
        mean_error: Mean |r − q|.
        bias: Mean q − r.
        own_sqnr: The same ratio with r what the float layer makes of the inputs that the candidate's layer got: what
            the layer adds by itself.
        own_max_error: Largest |r − q| of these.
        weight_sqnr: 10 log10(Σw²/Σ(w − w′)²) in dB of the dequantized weights; None where they are not seen.
        before: Lowest `sqnr` of the layers that it takes its inputs from, in dB.
        loss: `before` − `sqnr`, in dB; None where its inputs are exact but for rounding.
        readers: The layers that read it after one quantizer, by their labels; none where the candidate does not
            quantize it.
        part: Which of the layer's tensors it is, from 0: of a recurrent layer the states of all steps, the last ones
            (`h_n`) and the cell's (`c_n`).
        named: Whether `layer` is the name of its module or its weights, rather than an operator's own.
    """

    layer: str
    kind: str
    point: str
    matched_by: How
    shape: tuple[int, ...]
    sqnr: float
    cosine: float
    max_error: float
    mean_error: float
    bias: float
    own_sqnr: float
    own_max_error: float
    weight_sqnr: float | None = None
    before: float | None = None
    loss: float | None = None
    readers: tuple[str, ...] = ()
    part: int = 0
    named: bool = True

    @property
    def label(self) -> str:
        """Name and kind, e.g. `4 (Conv)`, and which of its tensors where it is not the first."""
        return label_of(self.layer, self.kind, self.part)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """What the measurements of a layer rest on: sums of each row of what both models have there."""

    together: PointSums
    alone: PointSums


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LayerErrors:
    """Where a candidate departs from its reference, layer by layer.

    `.sqnr` and `.own_sqnr` are Measurements of the worst layer; `.table()` is text; `.rows` holds every figure in the
    order of the run, `.ranking` the same worst first.

    Args:
        rows: The layers that both models have.
        unmatched: The layers that were not compared, and why.
        reference_passes: Passes of the reference over the rows: one from the rows on, one of its layers fed with what
            the candidate's got.
        candidate_passes: Passes of the candidate.
        level: Confidence of each bound.
        seed: Seed of the bootstrap.
        validity: Self-checks.
        provenance: Hashes, options and cost.
        data: The rows.
        sums: What the measurements rest on, one a row of `rows`.
        remarks: What was seen while the models were asked.
        output_point: `point` of the row of what the models give; None where that could not be compared.
    """

    rows: tuple[LayerError, ...]
    unmatched: tuple[Unmatched, ...]
    reference_passes: int
    candidate_passes: int
    level: float
    seed: int
    validity: tuple[SelfCheck, ...]
    provenance: Provenance
    data: Dataset
    sums: tuple[Sums, ...]
    remarks: tuple[Finding, ...] = ()
    output_point: str | None = None
    # A cell for what is computed once, never an argument.
    _measured: dict[str, Measurement] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        worst = self.worst
        return f"LayerErrors({len(self.rows)} points, worst: {worst.label} {worst.own_sqnr:.1f} dB by itself)"

    def __str__(self) -> str:
        return self.table()

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.data)

    @property
    def ranking(self) -> tuple[LayerError, ...]:
        """The layers by what they add themselves, the one with the lowest `own_sqnr` first."""
        return tuple(sorted(self.rows, key=lambda row: row.own_sqnr))

    @property
    def worst(self) -> LayerError:
        """The layer that adds the most noise by itself."""
        return self.ranking[0]

    @property
    def output(self) -> LayerError | None:
        """What the models give, under the last layer's name or as `(output)`; None where it could not be compared."""
        return next((row for row in self.rows if row.point == self.output_point), None)

    @property
    def exact(self) -> bool:
        """Whether both models are shown to be one: every layer was compared and none, nor the output, differs."""
        everything = self.output is not None and not self.unmatched
        return everything and all(min(row.sqnr, row.own_sqnr) >= ROUNDING for row in self.rows)

    @property
    def findings(self) -> tuple[str, ...]:
        """What a reader would want to know, in sentences."""
        own = findings(self.ranking, self.unmatched, nothing=self.exact)
        failed = [check.reason for check in self.validity if not check.passed]
        return (*failed, *(finding.text for finding in (*own, *self.remarks)))

    @property
    def figure(self) -> Figure | None:
        """A bar chart of `sqnr` by layer, or None where all are exact."""
        return bars(self.rows, "Signal to quantization noise after each layer", lambda row: row.sqnr)

    def table(self) -> str:
        """All layers as text, and what was not compared."""
        return table_text(self.rows, self.unmatched)

    @property
    def sqnr(self) -> Measurement:
        """Lowest `sqnr` of all layers and of the output in dB, with bounds; higher is better."""
        return self._lowest("layer SQNR", [one.together for one in self.sums])

    @property
    def own_sqnr(self) -> Measurement:
        """Lowest `own_sqnr` of all layers and of the output in dB, with bounds; higher is better."""
        return self._lowest("own SQNR of a layer", [one.alone for one in self.sums])

    def _lowest(self, name: str, points: list[PointSums]) -> Measurement:
        """The worst layer's ratio as a measurement, made once.

        Layers without an error beyond the rounding of float32 on these rows are no candidates for the worst one, unless
        all are such.
        """
        if name not in self._measured:
            living = [sums for sums in points if sums.reference.any()]
            noisy = [sums for sums in living if sums.sqnr < ROUNDING]
            if not living:
                raise InvalidInput(f"{name} has no meaning: the reference gives 0 everywhere at every layer")
            interval = worst_noise_interval(noisy or living, self.data, level=self.level, seed=self.seed)
            dead = sum(bool(sums.error.any()) and not sums.reference.any() for sums in points)
            self._measured[name] = self._measurement(name, interval, dead)
        return self._measured[name]

    def _measurement(self, name: str, interval: Interval, dead: int) -> Measurement:
        note = f"{dead} layers of the reference give 0 on all rows: no ratio to noise is defined there"
        facts = [*interval.notes, *([note] if dead else [])]
        sizing = interval.sizing
        return Measurement(
            name=name,
            value=inverse_decibels(interval.value),
            lower=inverse_decibels(interval.upper),
            upper=inverse_decibels(interval.lower),
            level=self.level,
            n=interval.n,
            unit="dB",
            higher_is_better=True,
            method=interval.method,
            sizing=sizing if isinstance(sizing, UnboundedSizing) else DecibelSizing(ratio=sizing),
            evidence=(
                *self.remarks,
                *evidence(self.rows, self.ranking, self.unmatched, nothing=self.exact),
                *(Fact(name="interval", value=text.replace("outputs", "layers")) for text in facts),
            ),
            validity=self.validity,
            provenance=self.provenance,
            reach=(-math.inf, math.inf),
        )


def with_losses(rows: list[LayerError], feeds: list[tuple[str, ...]]) -> tuple[LayerError, ...]:
    """Rows with what their inputs had, and what they lose against it.

    Args:
        rows: In the order of the run.
        feeds: Points that each takes its inputs from, matched ones alone.
    """
    known = {row.point: row.sqnr for row in rows}
    found = []
    for row, points in zip(rows, feeds, strict=True):
        before = min((known[point] for point in points if point in known), default=math.inf)
        exact = before >= ROUNDING or math.isinf(row.sqnr)
        found.append(dataclasses.replace(row, before=before, loss=None if exact else before - row.sqnr))
    return tuple(found)
