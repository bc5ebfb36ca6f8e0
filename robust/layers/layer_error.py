"""Where a quantized model departs from its float one: the error after each layer, and what each adds by itself."""

from dataclasses import dataclass
from typing import Any

from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Provenance
from robust.intervals.arguments import check_level, check_whole
from robust.layers.layer_pass import Compared, compare_layers
from robust.layers.layer_result import LayerErrors
from robust.layers.layer_table import compared_text
from robust.layers.opening import watched
from robust.measurement import Measurement
from robust.measures.details import sampled
from robust.models.conversion import as_model
from robust.predicting.metering import metered

_PROBE = 3


def layer_errors(
    reference: Any, candidate: Any, data: Any, *, rows: int | None = 256, level: float = 0.95, seed: int = 0
) -> LayerErrors:
    """How far a candidate is from its reference after each layer, and which layer adds how much of that.

    SQNR = 10 log10(Σr²/Σ(r − q)²) dB, r of the reference and q of the candidate, over all rows and elements

    Both models are compared where both mean the same: after a layer's bias, batch normalisation and activation, also
    where a quantizer has merged these into one operator. Integers are dequantized by their own scale and zero point.
    Each layer has two such ratios: one of both models run from the rows on, and one of its own, with r what the
    reference's layer makes of the very inputs that the candidate's layer got. A fault in one layer spoils the first
    ratio from there on, and its own alone.

    Args:
        reference: The float model: a torch module, or an ONNX file (float or QDQ); anything `as_model` takes that shows
            its layers.
        candidate: The quantized model: a torch module with the same names of modules (fake-quantized, or by torchao's
            `quantize_`), or an ONNX file in QDQ or operator form, or quantized dynamically. One may be torch and the
            other ONNX, where the file has the modules' names.
        data: Anything `as_data` takes; targets are not needed.
        rows: Rows to take, evenly spaced; None for all.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap of rows that depend on each other.

    Returns:
        The layers with their ratios, `.worst`, `.table()`, and the Measurements `.sqnr` and `.own_sqnr` of the worst
        layer, what the models give included, in dB, higher is better. Bounds: Student's t on the logarithm of a ratio
        of row sums, blocks or clusters where rows depend on each other, and for the worst layer rather than for one
        that is picked. A layer that has no partner is in `.unmatched` with the reason; what it does shows at the next
        point that is compared, at the output at the latest, and where that leaves open which layer is to blame a
        self-check fails. Three passes over the rows in all, one of them the candidate's.

    Raises:
        InvalidInput: If a model does not show its layers, takes several inputs or other rows, or no layer of one is
            found in the other.
        ModelFault: If a model raises.

    Source:
        Jacob et al. (2018), equation 1, for the integers; Lin et al. (2016), Fixed Point Quantization of Deep
        Convolutional Networks, for the ratio in dB.

    >>> import numpy as np
    >>> from robust.examples.catalogue import example_path
    >>> digits = example_path("digits")
    >>> x = np.load(digits / "test.npz")["x"]
    >>> found = layer_errors(digits / "float.onnx", digits / "float.onnx", x)
    >>> [row.label for row in found.rows if row.weight_sqnr is not None], min(row.sqnr for row in found.rows)
    (['0 (Conv)', '4 (Conv)', '9 (Gemm)'], inf)
    """
    level, seed = check_level(level), check_whole("seed", seed, least=0)
    if rows is not None:
        rows = check_whole("rows", rows, least=1)
    old, new, taken = as_model(reference), as_model(candidate), _some(as_data(data), rows)
    with metered() as meter:
        first, second = watched(old, new, taken.x[:_PROBE]), watched(new, old, taken.x[:_PROBE])
        compared: Compared = compare_layers(old, new, first, second, taken)
        return LayerErrors(
            rows=compared.rows,
            unmatched=compared.unmatched,
            reference_passes=2,
            candidate_passes=1,
            level=level,
            seed=seed,
            validity=compared.checks,
            provenance=Provenance(
                models=tuple((model.name, model.identity() or "") for model in (new, old)),
                data=((taken.name, taken.fingerprint),),
                seed=seed,
                options=(("rows", repr(rows)),),
                cost=meter.cost(),
            ),
            data=taken,
            sums=compared.sums,
            remarks=(*compared.wide, *meter.findings()),
            output_point=compared.output,
        )


def _some(data: Dataset, rows: int | None) -> Dataset:
    """Evenly spaced rows."""
    if not len(data):
        raise InvalidInput(f"{data.name} has no rows: layers are compared on at least one")
    return data if rows is None or rows >= len(data) else data.rows(sampled(len(data), rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOptions:
    """What a gate on the layers may set.

    Args:
        rows: Rows to take, evenly spaced; 0 for all.
        own: Whether the gate is on what a layer adds by itself, rather than on what has come together after it.
    """

    rows: int = 256
    own: bool = False


def _run(subject: Subject, options: LayerOptions) -> Measurement:
    found = layer_errors(
        subject.reference,
        subject.model,
        subject.test,
        rows=options.rows or None,
        level=subject.level,
        seed=subject.seed,
    )
    lowest = found.own_sqnr if options.own else found.sqnr
    if lowest.value == float("inf"):
        told = (
            "none of them is quantized"
            if found.exact
            else f"{compared_text(found.rows, found.unmatched)} could be compared"
        )
        raise InvalidInput(
            f"every layer of {subject.model.name} gives exactly what the reference's gives, outputs included: {told}"
        )
    return lowest


CHECKS = (
    Check(
        code="QNT003",
        name="layer_sqnr",
        title="signal to noise of the worst layer",
        measure=layer_errors,
        run=_run,
        options=LayerOptions,
        needs=frozenset({"layer pair"}),
        why="Accuracy says that a quantized model is worse, not where; the layer that adds the most noise is the one "
        "that is worth more bits, other calibration rows or a look at its scale.",
        remedy="Keep the worst layer in float or at 16 bits, quantize its weights by channel, or calibrate with rows "
        "like those that it is used on. Where its weights are exact, its activation's scale or zero point is to blame.",
    ),
)
