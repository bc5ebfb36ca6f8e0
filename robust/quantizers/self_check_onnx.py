"""Whether a graph that was prepared and quantized is still the float model's: its answers, and its weights."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from robust.costing.graph_onnx import setting
from robust.errors import InvalidInput
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.layer_names import layer_of
from robust.quantization.stored_values_onnx import (
    MULTIPLYING,
    Constants,
    StoredWeight,
    constants_of,
    weight_of,
)
from robust.types import AnyArray, FloatArray

#: Largest difference of an output, of the largest output: folding and another order of sums change about 1e-6.
_ANSWERS = 1e-4
#: A decision inside a graph may tip by a difference of 1e-6: not in more than this share of the rows.
_TIPPED = 0.01
#: A weight may be a step from the float one: half for rounding, half where a range is cut. Sums in float32 add this.
_SLACK = 1e-6
_PLAIN = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_REPORT = (
    "this is a fault of the quantizer or of its use here, not of the model: another method may do, please report it"
)


def refuse_other_answers(source: OnnxAdapter, prepared: OnnxAdapter, x: AnyArray, *, name: str) -> None:
    """Refuse a prepared float graph that answers otherwise than the float model.

    Args:
        source: The float model.
        prepared: What is about to be quantized.
        x: Some rows.
        name: Of the model.

    Raises:
        InvalidInput: If outputs differ by more than 1e-4 of the largest, in more than 1 % of the rows.
    """
    before, after = (np.asarray(adapter.forward(x), dtype=np.float64) for adapter in (source, prepared))
    if before.shape == after.shape:
        finite = np.abs(before[np.isfinite(before)])
        scale = finite.max(initial=0.0)
        near = np.isclose(after, before, rtol=0, atol=_ANSWERS * scale, equal_nan=True)
        off = np.asarray(~near.reshape(len(before), -1).all(axis=1))
        if off.mean() <= _TIPPED:
            return
        with np.errstate(invalid="ignore"):
            worst = f"by up to {np.nanmax(np.abs(after - before)) / scale if scale else np.inf:.3g} of the largest"
        what = f"in {int(off.sum())} of {len(off)} rows, {worst} output"
    else:
        what = f"in its shape, {after.shape} for {before.shape}"
    raise InvalidInput(f"{name} answers otherwise once it is prepared for quantization, {what}: {_REPORT}")


def refuse_other_weights(prepared: onnx.ModelProto, made: onnx.ModelProto, *, name: str) -> None:
    """Refuse a quantized graph whose weights are not those of the float graph, to within a step.

    |s (q − z) − w| ≤ s for each weight w of a convolution or matrix product, as the operator multiplies with it

    Args:
        prepared: The float graph, in which each operator has weights of its own.
        made: What a quantizer made of it.
        name: Of the model.

    Raises:
        InvalidInput: If a layer's weights are others, or lie in another order; it is named.
    """
    floats = {t.name for t in prepared.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) > 1}
    before, after = constants_of(prepared.graph), constants_of(made.graph)
    users = _users(made.graph)
    for place, node in enumerate(prepared.graph.node):
        if node.op_type not in _PLAIN or len(node.input) < 2 or node.input[1] not in floats:
            continue
        weight = node.input[1]
        own, found = weight_of(node, before, None), _read(weight, after, users)
        if own is None or found is None:
            continue
        wanted, numbers, step = (_laid(values, node) for values in (own.values, found.values, found.steps))
        layer = layer_of(node, place, [weight])[0]
        if numbers.shape != wanted.shape:
            raise InvalidInput(
                f"quantized weights of layer {layer} of {name} ({node.op_type}, node {node.name!r}) have shape "
                f"{numbers.shape}, its own {wanted.shape}: {_REPORT}"
            )
        off = np.abs(numbers - wanted) > step * (1 + _SLACK) + _SLACK * float(np.abs(wanted).max(initial=0.0))
        if off.any():
            raise InvalidInput(
                f"{int(off.sum())} of {off.size} quantized weights of layer {layer} of {name} ({node.op_type}, node "
                f"{node.name!r}) are more than a step from its own, by up to "
                f"{float(np.max(np.abs(numbers - wanted))):.3g}: {_REPORT}"
            )


def _users(graph: Any) -> dict[str, Any]:
    """The operator that reads each tensor, behind the one that unpacks it."""
    readers = {name: node for node in graph.node for name in node.input}
    found = {}
    for name, node in readers.items():
        while node is not None and node.op_type in ("DequantizeLinear", "QuantizeLinear"):
            node = readers.get(node.output[0])
        if node is not None:
            found[name] = node
    return found


def _read(weight: str, stored: Constants, users: dict[str, Any]) -> StoredWeight | None:
    """A weight as an operator of the quantized graph multiplies by it; None where it is kept in other ways."""
    if weight in stored.stored and weight in users and users[weight].op_type in _PLAIN:
        return weight_of(users[weight], stored, None)
    codes = f"{weight}_quantized"
    if codes in stored.stored and codes in users and users[codes].op_type in MULTIPLYING:
        return weight_of(users[codes], stored, None)
    packed = next((node for name, node in users.items() if _is_packed(node, name, weight)), None)
    return None if packed is None else _multiplied_out(packed, stored)


def _is_packed(node: Any, name: str, weight: str) -> bool:
    return bool(node.op_type == "MatMulNBits" and name == node.input[1] and name.rpartition("_Q")[0] == weight)


def _multiplied_out(node: Any, stored: Constants) -> StoredWeight | None:
    """Weights of a packed product, as onnxruntime itself reads them: what it makes of the unit matrix; their steps."""
    width, packed = int(setting(node, "K", 0)), weight_of(node, stored, None)
    if packed is None:
        return None
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[5:], alone.input[4:]
    alone.input[0], alone.output[0] = "x", "y"
    graph = helper.make_graph(
        [alone],
        "alone",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [stored.stored[name] for name in alone.input[1:] if name],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (numbers,) = session.run(None, {"x": np.eye(width, dtype=np.float32)})
    return StoredWeight(values=numbers.astype(np.float64).T, steps=packed.steps)


def _laid(weights: FloatArray, node: Any) -> FloatArray:
    """Weights of a matrix product as (in, out), as messages show them; those of convolutions as they are."""
    return weights if node.op_type in _CONVOLUTIONS else np.swapaxes(weights, -1, -2)
