"""Static quantization of an ONNX model: ranges of activations from calibration rows, step by step."""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import HistogramCollector, TensorsData, create_calibrator
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import QuantizationMode
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from robust.errors import InvalidInput
from robust.models.layer_names import layer_of
from robust.quantizers.entropy_range import entropy_range
from robust.quantizers.quiet import quiet
from robust.quantizers.recipe import Recipe
from robust.types import AnyArray

Feeds: TypeAlias = Callable[[], Iterator[dict[str, AnyArray]]]

TYPES = {
    "int8": QuantType.QInt8,
    "uint8": QuantType.QUInt8,
    "int16": QuantType.QInt16,
    "uint16": QuantType.QUInt16,
    "int4": QuantType.QInt4,
    "uint4": QuantType.QUInt4,
}
_CALIBRATORS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# Bins of a histogram. Entropy compares ranges in steps of bins: onnxruntime's own 128 bins for 128 levels leave one
# range to choose from, that of all values, and it is MinMax then.
_BINS = {"entropy": 1024, "percentile": 2048}
_LEVELS = 128


def static_model(model: onnx.ModelProto, feeds: Feeds, recipe: Recipe, *, exclude: list[str]) -> onnx.ModelProto:
    """Quantize statically.

    v ≈ s (q − z), q = clip(round(v / s) + z); s and z of an activation from its range on the calibration rows, of a
    weight from its own values

    Args:
        model: A prepared float model.
        feeds: Makes the calibration feeds, each time anew; only one is in memory at once.
        recipe: How.
        exclude: Names of nodes that stay in float.

    Returns:
        The model with QDQ pairs, or with integer operators.

    Source:
        Jacob et al. (2018), equation 1.
    """
    # Sorted: a set's order changes from run to run, and with it the order of what is written.
    kinds = sorted({*QLinearOpsRegistry, *QDQRegistry})
    stored = {tensor.name for tensor in model.graph.initializer}
    layers = {  # a quantizer writes to what it is given
        name: layer_of(node, place, [one for one in node.input if one in stored])[0]
        for place, node in enumerate(model.graph.node)
        for name in node.output
    }
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder, "prepared.onnx")
        onnx.save(model, path)
        ranges = tensor_ranges(path, feeds, recipe, kinds=kinds)
        weights, activations = TYPES[recipe.weight_type], TYPES[recipe.activation_type]
        common: tuple[Any, ...] = (weights, activations, ranges, [], exclude, kinds, {})
        quantizer = (
            QDQQuantizer(model, recipe.per_channel, recipe.reduce_range, *common)
            if recipe.method == "static"
            else ONNXQuantizer(
                model, recipe.per_channel, recipe.reduce_range, QuantizationMode.QLinearOps, True, *common
            )
        )
        try:
            quantizer.quantize_model()
        except RuntimeError:
            refuse_left_behind(quantizer.model.model.graph, layers)
            raise
        quantizer.model.topological_sort()
    found: onnx.ModelProto = quantizer.model.model
    return found


def refuse_left_behind(graph: Any, layers: Mapping[str, str]) -> None:
    """Refuse a graph in which operators read float numbers that were made integers of.

    Args:
        graph: As a quantizer left it.
        layers: The layer, or node, that gives each tensor in the float graph.

    Raises:
        InvalidInput: If there are such; operators and nodes are named, and what `keep` must leave in float.
    """
    given = {value.name for value in (*graph.input, *graph.initializer)} | {
        name for n in graph.node for name in n.output
    }
    told, kept = [], dict[str, None]()
    for node in graph.node:
        lacking = [name for name in node.input if name in layers and name not in given]
        if lacking:
            told.append(
                f"{node.op_type} (node {node.name!r}), which reads {' and '.join(map(repr, lacking))} as floats"
            )
            kept |= dict.fromkeys(layers[name] for name in lacking)
    if told:
        raise InvalidInput(
            f"onnxruntime cannot put integer operators around {'; '.join(told)}: method 'static' takes the model as it "
            f"is, or keep={tuple(kept)!r} leaves in float what gives them"
        )


def tensor_ranges(path: Path, feeds: Feeds, recipe: Recipe, *, kinds: list[str]) -> TensorsData:
    """Ranges of the activations by onnxruntime's calibrators, fed one step at a time.

    Fed so, they keep extremes or histograms, never activations of all rows, and steps of different lengths are no
    trouble. Histograms begin with the range of all rows, from a pass before: which step comes first decides nothing.

    Args:
        path: A prepared float model.
        feeds: Makes the calibration feeds.
        recipe: How ranges are taken.
        kinds: Operators whose tensors are calibrated.

    Returns:
        A range for each tensor.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of numpy, on tensors without a number: refused below by name
        ranges = _collected(_calibrator(path, kinds, recipe, "minmax"), feeds)
        for name, found in ranges.items():
            if not np.isfinite(found.range_value).all():
                raise InvalidInput(
                    f"the float model gives no finite numbers on the calibration rows, at tensor {name!r}"
                )
        if recipe.calibrate == "minmax":
            return ranges
        histograms = _calibrator(path, kinds, recipe, recipe.calibrate)
        histograms.collector = _begun(ranges, recipe)
        return _collected(histograms, feeds)


def _collected(calibrator: Any, feeds: Feeds) -> TensorsData:
    """Ranges by one calibrator, which sees one step at a time."""
    for feed in feeds():
        calibrator.collect_data(_Once(feed))
    return calibrator.compute_data()


def _calibrator(path: Path, kinds: list[str], recipe: Recipe, how: str) -> Any:
    options: dict[str, object] = {} if how == "minmax" else {"num_bins": _BINS[how]}
    if how == "percentile":
        options |= {"percentile": recipe.percentile, "symmetric": True}
    if how == "entropy":
        options |= {"num_quantized_bins": _LEVELS}
    return create_calibrator(
        path,
        kinds,
        augmented_model_path=str(path.with_name(f"{how}.onnx")),
        calibrate_method=_CALIBRATORS[how],
        extra_options=options,
    )


def _begun(ranges: TensorsData, recipe: Recipe) -> HistogramCollector:
    """Empty histograms over the range of each tensor: of magnitudes for `percentile`, of values for `entropy`."""
    bins, magnitudes = _BINS[recipe.calibrate], recipe.calibrate == "percentile"
    collector = (HistogramCollector if magnitudes else _EntropyCollector)(
        method=recipe.calibrate,
        symmetric=magnitudes,
        num_bins=bins,
        num_quantized_bins=_LEVELS,
        percentile=recipe.percentile,
        scenario="same",
    )
    for name, range_ in ranges.items():
        low, high = (np.asarray(side).reshape(-1)[0] for side in range_.range_value)
        top = max(abs(low), abs(high)) or low.dtype.type(1)
        edges = np.linspace(0 if magnitudes else -top, top, bins + 1).astype(low.dtype)
        begun = (np.zeros(bins, dtype=np.int64), edges, low, high)
        collector.histogram_dict[name] = begun if magnitudes else (*begun, top)
    return collector


class _EntropyCollector(HistogramCollector):  # type: ignore[misc]
    """Histograms whose range is chosen by our own search: onnxruntime's rounds shares of a bin down to whole counts."""

    def get_entropy_threshold(self, histogram: tuple[Any, ...], num_quantized_bins: int) -> tuple[Any, Any]:
        """Ends of the range of one tensor."""
        counts, edges, low, high = histogram[:4]
        start, end = entropy_range(counts, levels=num_quantized_bins)
        return max(edges[start], low), min(edges[end], high)


class _Once:
    """What a calibrator reads: one feed, then nothing."""

    def __init__(self, feed: dict[str, AnyArray]) -> None:
        self._feeds = [feed]

    def get_next(self) -> dict[str, AnyArray] | None:
        """Hand over the feed, or None at the end."""
        return self._feeds.pop() if self._feeds else None
