"""Numbers that an ONNX file stores, as its operators work with them: dequantized, weights one row an output."""

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
    **dict.fromkeys(("QLinearConv", "QLinearConvTranspose", "QLinearMatMul", "QGemm"), (3, 4, 5)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (1, None, 3)),
    "DynamicQuantizeMatMul": (1, 2, 3),
    "MatMulIntegerToFloat": (1, 3, 5),
}
#: Operators that multiply by stored weights.
MULTIPLYING = frozenset((*_PLACES, "MatMulNBits"))
_INTEGER = ("ConvInteger", "MatMulInteger")
_MATRICES = ("MatMul", "QLinearMatMul", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "FusedMatMul")
_GEMMS = ("Gemm", "QGemm", "FusedGemm")
_CODES = "_quantized"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constants:
    """Tensors of a graph that are the same in every run, worked out from what the file stores.

    Args:
        stored: Initialisers and constants by name.
        makers: The node behind each tensor.
    """

    stored: Mapping[str, Any]
    makers: Mapping[str, Any]
    _found: dict[tuple[str, bool], AnyArray | None] = field(default_factory=dict, init=False)

    def array(self, name: str) -> AnyArray | None:
        """A constant's values; integers that are dequantized on the way come out in float64.

        Args:
            name: Of a tensor.

        Returns:
            The values, or None where they are not constant, are kept outside the file, or are made in other ways than
            by unpacking.
        """
        return self._once(name, steps=False)

    def steps(self, name: str) -> FloatArray | None:
        """What one step of the integers behind each element of a constant is worth, of its shape; 0 for plain numbers.

        Args:
            name: Of a tensor.

        Returns:
            The steps, at least 0; None where `array` gives None.
        """
        return self._once(name, steps=True)

    def _once(self, name: str, *, steps: bool) -> AnyArray | None:
        if (name, steps) not in self._found:
            self._found[name, steps] = None  # until it is known: a loop in a damaged file ends here
            self._found[name, steps] = self._worked_out(name, steps=steps)
        return self._found[name, steps]

    def _worked_out(self, name: str, *, steps: bool) -> AnyArray | None:
        if name in self.stored:
            tensor = self.stored[name]
            if tensor.data_location == TensorProto.EXTERNAL:
                return None
            return np.broadcast_to(0.0, tuple(tensor.dims)) if steps else np.asarray(numpy_helper.to_array(tensor))
        node = self.makers.get(name)
        if node is None or not node.input:
            return None
        first = self._once(node.input[0], steps=steps)
        if first is None:
            return None
        if node.op_type == "DequantizeLinear":
            return self._dequantized(node, first, steps=steps)
        if node.op_type == "Transpose":
            return np.transpose(first, setting(node, "perm", None))
        if node.op_type in ("Identity", "Cast"):
            return first
        if node.op_type == "Reshape":
            shape = self.array(node.input[1])
            sizes = [] if shape is None else [int(size) for size in shape]
            return first.reshape(sizes) if shape is not None and 0 not in sizes else None
        return None

    def _dequantized(self, node: Any, raw: AnyArray, *, steps: bool) -> FloatArray | None:
        scale, block = self.array(node.input[1]), int(setting(node, "block_size", 0))
        zero = self.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if scale is None:
            return None
        axis = int(setting(node, "axis", 1))
        if steps:
            return _spread(np.abs(scale.astype(np.float64)), raw.shape, axis=axis, block=block)
        return dequantized(raw, scale, zero, axis=axis, block=block)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredWeight:
    """A weight as an operator multiplies by it.

    Args:
        values: Dequantized, float64, (out, …).
        steps: What one step of its integers is worth, of the same shape; 0 where it is stored as plain numbers.
    """

    values: FloatArray
    steps: FloatArray


def constants_of(graph: Any) -> Constants:
    """What a parsed graph stores, by its initialisers and the tensors of `Constant` nodes."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            stored.update((node.output[0], one.t) for one in node.attribute if one.name == "value")
    return Constants(stored=stored, makers={name: node for node in graph.node for name in node.output if name})


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
    # Integers first, in a type that holds their difference: in uint8 it would wrap around.
    shifted = raw.astype(np.int64)
    if zero is not None:
        shifted = shifted - _spread(zero.astype(np.int64), raw.shape, axis=axis, block=block)
    return np.asarray(shifted * _spread(scale.astype(np.float64), raw.shape, axis=axis, block=block))


def _spread(values: AnyArray, shape: tuple[int, ...], *, axis: int, block: int = 0) -> AnyArray:
    """Scales or zero points, one an element."""
    if values.size == 1:
        values = values.reshape(())
    elif block:
        values = np.repeat(values, block, axis=axis)[tuple(slice(0, size) for size in shape)]
    else:
        along = [1] * len(shape)
        along[axis] = -1
        values = values.reshape(along)
    return np.broadcast_to(values, shape)


def named_scale(codes: str, constants: Constants) -> tuple[AnyArray, AnyArray | None] | None:
    """Scale and zero point that onnxruntime's quantizer stores beside integers, by their names.

    Args:
        codes: Name of the integers, e.g. `fc.weight_quantized`.
        constants: The graph's constants.

    Returns:
        None where there are none of these names.
    """
    weight = codes.removesuffix(_CODES)
    scale = constants.array(f"{weight}_scale") if weight != codes else None
    return None if scale is None else (scale, constants.array(f"{weight}_zero_point"))


def weight_of(node: Any, constants: Constants, scaled_by: AnyArray | None) -> StoredWeight | None:
    """Weights of an operator, (out, …), or the table (rows, …) that a Gather looks up in.

    Args:
        node: The operator.
        constants: The graph's constants.
        scaled_by: For operators that give plain integers, the weights' scale from the product that follows; None for
            the one that is stored beside them.

    Returns:
        Dequantized weights; None where it has none of its own, or they cannot be read.
    """
    if node.op_type == "MatMulNBits":
        return _packed(node, constants)
    if node.op_type == "Gather":
        return _table(node.input[0], constants)
    if node.op_type not in _PLACES:
        return None
    place, scale_at, zero_at = _PLACES[node.op_type]
    name = node.input[place] if place < len(node.input) else ""
    raw, steps = constants.array(name), constants.steps(name)
    if raw is None or steps is None or raw.ndim < 2:
        return None
    matrix = node.op_type in _MATRICES or (node.op_type in _GEMMS and not setting(node, "transB", 0))
    if scale_at is None and node.op_type not in _INTEGER:
        values: FloatArray = raw.astype(np.float64)
    else:
        scale = _constant(node, scale_at, constants)
        if node.op_type in _INTEGER:
            named = named_scale(name, constants)
            scale = scaled_by if scaled_by is not None else None if named is None else named[0]
        axis = -1 if matrix else int(node.op_type.endswith("ConvTranspose"))
        if scale is None or scale.size not in (1, raw.shape[axis]):
            return None
        values = dequantized(raw, scale.reshape(-1), _constant(node, zero_at, constants), axis=axis)
        steps = _spread(np.abs(scale.reshape(-1).astype(np.float64)), raw.shape, axis=axis)
    if matrix:
        values, steps = np.swapaxes(values, -1, -2), np.swapaxes(steps, -1, -2)
    return StoredWeight(values=np.asarray(values), steps=np.asarray(steps))


def _table(name: str, constants: Constants) -> StoredWeight | None:
    """A stored table whose rows are looked up; one of integers has its scale beside it, since nothing unpacks it."""
    raw, steps = constants.array(name), constants.steps(name)
    if raw is None or steps is None or raw.ndim < 2:
        return None
    if raw.dtype.kind == "f":
        return StoredWeight(values=raw.astype(np.float64), steps=steps)
    found = named_scale(name, constants)
    if found is None or found[0].size != 1:
        return None
    values = dequantized(raw, *found, axis=0)
    return StoredWeight(values=values, steps=np.broadcast_to(abs(float(found[0].item())), raw.shape))


def _packed(node: Any, constants: Constants) -> StoredWeight | None:
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
    counts = codes.astype(np.float64) - middle[:, :, None].astype(np.float64)
    worth = scale.reshape(n, blocks, 1).astype(np.float64)
    return StoredWeight(
        values=np.asarray((counts * worth).reshape(n, -1)[:, :k]),
        steps=np.asarray(np.broadcast_to(np.abs(worth), codes.shape).reshape(n, -1)[:, :k]),
    )


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
