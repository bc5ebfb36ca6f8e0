"""Which parts of a torch module can be run in fewer bits, and which batch normalisation is folded into which."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from robust.bitwidths.sharing import joined, name_of_all
from robust.bitwidths.simulators import LeftFloat, SimulatedLayer, Weight
from robust.errors import InvalidInput
from robust.models.adapter_torch import TorchAdapter, evaluating
from robust.types import AnyArray, FloatArray

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMALISED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_SINGLE = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_COUNTER = "num_batches_tracked"
Places: TypeAlias = tuple[tuple[str, str], ...]
Norm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The layers of a module.

    Args:
        layers: Those that can be simulated, in the module's order.
        places: For each, the modules and attributes that hold each of its weights: one, unless it is shared.
        inputs: For each, the modules whose input can be rounded.
        left: What stays in float.
        rest: Bytes of everything but the layers' weights, batch normalisation folded.
        itemsize: Bytes of a float weight.
    """

    layers: tuple[SimulatedLayer, ...]
    places: dict[str, tuple[Places, ...]]
    inputs: dict[str, tuple[str, ...]]
    left: tuple[LeftFloat, ...]
    rest: int
    itemsize: int


def find_layers(adapter: TorchAdapter, sample: AnyArray) -> Found:
    """Look at a module, and run it once on a few rows.

    Args:
        adapter: The module's adapter.
        sample: The rows (b, …).

    Returns:
        Its layers: convolutions, linear layers; recurrent and attention layers by their weights alone.

    Raises:
        InvalidInput: If there is none; the message names what there is instead.
    """
    module = adapter.module
    if hasattr(module, "_orig_mod"):
        raise InvalidInput("a compiled module keeps the code that it was compiled to: give the module itself")
    ran, folds = _watched(adapter, sample)
    parts = dict(module.named_modules())
    order = {name: i for i, name in enumerate(parts)}
    attributes = {name: _weight_names(part) for name, part in parts.items()}
    able = [name for name, own in attributes.items() if own and all(_is_plain(parts[name], one) for one in own)]
    held = [[id(getattr(parts[name], attribute)) for attribute in attributes[name]] for name in able]
    simulated = {tensor for tensors in held for tensor in tensors}
    holders = _holders(module)
    groups = [[able[i] for i in group] for group in joined(held)]
    # Folded, the tensor of several layers would be several tensors.
    shared = {name for group in groups if len(group) > 1 for name in group}
    folds = {name: norm for name, norm in folds.items() if name not in shared}
    layers, left, places, inputs = [], [], {}, {}
    for group in groups:
        tensors: dict[int, Weight] = {}
        for name in group:
            norm = module.get_submodule(folds[name]) if name in folds else None
            for attribute in attributes[name]:
                tensor = getattr(parts[name], attribute)
                tensors.setdefault(id(tensor), _weight(parts[name], tensor, norm))
        at = tuple(holders[key] for key in tensors)
        # Whatever else reads a tensor, such as an embedding, reads it as it is stored.
        readers = sorted({name for found in at for name, _ in found}, key=order.__getitem__)
        shown = name_of_all([name or type(parts[name]).__name__ for name in readers])  # the model may be one layer
        inside = tuple(name for name in group if isinstance(parts[name], _SINGLE) and name in ran)
        layers.append(
            SimulatedLayer(
                name=shown,
                kind=name_of_all([type(parts[name]).__name__ for name in readers]),
                weights=tuple(tensors.values()),
                input=bool(inside),
                members=tuple(name or shown for name in group),
            )
        )
        places[shown], inputs[shown] = at, inside
        left += [(name, 0, _why_input(parts[name])) for name in group if name not in inside]
    for name in parts.keys() - set(able) - set(folds.values()):
        own = sum(p.numel() for p in parts[name]._parameters.values() if p is not None and id(p) not in simulated)
        if own or attributes[name]:
            left.append((name, own, _why(parts[name], attributes[name])))
    told = tuple(_left(name, parts[name], own, why) for name, own, why in sorted(left, key=lambda item: order[item[0]]))
    if not layers:
        raise InvalidInput(_nothing(module, told))
    rest, itemsize = _rest(module, simulated, folds)
    return Found(layers=tuple(layers), places=places, inputs=inputs, left=told, rest=rest, itemsize=itemsize)


def _holders(module: nn.Module) -> dict[int, Places]:
    """Which modules hold each parameter, and by which attribute."""
    found: dict[int, Places] = {}
    for name, part in module.named_modules():
        for attribute, tensor in part._parameters.items():
            if tensor is not None:
                found[id(tensor)] = (*found.get(id(tensor), ()), (name, attribute))
    return found


def _weight_names(part: nn.Module) -> tuple[str, ...]:
    """Attributes of a module that hold weights of products; those of its children aside."""
    if isinstance(part, _SINGLE):
        return ("weight",)
    if isinstance(part, _RECURRENT):
        return tuple(name for name in part._parameters if name.startswith("weight_"))
    if isinstance(part, nn.MultiheadAttention):
        wanted = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        return tuple(name for name in wanted if getattr(part, name, None) is not None)
    return ()


def _is_plain(part: nn.Module, attribute: str) -> bool:
    """Whether a weight is an ordinary parameter: not computed from others, packed, or without a shape as yet."""
    tensor = part._parameters.get(attribute)
    return type(tensor) is nn.Parameter and type(tensor.data) is torch.Tensor and tensor.is_floating_point()


def _weight(part: nn.Module, tensor: torch.Tensor, norm: nn.Module | None) -> Weight:
    """A tensor of weights with the axes of its channels and the factor that is folded into it."""
    values: FloatArray = tensor.detach().to(device="cpu", dtype=torch.float64).numpy()
    axis = 1 if isinstance(part, _TRANSPOSED) else 0
    factor = None
    if norm is not None:
        by_channel = _factor(norm)
        if isinstance(part, _TRANSPOSED):  # (in, out/groups, …): input channel i feeds the outputs of its own group
            rows = np.repeat(by_channel.reshape(part.groups, -1), values.shape[0] // part.groups, axis=0)
            factor = rows.reshape(*rows.shape, *(1,) * (values.ndim - 2))
        else:
            factor = by_channel.reshape(-1, *(1,) * (values.ndim - 1))
    return Weight(values=values, axes=(axis,), factor=factor)


def _factor(norm: nn.Module) -> FloatArray:
    """γ/√(σ² + ε) by channel (c,)."""
    variance = norm.running_var.detach().to(device="cpu", dtype=torch.float64).numpy()
    slope = 1.0 if norm.weight is None else norm.weight.detach().to(device="cpu", dtype=torch.float64).numpy()
    return np.asarray(slope / np.sqrt(variance + norm.eps))


def _watched(adapter: TorchAdapter, sample: AnyArray) -> tuple[set[str], dict[str, str]]:
    """Layers that run, and the batch normalisation that takes a layer's output as it is, by the layer's name.

    A layer or a normalisation that runs more than once a call is not folded.
    """
    module = adapter.module
    outputs: list[tuple[str, Any]] = []
    inputs: list[tuple[str, Any]] = []

    def keep_output(name: str) -> Any:
        return lambda _part, _args, output: outputs.append((name, output))

    def keep_input(name: str) -> Any:
        return lambda _part, args: inputs.append((name, args[0] if args else None))

    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        for name, part in module.named_modules():
            if isinstance(part, _SINGLE):
                stack.callback(part.register_forward_hook(keep_output(name)).remove)
            elif isinstance(part, _NORMALISED) and part.running_var is not None:
                stack.callback(part.register_forward_pre_hook(keep_input(name)).remove)
        adapter.forward(sample)
    made = [name for name, _ in outputs]
    taken = [name for name, _ in inputs]
    folds = {
        layer: norm
        for layer, output in outputs
        for norm, value in inputs
        if value is output and made.count(layer) == 1 and taken.count(norm) == 1
    }
    return set(made), folds


def _rest(module: nn.Module, simulated: set[int], folds: dict[str, str]) -> tuple[int, int]:
    """Bytes of everything but the layers' weights, and of one float weight; folded normalisation is a bias."""
    seen = set(simulated)
    total, itemsize = 0, 0
    gone = {id(tensor) for norm in folds.values() for tensor in _own(module.get_submodule(norm))}
    for part in module.modules():
        for tensor in _own(part):
            if id(tensor) in simulated:
                itemsize = max(itemsize, tensor.element_size())
            if id(tensor) not in seen and id(tensor) not in gone:
                seen.add(id(tensor))
                total += tensor.numel() * tensor.element_size()
    for layer, norm in folds.items():
        part, other = module.get_submodule(layer), module.get_submodule(norm)
        if part.bias is None:
            total += other.running_var.numel() * other.running_var.element_size()
    return total, itemsize


def _own(part: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters and buffers of a module, those of its children and training's counter aside."""
    yield from (tensor for tensor in part._parameters.values() if tensor is not None)
    for name, tensor in part._buffers.items():
        if tensor is not None and name != _COUNTER and tensor.is_floating_point():
            yield tensor


def _left(name: str, part: nn.Module, parameters: int, reason: str) -> LeftFloat:
    return LeftFloat(name=name or type(part).__name__, kind=type(part).__name__, parameters=parameters, reason=reason)


def _why_input(part: nn.Module) -> str:
    if isinstance(part, (*_RECURRENT, nn.MultiheadAttention)):
        return "its weights are rounded, its inputs and states stay in float"
    return "it did not run as a module of its own: its weights are rounded, its input stays in float"


def _why(part: nn.Module, names: tuple[str, ...]) -> str:
    if names:
        return "its weights are quantized already, or computed from other parameters"
    if isinstance(part, _NORMALISED):
        return "it follows no convolution or linear layer that it could be folded into"
    return "no convolution, linear, recurrent or attention layer"


def _nothing(module: nn.Module, left: tuple[LeftFloat, ...]) -> str:
    if isinstance(module, torch.fx.GraphModule):
        return (
            "an exported program keeps operators, not layers: fewer bits are simulated on the module that it was "
            "exported from, or on its ONNX file"
        )
    shown = "; ".join(f"{item.name} ({item.kind}): {item.reason}" for item in left[:5])
    return "the model has no layer whose bits could be simulated" + (f": {shown}" if left else ": it has no weights")
