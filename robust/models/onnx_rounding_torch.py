"""ONNX operators that go from numbers to codes of few bits and back, so that autograd goes straight through them.

Codes are whole numbers that are kept in a floating type. Rounding has slope 1, and 0 where a value is clipped (Bengio,
Léonard and Courville 2013).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from robust.models.onnx_inputs_torch import Attributes, Inputs, Operator, given, optional

_RANGES = {
    torch.int8: (-128, 127),
    torch.uint8: (0, 255),
    torch.int16: (-32768, 32767),
    torch.int32: (-(2**31), 2**31 - 1),
}
#: Names that no standard has: what DynamicQuantizeLinear gives beside its codes, each as a node of its own.
DYNAMIC_SCALE, DYNAMIC_POINT = "scale of DynamicQuantizeLinear", "zero point of DynamicQuantizeLinear"


def _along(scale: Tensor, x: Tensor, axis: int) -> Tensor:
    """Scales or zero points of one axis, in a shape that spreads over the others."""
    return scale if scale.numel() == 1 else scale.reshape([-1 if d == axis % x.ndim else 1 for d in range(x.ndim)])


def _quantized(inputs: Inputs, attributes: Attributes) -> Tensor:
    """Whole numbers, kept as floating ones; the gradient goes straight through rounding, and is 0 past the range."""
    x, point = given(inputs, 0), optional(inputs, 2)
    scale = _along(given(inputs, 1), x, attributes.get("axis", 1))
    low, high = _RANGES[torch.uint8 if point is None else point.dtype]
    shift = 0.0 if point is None else _along(point.to(x.dtype), x, attributes.get("axis", 1))
    wide = torch.clamp(x / scale + shift, low, high)
    return wide + (torch.clamp(torch.round(x / scale) + shift, low, high) - wide).detach()


def _dequantized(inputs: Inputs, attributes: Attributes) -> Tensor:
    codes, point = given(inputs, 0), optional(inputs, 2)
    scale = _along(given(inputs, 1), codes, attributes.get("axis", 1))
    shift = 0.0 if point is None else _along(point.to(scale.dtype), codes, attributes.get("axis", 1))
    return (codes.to(scale.dtype) - shift) * scale


def _dynamic_scale(inputs: Inputs, _: Attributes) -> Tensor:
    """Step of a range that holds 0; without a gradient: where each value goes through, a step's own slope is noise."""
    x = given(inputs, 0).detach()
    width = x.amax().clamp(min=0.0) - x.amin().clamp(max=0.0)
    return torch.where(width > 0, width / 255.0, torch.ones_like(width))


def _dynamic_point(inputs: Inputs, _: Attributes) -> Tensor:
    x, scale = given(inputs, 0).detach(), given(inputs, 1)
    return torch.clamp(torch.round(-x.amin().clamp(max=0.0) / scale), 0, 255).to(torch.uint8)


ROUNDING: Mapping[str, Operator] = {
    "DequantizeLinear": _dequantized,
    "QuantizeLinear": _quantized,
    DYNAMIC_SCALE: _dynamic_scale,
    DYNAMIC_POINT: _dynamic_point,
}
