"""Whether a graph that was prepared and quantized is still the float model's: its answers, and its weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from robust.costing.graph_onnx import setting
from robust.errors import InvalidInput
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.layer_names import layer_of
from robust.types import AnyArray

#: Largest difference of an output, of the largest output: folding and another order of sums change about 1e-6.
_ANSWERS = 1e-4
#: A decision inside a graph may tip by a difference of 1e-6: not in more than this share of the rows.
_TIPPED = 0.01
#: A weight may be a step from the float one: half for rounding, half where a range is cut. Sums in float32 add this.
_SLACK = 1e-6
_PLAIN = ("Conv", "ConvTranspose", "Gemm", "MatMul")
#: Operators on integers, by the one on floats that they stand for.
_STANDS_FOR = {
    "QLinearConv": "Conv",
    "ConvInteger": "Conv",
    "QLinearConvTranspose": "ConvTranspose",
    "QGemm": "Gemm",
    "QLinearMatMul": "MatMul",
    "MatMulInteger": "MatMul",
    "MatMulIntegerToFloat": "MatMul",
    "DynamicQuantizeMatMul": "MatMul",
    **{kind: kind for kind in _PLAIN},
}
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
    floats = {t.name: t for t in prepared.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) > 1}
    stored = {tensor.name: tensor for tensor in made.graph.initializer}
    users = _users(made.graph)
    for place, node in enumerate(prepared.graph.node):
        if node.op_type not in _PLAIN or len(node.input) < 2 or node.input[1] not in floats:
            continue
        weight = node.input[1]
        wanted = _laid(numpy_helper.to_array(floats[weight]), node)
        found = _read(weight, stored, users)
        if found is None:
            continue
        numbers, step = found
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


def _read(weight: str, stored: Mapping[str, TensorProto], users: Mapping[str, Any]) -> tuple[AnyArray, AnyArray] | None:
    """Weights as an operator multiplies with them, and the step of each; None where they are kept in other ways."""
    if weight in stored and weight in users and users[weight].op_type in _PLAIN:
        return _laid(numpy_helper.to_array(stored[weight]), users[weight]), np.zeros(())
    codes = f"{weight}_quantized"
    if codes in stored and codes in users and f"{weight}_scale" in stored:
        node = users[codes]
        if node.op_type not in _STANDS_FOR:
            return None
        zero = stored.get(f"{weight}_zero_point")
        return _unpacked(node, stored[codes], stored[f"{weight}_scale"], zero)
    packed = next((node for name, node in users.items() if _is_packed(node, name, weight)), None)
    return None if packed is None else _multiplied_out(packed, stored)


def _unpacked(
    node: Any, codes: TensorProto, scale: TensorProto, zero: TensorProto | None
) -> tuple[AnyArray, AnyArray] | None:
    """Weights from integers with a scale a tensor or a channel."""
    raw, steps = numpy_helper.to_array(codes), numpy_helper.to_array(scale).astype(np.float64).reshape(-1)
    axis = {"Conv": 0, "ConvTranspose": 1}.get(_STANDS_FOR[node.op_type])
    if axis is None:
        axis = 0 if _turned(node) else raw.ndim - 1
    if steps.size not in (1, raw.shape[axis]):
        return None
    shape = [1] * raw.ndim
    shape[axis] = steps.size
    spread = steps.reshape(shape)
    middle = np.zeros(1) if zero is None else numpy_helper.to_array(zero).astype(np.float64).reshape(-1)
    numbers = spread * (raw.astype(np.float64) - middle.reshape(shape if middle.size > 1 else [1] * raw.ndim))
    step = np.broadcast_to(spread, raw.shape)
    return _laid(numbers, node), _laid(step, node)


def _is_packed(node: Any, name: str, weight: str) -> bool:
    return bool(node.op_type == "MatMulNBits" and name == node.input[1] and name.rpartition("_Q")[0] == weight)


def _multiplied_out(node: Any, stored: Mapping[str, TensorProto]) -> tuple[AnyArray, AnyArray]:
    """Weights of a packed product, as onnxruntime itself reads them: what it makes of the unit matrix; their steps."""
    width, columns = int(setting(node, "K", 0)), int(setting(node, "N", 0))
    block = int(setting(node, "block_size", 0))
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[5:], alone.input[4:]
    alone.input[0], alone.output[0] = "x", "y"
    graph = helper.make_graph(
        [alone],
        "alone",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [stored[name] for name in alone.input[1:] if name],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (numbers,) = session.run(None, {"x": np.eye(width, dtype=np.float32)})
    scales = np.abs(numpy_helper.to_array(stored[node.input[2]]).astype(np.float64)).reshape(columns, -1)
    return numbers.astype(np.float64), np.repeat(scales, block, axis=1)[:, :width].T


def _laid(weights: AnyArray, node: Any) -> AnyArray:
    """Weights of a matrix product as (in, out); those of others as they are."""
    return np.swapaxes(weights, -1, -2) if _turned(node) else weights


def _turned(node: Any) -> bool:
    return node.op_type in ("Gemm", "QGemm") and bool(setting(node, "transB", 0))
