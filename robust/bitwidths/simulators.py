"""What the simulation of a framework must be able to do: say what its layers are, show them inputs, round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from robust.bitwidths.rounding import Grid, rounded_weights
from robust.models.base import Gradients
from robust.types import AnyArray, FloatArray

Forward: TypeAlias = Callable[[AnyArray], AnyArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """One tensor of weights.

    Args:
        values: As it is in the model.
        axes: Axes of the output channels.
        factor: What batch normalisation multiplies its channels by, of a shape that broadcasts; None where there is
            none behind it. What is stored on a device is values · factor.
    """

    values: FloatArray
    axes: tuple[int, ...]
    factor: FloatArray | None = None

    def rounded(self, bits: int, *, per_channel: bool) -> FloatArray:
        """The weights of the model whose folded weights come back from b bits."""
        axes = self.axes if per_channel else ()
        if self.factor is None:
            return rounded_weights(self.values, bits, axes=axes)
        found = rounded_weights(self.values * self.factor, bits, axes=axes)
        # A channel that normalisation switches off stays as it is: what it would be divided by is 0.
        used = np.broadcast_to(self.factor != 0, found.shape)
        return np.divide(found, self.factor, out=np.array(self.values, dtype=np.float64), where=used)

    @property
    def channels(self) -> int:
        """How many scales it has, where each channel has its own."""
        count = 1
        for axis in self.axes:
            count *= self.values.shape[axis]
        return count


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedLayer:
    """A layer whose widths can be chosen, or several that hold the same tensors and so have one choice.

    Args:
        name: The user's name of the module, or the node's; of several the names, with commas.
        kind: Class of the module or type of the operator.
        weights: Its tensors of weights, each once.
        input: Whether what goes into it can be rounded, too.
        members: The names of several layers that are one choice; of one layer its name alone, or nothing.
    """

    name: str
    kind: str
    weights: tuple[Weight, ...]
    input: bool
    members: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Weights that it stores."""
        return sum(weight.values.size for weight in self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers that it stands for."""
        return self.members or (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFloat:
    """Something that stays in float, whatever widths are asked for.

    Args:
        name: Layer or node.
        kind: Class or operator.
        parameters: Numbers of its own.
        reason: Why.
    """

    name: str
    kind: str
    parameters: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What one layer is to run with.

    Args:
        weights: Its tensors, in the order of the layer's; None to leave them.
        grid: What its input is rounded to; None to leave it.
    """

    weights: tuple[FloatArray, ...] | None = None
    grid: Grid | None = None


class Simulator(Protocol):
    """A model of one framework whose layers can be run with other weights and rounded inputs."""

    layers: tuple[SimulatedLayer, ...]
    left: tuple[LeftFloat, ...]
    #: Bytes of what is stored beside the layers' weights, batch normalisation folded, and of one float weight.
    rest: int
    itemsize: int
    #: Rows that it is best given at once, where the model does not say how many it takes; None for as many as ever.
    rows: int | None

    def inputs(self, x: AnyArray) -> Mapping[str, Sequence[AnyArray]]:
        """What each layer whose input can be rounded is given on one batch, once a call of the layer."""
        ...

    def forward(self, plan: Mapping[str, Plan]) -> Forward:
        """The model under a plan: from one batch to its outputs. The user's own model stays as it is."""
        ...

    def together(self, plans: Sequence[Mapping[str, Plan]]) -> Forward | None:
        """The model under several plans in one call, their outputs side by side; None where that gains nothing."""
        ...

    def gradients(self, plan: Mapping[str, Plan]) -> Gradients | None:
        """Its gradients with respect to the input, past rounding as if it were none; None where there are none."""
        ...
