"""Reads from torch modules and programs which weights are narrow, and which products have two narrow factors."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.models.foreign_errors import blamed
from robust.models.layer_bits import NARROW, LayerBits, merged
from robust.quantization.held_weights_torch import Held, HeldWeights, bits_of, digits_of, held_weights
from robust.quantization.stored_flow_torch import stored_flow
from robust.quantization.stored_tensors_torch import held_tensors, is_mask
from robust.types import AnyArray

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
#: Types of places and counts, and of words that hold several weights each.
_WORDS = frozenset({torch.int32, torch.int64})
#: Names of buffers that hold weights; a mask of the weight or a table of edges' weights has another.
_WEIGHT = re.compile(r"(|.*_)q?weight(_q|_int\d*|_packed|_quantized)?")
_ROUNDERS_OF_WEIGHTS = ("weight_fake_quantizer", "weight_fake_quant")
_ROUNDERS_OF_FLOW = ("activation_fake_quantizer", "activation_post_process")


def torch_layers(
    adapter: TorchAdapter, inputs: Sequence[AnyArray] | None = None, *, name: str = "the model"
) -> tuple[LayerBits, ...]:
    """Each layer of a module or program that multiplies by weights, or looks them up.

    Args:
        adapter: The module, or what an exported program gives as one.
        inputs: What it is run on, so that what it multiplies by is seen; without, parameters and buffers called weights
            are believed to be used.
        name: The model's name, for messages.

    Returns:
        The layers; a weight that several share belongs to the first.

    Raises:
        ModelFault: If the module raises.
    """
    module = adapter.module
    if not isinstance(module, torch.fx.GraphModule):
        return merged(_of_modules(module, _seen(adapter, inputs, name)))
    # A traced module calls modules; an exported program holds their operators.
    called = dict.fromkeys(str(node.target) for node in _live(module.graph) if node.op == "call_module")
    weighty = any(True for one in called for _ in module.get_submodule(one).parameters())
    held = _seen(adapter, inputs, name) if weighty else None
    parts = [_of_modules(module.get_submodule(one), held, within=one) for one in called]
    return merged([*_of_graph(module), *chain.from_iterable(parts)])


def _seen(adapter: TorchAdapter, inputs: Sequence[AnyArray] | None, name: str) -> HeldWeights | None:
    """What a run shows, where there is something to run on."""
    module = adapter.module
    if inputs is None or any(_is_lazy(t) for t in chain(module.parameters(), module.buffers())):
        return None
    device, dtype = placement(module)
    kind = torch.int64 if adapter.integer else dtype
    batch = [torch.from_numpy(np.array(one)).to(device=device, dtype=kind) for one in inputs]
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        evaluating(module),
        blamed(name, "its weights were followed"),
    ):
        return held_weights(stored_flow(module, batch))


def _of_modules(module: torch.nn.Module, held: HeldWeights | None, *, within: str = "") -> Iterator[LayerBits]:
    """Layers by the tensors that they hold."""
    seen: set[int] = set()
    for name, part in module.named_modules(prefix=within):
        found = _believed(part) if held is None else {t: held.of(t) for t in held_tensors(part) if held.knows(t)}
        found = {tensor: one for tensor, one in found.items() if id(tensor) not in seen}
        seen.update(id(tensor) for tensor in found)
        if _runs(part, held):
            found |= {tensor: Held(size=tensor.numel(), bits=bits_of(tensor)) for tensor in _packed(part)}
        unread = (_runs(part, held) and _hides_weights(part)) or any(one.bits is None for one in found.values())
        rounded = _fake_bits(part)
        if rounded is not None:
            unread = False
        if not found and not unread:
            continue
        widths = {t: _width(t, one, rounded) for t, one in found.items()}
        known = [width for width in widths.values() if width is not None]
        size = sum(one.size for one in found.values())
        narrow = sum(one.size for t, one in found.items() if (widths[t] or math.inf) <= NARROW)
        # A quantized layer keeps its weight in a part of its own; so does one whose weight is made of another.
        made, inside, _ = name.partition("parametrizations.")
        own = (made if inside else name.removesuffix("_packed_params")).rstrip(".")
        all_narrow = bool(known) and not unread and max(known) <= NARROW
        yield LayerBits(
            name=own,
            kind=type(module.get_submodule(own[len(within) :].lstrip("."))).__name__ if inside else type(part).__name__,
            weights=size,
            quantized=None if unread else narrow,
            bits=None if unread else max(known, default=None),
            integer=all_narrow and (_is_packed(part) or _rounds_flow(part, found)),
            simulated=rounded is not None and any(bits_of(t) > NARROW for t in found),
        )


def _width(tensor: torch.Tensor, one: Held, rounded: int | None) -> int | None:
    """Bits of the numbers of a weight in the run: a type of its own says more than the memory that it has."""
    bits = bits_of(tensor) if hasattr(tensor, "__tensor_flatten__") or one.bits is None else one.bits
    return min(rounded, bits) if rounded is not None else None if one.bits is None else bits


def _runs(part: torch.nn.Module, held: HeldWeights | None) -> bool:
    return held is None or id(part) in held.ran


def _believed(part: torch.nn.Module) -> dict[torch.Tensor, Held]:
    """What a module multiplies by, as far as names tell: its parameters, and buffers that are called weights."""
    found: dict[torch.Tensor, Held] = {}
    named = [(name, t) for name, t in part._parameters.items() if t is not None]
    named += [(name, t) for name, t in part._buffers.items() if t is not None and _may_be_weight(name, t)]
    for name, tensor in named:
        if _is_lazy(tensor):
            found[tensor] = Held(size=0, bits=None)
        elif tensor.dim() > 1:
            words = tensor.dtype in _WORDS
            unsure = words or (name in part._buffers and _WEIGHT.fullmatch(name) is None)
            found[tensor] = Held(size=tensor.numel(), bits=None if unsure else bits_of(tensor))
    return found


def _may_be_weight(name: str, tensor: torch.Tensor) -> bool:
    """Whether a buffer may hold weights, if only because no run was there to tell that it does not."""
    small = not _is_lazy(tensor) and tensor.dim() > 1 and tensor.dtype in (torch.int8, torch.uint8)
    return tensor.dtype is not torch.bool and (_WEIGHT.fullmatch(name) is not None or (small and not is_mask(tensor)))


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
    return digits_of(str(getattr(getattr(rounder, "config", None), "dtype", "")))


def _rounds_flow(part: torch.nn.Module, weights: Iterable[torch.Tensor]) -> bool:
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
    for node in _live(program.graph):
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


def _live(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    """The operators whose results reach the output, in order."""
    wanted: set[torch.fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or node in wanted or _changes_its_input(node):
            wanted.update((node, *node.all_input_nodes))
    return [node for node in graph.nodes if node in wanted]


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
