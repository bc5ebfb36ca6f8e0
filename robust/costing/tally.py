"""What a counter of one framework hands over: layers, bytes, and what it could not count."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Quantity: TypeAlias = Literal["macc", "parameters", "rom", "ram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a model, in the order of the run.

    Args:
        name: The module's name where the framework or the file keeps it, else that of the operator.
        kind: Class of the module, or type of the operator.
        macc: Multiply-accumulates a sample, or a call where no axis is the batch; None where they could not be counted.
        parameters: Weights and biases; shared ones belong to the first layer that has them.
        rom: Bytes that its weights take as they are stored.
        output: Bytes of what it hands on.
    """

    name: str
    kind: str
    macc: float | None
    parameters: int
    rom: int
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """Something that could not be counted.

    Args:
        name: The layer.
        kind: Its operator or class.
        reason: Why, in a sentence.
        affects: Quantities that are too low for it.
    """

    name: str
    kind: str
    reason: str
    affects: tuple[Quantity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most memory that is needed at once.

    Args:
        bytes: At the fullest step.
        at: The layer of that step; empty where there are no steps.
        live: Layer and live bytes at each step.
    """

    bytes: int
    at: str
    live: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All counts of a model.

    Args:
        layers: Layers, in the order of the run.
        uncounted: What could not be counted.
        parameters: Weights and biases, shared ones once.
        rom: Bytes of weights and constants as they are stored, shared ones once.
        ram: Peak of live activations with the model's inputs and outputs; None where it is not known.
        ram_without_io: The same without them.
        rows: Rows of the run that RAM is stated for: 1, unless the file has a fixed batch.
        whole_call: Whether MACC are those of a whole call, because no axis is the batch.
        notes: Conventions that applied, in words.
    """

    layers: tuple[Layer, ...]
    uncounted: tuple[Uncounted, ...]
    parameters: int
    rom: int
    ram: Peak | None
    ram_without_io: Peak | None
    rows: int = 1
    whole_call: bool = False
    notes: tuple[str, ...] = ()
