"""Which modules of a torch module are one layer each, and which only quantize activations."""

from collections.abc import Iterable

import torch

#: Modules that are one layer though they have parts.
_WHOLE = (torch.nn.MultiheadAttention,)
#: Normalisations whose statistics and constants are those of torch's own.
NORMALISATIONS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "FrozenBatchNorm2d")
#: Parts of class and function names by which quantizers of activations are known.
_QUANTIZERS = ("fakequant", "fake_quant", "observer", "quantstub")


def layer_names(module: torch.nn.Module, other: torch.nn.Module | None = None) -> frozenset[str]:
    """Names of the modules that are taken as one layer each.

    Args:
        module: A module.
        other: The module that it is compared with: what is a single layer in either is one in both.

    Returns:
        Names of innermost modules, without those that lie in another one of them.
    """
    names = {name for one in (module, other) if one is not None for name in _innermost(one)} or {""}
    return frozenset(name for name in names if not any(outer in names for outer in _around(name)))


def is_quantizer(kind: str, module: torch.nn.Module | None) -> bool:
    """Whether a module or function quantizes activations, and is no layer with weights for all that its name says.

    Args:
        kind: Class or name.
        module: The module; None for a function.
    """
    weights = () if module is None else module.parameters()
    return any(part in kind.lower() for part in _QUANTIZERS) and all(one.ndim < 2 for one in weights)


def sees_through(module: torch.nn.Module) -> bool:
    """Whether a module is a user's own, with no more than one number a channel: its functions say more than its name.

    Args:
        module: The module.

    >>> sees_through(torch.nn.ReLU()), sees_through(torch.nn.Linear(1, 1))
    (False, False)
    """
    if type(module).__name__ in NORMALISATIONS:
        return False
    weights = any(one.numel() > max(one.shape, default=1) for one in (*module.parameters(), *module.buffers()))
    classes = [one for one in type(module).__mro__ if one not in (torch.nn.Module, torch.nn.Sequential)]
    of_torch = any(one.__module__.partition(".")[0] == "torch" for one in classes)
    return not (weights or of_torch or is_quantizer(type(module).__name__, module))


def _innermost(module: torch.nn.Module) -> Iterable[str]:
    for name, part in module.named_modules():
        children = [
            child
            for one, child in part.named_children()
            if one != "parametrizations" and not (part._parameters and is_quantizer(type(child).__name__, child))
        ]
        within = ".parametrizations" in f".{name}"
        if name and not within and (not children or isinstance(part, _WHOLE)):
            yield name


def _around(name: str) -> Iterable[str]:
    """Names of the modules that one lies in."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        yield ".".join(parts[:length])


def class_of(layer: torch.nn.Module) -> str:
    """The class of torch that a layer is one of, so that a quantizer's subclass is known for what it computes.

    Args:
        layer: A module.

    >>> class_of(torch.nn.Linear(1, 1))
    'Linear'
    """
    for one in type(layer).__mro__:
        if one.__module__.startswith("torch.nn.") and one not in (torch.nn.Module, torch.nn.Sequential):
            return one.__name__
    return type(layer).__name__


def owner_of(name: str) -> str:
    """What weights are called that a function applies: their module, or their own name where they are no `weight`.

    Args:
        name: Of a parameter or buffer.

    >>> owner_of("fc.weight"), owner_of("block.scale"), owner_of("W")
    ('fc', 'block.scale', '(root).W')
    """
    return name.removesuffix(".weight") if "." in name else f"(root).{name}"
