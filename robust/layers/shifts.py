"""What a layer's products are multiplied by, and what is added: what took up constants is told by it."""

import numpy as np

from robust.types import AnyArray, FloatArray


def bias_shift(bias: AnyArray | None, weight_axes: int) -> FloatArray:
    """A bias as it broadcasts to a row; 0 for none.

    Args:
        bias: (out,), or None.
        weight_axes: Axes of the weight: what is beyond two are those of space, which come after the channels.

    >>> bias_shift(np.array([1.0, 2.0]), 4).shape, bias_shift(None, 2).shape
    ((2, 1, 1), ())
    """
    if bias is None:
        return np.zeros((1,) * (weight_axes - 1) if weight_axes > 2 else ())
    return np.asarray(bias, dtype=np.float64).reshape(-1, *[1] * (weight_axes - 2))


def shifted(shift: FloatArray | None, added: AnyArray | None) -> FloatArray | None:
    """A shift after one more constant, which broadcasts to a row or to all rows; None where either is not known."""
    if shift is None or added is None:
        return None
    try:
        return np.asarray(shift + np.asarray(added, dtype=np.float64))
    except ValueError:
        return None


def scaled(scale: FloatArray | None, factor: AnyArray | None) -> FloatArray | None:
    """A scale or a shift after one more constant factor; None where either is not known, or the factor is not finite.

    >>> scaled(np.array([1.0, 2.0]), np.array(0.5))
    array([0.5, 1. ])
    """
    if scale is None or factor is None or not np.all(np.isfinite(factor)):
        return None
    try:
        return np.asarray(scale * np.asarray(factor, dtype=np.float64))
    except ValueError:
        return None


def times(weight: FloatArray | None, scale: FloatArray | None, axis: int) -> FloatArray | None:
    """Weights with a scale taken into them; None where they cannot take it up.

    Args:
        weight: (out, …), the channels along `axis`, or None.
        scale: As it broadcasts to a row, one number or one a channel; None for 1.
        axis: 0 or 1.

    >>> times(np.ones((2, 1)), np.array([2.0, 3.0]), 0)
    array([[2.],
           [3.]])
    """
    if weight is None or scale is None:
        return weight
    space = weight.ndim - 2
    channels = scale.shape[-1 - space] if scale.ndim > space else 1
    if scale.size == 1:
        return np.asarray(weight * scale.reshape(()))
    if scale.size != channels or channels != weight.shape[axis]:
        return None
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.asarray(weight * scale.reshape(shape))


def normalised(
    shift: FloatArray | None, scale: FloatArray | None, offset: FloatArray | None, axes: int
) -> FloatArray | None:
    """A shift behind a batch normalisation, which multiplies channels and adds to them.

    Args:
        shift: As it broadcasts to a row.
        scale: What channels are multiplied by (out,).
        offset: What is added to them (out,); None where it is not known.
        axes: Of a row, the channels first.

    >>> normalised(np.array([1.0, 1.0]), np.array([2.0, 3.0]), np.array([0.5, 0.0]), 1)
    array([2.5, 3. ])
    """
    if shift is None or scale is None or offset is None:
        return None
    return shifted(scaled(shift, along(scale, axes)), along(offset, axes))


def along(channels: FloatArray, axes: int) -> FloatArray:
    """One number a channel as it broadcasts to a row of so many axes, the channels first.

    >>> along(np.array([1.0, 2.0]), 3).shape
    (2, 1, 1)
    """
    return channels.reshape(-1, *[1] * (axes - 1))


def gap(a: FloatArray | None, b: FloatArray | None) -> float | None:
    """Distance of two shifts, in the units of the activation (root mean square); None where one is not known.

    >>> gap(np.array([1.0, 2.0]), np.array(1.0)), gap(np.zeros(2), np.zeros(3))
    (0.7071067811865476, inf)
    """
    if a is None or b is None:
        return None
    try:
        return float(np.sqrt(np.mean((a - b) ** 2)))
    except ValueError:
        return float("inf")
