"""Content hashes of torch modules: parameters, buffers, and the code that uses them."""

import hashlib

import torch

from robust.models.object_hash import object_hash

# What torch keeps in every module's attributes and what decides no output by itself; hooks are not among it.
_KEPT_BY_TORCH = (
    "training _parameters _buffers _modules _non_persistent_buffers_set _is_full_backward_hook "
    "_backward_pre_hooks _backward_hooks _state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks "
    "_load_state_dict_post_hooks call_super_init"
)
_BOOKKEEPING = frozenset(_KEPT_BY_TORCH.split())
# Weak references of recurrent layers to parameters that are hashed themselves.
_OF_RECURRENT = _BOOKKEEPING | {"_flat_weight_refs"}


def module_identity(module: torch.nn.Module) -> str | None:
    """Content hash of a module as it is now: tensors, layers' settings, hooks and code.

    Returns:
        The hash in hex; None where something decides the outputs whose content cannot be read.
    """
    return object_hash(("torch", torch.__version__, _parts(module)), plain=_plain)


def module_weights(module: torch.nn.Module) -> str | None:
    """Content hash of a module's parameters and buffers, by content and not by name.

    Returns:
        The hash in hex; None where there are no weights, or some that cannot be read.
    """
    digests = [object_hash(tensor, plain=_plain) for tensor in (*module.parameters(), *module.buffers())]
    known = sorted(digest for digest in digests if digest is not None)
    if not known or len(known) != len(digests):
        return None
    return hashlib.sha256("".join(known).encode()).hexdigest()


def _plain(value: object) -> object:
    """Torch's own types in words that the walk knows."""
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, torch.nn.Module):
        return _parts(value)
    if isinstance(value, (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format)):
        return (type(value).__name__, str(value))
    return value


def _tensor(tensor: torch.Tensor) -> object:
    """A tensor's type, shape and bytes; a layout without plain bytes is unreadable.

    A type of its own, such as a quantized weight with its scales, is what it is made of, and how.
    """
    if hasattr(tensor, "__tensor_flatten__"):
        names, settings = tensor.__tensor_flatten__()
        pieces = [_tensor(getattr(tensor, name)) for name in names]
        return ("made of", type(tensor), tuple(tensor.shape), tuple(names), pieces, repr(settings))
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        return _Unreadable()
    whole = tensor.detach().to("cpu").contiguous().reshape(-1)
    return ("tensor", str(tensor.dtype), tuple(tensor.shape), whole.view(torch.uint8).numpy().copy())


def _parts(module: torch.nn.Module) -> object:
    """One module: class, settings, tensors, and the modules inside."""
    if isinstance(module, torch.jit.ScriptModule):
        return _Unreadable()  # its code and constants are behind an interface that does not show them all
    tensors = (dict(module._parameters), dict(module._buffers))
    inside = dict(module._modules)
    if isinstance(module, torch.fx.GraphModule):  # its class is made on the spot; the code says what it does
        constants = {name: value for name, value in sorted(vars(module).items()) if isinstance(value, torch.Tensor)}
        return ("graph", module.code, constants, tensors, inside)
    known = _OF_RECURRENT if isinstance(module, torch.nn.RNNBase) else _BOOKKEEPING
    settings = {name: value for name, value in sorted(vars(module).items()) if name not in known}
    return ("module", type(module), settings, tensors, inside)


class _Unreadable:
    """Stands for a content that cannot be read; it refuses to be taken apart."""

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError(f"unreadable, in protocol {protocol} as in any")
