"""The layers of a torch module: modules with the normalisation, activation and quantizer that follow them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from robust.layers.blocks import ENTRY, OUTPUT, Block, points_behind
from robust.layers.events_torch import Event, Recording, is_quantizer
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
        One block for each call of a layer that computes something, unless it belongs to the one before it; also for a
        product of weights that a module holds itself. And one for the output, `end` that of the layer that ends there.
    """
    readers: dict[int, list[Event]] = {}
    for event in recording.events:
        for number in dict.fromkeys(event.reads):
            readers.setdefault(number, []).append(event)
    made = {event.makes: event for event in recording.events}
    ends = {recording.entry: ENTRY}
    taken: set[str] = set()
    found = []
    applied: dict[str, int] = {}
    for event in recording.events:
        if not (event.module or event.name) or event.key in taken or event.kind in _VIEWS or _quantizes(event):
            continue
        members, activations, fold = _chain(event, readers, recording.output)
        taken.update(member.key for member in members)
        _, _, call = event.key.rpartition("#")
        if event.module is None:  # functions are numbered by their own names, their weights by theirs
            applied[event.name] = applied.get(event.name, 0) + 1
            call = str(applied[event.name])
        found.append(
            Block(
                name=(event.name or event.kind) + (f" (call {call})" if call != "1" else ""),
                kind=event.kind,
                end=members[-1].key,
                activations=tuple(activations),
                weight=_weight(event),
                fold=fold,
                feeds=_sources(event.reads, made, ends),
            )
        )
        ends[members[-1].makes] = members[-1].key
    feeds = _sources((recording.output,), made, ends)
    last = ends.get(recording.output, OUTPUT)
    return tuple(found), Block(name=OUTPUT, kind="Output", end=OUTPUT if last == ENTRY else last, feeds=feeds)


def _chain(
    event: Event, readers: Mapping[int, list[Event]], output: int
) -> tuple[list[Event], list[str], FloatArray | None]:
    """Follow a layer's output through whatever is still a part of the layer."""
    members: list[Event] = [event]
    activations: list[str] = []
    fold = None
    while True:
        after = readers.get(members[-1].makes, [])
        if len(after) != 1 or members[-1].makes == output:
            return members, activations, fold
        (follower,) = after
        activation = _activation(follower)
        if activation is not None:
            if activations:  # a second one is a layer of its own
                return members, activations, fold
            activations.append(activation)
        elif follower.kind in _NORMALISATIONS and not activations and fold is None:
            fold = _fold(follower.module)
            if fold is None:
                return members, activations, fold
        elif not (follower.kind in _IDLE or (follower.kind in _VIEWS and "latten" not in follower.kind)) and not (
            _quantizes(follower)
        ):
            return members, activations, fold
        members.append(follower)


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
