"""The layers of a torch module: modules with the normalisation, activation and quantizer that follow them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from robust.layers.blocks import ENTRY, OUTPUT, RECURRENT, Block, Point, family, points_behind
from robust.layers.events_torch import Event, Recording
from robust.layers.modules_torch import NORMALISATIONS, is_quantizer
from robust.layers.nested_torch import key_of
from robust.layers.shifts import along, bias_shift, normalised, scaled, shifted
from robust.types import FloatArray

#: Activations, as modules and as functions, by what other formats call them.
_ACTIVATIONS: Mapping[str, str] = {
    **{name: name.lower() for name in ("ReLU", "Sigmoid", "Tanh", "ELU", "SELU", "CELU", "GELU", "Softplus", "Mish")},
    **{name: name.lower() for name in ("LeakyReLU", "Hardsigmoid", "Hardswish", "Softsign", "PReLU", "SiLU")},
    **{name: name.lower() for name in ("LogSigmoid", "Tanhshrink", "logsigmoid", "tanhshrink")},
    **{name: name for name in ("relu", "sigmoid", "tanh", "elu", "selu", "celu", "gelu", "softplus", "mish", "silu")},
    **{f"{name}_": name for name in ("relu", "sigmoid", "tanh", "elu", "selu", "celu")},
    "leaky_relu": "leakyrelu",
    "leaky_relu_": "leakyrelu",
    "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish",
    "prelu": "prelu",
    "softsign": "softsign",
    "ReLU6": "clip(0.0, 6.0)",
    "relu6": "clip(0.0, 6.0)",
}
_CLIPS = ("Hardtanh", "hardtanh", "hardtanh_", "clamp", "clamp_", "clip", "clip_")
#: Families to whose outputs a constant may be added that files have in their bias.
_PRODUCTS = ("conv", "convtranspose", "linear")
#: What hands numbers on, in another shape or as they are.
_VIEWS = frozenset(
    ("Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout")
)
_IDLE = frozenset(("dropout", "dropout_", "contiguous", "clone", "to", "float", "detach"))


def blocks_of(recording: Recording) -> tuple[tuple[Block, ...], Block]:
    """The layers of a recorded call, in its order, and what it gives.

    Args:
        recording: One call of the module.

    Returns:
        One block for each call of a layer that computes something, unless it belongs to the one before it; one for each
        of its tensors that is read, where it gives several; also for a product of weights that a module holds itself.
        And one for the output, `end` that of the layer that ends there.
    """
    readers: dict[int, list[Event]] = {}
    for event in recording.events:
        for number in dict.fromkeys(event.reads):
            readers.setdefault(number, []).append(event)
    made = {number: event for event in recording.events for number in event.makes}
    ends = {recording.entry: ENTRY}
    taken: set[str] = set()
    found = []
    applied: dict[str, int] = {}
    for event in recording.events:
        if not (event.module or event.name) or event.key in taken or event.kind in _VIEWS or _quantizes(event):
            continue
        _, _, call = event.key.rpartition("#")
        if event.module is None:  # functions are numbered by their own names, their weights by theirs
            applied[event.name] = applied.get(event.name, 0) + 1
            call = str(applied[event.name])
        feeds = _sources(event.reads, made, ends)
        for place in _read(event, readers, recording.output):
            chain = _chain(event, event.makes[place], readers, recording.output)
            taken.update(member.key for member in chain.members)
            end = key_of(chain.members[-1].key, place if len(chain.members) == 1 else 0)
            found.append(
                Block(
                    name=(event.name or event.kind) + (f" (call {call})" if call != "1" else ""),
                    kind=event.whole or event.kind,
                    part=place,
                    end=end,
                    activations=tuple(chain.activations),
                    weight=_weight(event) if place == 0 else None,
                    fold=chain.fold,
                    feeds=feeds,
                    shift=chain.shift,
                    points=tuple(chain.points),
                )
            )
            ends[chain.last] = end
    feeds = _sources((recording.output,), made, ends)
    last = ends.get(recording.output, OUTPUT)
    return tuple(found), Block(name=OUTPUT, kind="Output", end=OUTPUT if last == ENTRY else last, feeds=feeds)


@dataclass(slots=True)
class _Chain:
    """What belongs to one layer: its call and those that follow, and the number of the tensor after the last one."""

    members: list[Event]
    last: int
    activations: list[str] = field(default_factory=list)
    fold: FloatArray | None = None
    shift: FloatArray | None = None
    scale: FloatArray | None = None
    axes: int = 1
    points: list[Point] = field(default_factory=list)

    def here(self, place: int, level: int) -> Point:
        """The point that it has come to."""
        end = key_of(self.members[-1].key, place if len(self.members) == 1 else 0)
        return Point(end=end, activations=tuple(self.activations), level=level, shift=self.shift, scale=self.scale)

    def follow(self, event: Event) -> None:
        """Take one more call."""
        self.members.append(event)
        self.last = event.makes[0]


def _read(event: Event, readers: Mapping[int, list[Event]], output: int) -> list[int]:
    """Which of a layer's tensors are read: these alone take part in what the model gives; the first, where none is."""
    return [i for i, number in enumerate(event.makes) if readers.get(number) or number == output] or [0]


def _chain(event: Event, number: int, readers: Mapping[int, list[Event]], output: int) -> _Chain:
    """Follow one of a layer's tensors through whatever is still a part of the layer."""
    chain = _Chain([event], number, shift=_shift(event))
    chain.axes = 1 if chain.shift is None else max(chain.shift.ndim, 1)
    place = event.makes.index(number)
    while True:
        after = readers.get(chain.last, [])
        if len(after) != 1 or chain.last == output:
            return chain
        (follower,) = after
        activation = _activation(follower)
        if activation is not None:
            # A second one is a layer of its own; files hand on what recurrent layers give before they apply one.
            if chain.activations or family(event.kind) in RECURRENT:
                return chain
            chain.points.append(chain.here(place, 0))
            chain.activations.append(activation)
        elif follower.kind in NORMALISATIONS and not chain.activations and chain.fold is None:
            folded = _fold(follower.module)
            if folded is None:
                return chain
            chain.fold = folded[0]
            chain.shift = normalised(chain.shift, *folded, chain.axes)
        elif not _idle(follower):
            chain.points += _behind(chain, readers, output)
            return chain
        chain.follow(follower)


def _behind(chain: _Chain, readers: Mapping[int, list[Event]], output: int) -> list[Point]:
    """Points behind constants that functions add to what a layer gives, or multiply it by: files have these in it.

    A batch normalisation behind them is such a constant.
    """
    later = replace(chain, members=list(chain.members), activations=[], points=[], scale=np.ones(()))
    level = 0
    while not chain.activations and not later.activations and later.shift is not None and later.last != output:
        after = readers.get(later.last, [])
        if len(after) != 1:
            break
        (follower,) = after
        activation = _activation(follower) if level else None
        fold = _fold(follower.module) if level and follower.kind in NORMALISATIONS else None
        if activation is not None:
            later.activations.append(activation)
        elif follower.added is not None:
            level += 1
            later.shift = shifted(later.shift, follower.added.numpy())
        elif follower.factor is not None:
            level += 1
            factor = follower.factor.numpy()
            later.shift, later.scale = scaled(later.shift, factor), scaled(later.scale, factor)
            if later.scale is None:
                break
        elif fold is not None:
            level += 1
            later.scale = scaled(later.scale, along(fold[0], chain.axes))
            later.shift = normalised(later.shift, *fold, chain.axes)
            if later.scale is None:
                break
        elif not _idle(follower):
            break
        later.follow(follower)
        if level:
            later.points.append(later.here(0, level))
    return later.points


def _idle(event: Event) -> bool:
    """Whether a call hands on what it gets, in the same shape."""
    view = event.kind in _VIEWS and "latten" not in event.kind
    return event.kind in _IDLE or view or _quantizes(event)


def _activation(event: Event) -> str | None:
    """An activation's name; a clip says its ends."""
    if event.kind in _CLIPS:
        if event.module is not None:
            low, high = getattr(event.module, "min_val", None), getattr(event.module, "max_val", None)
        else:
            low, high = (*event.arguments, None, None)[:2]
        if low == 0 and high is None:
            return "relu"
        return f"clip({None if low is None else float(low)}, {None if high is None else float(high)})"
    return _ACTIVATIONS.get(event.kind)


def _quantizes(event: Event) -> bool:
    return event.weight is None and is_quantizer(event.kind, event.module)


def _fold(module: Any) -> tuple[FloatArray, FloatArray] | None:
    """What a batch normalisation multiplies the channels before it by, γ/√(σ² + ε), and what it adds, (out,) each."""
    variance = getattr(module, "running_var", None)
    if variance is None:
        return None
    gamma = torch.ones_like(variance) if module.weight is None else module.weight
    beta = torch.zeros_like(variance) if module.bias is None else module.bias
    scale = gamma.detach().double() / torch.sqrt(variance.detach().double() + module.eps)
    offset = beta.detach().double() - scale * module.running_mean.detach().double()
    return np.asarray(scale.cpu().numpy()), np.asarray(offset.cpu().numpy())


def _shift(event: Event) -> FloatArray | None:
    """What a product adds itself, as it broadcasts to a row; None where that is not seen."""
    if event.weight is None or family(event.kind) not in _PRODUCTS or event.kind == "addmm":
        return None
    bias = event.bias
    if bias is not None and (type(bias) not in (torch.Tensor, torch.nn.Parameter) or bias.ndim != 1):
        return None
    return bias_shift(None if bias is None else bias.detach().double().cpu().numpy(), event.weight.ndim)


def _weight(event: Event) -> FloatArray | None:
    """Weights as they were applied, dequantized."""
    weight = event.weight
    if weight is None or weight.ndim < 2:
        return None
    if type(weight) not in (torch.Tensor, torch.nn.Parameter) or weight.is_quantized:
        weight = weight.dequantize()
    return np.array(weight.detach().to(device="cpu", dtype=torch.float64).numpy())


def _sources(numbers: tuple[int, ...], made: Mapping[int, Event], ends: Mapping[int, str]) -> tuple[str, ...]:
    """Points that tensors come from, through functions between layers."""
    return points_behind(numbers, ends, lambda number: made[number].reads if number in made else ())
