"""One tensor in a protobuf file: the TensorProto of ONNX, or the one of TensorFlow; read from the wire format itself.

The two messages are told apart by their field 2, which is a number in the one (the type) and a message in the other
(the shape). Fields: onnx.proto of ONNX, tensor.proto, tensor_shape.proto and types.proto of TensorFlow.
"""

import math
from pathlib import Path

import numpy as np

from robust.errors import InvalidInput
from robust.tensors.wire_format import fields, integers, signed
from robust.types import AnyArray

# By the number of a type: numpy's name, and the field that holds its numbers one by one.
_ONNX = {
    1: ("float32", 4), 2: ("uint8", 5), 3: ("int8", 5), 4: ("uint16", 5), 5: ("int16", 5), 6: ("int32", 5),
    7: ("int64", 7), 9: ("bool", 5), 10: ("float16", 5), 11: ("float64", 10), 12: ("uint32", 11), 13: ("uint64", 11),
}  # fmt: skip
_TENSORFLOW = {
    1: ("float32", 5), 2: ("float64", 6), 3: ("int32", 7), 4: ("uint8", 7), 5: ("int16", 7), 6: ("int8", 7),
    9: ("int64", 10), 10: ("bool", 11), 17: ("uint16", 7), 19: ("float16", 13), 22: ("uint32", 16), 23: ("uint64", 17),
}  # fmt: skip
_ONNX_RAW, _TENSORFLOW_RAW = 9, 4
_ONNX_OUTSIDE = (13, 14)
_MOST_REPEATED = 2**24  # numbers that a file of a few bytes may stand for


def read_tensor_proto(path: Path) -> AnyArray:
    """Read one tensor.

    Args:
        path: A serialized `onnx.TensorProto` or `tf.make_tensor_proto(…)`.

    Returns:
        The tensor in its own type and shape.

    Raises:
        InvalidInput: If the file is no such message, is damaged, holds text or complex numbers, declares another
            size than it holds, or keeps its numbers in another file.
    """
    content = path.read_bytes()
    try:
        found: dict[int, list[int | bytes]] = {}
        for number, value in fields(content):
            found.setdefault(number, []).append(value)
        second = found.get(2, [b""])[-1]
        return _onnx(found, second) if isinstance(second, int) else _tensorflow(found, second)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{path} cannot be read as a TensorProto of ONNX or TensorFlow ({error}): "
            "write it with onnx.numpy_helper.from_array or tf.make_tensor_proto, or save it as .npy"
        ) from error


def _onnx(found: dict[int, list[int | bytes]], kind: int) -> AnyArray:
    if any(found.get(number, [0]) != [0] for number in _ONNX_OUTSIDE):
        raise ValueError("its numbers are in another file, which is not read")
    dtype, field = _known(kind, _ONNX)
    shape = tuple(signed(size) for size in integers(found.get(1, [])))
    if _ONNX_RAW in found:
        return _raw(found[_ONNX_RAW][-1], dtype, shape)
    return _filled(_numbers(found.get(field, []), dtype), shape, repeat=False)


def _tensorflow(found: dict[int, list[int | bytes]], extent: bytes) -> AnyArray:
    kind = found.get(1, [0])[-1]
    dtype, field = _known(kind if isinstance(kind, int) else 0, _TENSORFLOW)
    shape = []
    for number, dimension in fields(extent):
        if number == 2 and isinstance(dimension, bytes):
            sizes = [size for inner, size in fields(dimension) if inner == 1 and isinstance(size, int)]
            shape.append(signed(sizes[-1]) if sizes else 0)
    raw = found.get(_TENSORFLOW_RAW, [b""])[-1]
    if raw:
        return _raw(raw, dtype, tuple(shape))
    return _filled(_numbers(found.get(field, []), dtype), tuple(shape), repeat=True)


def _known(kind: int, types: dict[int, tuple[str, int]]) -> tuple[str, int]:
    if kind not in types:
        raise ValueError(f"type number {kind} is none of {', '.join(name for name, _ in types.values())}")
    return types[kind]


def _raw(content: int | bytes, dtype: str, shape: tuple[int, ...]) -> AnyArray:
    """Numbers stored as they lie in memory, lowest byte first in both messages."""
    width = np.dtype(dtype).itemsize
    if not isinstance(content, bytes) or min(shape, default=0) < 0 or len(content) != math.prod(shape) * width:
        raise ValueError(f"its shape {shape} of {dtype} does not fit what it holds")
    return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype)


def _filled(numbers: AnyArray, shape: tuple[int, ...], *, repeat: bool) -> AnyArray:
    """Numbers stored one by one; TensorFlow leaves repetitions of the last one out."""
    count = math.prod(shape)
    if min(shape, default=0) < 0 or len(numbers) > count or (len(numbers) < count and not (repeat and len(numbers))):
        raise ValueError(f"its shape {shape} does not fit the {len(numbers)} numbers that it holds")
    if count > len(numbers) + _MOST_REPEATED:
        raise ValueError(f"its shape {shape} is larger than a validation file can be")
    return np.concatenate([numbers, np.repeat(numbers[-1:], count - len(numbers))]).reshape(shape)


def _numbers(values: list[int | bytes], dtype: str) -> AnyArray:
    """Numbers of a repeated field, packed or not."""
    if dtype in ("float32", "float64"):
        order = np.dtype(dtype).newbyteorder("<")
        packed = [value for value in values if isinstance(value, bytes)]
        return np.frombuffer(b"".join(packed), order).astype(dtype)
    found = integers(values)
    if dtype == "float16":  # both messages keep its bits
        return np.array(found, dtype=np.uint16).view(np.float16)
    wide = np.array(found, dtype=np.uint64) if dtype[0] == "u" else np.array([signed(n) for n in found], dtype=np.int64)
    numbers: AnyArray = wide.astype(dtype)
    if not np.array_equal(numbers, wide):
        raise ValueError(f"it holds numbers that are no {dtype}")
    return numbers
