"""What a number becomes when it is stored in b bits: symmetric for weights, asymmetric for activations."""

from dataclasses import dataclass

import numpy as np

from robust.errors import InvalidInput
from robust.types import AnyArray, FloatArray

#: Widths that can be asked for; 32 and None stand for float.
FEWEST, MOST, FLOAT = 2, 16, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The numbers that an activation can take: scale · k, for whole k in low … high.

    Args:
        scale: Distance of two neighbours, above 0.
        low: The least k, minus the zero point.
        high: The largest k.
    """

    scale: float
    low: int
    high: int

    def nearest(self, x: AnyArray) -> FloatArray:
        """Each number's nearest neighbour on the grid; halves go to the even one.

        >>> Grid(scale=0.5, low=-1, high=2).nearest(np.array([-9.0, 0.25, 0.3, 0.75, 9.0])).tolist()
        [-0.5, 0.0, 0.5, 1.0, 1.0]
        """
        steps = np.rint(np.asarray(x, dtype=np.float64) / self.scale)
        return np.asarray(np.clip(steps, self.low, self.high) * self.scale)


def read_bits(value: object, *, what: str = "bits") -> int | None:
    """A width as whoever asks for it wrote it.

    Args:
        value: A whole number of bits in 2 … 16; 32 or None for float.
        what: What it is the width of, for the message.

    Returns:
        The width; None for float.

    Raises:
        InvalidInput: On anything else.

    >>> read_bits(8), read_bits(32), read_bits(None)
    (8, None, None)
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value == FLOAT):
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and FEWEST <= value <= MOST:
        return int(value)
    raise InvalidInput(
        f"{what} got {value!r}; a whole number in {FEWEST} … {MOST} would be right, or {FLOAT} or None for float"
    )


def rounded_weights(weight: AnyArray, bits: int, *, axes: tuple[int, ...]) -> FloatArray:
    """Weights as they come back from b bits.

    w' = s · clip(round(w / s), −m, m), m = 2^(b−1) − 1, s = max|w| / m

    Symmetric, zero point 0, the least code unused, so that 2 bits leave −s, 0 and s. Halves are rounded to even.

    Args:
        weight: Weights (…).
        bits: b, at least 2.
        axes: Axes of the channels, each of which has an s of its own; none for one s for all.

    Returns:
        The weights (…), float64; a channel of zeros stays as it is.

    Source:
        Jacob et al. (2018), equation 1, with z = 0.

    >>> rounded_weights(np.array([[0.75, -0.3, 3.0], [0.1, 0.02, 0.0]]), 3, axes=(0,)).round(4).tolist()
    [[1.0, -0.0, 3.0], [0.1, 0.0333, 0.0]]
    """
    exact = np.asarray(weight, dtype=np.float64)
    most = float(2 ** (bits - 1) - 1)
    others = tuple(axis for axis in range(exact.ndim) if axis not in axes)
    scale = np.abs(exact).max(axis=others, keepdims=True) / most
    scale[scale == 0] = 1.0
    return np.asarray(np.clip(np.rint(exact / scale), -most, most) * scale)


def grid_of(low: float, high: float, bits: int) -> Grid | None:
    """The grid of an activation whose values lay between two numbers.

    x' = s · (clip(round(x / s) + z, 0, 2^b − 1) − z), s = (max(high, 0) − min(low, 0)) / (2^b − 1), z = round(−low / s)

    The range is widened to hold 0, which must be on the grid: padding is made of it.

    Args:
        low: Least value on the calibration rows.
        high: Largest value.
        bits: b, at least 2.

    Returns:
        The grid; None where all values were 0, from which no range can be told.

    Source:
        Jacob et al. (2018), equation 1.

    >>> grid_of(-1.0, 2.0, 2), grid_of(0.5, 3.0, 2)
    (Grid(scale=1.0, low=-1, high=2), Grid(scale=1.0, low=0, high=3))
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if not np.isfinite(low) or not np.isfinite(high):
        raise InvalidInput(f"the range {low} … {high} is not finite: mend the calibration rows, or the model")
    levels = 2**bits - 1
    # As float32, the type of the scale in a file; a range too narrow for it is none.
    scale = float(np.float32((high - low) / levels))
    if scale < float(np.finfo(np.float32).tiny):
        return None
    zero = int(np.rint(-low / scale))
    return Grid(scale=scale, low=-zero, high=levels - zero)
