"""Weights of an ONNX file's operators as the operators work with them: dequantized, one row an output."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from robust.costing.graph_onnx import setting
from robust.types import AnyArray, FloatArray

#: Where operators have their weight, its scale and its zero point; None where scale or zero point are no inputs.
_PLACES: Mapping[str, tuple[int, int | None, int | None]] = {
    **dict.fromkeys(
        ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul"), (1, None, None)
    ),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), (3, 4, 5)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (1, None, 3)),
    "DynamicQuantizeMatMul": (1, 2, 3),
    "MatMulIntegerToFloat": (1, 3, 5),
}
_INTEGER = ("ConvInteger", "MatMulInteger")
_MATRICES = ("MatMul", "QLinearMatMul", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "FusedMatMul")
_GEMMS = ("Gemm", "QGemm", "FusedGemm")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constants:
    """Tensors of a graph that are the same in every run, worked out from what the file stores.

    Args:
        stored: Initialisers and constants by name.
        makers: The node behind each tensor.
    """

    stored: Mapping[str, Any]
    makers: Mapping[str, Any]
    _found: dict[str, AnyArray | None] = field(default_factory=dict, init=False)

    def array(self, name: str) -> AnyArray | None:
        """A constant's values; integers that are dequantized on the way come out in float64.

        Args:
            name: Of a tensor.

        Returns:
            The values, or None where they are not constant, are kept outside the file, or are made in other ways than
            by unpacking.
        """
        if name not in self._found:
            self._found[name] = None  # until it is known: a loop in a damaged file ends here
            self._found[name] = self._worked_out(name)
        return self._found[name]

    def _worked_out(self, name: str) -> AnyArray | None:
        if name in self.stored:
            tensor = self.stored[name]
            outside = tensor.data_location == TensorProto.EXTERNAL
            return None if outside else np.asarray(numpy_helper.to_array(tensor))
        node = self.makers.get(name)
        if node is None or not node.input:
            return None
        first = self.array(node.input[0])
        if first is None:
            return None
        if node.op_type == "DequantizeLinear":
            return self._dequantized(node, first)
        if node.op_type == "Transpose":
            return np.transpose(first, setting(node, "perm", None))
        if node.op_type in ("Identity", "Cast"):
            return first
        if node.op_type == "Reshape":
            shape = self.array(node.input[1])
            sizes = [] if shape is None else [int(size) for size in shape]
            return first.reshape(sizes) if shape is not None and 0 not in sizes else None
        return None

    def _dequantized(self, node: Any, raw: AnyArray) -> FloatArray | None:
        scale = self.array(node.input[1])
        zero = self.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        block = int(setting(node, "block_size", 0))
        return None if scale is None else dequantized(raw, scale, zero, axis=int(setting(node, "axis", 1)), block=block)


def dequantized(raw: AnyArray, scale: AnyArray, zero: AnyArray | None, *, axis: int, block: int = 0) -> FloatArray:
    """Real numbers that integers stand for, with one scale, one along an axis, or one a block along it.

    x = (q − zero point) · scale, the difference in int64 and the product in float64

    Args:
        raw: Integers.
        scale: () or (1,), (k,) along the axis, or of the shape of `raw` with the axis shorter by `block`.
        zero: Zero points of the shape of `scale`; None for 0.
        axis: The axis.
        block: Elements along the axis that share a scale; 0 where there are no blocks.

    Source:
        ONNX operator specification, DequantizeLinear.

    >>> dequantized(np.array([[0, 255]], dtype=np.uint8), np.array(0.5), np.array(200, dtype=np.uint8), axis=0)
    array([[-100. ,   27.5]])
    """

    def spread(values: AnyArray) -> AnyArray:
        if values.size == 1:
            return values.reshape(())
        if block:
            return np.repeat(values, block, axis=axis)[tuple(slice(0, size) for size in raw.shape)]
        shape = [1] * raw.ndim
        shape[axis] = -1
        return values.reshape(shape)

    # Integers first, in a type that holds their difference: in uint8 it would wrap around.
    shifted = raw.astype(np.int64)
    if zero is not None:
        shifted = shifted - spread(zero.astype(np.int64))
    return np.asarray(shifted * spread(scale.astype(np.float64)))


def weight_of(node: Any, constants: Constants, scaled_by: AnyArray | None) -> FloatArray | None:
    """Weights of an operator, (out, …).

    Args:
        node: The operator.
        constants: The graph's constants.
        scaled_by: For operators that give plain integers, the weights' scale from the product that follows.

    Returns:
        Dequantized weights in float64; None where it has none of its own, or they cannot be read.
    """
    if node.op_type == "MatMulNBits":
        return _packed(node, constants)
    if node.op_type not in _PLACES:
        return None
    place, scale_at, zero_at = _PLACES[node.op_type]
    raw = constants.array(node.input[place]) if place < len(node.input) else None
    if raw is None or raw.ndim < 2:
        return None
    matrix = node.op_type in _MATRICES or (node.op_type in _GEMMS and not setting(node, "transB", 0))
    scale = scaled_by if node.op_type in _INTEGER else _constant(node, scale_at, constants)
    if scale_at is None and node.op_type not in _INTEGER:
        found: FloatArray = raw.astype(np.float64)
    elif scale is None:
        return None
    else:
        found = dequantized(raw, scale.reshape(-1), _constant(node, zero_at, constants), axis=-1 if matrix else 0)
    return np.asarray(np.swapaxes(found, -1, -2)) if matrix else found


def _packed(node: Any, constants: Constants) -> FloatArray | None:
    """Weights of a MatMulNBits, (out, in): blocks along the input that share a scale, packed from the low bits up."""
    bits, k = int(setting(node, "bits", 4)), int(setting(node, "K", 0))
    raw, scale = (_constant(node, place, constants) for place in (1, 2))
    if raw is None or scale is None or 8 % bits:
        return None
    codes = _unpacked(raw, bits)
    n, blocks, _ = codes.shape
    zero = _constant(node, 3, constants)
    middle: AnyArray = np.full((n, blocks), 1 << (bits - 1))  # where no zero point is stored
    if zero is not None:
        middle = (_unpacked(zero.reshape(n, -1), bits) if zero.dtype == np.uint8 else zero.reshape(n, -1))[:, :blocks]
    steps = codes.astype(np.float64) - middle[:, :, None].astype(np.float64)
    return np.asarray((steps * scale.reshape(n, blocks, 1).astype(np.float64)).reshape(n, -1)[:, :k])


def _unpacked(raw: AnyArray, bits: int) -> AnyArray:
    """Codes of less than a byte, the last axis longer.

    >>> _unpacked(np.array([0x21], dtype=np.uint8), 4).tolist()
    [1, 2]
    """
    parts = [(raw >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, axis=-1).reshape(*raw.shape[:-1], -1)


def fold_of(node: Any, constants: Constants) -> FloatArray | None:
    """What a BatchNormalization multiplies the weights before it by, γ/√(σ² + ε), (out,)."""
    gamma, variance = constants.array(node.input[1]), constants.array(node.input[4])
    if gamma is None or variance is None:
        return None
    return np.asarray(gamma / np.sqrt(variance.astype(np.float64) + setting(node, "epsilon", 1e-5)))


def _constant(node: Any, place: int | None, constants: Constants) -> AnyArray | None:
    if place is None or place >= len(node.input) or not node.input[place]:
        return None
    return constants.array(node.input[place])
