"""Torch functions with weights: what modules, torch.nn.functional and exported programs call by the same names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from robust.certified.network import Builder
from robust.certified.unsupported import Unsupported
from robust.models.plain_torch import is_plain
from robust.types import AnyArray

WEIGHTED = ("linear", "conv1d", "conv2d", "batch_norm")


def weighted(builder: Builder, source: int, name: str, options: Mapping[str, Any]) -> int:
    """Add a linear map, a convolution or a batch normalisation.

    Args:
        builder: Where to.
        source: The node that it reads.
        name: One of `WEIGHTED`.
        options: Its arguments by torch's names, weights as tensors.

    Returns:
        Its node.

    Raises:
        Unsupported: If its options or the shape of its input are not known.
    """
    if name == "linear":
        if len(builder.shapes[source]) != 1:
            raise Unsupported("Linear along the last of several axes")
        return builder.dense(source, _weights(name, options), known(options.get("bias")))
    if name == "batch_norm":
        mean, variance = known(options["running_mean"]), known(options["running_var"])
        if mean is None or variance is None or options.get("training"):
            raise Unsupported("batch normalisation by the batch's own statistics")
        gain, shift = known(options.get("weight")), known(options.get("bias"))
        return builder.normalize(source, mean, variance, gain, shift, eps=float(options.get("eps", 1e-5)))
    weight = _weights(name, options)
    axes = weight.ndim - 2
    if len(builder.shapes[source]) != axes + 1:
        raise Unsupported(f"{name} without a batch")
    return builder.convolution(
        source,
        weight,
        known(options.get("bias")),
        stride=each(options.get("stride", 1), axes),
        padding=_padding(options, weight.shape[2:]),
        dilation=each(options.get("dilation", 1), axes),
        groups=int(options.get("groups", 1)),
    )


def known(value: object) -> AnyArray | None:
    """A constant as doubles; None for anything else, as for a bias that there is not.

    Raises:
        Unsupported: If it is a tensor whose numbers cannot be read off it.
    """
    if isinstance(value, torch.Tensor):
        if not is_plain(value):
            raise Unsupported(
                f"a weight held as {type(value).__name__} ({value.dtype}, {value.layout}, {value.device})"
            )
        return np.asarray(value.detach().cpu().to(torch.float64).numpy())
    return np.asarray(float(value)) if isinstance(value, int | float) else None


def each(value: Any, axes: int) -> tuple[int, ...]:
    """One number an axis."""
    return tuple(value) * (axes if len(value) == 1 else 1) if isinstance(value, Sequence) else (int(value),) * axes


def _weights(name: str, options: Mapping[str, Any]) -> AnyArray:
    weight = known(options["weight"])
    if weight is None:
        raise Unsupported(f"{name} whose weights are worked out")
    return weight


def _padding(options: Mapping[str, Any], taps: Sequence[int]) -> list[tuple[int, int]]:
    """Padding before and after along each axis."""
    padding = options.get("padding", 0)
    if padding == "same":
        totals = [gap * (size - 1) for gap, size in zip(each(options.get("dilation", 1), len(taps)), taps, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(size, size) for size in each(0 if padding == "valid" else padding, len(taps))]
