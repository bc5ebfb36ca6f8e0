"""Reads from torch modules and programs which weights are narrow, and which products have two narrow factors."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from robust.costing.outside_torch import others
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.models.foreign_errors import blamed
from robust.models.layer_bits import NARROW, LayerBits, merged
from robust.quantization.coverage_program_torch import live_nodes, program_layers, rounder_bits
from robust.quantization.held_weights_torch import Held, HeldWeights, bits_of, held_weights
from robust.quantization.stored_flow_torch import stored_flow
from robust.quantization.stored_tensors_torch import held_tensors, is_mask
from robust.quantization.without_effect_torch import mark_idle
from robust.types import AnyArray

#: Types of places and counts, and of words that hold several weights each.
_WORDS = frozenset({torch.int32, torch.int64})
#: Names of buffers that hold weights; a mask of the weight or a table of edges' weights has another.
_WEIGHT = re.compile(r"(|.*_)q?weight(_q|_int\d*|_packed|_quantized)?")
#: What weights are called that no module registers.
_NOBODY, _OUTSIDE = "(tensors that no module registers)", "(what is computed outside torch)"
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
        held = _seen(adapter, inputs, name)
        return merged([*_of_modules(module, held), *_of_nobody(module, held)])
    # A traced module calls modules; an exported program holds their operators.
    called = dict.fromkeys(str(node.target) for node in live_nodes(module.graph) if node.op == "call_module")
    weighty = any(True for one in called for _ in module.get_submodule(one).parameters())
    held = _seen(adapter, inputs, name) if weighty else None
    parts = [_of_modules(module.get_submodule(one), held, within=one) for one in called]
    return merged([*program_layers(module), *chain.from_iterable(parts)])


def _seen(adapter: TorchAdapter, inputs: Sequence[AnyArray] | None, name: str) -> HeldWeights | None:
    """What a run shows, where there is something to run on."""
    module = adapter.module
    if inputs is None or any(_is_lazy(t) for t in chain(module.parameters(), module.buffers())):
        return None
    device, dtype = placement(module)
    kind = torch.int64 if adapter.integer else dtype
    batches = [
        [torch.from_numpy(np.array(one)).to(device=device, dtype=kind) for one in arrays]
        for arrays in (inputs, *others(inputs, integer=adapter.integer))
    ]
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        evaluating(module),
        blamed(name, "its weights were followed"),
    ):
        flow = stored_flow(module, batches)
        mark_idle(module, flow, batches)
        return held_weights(flow)


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
            integer=all_narrow and (_is_packed(part) or _rounds_flow(part, found) or _are_whole(found.values())),
            simulated=any((widths[t] or math.inf) <= NARROW < bits_of(t) for t in found if t.is_floating_point()),
        )


def _of_nobody(module: torch.nn.Module, held: HeldWeights | None) -> Iterator[LayerBits]:
    """Weights that the run multiplied by and that no module registers, such as those of layers in a list."""
    if held is None:
        return
    known = {id(tensor) for part in module.modules() for tensor in held_tensors(part)}
    for one in (held.found[key] for key in held.found if key not in known):
        narrow = one.bits is not None and one.bits <= NARROW
        yield LayerBits(
            name=_NOBODY,
            kind="Tensor",
            weights=one.size,
            quantized=None if one.bits is None else one.size * narrow,
            bits=one.bits,
            integer=one.whole and narrow,
        )
    if held.unsettled:
        yield LayerBits(
            name="(what is computed outside torch)", kind="Tensor", weights=0, quantized=None, bits=None, integer=False
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
    """The weights of a quantized layer, which keeps them packed for its kernel and gives them out on request."""
    given = tree_leaves(part._weight_bias()) if _is_packed(part) else []
    return [one.detach() for one in given if isinstance(one, torch.Tensor) and one.dim() > 1]


def _are_whole(found: Iterable[Held]) -> bool:
    return all(one.whole for one in found)


def _fake_bits(part: torch.nn.Module) -> int | None:
    """Bits to which a layer rounds its weight before each use, in quantization-aware training; None without."""
    found = [rounder_bits(getattr(part, name, None)) for name in _ROUNDERS_OF_WEIGHTS]
    return next((bits for bits in found if bits is not None), None)


def _rounds_flow(part: torch.nn.Module, weights: Iterable[torch.Tensor]) -> bool:
    """Whether what flows into a layer is rounded as well."""
    for weight in weights:
        if hasattr(weight, "__tensor_flatten__"):
            context = weight.__tensor_flatten__()[1]
            context = context if isinstance(context, dict) else {}
            settings = [context.get("act_quant_kwargs"), context.get("activation_quantization")]
            if any(setting is not None for setting in settings) or "Activation" in type(weight).__name__:
                return True
    return any(rounder_bits(getattr(part, name, None)) is not None for name in _ROUNDERS_OF_FLOW)
