"""Reads from the graph of a torch program which weights are narrow, and which products have two narrow factors."""

import math
from collections.abc import Iterator
from typing import Any

import torch

from robust.models.layer_bits import NARROW, LayerBits
from robust.quantization.held_weights_torch import digits_of
from robust.quantization.stored_tensors_torch import is_zero

#: Operators of a program with the positions of their factors; all that follow are biases and settings.
_FACTORS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d"), (0, 1)),
    **dict.fromkeys(("linear", "mm", "matmul", "bmm", "conv_transpose3d", "_convolution"), (0, 1)),
    **dict.fromkeys(("addmm", "baddbmm"), (1, 2)),
    "scaled_dot_product_attention": (0, 1, 2),
    "embedding": (0,),
}
_HANDING_ON = "t transpose permute view reshape flatten unsqueeze squeeze contiguous clone detach alias"
_LAYOUT = frozenset(_HANDING_ON.split())


def program_layers(program: torch.fx.GraphModule) -> Iterator[LayerBits]:
    """Layers by the operators of a graph, whose factors come out of quantizing operators."""
    seen: set[str] = set()
    for node in live_nodes(program.graph):
        name = getattr(node.target, "__name__", "").partition(".")[0] if node.op == "call_function" else ""
        if name not in _FACTORS:
            continue
        factors = [_factor(node.args[place], program) for place in _FACTORS[name] if place < len(node.args)]
        stored = [(key, tensor, width) for key, tensor, width, _ in factors if tensor is not None]
        new = [(key, tensor, width) for key, tensor, width in stored if key not in seen and tensor.dim() > 1]
        seen.update(key for key, _, _ in new)
        scope, kind = _scope(node)
        simulated = any(
            tensor is not None and width <= NARROW and tensor.dtype.is_floating_point for _, tensor, width, _ in factors
        )
        yield LayerBits(
            name=scope or node.name,
            kind=kind or name,
            weights=sum(tensor.numel() for _, tensor, _ in new),
            quantized=sum(tensor.numel() for _, tensor, width in new if width <= NARROW),
            bits=max((width for _, _, width in new), default=None),
            integer=name != "embedding" and all(rounded for _, _, _, rounded in factors),
            simulated=simulated,
            multiplies=name != "embedding",
        )


def live_nodes(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    """The operators whose results reach the output, other than as a multiple of a constant 0, in order."""
    wanted: set[torch.fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or node in wanted or _changes_its_input(node):
            wanted.update((node, *_heard(node)))
    return [node for node in graph.nodes if node in wanted]


def _heard(node: torch.fx.Node) -> list[torch.fx.Node]:
    """What the result of an operator depends on."""
    name = str(getattr(node.target, "__name__", "")).partition(".")[0] if node.op == "call_function" else ""
    if name == "mul":
        owner = node.graph.owning_module
        stored = [one for one in node.all_input_nodes if one.op == "get_attr" and owner is not None]
        silent = [one for one in stored if is_zero(_attribute(owner, str(one.target)))]
        if silent or any(isinstance(one, (int, float)) and one == 0 for one in node.args):
            return silent
    return list(node.all_input_nodes)


def _changes_its_input(node: torch.fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return node.op in ("call_function", "call_method") and name.partition(".")[0].endswith("_")


def _factor(value: Any, program: torch.fx.GraphModule) -> tuple[str, torch.Tensor | None, int, bool]:
    """Where a factor comes from: name and tensor of a stored one, its bits, and whether it is rounded."""
    rounded, width = False, 0
    while isinstance(value, torch.fx.Node):
        if value.op == "get_attr":
            tensor = _attribute(program, str(value.target))
            width = min(width, 8 * tensor.element_size()) if rounded else 8 * tensor.element_size()
            return str(value.target), tensor, width, rounded or width <= NARROW
        name = getattr(value.target, "__name__", "") if value.op == "call_function" else ""
        name = name.partition(".")[0]
        fake = rounder_bits(program.get_submodule(str(value.target))) if value.op == "call_module" else None
        if fake is not None:
            rounded, width = True, fake
        elif name.startswith("dequantize"):
            rounded, width = True, _node_bits(value)
        elif not (name in _LAYOUT or name.startswith("quantize")):
            break
        value = value.args[0]
    return "", None, 0, rounded


def _node_bits(node: torch.fx.Node) -> int:
    """Bits of a quantizing operator: from its range, which is narrower than its type for fewer bits."""
    values = list(node.args[1:])
    whole = [v for v in values if isinstance(v, int) and not isinstance(v, bool)]
    if len(whole) >= 2 and whole[-1] > whole[-2]:
        return math.ceil(math.log2(whole[-1] - whole[-2] + 1))
    return NARROW


def _attribute(program: torch.fx.GraphModule, target: str) -> torch.Tensor:
    found: Any = program
    for name in target.split("."):
        found = getattr(found, name)
    return torch.as_tensor(found)


def _scope(node: torch.fx.Node) -> tuple[str, str]:
    """Name and class of the module that an operator was traced in."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return "", ""
    path, kind = list(stack.values())[-1]
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return str(path), text.rpartition(".")[2]


def rounder_bits(rounder: Any) -> int | None:
    """Bits of a fake quantizer, from its range or the type that it imitates; None for what only watches, or is off.

    Args:
        rounder: A module, or None.
    """
    switch = getattr(rounder, "fake_quant_enabled", getattr(rounder, "enabled", None))
    if switch is None or not bool(switch.item() if isinstance(switch, torch.Tensor) else switch):
        return None
    low, high = getattr(rounder, "quant_min", None), getattr(rounder, "quant_max", None)
    if low is not None and high is not None:
        return math.ceil(math.log2(int(high) - int(low) + 1))
    return digits_of(str(getattr(getattr(rounder, "config", None), "dtype", "")))
