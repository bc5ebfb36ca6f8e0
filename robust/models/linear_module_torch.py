"""Torch modules that are one affine map: their weights as arrays."""

from typing import Any

import numpy as np
import torch

from robust.models.plain_torch import is_plain
from robust.types import FloatArray

_STILL = (torch.nn.Identity, torch.nn.Dropout, torch.nn.Flatten)
_ORDERED = (torch.nn.Softmax, torch.nn.LogSoftmax, torch.nn.Sigmoid)


def affine_of(module: Any) -> tuple[FloatArray, FloatArray] | None:
    """Weights W (k, d) and bias b (k,) of a module that gives x Wᵀ + b, or a softmax or sigmoid of it.

    Args:
        module: A `Linear`, or a `Sequential` of such, with flattening and dropout between and a softmax, or a sigmoid
            of one output, at the end.

    Returns:
        The map; None for every other module.

    >>> affine_of(torch.nn.ReLU()) is None
    True
    """
    # Exact types: a subclass may compute something else.
    parts = list(module) if type(module) is torch.nn.Sequential else [module]
    found: tuple[FloatArray, FloatArray] | None = None
    for place, part in enumerate(parts):
        if type(part) in _STILL and not (type(part) is torch.nn.Flatten and part.start_dim != 1):
            continue
        if type(part) in _ORDERED and found is not None and place == len(parts) - 1:
            one = len(found[1]) == 1
            return found if one == (type(part) is torch.nn.Sigmoid) else None
        if type(part) is not torch.nn.Linear or len(part._forward_hooks) or len(part._forward_pre_hooks):
            return None
        if not all(is_plain(tensor) for tensor in (part.weight, part.bias) if tensor is not None):
            return None
        weights = part.weight.detach().cpu().double().numpy()
        bias = np.zeros(len(weights)) if part.bias is None else part.bias.detach().cpu().double().numpy()
        found = (weights, bias) if found is None else (weights @ found[0], weights @ found[1] + bias)
    return found
