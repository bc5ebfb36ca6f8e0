"""Whether quantized biases stand for the float ones in the scale that their operator adds them in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from robust.errors import InvalidInput
from robust.models.layer_names import layer_of
from robust.types import FloatArray

_SLACK = 1e-6
#: Where integer operators have the scales of their input and weight.
_SCALES = {"QLinearConv": (1, 4), "QGemm": (1, 4)}
_PLAIN = ("Conv", "ConvTranspose", "Gemm")


def refuse_other_biases(prepared: onnx.ModelProto, made: onnx.ModelProto, *, name: str) -> None:
    """Refuse a quantized graph that adds biases in another scale than they were rounded by.

    |s_x s_w q − b| ≤ s_x s_w; s_x and s_w: the scales of the operator's input and weight, in which it adds integers

    Args:
        prepared: The float graph, in which each operator has a bias of its own.
        made: What a quantizer made of it.
        name: Of the model.

    Raises:
        InvalidInput: If a layer's bias is more than a step from its own; it is named.
    """
    floats = {tensor.name: tensor for tensor in prepared.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    stored = {tensor.name: tensor for tensor in made.graph.initializer}
    makers = {output: node for node in made.graph.node for output in node.output}
    readers = {given: node for node in made.graph.node for given in node.input}
    for place, node in enumerate(prepared.graph.node):
        bias = node.input[2] if node.op_type in _PLAIN and len(node.input) > 2 else ""
        codes = stored.get(f"{bias}_quantized")
        reader = readers.get(f"{bias}_quantized")
        if bias not in floats or codes is None or reader is None or codes.data_type != TensorProto.INT32:
            continue
        if reader.op_type == "DequantizeLinear":
            reader = readers.get(reader.output[0])
        step = None if reader is None else _step(reader, stored, makers)
        if step is None:
            continue
        wanted = numpy_helper.to_array(floats[bias]).astype(np.float64).reshape(-1)
        off = np.abs(numpy_helper.to_array(codes).astype(np.float64).reshape(-1) * step - wanted)
        if (off > step + _SLACK * np.abs(wanted)).any():
            raise InvalidInput(
                f"the quantized bias of layer {layer_of(node, place, [node.input[1]])[0]} of {name} ({node.op_type}, "
                f"node {node.name!r}) is up to {float(off.max()):.3g} from its own, more than a step: keep=(…) leaves "
                "the layer in float, and method='dynamic' all biases"
            )


def _step(node: Any, stored: Mapping[str, Any], makers: Mapping[str, Any]) -> FloatArray | None:
    """The scale in which an operator adds its bias; None where it is not known ahead."""
    if node.op_type in _SCALES:
        names = [node.input[place] for place in _SCALES[node.op_type]]
    elif node.op_type in _PLAIN:
        unpacking = [makers.get(node.input[place]) for place in (0, 1)]
        names = [maker.input[1] for maker in unpacking if maker is not None and maker.op_type == "DequantizeLinear"]
    else:
        return None
    if len(names) < 2 or not all(name in stored for name in names):
        return None
    by_input, by_weight = (numpy_helper.to_array(stored[name]).astype(np.float64).reshape(-1) for name in names)
    return np.asarray(by_input * by_weight)
