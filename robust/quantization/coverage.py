"""What share of a model is really quantized, read from the artefact rather than believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.costing.opening import Rows, example_inputs, read_rows
from robust.costing.whole_model import cost
from robust.errors import InvalidInput, MissingExtra, ModelFault
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.layer_bits import LayerBits
from robust.types import AnyArray

_SHOWN = 5
#: On which other weights are tried.
_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What share of a model is quantized.

    Args:
        weights: Share of the weights, biases left out, that are held in 8 bits or fewer or rounded to such, in [0, 1];
            None where it cannot be read.
        macc: Share of the multiply-accumulates with two quantized factors, in [0, 1]: what a device can run on
            integers; None where they cannot be counted. Of weights alone quantized it is 0.
        layers: What is known of each layer.
        simulated: Whether numbers are rounded in floating point, as in quantization-aware training.
        reason: Why a share is None; empty where none is.
    """

    weights: float | None
    macc: float | None
    layers: tuple[LayerBits, ...]
    simulated: bool = False
    reason: str = ""

    def __str__(self) -> str:
        if self.weights is None:
            return f"what share of the weights is quantized is not known: {self.reason}"
        how = "rounded to 8 bits or fewer in floating point" if self.simulated else "held in 8 bits or fewer"
        text = f"{100 * self.weights:.4g} % of the weights are {how}"
        if self.macc is not None:
            text += f"; {100 * self.macc:.4g} % of the multiply-accumulates have two quantized factors"
        wide = [layer.name for layer in self.layers if layer.weights and not layer.quantized]
        if wide and self.weights > 0:
            more = f" and {len(wide) - _SHOWN} more" if len(wide) > _SHOWN else ""
            text += f"; in float: {', '.join(wide[:_SHOWN])}{more}"
        return text


def coverage_by_layer(model: Any, *, data: Any = None, input_shape: Any = None) -> Coverage:
    """What share of the weights and of the multiply-accumulates of a model is quantized, layer by layer.

    weights: Σ_l q_l / Σ_l w_l, macc: Σ_l m_l [both factors of layer l quantized] / Σ_l m_l; q_l of the w_l weights of
    layer l in 8 bits or fewer, m_l its multiply-accumulates

    ONNX files with QDQ pairs, integer operators or packed weights, torch modules and programs with tensors of torchao,
    quantized or fake-quantized layers. Stored widths count, not what a file's name says. A torch module is run on one
    row, and what stands in its products is traced back to what it stores: a weight counts under any name. A quantized
    layer of a file or module whose weights could be any others, since a run with others gives the same, does not.

    Args:
        model: Anything `as_model` takes.
        data: Rows that `as_data` takes, one of which is run where the framework has to be watched.
        input_shape: Shape of a row instead, where the model does not tell it.

    Returns:
        The shares; None, with the reason, for what is not known.

    Raises:
        InvalidInput: If `model`, `data` or `input_shape` are none.

    >>> coverage_by_layer(lambda x: x).reason
    'a callable does not show how its weights are stored'
    """
    judged = as_model(model)
    try:
        layers = _layers(judged, read_rows(data, input_shape))
    except ModelFault as error:
        return Coverage(weights=None, macc=None, layers=(), reason=f"it cannot be run: {error}")
    if layers is None:
        what = "callable" if judged.framework == "callable" else f"{judged.framework} model"
        return Coverage(weights=None, macc=None, layers=(), reason=f"a {what} does not show how its weights are stored")
    counted, missed = _macc(judged, data, input_shape)
    layers = tuple(replace(layer, name=layer.name or judged.name) for layer in layers)
    weights, reason = _share_of_weights(layers)
    layers = tuple(replace(layer, macc=counted.get(layer.name)) for layer in layers)
    macc = None
    total = sum(value for value in counted.values() if value is not None)
    if not missed and total > 0:
        macc = sum(layer.macc or 0.0 for layer in layers if layer.integer) / total
    return Coverage(
        weights=weights,
        macc=macc,
        layers=layers,
        simulated=any(layer.simulated for layer in layers),
        reason=reason or missed,
    )


def quantized_coverage(model: Model, data: Any = None) -> float | None:
    """Share of weights that are held in 8 bits or fewer, or rounded to such; None where it cannot be read.

    Args:
        model: A model.
        data: Rows that `as_data` takes, one of which is run where the framework has to be watched.

    Returns:
        A share of weights in [0, 1]; biases and scales of quantized layers are left out: they stay wide by design.
    """
    try:
        layers = _layers(model, read_rows(data, None))
    except ModelFault:
        return None
    return None if layers is None else _share_of_weights(layers)[0]


def _layers(model: Model, rows: Rows) -> tuple[LayerBits, ...] | None:
    """What the model's file or module shows, and a run of it on one row, where there is one."""
    if model.held is not None:
        return model.held.layers
    if model.framework == "onnx" and model.content is not None:
        from robust.quantization.coverage_onnx import onnx_layers

        return onnx_layers(model.content(), _some(rows))
    adapter = adapter_of(model)
    if model.framework == "torch" and hasattr(adapter, "module"):
        from robust.quantization.coverage_torch import torch_layers

        try:
            inputs = example_inputs(model, rows)[0]
        except InvalidInput:
            inputs = None  # nobody said what a row is
        return torch_layers(adapter, inputs, name=model.name)
    return None


def _some(rows: Rows) -> tuple[AnyArray, ...] | None:
    """A few rows of each input, where something said what a row is."""
    if rows.data is not None:
        return (rows.data.x[:_ROWS],)
    return rows.values or (None if rows.shapes is None else tuple(np.zeros((1, *shape)) for shape in rows.shapes))


def _share_of_weights(layers: Sequence[LayerBits]) -> tuple[float | None, str]:
    """The share, or why there is none."""
    total = sum(layer.weights for layer in layers)
    unread = [layer.name for layer in layers if layer.quantized is None]
    if unread:
        return None, f"how {', '.join(unread[:_SHOWN])} keep their weights cannot be read"
    if not total:
        return None, "no layer has stored weights"
    return sum(layer.quantized or 0 for layer in layers) / total, ""


def _macc(model: Model, data: Any, input_shape: Any) -> tuple[Mapping[str, float | None], str]:
    """Multiply-accumulates of each layer, and why their sum is not known."""
    try:
        counted = model if model.held is None else model.held.imitated
        found = cost(counted, data=data, input_shape=input_shape)
    except (InvalidInput, MissingExtra, ModelFault) as error:
        return {}, f"multiply-accumulates cannot be counted: {error}"
    missed = [part for part in found.uncounted if "macc" in part.affects]
    reason = f"multiply-accumulates of {missed[0].name} ({missed[0].kind}) are not counted" if missed else ""
    return {layer.name: layer.macc for layer in found.layers}, reason
