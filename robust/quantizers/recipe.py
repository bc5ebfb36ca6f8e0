"""How a candidate is to be built: read and checked once, at the public edge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, TypeVar, get_args

from robust.errors import InvalidInput
from robust.limits import is_number

Method = Literal["static", "qoperator", "dynamic", "weight-only", "torchao"]
Ranges = Literal["minmax", "entropy", "percentile"]

T = TypeVar("T")

#: Types of weights and of activations that each method knows, its default first.
_WEIGHTS: Mapping[Method, tuple[str, ...]] = {
    "static": ("int8", "uint8", "int4", "uint4"),
    "qoperator": ("int8", "uint8"),
    # onnxruntime 1.20 does not convolve with signed weights and ranges of each call.
    "dynamic": ("uint8", "int8"),
    "weight-only": ("int4", "uint4", "int8", "uint8"),
    "torchao": ("int8",),
}
_ACTIVATIONS: Mapping[Method, tuple[str, ...]] = {
    "static": ("int8", "uint8", "int16", "uint16"),
    "qoperator": ("int8", "uint8"),
    "dynamic": ("uint8",),
    "weight-only": ("float",),
    "torchao": ("int8", "float"),
}
#: Methods that take the ranges of activations from calibration rows.
CALIBRATED: tuple[Method, ...] = ("static", "qoperator")
#: Why a range that onnxruntime offers is not offered here.
NO_DISTRIBUTION = (
    "'distribution' is for 8-bit floating-point types: for int8 it took a network from 98 % to 55 % accuracy without "
    "a warning; 'minmax', 'entropy' or 'percentile' would be right"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a candidate is built; every part of it decides its bytes.

    Args:
        method: `static` (QDQ pairs) or `qoperator` (integer operators) with ranges from calibration rows, `dynamic`
            (ranges from each call), `weight-only`, or `torchao` (Linear layers of a torch module).
        calibrate: How the range of an activation is taken from its values.
        percentile: Share of the values inside the range, in percent, for `percentile`.
        per_channel: One scale an output channel of a weight instead of one a tensor.
        weight_type: Integer type of weights.
        activation_type: Integer type of activations; `float` where they stay.
        reduce_range: Keep 8-bit weights to 7 bits.
        keep: Modules that stay in float.
    """

    method: Method
    calibrate: Ranges
    percentile: float
    per_channel: bool
    weight_type: str
    activation_type: str
    reduce_range: bool
    keep: tuple[str, ...]

    @property
    def calibrated(self) -> bool:
        """Whether calibration rows decide anything."""
        return self.method in CALIBRATED

    @property
    def label(self) -> str:
        """What reports call it, e.g. `int8 static minmax`."""
        parts = [self.weight_type, self.method]
        parts += [f"{self.activation_type} activations"] if self.activation_type != _ACTIVATIONS[self.method][0] else []
        parts += [self.calibrate] if self.calibrated else []
        parts += [f"without {', '.join(self.keep)}"] if self.keep else []
        return " ".join(parts)


def read_recipe(
    *,
    method: str,
    calibrate: str,
    percentile: float,
    per_channel: bool,
    weight_type: str | None,
    activation_type: str | None,
    reduce_range: bool | None,
    keep: Sequence[str],
) -> Recipe:
    """Check what a user asks for.

    Args:
        method: One of `Method`.
        calibrate: One of `Ranges`; other than `minmax` only where a method is calibrated.
        percentile: In (50, 100].
        per_channel: Whether weights have one scale a channel.
        weight_type: None for the method's own.
        activation_type: None for the method's own.
        reduce_range: None for yes where weights are int8 and multiplied as such.
        keep: Names of modules.

    Raises:
        InvalidInput: If something is unknown, or has no effect with the method.
    """
    known: Method = _one_of("method", method, get_args(Method))
    if calibrate == "distribution":
        raise InvalidInput(NO_DISTRIBUTION)
    ranges: Ranges = _one_of("calibrate", calibrate, get_args(Ranges))
    if known not in CALIBRATED and calibrate != "minmax":
        raise InvalidInput(
            f"calibrate={calibrate!r} is for {' and '.join(CALIBRATED)}: method {known!r} takes no ranges from "
            "calibration rows"
        )
    if not is_number(percentile) or not 50 < float(percentile) <= 100:
        raise InvalidInput(f"percentile must be above 50 and at most 100, such as 99.99, got {percentile!r}")
    weights = weight_type or _WEIGHTS[known][0]
    activations = activation_type or _usual_activations(known, weights)
    _one_of(f"weight_type of method {known!r}", weights, _WEIGHTS[known])
    _one_of(f"activation_type of method {known!r}", activations, _ACTIVATIONS[known])
    if known in CALIBRATED and activations == "int8" and weights == "uint8":
        raise InvalidInput("kernels for activations of int8 take weights of int8, got uint8: activation_type='uint8'")
    if known in ("weight-only", "torchao"):
        if not per_channel:
            raise InvalidInput(f"method {known!r} always has a scale a channel or finer: leave per_channel out")
        if reduce_range:
            raise InvalidInput(f"reduce_range is for products of 8-bit integers in onnxruntime, not for {known!r}")
    narrow = known in (*CALIBRATED, "dynamic") and weights in ("int8", "uint8")
    if reduce_range and not narrow:
        raise InvalidInput(f"reduce_range is for weights of 8 bits, got weight_type={weights!r}")
    return Recipe(
        method=known,
        calibrate=ranges,
        percentile=float(percentile),
        per_channel=bool(per_channel),
        weight_type=weights,
        activation_type=activations,
        reduce_range=narrow and weights == "int8" if reduce_range is None else bool(reduce_range),
        keep=_names(keep),
    )


def _usual_activations(method: Method, weights: str) -> str:
    """The method's own type; unsigned beside unsigned weights, which kernels for signed activations do not take."""
    return "uint8" if method in CALIBRATED and weights == "uint8" else _ACTIVATIONS[method][0]


def read_batch(batch: object) -> int:
    """Rows a calibration step.

    Raises:
        InvalidInput: If it is no whole number of at least 1.
    """
    if isinstance(batch, bool) or not isinstance(batch, Integral) or batch < 1:
        raise InvalidInput(f"batch must be a whole number of at least 1, got {batch!r}")
    return int(batch)


def _one_of(what: str, given: object, known: Sequence[T]) -> T:
    for name in known:
        if given == name:
            return name
    raise InvalidInput(f"{what} must be one of {', '.join(map(repr, known))}, got {given!r}")


def _names(keep: Sequence[str]) -> tuple[str, ...]:
    names = (keep,) if isinstance(keep, str) else tuple(keep)
    if not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"keep takes names of modules such as ('features.0',), got {keep!r}")
    return tuple(dict.fromkeys(names))
