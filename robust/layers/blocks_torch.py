"""The layers of a torch module: modules with the normalisation, activation and quantizer that follow them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from robust.layers.blocks import ENTRY, OUTPUT, RECURRENT, Block, family, points_behind
from robust.layers.events_torch import Event, Recording, is_quantizer
from robust.layers.nested_torch import key_of
from robust.types import FloatArray

#: Activations, as modules and as functions, by what other formats call them.
_ACTIVATIONS: Mapping[str, str] = {
    **{name: name.lower() for name in ("ReLU", "Sigmoid", "Tanh", "ELU", "SELU", "CELU", "GELU", "Softplus", "Mish")},
    **{name: name.lower() for name in ("LeakyReLU", "Hardsigmoid", "Hardswish", "Softsign", "PReLU", "SiLU")},
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
_NORMALISATIONS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
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
                    kind=event.kind,
                    part=place,
                    end=end,
                    activations=tuple(chain.activations),
                    weight=_weight(event) if place == 0 else None,
                    fold=chain.fold,
                    feeds=feeds,
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


def _read(event: Event, readers: Mapping[int, list[Event]], output: int) -> list[int]:
    """Which of a layer's tensors are read: these alone take part in what the model gives; the first, where none is."""
    return [i for i, number in enumerate(event.makes) if readers.get(number) or number == output] or [0]


def _chain(event: Event, number: int, readers: Mapping[int, list[Event]], output: int) -> _Chain:
    """Follow one of a layer's tensors through whatever is still a part of the layer."""
    chain = _Chain([event], number)
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
            chain.activations.append(activation)
        elif follower.kind in _NORMALISATIONS and not chain.activations and chain.fold is None:
            chain.fold = _fold(follower.module)
            if chain.fold is None:
                return chain
        elif not (follower.kind in _IDLE or (follower.kind in _VIEWS and "latten" not in follower.kind)) and not (
            _quantizes(follower)
        ):
            return chain
        chain.members.append(follower)
        chain.last = follower.makes[0]


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


def _fold(module: Any) -> FloatArray | None:
    """What a batch normalisation multiplies the weights before it by, γ/√(σ² + ε), (out,)."""
    variance = getattr(module, "running_var", None)
    if variance is None:
        return None
    gamma = torch.ones_like(variance) if module.weight is None else module.weight
    scale = gamma.detach().double() / torch.sqrt(variance.detach().double() + module.eps)
    return np.asarray(scale.cpu().numpy())


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
