"""Which inputs a pooling window covers, as positions in the flat row."""

from collections.abc import Sequence

import numpy as np

from robust.types import IntArray


def sliding_windows(
    shape: tuple[int, ...],
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    ceil: bool,
) -> tuple[IntArray, tuple[int, ...]]:
    """Windows of a pooling that slides along the axes behind the channels.

    Args:
        shape: (channels, *sizes).
        kernel: Taps along each axis.
        stride: Step of the window.
        padding: Before and after.
        dilation: Step between taps.
        ceil: Whether a last window may reach beyond the end; it must start inside, or in the padding before.

    Returns:
        Positions (n_out, taps), −1 for padding, and the shape of the output.

    >>> sliding_windows((1, 4), kernel=[2], stride=[2], padding=[(0, 0)], dilation=[1], ceil=False)
    (array([[0, 1],
           [2, 3]]), (1, 2))
    """
    axes = []
    for size, taps, step, (before, after), gap in zip(shape[1:], kernel, stride, padding, dilation, strict=True):
        room = size + before + after - gap * (taps - 1) - 1
        count = (-(-room // step) if ceil else room // step) + 1
        if ceil and (count - 1) * step >= size + before:
            count -= 1
        axes.append(np.arange(count)[:, None] * step - before + np.arange(taps)[None, :] * gap)
    return _joined(shape, axes)


def adaptive_windows(shape: tuple[int, ...], sizes: Sequence[int | None]) -> tuple[IntArray, tuple[int, ...]]:
    """Windows of an adaptive pooling: output i of k reads ⌊i n/k⌋ … ⌈(i + 1) n/k⌉ − 1.

    Args:
        shape: (channels, *sizes).
        sizes: Outputs along each axis; None keeps it.

    Returns:
        Positions (n_out, w), −1 where a window is shorter, and the shape of the output.
    """
    axes = []
    for size, wanted in zip(shape[1:], sizes, strict=True):
        outputs = size if wanted is None else wanted
        start = np.arange(outputs) * size // outputs
        stop = -(-(np.arange(outputs) + 1) * size // outputs)
        places = start[:, None] + np.arange(int((stop - start).max()))[None, :]
        axes.append(np.where(places < stop[:, None], places, -1))
    return _joined(shape, axes)


def _joined(shape: tuple[int, ...], axes: Sequence[IntArray]) -> tuple[IntArray, tuple[int, ...]]:
    """Positions in the flat row from positions along each axis (outputs, taps)."""
    flat, inside = np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=bool)
    for size, places in zip(shape[1:], axes, strict=True):
        fits = (places >= 0) & (places < size)
        flat = (flat[:, None, :, None] * size + places[None, :, None, :]).reshape(len(flat) * len(places), -1)
        inside = (inside[:, None, :, None] & fits[None, :, None, :]).reshape(flat.shape)
    every = np.arange(shape[0])[:, None, None] * int(np.prod(shape[1:])) + flat
    index = np.where(inside, every, -1).reshape(-1, flat.shape[1])
    return index, (shape[0], *(len(places) for places in axes))
