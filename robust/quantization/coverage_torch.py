"""Reads from torch modules and programs which weights are narrow, and which products have two narrow factors."""

import math
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch

from robust.models.layer_bits import NARROW, LayerBits, merged

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
#: Types of places and counts, which no weights have.
_COUNTING = frozenset({torch.bool, torch.int32, torch.int64})
#: Names of buffers that hold weights; a mask of the weight or a table of edges' weights has another.
_WEIGHT = re.compile(r"(|.*_)q?weight(_q|_int\d*|_packed|_quantized)?")
_ROUNDERS_OF_WEIGHTS = ("weight_fake_quantizer", "weight_fake_quant")
_ROUNDERS_OF_FLOW = ("activation_fake_quantizer", "activation_post_process")


def torch_layers(module: torch.nn.Module) -> tuple[LayerBits, ...]:
    """Each layer of a module or program that multiplies by weights, or looks them up.

    Args:
        module: The module, or what an exported program gives as one.

    Returns:
        The layers; a weight that several share belongs to the first.
    """
    if isinstance(module, torch.fx.GraphModule):
        # A traced module calls modules; an exported program holds their operators.
        called = [str(node.target) for node in module.graph.nodes if node.op == "call_module"]
        parts = [_of_modules(module.get_submodule(name), within=name) for name in dict.fromkeys(called)]
        return merged([*_of_graph(module), *chain.from_iterable(parts)])
    return merged(_of_modules(module))


def _of_modules(module: torch.nn.Module, *, within: str = "") -> Iterator[LayerBits]:
    """Layers by the parameters that they hold."""
    seen: set[int] = set()
    for name, part in module.named_modules(prefix=within):
        own = _own_weights(part)
        tensors = [t for t in own if not _is_lazy(t) and t.dim() > 1 and id(t) not in seen]
        packed_words = any(_is_packed_words(name, t) for name, t in part._buffers.items())
        unread = any(_is_lazy(t) for t in own) or packed_words or _hides_weights(part)
        tensors += _packed(part)
        seen.update(id(t) for t in tensors)
        made, inside, _ = name.partition("parametrizations.")
        if inside:
            # What a parametrization makes of the weight before it is used is the user's code.
            yield LayerBits(
                name=made.rstrip("."),
                kind=type(part).__name__,
                weights=sum(t.numel() for t in tensors),
                quantized=None,
                bits=None,
                integer=False,
            )
            continue
        if not tensors and not unread:
            continue
        rounded = _fake_bits(part)
        widths = [_bits(t) if rounded is None else min(rounded, _bits(t)) for t in tensors]
        narrow = sum(t.numel() for t, width in zip(tensors, widths, strict=True) if width <= NARROW)
        held = bool(widths) and max(widths) <= NARROW
        yield LayerBits(
            # A quantized layer keeps its weight in a part of its own.
            name=name.removesuffix("_packed_params").rstrip("."),
            kind=type(part).__name__,
            weights=sum(t.numel() for t in tensors),
            quantized=None if unread else narrow,
            bits=None if unread else max(widths, default=None),
            integer=held and not unread and (_is_packed(part) or _rounds_flow(part, tensors)),
            simulated=rounded is not None and any(_bits(t) > NARROW for t in tensors),
        )


def _own_weights(part: torch.nn.Module) -> list[torch.Tensor]:
    """What a module multiplies by, or looks up: its parameters, and buffers that are called weights.

    Masks, tables of positions and other constants are buffers too; nobody trained them. Layers that keep their weights
    in integers, which no parameter with a gradient can, hold them as buffers.
    """
    found = [t for t in part._parameters.values() if t is not None]
    found += [t for name, t in part._buffers.items() if t is not None and _WEIGHT.fullmatch(name)]
    return [t for t in found if _is_lazy(t) or t.dtype not in _COUNTING]


def _is_packed_words(name: str, tensor: torch.Tensor | None) -> bool:
    """Whether a buffer holds several weights in each whole number: how many, its layer alone knows."""
    words = tensor is not None and tensor.dtype in (torch.int32, torch.int64) and tensor.dim() > 1
    return words and _WEIGHT.fullmatch(name) is not None


def _is_lazy(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin)


def _hides_weights(part: torch.nn.Module) -> bool:
    """Whether a module keeps its weights in an object of compiled code that does not give them out."""
    if hasattr(part, "_weight_bias"):
        return False
    if isinstance(part, torch.jit.ScriptModule):
        return bool(part._c.hasattr("_packed_params")) if hasattr(part, "_c") else False
    return any(isinstance(value, torch.ScriptObject) for value in vars(part).values())


def _is_packed(part: torch.nn.Module) -> bool:
    return hasattr(part, "_weight_bias") and not any(hasattr(child, "_weight_bias") for child in part.children())


def _packed(part: torch.nn.Module) -> list[torch.Tensor]:
    """The weight of a quantized layer, which keeps it packed for its kernel and gives it out on request."""
    return [part._weight_bias()[0].detach()] if _is_packed(part) else []


def _bits(tensor: torch.Tensor) -> int:
    """Bits of one weight as it is held: a tensor of torchao has a narrow one inside."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, context = tensor.__tensor_flatten__()
        target = context.get("target_dtype") if isinstance(context, dict) else None
        declared = None if target is None else _digits(str(target))
        parts = [getattr(tensor, name) for name in names]
        largest = max(parts, key=lambda part: part.numel(), default=None)
        if largest is None:
            return 8 * int(tensor.element_size())
        held = _bits(largest)
        if largest.numel() < tensor.numel():  # several numbers in each stored one
            held = math.ceil(held * largest.numel() / tensor.numel())
        return held if declared is None else min(held, declared)
    return 8 * int(tensor.element_size())


def _digits(text: str) -> int | None:
    digits = "".join(letter for letter in text if letter.isdigit())
    return int(digits) if digits else None


def _fake_bits(part: torch.nn.Module) -> int | None:
    """Bits to which a layer rounds its weight before each use, in quantization-aware training; None without."""
    found = [_rounder_bits(getattr(part, name, None)) for name in _ROUNDERS_OF_WEIGHTS]
    return next((bits for bits in found if bits is not None), None)


def _rounder_bits(rounder: Any) -> int | None:
    """Bits of a fake quantizer, from its range or the type that it imitates; None for what only watches, or is off."""
    switch = getattr(rounder, "fake_quant_enabled", getattr(rounder, "enabled", None))
    if switch is None or not bool(switch.item() if isinstance(switch, torch.Tensor) else switch):
        return None
    low, high = getattr(rounder, "quant_min", None), getattr(rounder, "quant_max", None)
    if low is not None and high is not None:
        return math.ceil(math.log2(int(high) - int(low) + 1))
    return _digits(str(getattr(getattr(rounder, "config", None), "dtype", "")))


def _rounds_flow(part: torch.nn.Module, weights: list[torch.Tensor]) -> bool:
    """Whether what flows into a layer is rounded as well."""
    for weight in weights:
        if hasattr(weight, "__tensor_flatten__"):
            context = weight.__tensor_flatten__()[1]
            context = context if isinstance(context, dict) else {}
            settings = [context.get("act_quant_kwargs"), context.get("activation_quantization")]
            if any(setting is not None for setting in settings) or "Activation" in type(weight).__name__:
                return True
    return any(_rounder_bits(getattr(part, name, None)) is not None for name in _ROUNDERS_OF_FLOW)


def _of_graph(program: torch.fx.GraphModule) -> Iterator[LayerBits]:
    """Layers by the operators of a graph, whose factors come out of quantizing operators."""
    seen: set[str] = set()
    for node in program.graph.nodes:
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
        )


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
        fake = _rounder_bits(program.get_submodule(str(value.target))) if value.op == "call_module" else None
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
