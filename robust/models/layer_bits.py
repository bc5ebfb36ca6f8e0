"""How each layer of a model stores its weights and takes its inputs: what coverage is made of."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBits:
    """One layer that has weights, or multiplies activations.

    Args:
        name: The module's name where the framework or the file keeps it, else that of the operator.
        kind: Class of the module, or type of the operator.
        weights: Number of weights, biases and scales left out: they stay wide by design.
        quantized: How many of these are held in 8 bits or fewer, or rounded to such on their way; None where it cannot
            be told.
        bits: Widest width that its weights take in the run; None where it has none, or it cannot be told.
        integer: Whether both factors of its products are quantized, so that a device can multiply integers.
        macc: Multiply-accumulates of one sample, or None where they are not counted.
        simulated: Whether numbers are rounded in floating point, as in quantization-aware training.
        multiplies: Whether it multiplies; what only looks weights up does not.
    """

    name: str
    kind: str
    weights: int
    quantized: int | None
    bits: int | None
    integer: bool
    macc: float | None = None
    simulated: bool = False
    multiplies: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldBits:
    """What a model would hold that runs in floating point and rounds on its way.

    Args:
        layers: Its layers, in the widths that are imitated.
        rom: Bytes of its weights, packed in these widths.
        imitated: The float model that it rounds, whose operators are counted.
    """

    layers: tuple[LayerBits, ...]
    rom: int
    imitated: Any


#: Weights wider than this are not quantized: 16-bit floats are a float build.
NARROW = 8


def merged(layers: Iterable[LayerBits]) -> tuple[LayerBits, ...]:
    """Operators of one module as one layer: its products run on integers where those of all of them do.

    >>> q = LayerBits(name="a", kind="Linear", weights=6, quantized=6, bits=8, integer=True)
    >>> f = LayerBits(name="a", kind="MatMul", weights=2, quantized=0, bits=32, integer=False)
    >>> (one,) = merged([q, f])
    >>> one.weights, one.quantized, one.bits, one.integer
    (8, 6, 32, False)
    """
    found: dict[str, LayerBits] = {}
    for layer in layers:
        have = found.get(layer.name)
        if have is None:
            found[layer.name] = layer
            continue
        unknown = have.quantized is None or layer.quantized is None
        products = [part for part in (have, layer) if part.multiplies]
        widths = [part.bits for part in (have, layer) if part.weights]
        found[layer.name] = replace(
            have,
            kind=have.kind if have.weights >= layer.weights else layer.kind,
            weights=have.weights + layer.weights,
            quantized=None if unknown else (have.quantized or 0) + (layer.quantized or 0),
            bits=None if None in widths else max((width for width in widths if width is not None), default=None),
            integer=any(part.integer for part in products) and all(part.integer for part in products),
            simulated=have.simulated or layer.simulated,
            multiplies=bool(products),
        )
    return tuple(found.values())
