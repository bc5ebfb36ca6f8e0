"""Which layers have which widths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from robust.bitwidths.rounding import FLOAT, read_bits
from robust.errors import InvalidInput

Part: TypeAlias = Literal["weights", "activations", "both"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Widths of one layer; None is float.

    Args:
        weights: Of its weights.
        activations: Of its input.
    """

    weights: int | None = None
    activations: int | None = None

    @staticmethod
    def of(width: int | None, part: Part) -> "Bits":
        """One width for a part of a layer, the rest in float.

        >>> Bits.of(4, "weights")
        Bits(weights=4, activations=None)
        """
        return Bits(weights=None if part == "activations" else width, activations=None if part == "weights" else width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Widths of all layers.

    Args:
        layers: Widths by the name of the layer; layers that are not named stay in float.
        per_channel: Whether each channel of a layer's weights has a scale of its own.
    """

    layers: Mapping[str, Bits]
    per_channel: bool = True

    def key(self) -> str:
        """The setting as text, the same for equal settings."""
        parts = [f"{name}={bits.weights}/{bits.activations}" for name, bits in sorted(self.layers.items())]
        return f"{self.per_channel}:" + ",".join(parts)


def uniform(
    names: Iterable[str], bits: Bits, *, per_channel: bool, but: str | None = None, kept: Bits | None = None
) -> Setting:
    """The same widths for all layers, perhaps but one, which has others or stays in float.

    >>> uniform(["a", "b"], Bits(weights=4), per_channel=True, but="a").layers
    {'b': Bits(weights=4, activations=None)}
    """
    layers = {name: bits for name in names if name != but}
    if but is not None and kept is not None:
        layers[but] = kept
    return Setting(layers=layers, per_channel=per_channel)


def read_widths(widths: object, *, with_float: bool = False) -> tuple[int, ...]:
    """Widths to try, the widest first.

    Args:
        widths: Bits in 2 … 16.
        with_float: Whether 32, float, may be among them.

    Raises:
        InvalidInput: If there is none, one comes twice, or one is out of range.

    >>> read_widths([2, 8])
    (8, 2)
    """
    given = widths if isinstance(widths, Sequence) and not isinstance(widths, str) else (widths,)
    found = [FLOAT if (bits := read_bits(width, what="widths")) is None else bits for width in given]
    if not found or len(set(found)) != len(found) or (set(found) <= {FLOAT}) or (FLOAT in found and not with_float):
        beside = f", perhaps with {FLOAT} for float," if with_float else ""
        raise InvalidInput(f"widths got {widths!r}; different numbers of bits such as (8, 6, 4){beside} would be right")
    return tuple(sorted(found, reverse=True))


def read_parts(parts: object, allowed: Sequence[Part] = PARTS) -> tuple[Part, ...]:
    """What is to be rounded, once each.

    Raises:
        InvalidInput: On another word, or none.

    >>> read_parts("both"), read_parts(("weights", "activations"))
    (('both',), ('weights', 'activations'))
    """
    given = (parts,) if isinstance(parts, str) else tuple(parts) if isinstance(parts, Iterable) else ()
    if not given or any(part not in allowed for part in given):
        raise InvalidInput(f"parts got {parts!r}; some of {', '.join(allowed)} would be right")
    return tuple(dict.fromkeys(given))


def read_channels(per_channel: object) -> tuple[bool, ...]:
    """Whether weights have a scale a channel, one for all, or both ways one after the other.

    Raises:
        InvalidInput: On anything but True, False, or both.

    >>> read_channels(True), read_channels((True, False))
    ((True,), (True, False))
    """
    given = (per_channel,) if isinstance(per_channel, bool) else per_channel
    if not isinstance(given, Sequence) or not given or any(not isinstance(value, bool) for value in given):
        raise InvalidInput(f"per_channel got {per_channel!r}; True, False or (True, False) would be right")
    return tuple(dict.fromkeys(given))
