"""What a model file says about one of its tensors: name, shape of a row, type, and how integers stand for numbers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray

#: Integer types that stand for real numbers by a scale and a zero point.
QUANTIZED = ("int8", "uint8", "int16", "uint16")
_KINDS = "biuf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How integers stand for real numbers, one scale and zero point a tensor.

    q = clip(round(x / scale) + zero_point), x = (int32(q) − zero_point) · scale

    Args:
        scale: Width of one step, above 0, in the units of x.
        zero_point: The integer that stands for 0; one of `dtype`.
        dtype: `int8`, `uint8`, `int16` or `uint16`.

    Raises:
        InvalidInput: If the scale is not above 0 and finite, or the zero point is none of the type's integers.

    >>> Quantization(scale=0.5, zero_point=0, dtype="int8").range
    (-128, 127)
    """

    scale: float
    zero_point: int
    dtype: str

    def __post_init__(self) -> None:
        """Refuse what no tensor can have."""
        if self.dtype not in QUANTIZED:
            raise InvalidInput(f"a quantized tensor has one of the types {', '.join(QUANTIZED)}, got {self.dtype!r}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InvalidInput(f"a scale must be finite and above 0, got {self.scale!r}")
        low, high = self.range
        if not low <= self.zero_point <= high:
            raise InvalidInput(f"a zero point of {self.dtype} lies in {low} … {high}, got {self.zero_point!r}")

    @property
    def words(self) -> str:
        """As notes and messages write it.

        >>> Quantization(scale=0.5, zero_point=-3, dtype="int8").words
        's=0.500000 zp=-3'
        """
        return f"s={self.scale:.6f} zp={self.zero_point}"

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest integer of the type."""
        bounds = np.iinfo(self.dtype)
        return int(bounds.min), int(bounds.max)

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and largest real number that the integers stand for.

        >>> Quantization(scale=0.5, zero_point=-128, dtype="int8").ends
        (0.0, 127.5)
        """
        low, high = self.range
        return (low - self.zero_point) * self.scale, (high - self.zero_point) * self.scale

    def clipped(self, x: AnyArray) -> int:
        """How many real numbers lie beyond what the integers can hold, by more than half a step.

        >>> Quantization(scale=0.5, zero_point=-128, dtype="int8").clipped(np.array([-1.0, 0.0, 127.6, 128.0]))
        2
        """
        low, high = self.ends
        half = self.scale / 2
        return int(np.count_nonzero((x < low - half) | (x > high + half)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a model.

    Args:
        name: As the model calls it.
        shape: Shape of one row, without the batch axis; None where a size is free.
        dtype: numpy's name of the type: a float, an integer, or `bool`.
        quantization: How its integers stand for real numbers; None where they do not, or it is not known.

    Raises:
        InvalidInput: If a size is negative, the type is no number, or the quantization is of another type.

    >>> TensorSpec(name="x", shape=(28, 28, 1), dtype="float32").items
    784
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        """Refuse what no tensor can be."""
        if any(size is not None and size < 0 for size in self.shape):
            raise InvalidInput(f"{self.name!r}: sizes must not be negative, got {self.shape}")
        if self.kind not in _KINDS:
            raise InvalidInput(f"{self.name!r}: a tensor holds numbers, got the type {self.dtype!r}")
        if self.quantization is not None and self.quantization.dtype != self.dtype:
            raise InvalidInput(
                f"{self.name!r} is {self.dtype}, its scale and zero point are of {self.quantization.dtype}: "
                "one type would be right"
            )

    @property
    def type(self) -> np.dtype[Any]:
        """The type as numpy's own object."""
        try:
            return np.dtype(self.dtype)
        except TypeError as error:
            raise InvalidInput(f"{self.name!r}: a tensor holds numbers, got the type {self.dtype!r}") from error

    @property
    def kind(self) -> str:
        """`b`, `i`, `u` or `f`, as numpy says it."""
        return str(self.type.kind)

    @property
    def items(self) -> int | None:
        """Numbers in one row; None where a size is free."""
        sizes = [size for size in self.shape if size is not None]
        return math.prod(sizes) if len(sizes) == len(self.shape) else None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a row of this shape is one of this tensor's.

        >>> TensorSpec(name="x", shape=(None, 2), dtype="int8").fits((7, 2))
        True
        """
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )


def shown(shape: tuple[int | None, ...]) -> str:
    """A shape as messages write it.

    >>> shown((None, 3)), shown((4,))
    ('(any, 3)', '(4,)')
    """
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
