"""What a torch module stores: parameters, and bytes at the width that they are kept in."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain

import torch
from torch.utils._pytree import tree_leaves

from robust.costing.liveness import Buffer
from robust.costing.storages_torch import PLAIN, SPARSE, storages
from robust.costing.tally import Uncounted

#: A counter that batch normalisation keeps for training; inference does not read it.
_TRAINING_ONLY = "num_batches_tracked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Weights of one module, its children's aside.

    Args:
        parameters: Numbers that were trained.
        rom: Bytes of parameters and buffers.
    """

    parameters: int
    rom: int


def stored_weights(module: torch.nn.Module) -> tuple[dict[str, Stored], list[torch.Tensor], list[Uncounted]]:
    """Weights of each module that has any; a tensor that several share belongs to the first.

    Args:
        module: The whole model.

    Returns:
        Weights by module name, all tensors that are weights, and what could not be read.
    """
    seen: set[object] = set()
    learnt: set[object] = set()
    tables: dict[str, Stored] = {}
    tensors: list[torch.Tensor] = []
    missed: list[Uncounted] = []
    for name, part in module.named_modules():
        parameters = rom = 0
        own = [(tensor, True) for tensor in part._parameters.values()]
        own += [(tensor, False) for key, tensor in part._buffers.items() if key != _TRAINING_ONLY]
        for tensor, trained in own:
            if tensor is None:
                continue
            if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
                missed.append(_unread(name, part, "its lazy weights have no shape before the first call"))
                continue
            tensors.append(tensor)
            # By memory: an exported program has an object of its own for each name of a tensor.
            pieces = dict(_pieces(tensor))
            if trained and not pieces.keys() <= learnt:
                parameters += tensor.numel()
                learnt.update(pieces)
            rom += sum(size for key, size in pieces.items() if key not in seen)
            seen.update(pieces)
        try:
            packed = list(_packed(part))
        except (RuntimeError, AttributeError, TypeError) as error:
            missed.append(_unread(name, part, f"its packed weights cannot be read ({type(error).__name__})"))
            packed = []
        for tensor, trained in packed:
            parameters += tensor.numel() if trained else 0
            rom += tensor.numel() * tensor.element_size() + _scales(tensor)
        if _is_opaque(part):
            missed.append(_unread(name, part, "its weights are packed in a form that does not give them out"))
        if parameters or rom:
            tables[name] = Stored(parameters=parameters, rom=rom)
    return tables, tensors, missed


def unread_tensors(module: torch.nn.Module, touched: Set[Buffer]) -> dict[str, int]:
    """Bytes of the stored tensors whose memory no operator touched, by name.

    Args:
        module: The whole model.
        touched: Memory that was.
    """
    found = {}
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        lazy = isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin)
        if lazy or name.rpartition(".")[2] == _TRAINING_ONLY or not touched.isdisjoint(storages(tensor)):
            continue
        found[name] = sum(size for _, size in _pieces(tensor))
    return {name: size for name, size in found.items() if size}


def _unread(name: str, part: torch.nn.Module, reason: str) -> Uncounted:
    return Uncounted(name=name, kind=type(part).__name__, reason=reason, affects=("parameters", "rom"))


def _pieces(tensor: torch.Tensor) -> Iterator[tuple[object, int]]:
    """Memory of a tensor by address and extent; of each part, where a type of its own holds several."""
    if hasattr(tensor, "__tensor_flatten__") and type(tensor) not in PLAIN:
        for name in tensor.__tensor_flatten__()[0]:
            yield from _pieces(getattr(tensor, name))
        return
    if tensor.layout in SPARSE:
        for read in SPARSE[tensor.layout]:
            yield from _pieces(read(tensor.detach()))
        return
    size = tensor.numel() * tensor.element_size()
    try:
        yield (tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.numel()), size
    except (NotImplementedError, RuntimeError):
        yield id(tensor), size


def _packed(part: torch.nn.Module) -> Iterator[tuple[torch.Tensor, bool]]:
    """Weights of quantized layers, which keep them packed for their kernels and give them out on request."""
    if not hasattr(part, "_weight_bias") or any(hasattr(child, "_weight_bias") for child in part.children()):
        return  # one that keeps them in a part of its own is counted there
    for tensor in tree_leaves(part._weight_bias()):
        if isinstance(tensor, torch.Tensor):
            yield tensor.detach(), True


def _is_opaque(part: torch.nn.Module) -> bool:
    """Whether a module keeps an object of compiled code that does not show its weights."""
    if isinstance(part, torch.jit.ScriptModule) or hasattr(part, "_weight_bias"):
        return False
    return any(isinstance(value, torch.ScriptObject) for value in vars(part).values())


def _scales(tensor: torch.Tensor) -> int:
    """Bytes of the scales and zero points of a quantized tensor."""
    if not tensor.is_quantized:
        return 0
    if tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams):
        scales, points = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
        return int(scales.numel() * scales.element_size() + points.numel() * points.element_size())
    return 8 + 8  # one scale and one zero point, a double and a long as torch keeps them
