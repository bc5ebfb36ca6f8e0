"""From the bytes of a float ONNX file to those of a quantized one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx

from robust.errors import InvalidInput
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.base import Model, adapter_of
from robust.models.foreign_errors import PASSING, brief
from robust.models.onnx_files import load_onnx
from robust.models.options import Options
from robust.quantization.coverage_onnx import initialiser_coverage
from robust.quantizers.bias_check_onnx import refuse_other_biases
from robust.quantizers.calibration_rows import CalibrationRows
from robust.quantizers.graphs_onnx import float_graph, nodes_of, prepared, tidied, weighted_nodes
from robust.quantizers.inner_reads_onnx import with_plain_reads, without_plain_reads
from robust.quantizers.recipe import Recipe
from robust.quantizers.self_check_onnx import refuse_other_answers, refuse_other_weights
from robust.quantizers.shared_onnx import rejoined, unshared
from robust.quantizers.static_onnx import static_model
from robust.quantizers.uncalibrated_onnx import dynamic_model, narrow_weights_model
from robust.types import AnyArray

_SHOWN = 5
_TAKES = {
    "static": "Conv, ConvTranspose, Gemm, MatMul, Gather and normalisations",
    "qoperator": "Conv, Gemm, MatMul and Gather",
    "dynamic": "Conv, Gemm, MatMul, Attention, LSTM and Gather",
    "weight-only": "Gemm and MatMul",
}


def opened(content: bytes, options: Options) -> Model:
    """A model of the bytes of an ONNX file, which it hands on.

    Args:
        content: The bytes.
        options: What is known of it, its name among it.
    """
    model = load_onnx(content, Path(options.name or "model.onnx"), options)
    return replace(model, content=lambda: content)


def quantized_file(content: bytes, rows: CalibrationRows | None, recipe: Recipe, *, name: str) -> bytes:
    """Quantize a float file.

    Args:
        content: Bytes of the float file.
        rows: Calibration rows; may be None where none decide anything.
        recipe: How.
        name: Of the float model.

    Returns:
        Bytes of a file that onnxruntime runs and in which something is quantized.

    Raises:
        InvalidInput: If onnxruntime cannot quantize it or run what it made, or nothing could be quantized; operators
            and nodes are named. Also if the prepared graph answers otherwise than the model, or a layer's quantized
            weights are not its own to within a step.
    """
    source = float_graph(content, name)
    odd = bool({recipe.weight_type, recipe.activation_type} & {"int4", "uint4", "int16", "uint16"})
    model = prepared(source, odd_widths=odd and recipe.method == "static")
    edge: OnnxAdapter = adapter_of(opened(content, Options(name=name)))
    if rows is not None:
        ready: OnnxAdapter = adapter_of(opened(model.SerializeToString(), Options(name=name)))
        refuse_other_answers(edge, ready, next(rows.batches()), name=name)
    copies, inside = unshared(model), with_plain_reads(model)
    before = weighted_nodes(model)
    exclude = nodes_of(model, recipe.keep, name=name)
    kept = onnx.ModelProto()
    kept.CopyFrom(model)  # quantizers write to theirs

    def feeds() -> Iterator[dict[str, AnyArray]]:
        for batch in () if rows is None else rows.batches():
            yield {edge.input: edge.cast(batch)}

    try:
        if recipe.calibrated:
            found = static_model(model, feeds, recipe, exclude=exclude)
        elif recipe.method == "dynamic":
            found = dynamic_model(model, recipe, exclude=exclude)
        else:
            found = narrow_weights_model(model, recipe, exclude=exclude)
    except PASSING:
        raise
    except Exception as error:
        raise InvalidInput(
            f"onnxruntime cannot quantize {name} ({recipe.label}): {brief(error)}; its operators with weights are "
            f"{_nodes(before)}: keep=(…) leaves some in float"
        ) from error
    without_plain_reads(found, inside)
    refuse_other_weights(kept, found, name=name)
    refuse_other_biases(kept, found, name=name)
    rejoined(found, copies)
    made: bytes = tidied(found, source).SerializeToString()
    _refuse_untouched(made, before, recipe, name=name)
    _refuse_dead(made, rows, recipe, name=name)
    return made


def in_float(content: bytes) -> tuple[tuple[str, str, str], ...]:
    """Layer, operator and node of what still multiplies with float weights.

    Args:
        content: Bytes of a quantized file.
    """
    return weighted_nodes(onnx.load_model_from_string(content))


def _refuse_untouched(made: bytes, before: tuple[tuple[str, str, str], ...], recipe: Recipe, *, name: str) -> None:
    if initialiser_coverage(made):
        return
    if not before:
        raise InvalidInput(f"{name} has no operator with stored weights: there is nothing to quantize")
    raise InvalidInput(
        f"nothing of {name} was quantized: method {recipe.method!r} takes {_TAKES[recipe.method]}, and its operators "
        f"with weights are {_nodes(before)}" + (f"; keep names {', '.join(recipe.keep)}" if recipe.keep else "")
    )


def _refuse_dead(made: bytes, rows: CalibrationRows | None, recipe: Recipe, *, name: str) -> None:
    """A file that the installed onnxruntime cannot run is no candidate."""
    try:
        model = opened(made, Options(name=f"{name} {recipe.label}"))
        if rows is not None:
            adapter_of(model).forward(next(rows.batches())[: model.fixed_batch or 1])
    except PASSING[:1]:
        raise
    except Exception as error:
        raise InvalidInput(
            f"{name} quantized as {recipe.label} cannot be run by this onnxruntime: {brief(error)}; its operators with "
            "weights may need other types: weight_type='uint8', or another method"
        ) from error


def _nodes(found: tuple[tuple[str, str, str], ...]) -> str:
    """Layers in words, operator and node named."""
    shown = ", ".join(f"{layer} ({kind}, node {node!r})" for layer, kind, node in found[:_SHOWN])
    return shown + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "") or "none"
