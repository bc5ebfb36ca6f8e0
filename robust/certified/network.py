"""A feed-forward network as a list of operators whose bounds are known, and the builder that readers of models use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from robust.certified.operators import Affine, Convolution, Dense, Maximum, Rectifier, Scaling, Sum, Windows
from robust.certified.windows import adaptive_windows, sliding_windows
from robust.types import AnyArray

Operator: TypeAlias = Affine | Rectifier | Maximum | Sum
Tail: TypeAlias = Literal["none", "softmax", "log_softmax", "sigmoid"]
Shape: TypeAlias = tuple[int, ...]

# A full matrix does a multiplication about this much faster than a product a kernel offset does.
_DENSE_SPEED, _LARGEST_DENSE = 12, 2**23


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One operator's output.

    Args:
        operator: What makes it; None for the input.
        sources: Nodes that it is made from.
        width: Its size.
    """

    operator: Operator | None
    sources: tuple[int, ...]
    width: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A classifier's network, nodes in the order of computation; the last one gives a logit a class.

    Args:
        nodes: The input first.
        tail: What the model does to the logits: nothing that changes which is the largest.
        columns: Outputs of the model itself: 1 where one logit stands for two classes.
        unit: Rounding error of one operation in the model's own precision, 2⁻²⁴ for float32.
        tiny: Smallest normal number of that precision: anything below may be lost.
        largest: Largest number of that precision.
        inexact_input: Whether the rows are rounded to that precision first.
    """

    nodes: tuple[Node, ...]
    tail: Tail
    columns: int
    unit: float
    tiny: float
    largest: float
    inexact_input: bool


@dataclass
class Builder:
    """Collects nodes; every method gives the number of the node that it added.

    Args:
        shape: Shape of an input row.
    """

    shape: Shape
    nodes: list[Node] = field(init=False)
    shapes: list[Shape] = field(init=False)

    def __post_init__(self) -> None:
        """Start with the input."""
        self.nodes = [Node(operator=None, sources=(), width=int(np.prod(self.shape, dtype=int)))]
        self.shapes = [tuple(self.shape)]

    def dense(self, source: int, weight: AnyArray, bias: AnyArray | None) -> int:
        """W z + b for flat rows, W (n_out, n_in)."""
        weight = np.asarray(weight, dtype=np.float64)
        offset = np.zeros(len(weight)) if bias is None else np.asarray(bias, dtype=np.float64)
        return self._add(Dense(weight, offset, terms=weight.shape[1]), (source,), (len(weight),))

    def convolution(
        self,
        source: int,
        weight: AnyArray,
        bias: AnyArray | None,
        *,
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        dilation: Sequence[int],
        groups: int,
    ) -> int:
        """A convolution along one or two axes of (channels, …)."""
        weight, shape = np.asarray(weight, dtype=np.float64), self.shapes[source]
        offset = np.zeros(len(weight)) if bias is None else np.asarray(bias, dtype=np.float64)
        flat = weight.ndim == 3
        if flat:  # one axis: a second one of size 1
            weight, shape = weight[..., None], (*shape, 1)
            stride, dilation, padding = (*stride, 1), (*dilation, 1), (*padding, (0, 0))
        kernel = Convolution(
            weight,
            offset,
            (shape[0], shape[1], shape[2]),
            (stride[0], stride[1]),
            (padding[0], padding[1]),
            (dilation[0], dilation[1]),
            groups,
        )
        outputs, inputs = int(np.prod(kernel.out)), int(np.prod(shape))
        operator: Affine = kernel
        if outputs * inputs <= min(_DENSE_SPEED * kernel.products, _LARGEST_DENSE):
            operator = Dense(kernel.transposed(np.eye(outputs)), kernel.bias, terms=kernel.terms)
        return self._add(operator, (source,), kernel.out[:2] if flat else kernel.out)

    def scale(
        self, source: int, scale: AnyArray | float, shift: AnyArray | float, *, parts: AnyArray | None = None
    ) -> int:
        """Scale s z + b by feature; arrays of a feature's or a channel's shape are spread over the row."""
        shape = self.shapes[source]
        spread = [np.broadcast_to(np.asarray(array, dtype=np.float64), shape).ravel() for array in (scale, shift)]
        sizes = np.abs(shift) if parts is None else parts
        sizes = np.broadcast_to(np.asarray(sizes, dtype=np.float64), shape).ravel()
        return self._add(Scaling(spread[0], spread[1], sizes), (source,), shape)

    def normalize(
        self,
        source: int,
        mean: AnyArray,
        variance: AnyArray,
        gain: AnyArray | None,
        shift: AnyArray | None,
        *,
        eps: float,
    ) -> int:
        """Batch normalisation with stored statistics: (z − μ)/√(σ² + eps) γ + β by channel."""
        mean, variance = np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
        scale = (1.0 if gain is None else np.asarray(gain, dtype=np.float64)) / np.sqrt(variance + eps)
        beta = np.zeros_like(mean) if shift is None else np.asarray(shift, dtype=np.float64)
        column = (-1, *(1,) * (len(self.shapes[source]) - 1))
        bias, parts = beta - mean * scale, np.abs(beta) + np.abs(mean * scale)
        return self.scale(source, scale.reshape(column), bias.reshape(column), parts=parts.reshape(column))

    def rectify(self, source: int, slope: float = 0.0) -> int:
        """ReLU, or leaky ReLU with a slope in 0 … 1."""
        return self._add(Rectifier(slope), (source,), self.shapes[source])

    def maximum(
        self,
        source: int,
        *,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        dilation: Sequence[int],
        ceil: bool,
    ) -> int:
        """Max pooling along the axes behind the channels.

        Rectifiers rise, so that a maximum of them is the rectified maximum, to the last bit: fewer are left.
        """
        before = self.nodes[self._resolve(source)]
        if isinstance(before.operator, Rectifier):
            inner = self.reshape(before.sources[0], self.shapes[source])
            pooled = self.maximum(inner, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
            return self.rectify(pooled, before.operator.slope)
        shape = self.shapes[source]
        index, out = sliding_windows(shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
        return self._add(Maximum(index, int(np.prod(shape))), (source,), out)

    def average(
        self,
        source: int,
        *,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        count_padding: bool,
        divisor: int | None = None,
    ) -> int:
        """Average pooling along the axes behind the channels."""
        index, out = sliding_windows(
            self.shapes[source], kernel=kernel, stride=stride, padding=padding, dilation=[1] * len(kernel), ceil=False
        )
        inside = (index >= 0).astype(np.float64)
        whole = float(np.prod(kernel)) if divisor is None else float(divisor)
        counts = whole if count_padding or divisor is not None else inside.sum(axis=1, keepdims=True)
        return self._add(Windows(index, inside / counts, self.nodes[source].width), (source,), out)

    def adaptive_average(self, source: int, sizes: Sequence[int | None]) -> int:
        """Average pooling to a given size; None keeps an axis."""
        index, out = adaptive_windows(self.shapes[source], sizes)
        inside = (index >= 0).astype(np.float64)
        weight = inside / inside.sum(axis=1, keepdims=True)
        return self._add(Windows(index, weight, self.nodes[source].width), (source,), out)

    def add(self, one: int, other: int) -> int:
        """The sum of two nodes of one shape."""
        return self._add(Sum(), (one, other), self.shapes[one])

    def reshape(self, source: int, shape: Shape) -> int:
        """The same values in the same order, in another shape."""
        self.nodes.append(self.nodes[source])  # an alias: flat rows do not change
        self.shapes.append(shape)
        aliased = self._resolve(source)
        self.nodes[-1] = Node(operator=None, sources=(aliased,), width=self.nodes[aliased].width)
        return len(self.nodes) - 1

    def finish(
        self, output: int, *, tail: Tail, dtype: "np.dtype[np.floating]", data_dtype: "np.dtype[np.generic]"
    ) -> Network:
        """The network up to a node.

        Args:
            output: The node of the logits.
            tail: What follows them.
            dtype: Precision that the model works in.
            data_dtype: Number type of the rows.
        """
        columns = self.nodes[output].width
        if columns == 1:  # one logit z of the second class is the pair (0, z)
            output = self.dense(output, np.array([[0.0], [1.0]]), None)
        facts = np.finfo(dtype)
        return Network(
            nodes=_pruned(self.nodes, self._resolve, output),
            tail=tail,
            columns=columns,
            unit=float(facts.eps) / 2.0,
            tiny=float(facts.tiny),
            largest=float(facts.max),
            inexact_input=not np.can_cast(data_dtype, dtype, casting="safe"),
        )

    def _add(self, operator: Operator, sources: tuple[int, ...], shape: Shape) -> int:
        sources = tuple(self._resolve(source) for source in sources)
        self.nodes.append(Node(operator=operator, sources=sources, width=int(np.prod(shape, dtype=int))))
        self.shapes.append(tuple(shape))
        return len(self.nodes) - 1

    def _resolve(self, node: int) -> int:
        """The node itself, behind aliases that only reshape."""
        while self.nodes[node].operator is None and self.nodes[node].sources:
            (node,) = self.nodes[node].sources
        return node


def _pruned(nodes: Sequence[Node], resolve: Callable[[int], int], output: int) -> tuple[Node, ...]:
    """The nodes that an output needs, renumbered, the output last."""
    output, needed = resolve(output), set[int]()
    waiting = [output]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += nodes[node].sources
    order = sorted(needed | {0})
    place = {node: i for i, node in enumerate(order)}
    return tuple(
        Node(
            operator=nodes[node].operator,
            sources=tuple(place[source] for source in nodes[node].sources),
            width=nodes[node].width,
        )
        for node in order
    )
