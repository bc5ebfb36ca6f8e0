"""The operators that bounds are known for, on flat rows: affine maps, rectifiers and maxima over windows."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from robust.types import AnyArray, FloatArray, IntArray


class Affine(Protocol):
    """z ↦ W z + b for flat rows; the number of terms bounds its rounding error."""

    @property
    def bias(self) -> FloatArray:
        """Added to each output (n_out,)."""
        ...

    @property
    def parts(self) -> FloatArray:
        """Magnitude of what b is made of (n_out,)."""
        ...

    @property
    def terms(self) -> int:
        """Most products in one of its sums."""
        ...

    @property
    def mixes(self) -> bool:
        """Whether an output depends on several inputs."""
        ...

    def linear(self, z: FloatArray, *, power: int = 0) -> FloatArray:
        """W z (b, n_out) without the bias; with |W| for power 1, and W² for power 2."""
        ...

    def transposed(self, a: FloatArray) -> FloatArray:
        """Wᵀ a: (p, n_out) to (p, n_in)."""
        ...


@dataclass(eq=False)
class Dense:
    """A full matrix.

    Args:
        weight: W (n_out, n_in), float64.
        bias: b (n_out,).
        terms: Products in the model's own sums; n_in where they are not fewer.
    """

    weight: FloatArray
    bias: FloatArray
    terms: int
    mixes: bool = True

    @property
    def parts(self) -> FloatArray:
        """Magnitude of the bias."""
        return np.abs(self.bias)

    @cached_property
    def _absolute(self) -> FloatArray:
        return np.abs(self.weight)

    def linear(self, z: FloatArray, *, power: int = 0) -> FloatArray:
        """W z."""
        weight = (self.weight, self._absolute)[power] if power < 2 else self.weight**2
        return np.asarray(z @ weight.T)

    def transposed(self, a: FloatArray) -> FloatArray:
        """Wᵀ a."""
        return np.asarray(a @ self.weight)


@dataclass(eq=False)
class Scaling:
    """Each feature by itself: s z + b, as a normalisation does with its own constants.

    Args:
        scale: s (n,).
        bias: b (n,).
        parts: Sum of the magnitudes that b is made of (n,): (z − μ) s + β rounds μ s and β each.
        terms: Roundings that it may cost, in units of |s z| + parts.
    """

    scale: FloatArray
    bias: FloatArray
    parts: FloatArray
    terms: int = 16
    mixes: bool = False

    def linear(self, z: FloatArray, *, power: int = 0) -> FloatArray:
        """S z."""
        scale = (self.scale, np.abs(self.scale), self.scale**2)[power]
        return np.asarray(z * scale)

    def transposed(self, a: FloatArray) -> FloatArray:
        """S a."""
        return np.asarray(a * self.scale)


@dataclass(eq=False)
class Windows:
    """Weighted sums over windows, such as average pooling.

    Args:
        index: Inputs of each window (n_out, w), −1 for padding.
        weight: Their weights (n_out, w), 0 for padding.
        width: Number of inputs.
    """

    index: IntArray
    weight: FloatArray
    width: int
    mixes: bool = True

    @property
    def bias(self) -> FloatArray:
        """None."""
        return np.zeros(len(self.index))

    @property
    def parts(self) -> FloatArray:
        """Magnitude of the bias."""
        return np.abs(self.bias)

    @property
    def terms(self) -> int:
        """One a member, and the division."""
        return int(self.index.shape[1]) + 1

    def linear(self, z: FloatArray, *, power: int = 0) -> FloatArray:
        """W z."""
        weight = self.weight if power < 2 else self.weight**2
        return np.asarray(np.sum(z[:, self.index] * weight, axis=2))

    def transposed(self, a: FloatArray) -> FloatArray:
        """Wᵀ a."""
        return scattered(a[:, :, None] * self.weight, self.index, self.width)


@dataclass(eq=False)
class Convolution:
    """A convolution of one or two axes, by one product a kernel offset: no copy of every window is made.

    Args:
        weight: (out channels, in channels / groups, kernel height, kernel width).
        offset: Bias a channel (out channels,).
        shape: Input channels, height, width.
        stride: Along both axes.
        padding: Before and after, along both axes.
        dilation: Along both axes.
        groups: Groups of channels.
    """

    weight: FloatArray
    offset: FloatArray
    shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int
    mixes: bool = True
    out: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Work out the output's shape."""
        sizes = [
            (size + sum(pad) - step * (taps - 1) - 1) // stride + 1
            for size, pad, step, taps, stride in zip(
                self.shape[1:], self.padding, self.dilation, self.weight.shape[2:], self.stride, strict=True
            )
        ]
        self.out = (len(self.weight), sizes[0], sizes[1])

    @property
    def bias(self) -> FloatArray:
        """The bias of each output (n_out,)."""
        return np.repeat(self.offset, self.out[1] * self.out[2])

    @property
    def parts(self) -> FloatArray:
        """Magnitude of the bias."""
        return np.abs(self.bias)

    @property
    def terms(self) -> int:
        """Products of one output."""
        return int(np.prod(self.weight.shape[1:], dtype=int))

    @property
    def products(self) -> int:
        """Products of one row."""
        return int(self.terms * np.prod(self.out, dtype=int))

    def linear(self, z: FloatArray, *, power: int = 0) -> FloatArray:
        """W z."""
        weight = (self.weight, np.abs(self.weight), self.weight**2)[power]
        channels, height, width = self.shape
        padded = np.pad(z.reshape(-1, channels, height, width).transpose(0, 2, 3, 1), ((0, 0), *self.padding, (0, 0)))
        out = np.zeros((len(z), self.out[1], self.out[2], self.out[0]))
        for i, j in np.ndindex(*weight.shape[2:]):
            rows, columns = self._places(i, j)
            patch = padded[:, rows, columns]
            for into, of in self._channels():
                out[..., into] += patch[..., of] @ weight[into, :, i, j].T
        return np.asarray(out.transpose(0, 3, 1, 2).reshape(len(z), -1))

    def transposed(self, a: FloatArray) -> FloatArray:
        """Wᵀ a."""
        channels, height, width = self.shape
        (top, bottom), (left, right) = self.padding
        flow = np.ascontiguousarray(a.reshape(-1, *self.out).transpose(0, 2, 3, 1))
        padded = np.zeros((len(a), height + top + bottom, width + left + right, channels))
        for i, j in np.ndindex(*self.weight.shape[2:]):
            rows, columns = self._places(i, j)
            for into, of in self._channels():
                padded[:, rows, columns, of] += flow[..., into] @ self.weight[into, :, i, j]
        inner = padded[:, top : top + height, left : left + width]
        return np.asarray(inner.transpose(0, 3, 1, 2).reshape(len(a), -1))

    def _places(self, i: int, j: int) -> tuple[slice, slice]:
        """Padded positions that one kernel offset reads."""
        ends = []
        for tap, step, stride, size in zip((i, j), self.dilation, self.stride, self.out[1:], strict=True):
            ends.append(slice(tap * step, tap * step + stride * (size - 1) + 1, stride))
        return ends[0], ends[1]

    def _channels(self) -> list[tuple[slice, slice]]:
        """Output and input channels of each group."""
        outs, ins = len(self.weight) // self.groups, self.shape[0] // self.groups
        return [(slice(g * outs, (g + 1) * outs), slice(g * ins, (g + 1) * ins)) for g in range(self.groups)]


@dataclass(eq=False)
class Rectifier:
    """max(z, slope · z): ReLU at slope 0, leaky ReLU between 0 and 1."""

    slope: float = 0.0


@dataclass(eq=False)
class Maximum:
    """The largest input of each window.

    Args:
        index: Inputs of each window (n_out, w), −1 for padding, which never is the largest.
        width: Number of inputs.
    """

    index: IntArray
    width: int

    @cached_property
    def owner(self) -> tuple[IntArray, IntArray] | None:
        """Window of each input and its place in it (n_in,), where windows do not overlap; n_out where it has none."""
        inside = self.index[self.index >= 0]
        if len(np.unique(inside)) < len(inside):
            return None
        window = np.full(self.width + 1, len(self.index))
        place = np.zeros(self.width + 1, dtype=np.int64)
        window[self.index] = np.arange(len(self.index))[:, None]
        place[self.index] = np.arange(self.index.shape[1])[None, :]
        return window[:-1], place[:-1]


@dataclass(eq=False)
class Sum:
    """The sum of two nodes, as a residual connection makes it."""


def scattered(values: FloatArray, index: IntArray, width: int) -> FloatArray:
    """Add values (p, n, w) to the positions that they come from: (p, width); −1 is none.

    >>> scattered(np.ones((1, 2, 2)), np.array([[0, 1], [1, -1]]), 2)
    array([[1., 2.]])
    """
    out = np.zeros((len(values), width + 1))  # one column more, for padding
    every: AnyArray = np.arange(len(values))[:, None]
    for place in range(index.shape[1]):
        at = index[:, place]
        inside = at[at >= 0]
        if len(np.unique(inside)) == len(inside):  # no two windows meet here
            out[:, at] += values[:, :, place]
        else:
            np.add.at(out, (every, at[None, :]), values[:, :, place])
    return np.asarray(out[:, :width])
