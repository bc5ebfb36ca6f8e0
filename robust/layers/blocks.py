"""What one layer of a model is to a comparison: where it ends, what it is followed by, what weights it has."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeAlias, TypeVar

from robust.layers.shifts import times
from robust.layers.wide_ranges import Codes
from robust.types import AnyArray, FloatArray

Tensor = TypeVar("Tensor", bound=Hashable)
#: The point at which a model takes its rows, after its own quantization of them where it has one.
ENTRY = "(input)"
#: What a model gives: compared by its place, whatever finds no partner before it.
OUTPUT = "(output)"
#: Operators and modules by what they compute, where names differ between formats.
_FAMILIES: Mapping[str, str] = {
    **dict.fromkeys(("Conv", "QLinearConv", "ConvInteger", "FusedConv", "QConv"), "conv"),
    **dict.fromkeys(("Conv1d", "Conv2d", "Conv3d", "ConvBn2d", "ConvReLU2d", "ConvBnReLU2d"), "conv"),
    **dict.fromkeys(("ConvTranspose", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), "convtranspose"),
    **dict.fromkeys(("Gemm", "QGemm", "MatMul", "QLinearMatMul", "MatMulInteger", "FusedMatMul"), "linear"),
    **dict.fromkeys(("FusedGemm", "MatMulNBits", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"), "linear"),
    **dict.fromkeys(("Linear", "NonDynamicallyQuantizableLinear", "LinearReLU"), "linear"),
    **dict.fromkeys(("matmul", "__matmul__", "__rmatmul__", "mm", "addmm"), "linear"),
    **dict.fromkeys(("LSTM", "DynamicQuantizeLSTM"), "lstm"),
    **dict.fromkeys(("QAttention", "Attention", "MultiheadAttention", "MultiHeadAttention"), "attention"),
    "Gather": "embedding",
    **dict.fromkeys(("Add", "Sum"), "add"),
    **dict.fromkeys(("AveragePool", "QLinearAveragePool", "AvgPool1d", "AvgPool2d", "AvgPool3d"), "averagepool"),
}
#: Names of the plain operators behind those that work on integers, as tables show them.
_PLAIN = {
    "ConvInteger": "Conv",
    "MatMulInteger": "MatMul",
    "QGemm": "Gemm",
    "DynamicQuantizeMatMul": "MatMul",
    "MatMulIntegerToFloat": "MatMul",
}
#: Families whose layers give their last states beside those of all steps; the states, after these.
RECURRENT = frozenset(("lstm", "gru", "rnn"))
_STATES = ("h_n", "c_n")
Values: TypeAlias = dict[str, AnyArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """Another point at which a layer can be compared than its end.

    Args:
        end: Key of the point.
        activations: What is applied to its outputs before the point, in order.
        integers: Whether it holds integers.
        level: Constants that are added or multiplied by before the point, less those before the layer's end: −1 before
            its own bias, where that is an operator of its own, 1 behind the first constant that what it gives meets.
        shift: All that was added to the layer's products, its bias included, so that it broadcasts to a row; None where
            it is not seen.
        scale: What constants behind the layer's end multiply, so that it broadcasts to a row; None for 1.
    """

    end: str
    activations: tuple[str, ...] = ()
    integers: bool = False
    level: int = 0
    shift: FloatArray | None = None
    scale: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A layer with what follows it up to the next one: its bias, a batch normalisation, its activation, its quantizer.

    Args:
        name: The user's name of its module.
        kind: Operator or class, e.g. `Conv`.
        end: Key of the point after it, by which the model is asked for values.
        part: Which of its tensors it is, from 0, where it gives several: of an LSTM the states of all steps, the last
            ones and the cell's.
        named: Whether its name is that of its module or its weights, rather than the operator's own.
        start: The tensor that its first operator makes, where tensors have names.
        aliases: Names that its tensors have in the file, the end's own first; none where tensors have no names.
        activations: What is applied to its outputs before the point, in order, e.g. `relu`.
        integers: Whether the point holds integers, whose range may stand for an activation.
        weight: Weights as the model works with them (out, …), dequantized, float64; None where they are not seen.
        fold: What a batch normalisation that follows multiplies the weights by (out,); None where none follows.
        feeds: Keys of the points that it takes its inputs from, the model's own rows as `(input)`.
        shift: All that is added to its products before its end, its bias included, so that it broadcasts to a row; None
            where it is not seen.
        points: Other points where it can be compared, in the order of a run: before its activation, before a bias that
            is an operator of its own, behind constants that are added to what it gives.
        home: Key by which other layers name it among their `feeds`, where it is compared at another point.
        passed: Keys of points behind constants that it has taken up where it is compared at another point.
    """

    name: str
    kind: str
    end: str
    part: int = 0
    named: bool = True
    start: str = ""
    aliases: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    integers: bool = False
    weight: FloatArray | None = None
    fold: FloatArray | None = None
    feeds: tuple[str, ...] = ()
    shift: FloatArray | None = None
    points: tuple[Point, ...] = ()
    home: str = ""
    passed: tuple[str, ...] = ()

    @property
    def own_point(self) -> Point:
        """Its end."""
        return Point(end=self.end, activations=self.activations, integers=self.integers, shift=self.shift)

    def at(self, point: Point) -> Self:
        """The layer, compared at one of its points."""
        if point.end == self.end:
            return self
        return replace(
            self,
            end=point.end,
            activations=point.activations,
            integers=point.integers,
            home=self.home or self.end,
            passed=tuple(one.end for one in self.points if 0 < one.level <= point.level),
            weight=times(self.weight, point.scale, self.channel_axis),
        )

    @property
    def channel_axis(self) -> int:
        """The axis of its weights along which its outputs lie."""
        return 1 if self.family == "convtranspose" else 0

    @property
    def family(self) -> str:
        """What it computes, whatever the format calls it."""
        return family(self.kind)

    @property
    def label(self) -> str:
        """Name and kind, e.g. `4 (Conv)`."""
        return label_of(self.name, self.kind, self.part)

    @property
    def module(self) -> str:
        """Name of its module, whichever call of it this is."""
        return self.name.partition(" (call ")[0]


class Watched(Protocol):
    """A model whose layers can be asked for what they give."""

    @property
    def name(self) -> str:
        """Shown in messages."""
        ...

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Its layers, in the order of a run."""
        ...

    @property
    def output(self) -> Block:
        """What it gives: `end` is the layer's where a layer ends there, else `(output)`; `feeds` as for a layer."""
        ...

    def values(self, x: AnyArray, ends: Sequence[str]) -> Values:
        """What some points hold, dequantized, in one pass.

        Args:
            x: One batch of rows (b, …).
            ends: Keys of the points, `(output)` for what the model gives.

        Returns:
            One array a point, `(input)` included; no entry for a point that holds no numbers (b, …).
        """
        ...

    def own(self, x: AnyArray, given: Values) -> Values:
        """What layers make of inputs that another model's layers got, in one pass.

        Args:
            x: The rows, as the other model sees them (b, …).
            given: What the other model has at points of this one, by this one's keys: after each point the pass goes on
                with these values.

        Returns:
            What this model itself has at each of these points before it is replaced.
        """
        ...

    def codes(self, end: str) -> Codes | None:
        """What the codes of a point stand for that was asked for; None where one scale for all does not say so.

        None also behind a function whose own range decides the scale, such as Sigmoid.
        """
        ...

    def answers(self, x: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Its outputs while its points are watched, and while they are not (b, …)."""
        ...

    def bytes_of(self, values: Values) -> int:
        """Bytes that a pass over these rows holds at once."""
        ...


def family(kind: str) -> str:
    """What an operator or module computes.

    >>> family("QLinearConv"), family("Conv2d"), family("QLinearSoftmax"), family("MaxPool2d")
    ('conv', 'conv', 'softmax', 'maxpool')
    """
    plain = kind.removeprefix("QLinear").lower()
    return _FAMILIES.get(kind) or (plain[:-2] if plain.endswith(("1d", "2d", "3d")) else plain)


def plain_kind(kind: str) -> str:
    """The plain operator's name.

    >>> plain_kind("QLinearConv"), plain_kind("ConvInteger"), plain_kind("Linear")
    ('Conv', 'Conv', 'Linear')
    """
    return _PLAIN.get(kind) or kind.removeprefix("QLinear")


def label_of(name: str, kind: str, part: int) -> str:
    """Name, kind, and which of several tensors.

    >>> label_of("4", "Conv", 0), label_of("rnn", "DynamicQuantizeLSTM", 1), label_of("pool", "MaxPool", 1)
    ('4 (Conv)', 'rnn (DynamicQuantizeLSTM h_n)', 'pool (MaxPool output 2)')
    """
    states = _STATES if family(kind) in RECURRENT else ()
    said = "" if not part else f" {states[part - 1]}" if part <= len(states) else f" output {part + 1}"
    return f"{name} ({plain_kind(kind)}{said})"


def points_behind(
    starts: Iterable[Tensor], ends: Mapping[Tensor, str], before: Callable[[Tensor], Iterable[Tensor]]
) -> tuple[str, ...]:
    """Points that tensors come from, the nearest ones on every way back.

    Args:
        starts: The tensors.
        ends: Points by the tensor that each ends with.
        before: From a tensor to those that it was made of.

    Returns:
        The points, in the order in which they are met, without those behind them.

    >>> points_behind(["c"], {"a": "A", "b": "B"}, {"c": ["b", "d"], "d": ["a"], "b": ["a"]}.get)
    ('B', 'A')
    """
    found: dict[str, None] = {}
    waiting = deque(starts)
    seen = set(waiting)
    while waiting:
        tensor = waiting.popleft()
        if tensor in ends:
            found[ends[tensor]] = None
            continue
        new = [one for one in before(tensor) if one not in seen]
        seen.update(new)
        waiting += new
    return tuple(found)
