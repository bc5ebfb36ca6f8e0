"""Real numbers to integers and back, by one scale and zero point a tensor."""

import numpy as np

from robust.data.naming import some_rows
from robust.errors import InvalidInput
from robust.tensors.spec import Quantization
from robust.types import AnyArray, FloatArray


def quantize(x: AnyArray, q: Quantization) -> AnyArray:
    """Integers that stand for real numbers.

    q = clip(round(x / scale) + zero_point), rounding half to even.

    The quotient is taken in the precision of x (at least float32), as the runtimes take it, so that float32 data give
    the very integers that a model's own QuantizeLinear gives.

    Args:
        x: Real numbers (…), of a floating type, finite.
        q: Scale, zero point and type.

    Returns:
        (…) of `q.dtype`; what lies beyond its range becomes its end.

    Raises:
        InvalidInput: If x holds integers (they may be quantized already), NaN or infinity.

    Source:
        ONNX operator specification, QuantizeLinear.

    >>> quantize(np.array([0.0, 0.25, 0.75, 99.0]), Quantization(scale=0.5, zero_point=-1, dtype="int8"))
    array([ -1,  -1,   1, 127], dtype=int8)
    """
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise InvalidInput(
            f"{x.dtype} cannot be quantized to {q.dtype}, since its numbers may be quantized already: "
            f"floating numbers, or {q.dtype} itself, would be right"
        )
    finite = np.isfinite(x)
    if not finite.all():
        rows = np.asarray(~finite.reshape(len(x), -1).all(axis=1) if x.ndim else [True])
        raise InvalidInput(f"NaN or infinity cannot be quantized: {some_rows(rows)}; finite numbers would be right")
    precision = np.result_type(x.dtype, np.float32)
    with np.errstate(over="ignore"):  # a quotient beyond the floats is clipped all the same
        if not 0 < precision.type(q.scale) < np.inf:  # a scale that float32 cannot hold
            precision = np.dtype(np.float64)
        steps = np.rint(x.astype(precision, copy=False) / precision.type(q.scale)).astype(np.float64)
    low, high = q.range
    return np.asarray(np.clip(steps + q.zero_point, low, high).astype(q.dtype))


def dequantize(raw: AnyArray, q: Quantization | None) -> FloatArray:
    """Real numbers that integers stand for.

    x = (int32(q) − zero_point) · scale, in float64

    Args:
        raw: (…) of `q.dtype`; any numbers where q is None.
        q: Scale, zero point and type; None for a tensor whose numbers are what they are.

    Returns:
        (…), float64.

    Raises:
        InvalidInput: If `raw` is of another type than `q` says.

    Source:
        ONNX operator specification, DequantizeLinear.

    >>> dequantize(np.array([-128, 127], dtype=np.int8), Quantization(scale=0.5, zero_point=127, dtype="int8"))
    array([-127.5,    0. ])
    """
    raw = np.asarray(raw)
    if q is None:
        return raw.astype(np.float64)
    if raw.dtype != q.dtype:
        raise InvalidInput(f"{raw.dtype} cannot be dequantized by the scale and zero point of a {q.dtype} tensor")
    # The difference first, in int32: it leaves the range of the type, and would wrap around in it.
    return (raw.astype(np.int32) - np.int32(q.zero_point)) * np.float64(q.scale)
