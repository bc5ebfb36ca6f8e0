"""ONNX operators on torch tensors, each as the standard defines it, so that autograd goes through."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robust.errors import InvalidInput
from robust.models.onnx_inputs_torch import Attributes, Inputs, Operator, given, optional
from robust.models.onnx_rounding_torch import ROUNDING


def _numbers(inputs: Inputs, place: int, attributes: Attributes, name: str) -> list[int] | None:
    """Whole numbers that newer opsets give as an input and older ones as an attribute."""
    tensor = optional(inputs, place)
    if tensor is not None:
        return [int(value) for value in tensor.reshape(-1).tolist()]
    found = attributes.get(name)
    return None if found is None else [int(value) for value in found]


def _padded(x: Tensor, kernel: Sequence[int], attributes: Attributes, fill: float) -> tuple[Tensor, list[int]]:
    """The input with its border, and how much border there is at each side (begins, then ends)."""
    n = len(kernel)
    strides, dilations = attributes.get("strides", [1] * n), attributes.get("dilations", [1] * n)
    pads, auto = list(attributes.get("pads", [0] * (2 * n))), attributes.get("auto_pad", b"NOTSET").decode()
    if auto.startswith("SAME"):
        begins, ends = [], []
        for size, stride, width, gap in zip(x.shape[2:], strides, kernel, dilations, strict=True):
            extra = max((-(-size // stride) - 1) * stride + (width - 1) * gap + 1 - size, 0)
            less, more = extra // 2, extra - extra // 2
            begins.append(less if auto == "SAME_UPPER" else more)
            ends.append(more if auto == "SAME_UPPER" else less)
        pads = [*begins, *ends]
    if not any(pads):
        return x, pads
    flat = [side for axis in reversed(range(n)) for side in (pads[axis], pads[n + axis])]
    return functional.pad(x, flat, value=fill), pads


def _conv(inputs: Inputs, attributes: Attributes) -> Tensor:
    weight = given(inputs, 1)
    x, _ = _padded(given(inputs, 0), weight.shape[2:], attributes, 0.0)
    n = weight.ndim - 2
    convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[n - 1]
    found: Tensor = convolve(
        x,
        weight,
        optional(inputs, 2),
        tuple(attributes.get("strides", [1] * n)),
        0,
        tuple(attributes.get("dilations", [1] * n)),
        attributes.get("group", 1),
    )
    return found


def _max_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    kernel = attributes["kernel_shape"]
    n = len(kernel)
    x, _ = _padded(given(inputs, 0), kernel, attributes, -torch.inf)
    pool: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[n - 1]
    found: Tensor = pool(
        x,
        tuple(kernel),
        tuple(attributes.get("strides", [1] * n)),
        0,
        tuple(attributes.get("dilations", [1] * n)),
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
    )
    return found


def _average_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    kernel = attributes["kernel_shape"]
    n = len(kernel)
    if attributes.get("ceil_mode", 0) or any(step != 1 for step in attributes.get("dilations", [1])):
        raise InvalidInput("AveragePool with ceil_mode or dilations is not converted")
    pool: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[n - 1]
    strides = tuple(attributes.get("strides", [1] * n))
    whole = given(inputs, 0)
    x, pads = _padded(whole, kernel, attributes, 0.0)
    found: Tensor = pool(x, tuple(kernel), strides)
    if any(pads) and not attributes.get("count_include_pad", 0):
        ones, _ = _padded(torch.ones_like(whole[:1, :1]), kernel, attributes, 0.0)
        return found / pool(ones, tuple(kernel), strides)
    return found


def _gemm(inputs: Inputs, attributes: Attributes) -> Tensor:
    a, b, c = given(inputs, 0), given(inputs, 1), optional(inputs, 2)
    a = a.transpose(0, 1) if attributes.get("transA", 0) else a
    b = b.transpose(0, 1) if attributes.get("transB", 0) else b
    product = attributes.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + attributes.get("beta", 1.0) * c


def _normalised(inputs: Inputs, attributes: Attributes) -> Tensor:
    x, scale, shift, mean, variance = (given(inputs, place) for place in range(5))
    if attributes.get("training_mode", 0):
        raise InvalidInput("BatchNormalization in training mode is not converted: export the model for inference")
    return functional.batch_norm(x, mean, variance, scale, shift, eps=attributes.get("epsilon", 1e-5))


def _layer_normalised(inputs: Inputs, attributes: Attributes) -> Tensor:
    x = given(inputs, 0)
    axis = attributes.get("axis", -1) % x.ndim
    return functional.layer_norm(
        x, x.shape[axis:], given(inputs, 1), optional(inputs, 2), attributes.get("epsilon", 1e-5)
    )


def _softmax(inputs: Inputs, attributes: Attributes) -> Tensor:
    x = given(inputs, 0)
    axis = attributes.get("axis", -1 if attributes["opset"] >= 13 else 1) % x.ndim
    if attributes["opset"] >= 13:
        return torch.softmax(x, dim=axis)
    return torch.softmax(x.flatten(axis), dim=-1).reshape(x.shape)  # older ones see a matrix, cut at the axis


def _reshape(inputs: Inputs, attributes: Attributes) -> Tensor:
    x, shape = given(inputs, 0), _numbers(inputs, 1, attributes, "shape") or []
    if not attributes.get("allowzero", 0):
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return x.reshape(shape)


def _flatten(inputs: Inputs, attributes: Attributes) -> Tensor:
    x, axis = given(inputs, 0), attributes.get("axis", 1)
    axis = axis % x.ndim if axis < 0 else axis
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)


def _transposed(inputs: Inputs, attributes: Attributes) -> Tensor:
    x = given(inputs, 0)
    return x.permute(*attributes.get("perm", list(reversed(range(x.ndim)))))


def _squeezed(inputs: Inputs, attributes: Attributes) -> Tensor:
    axes = _numbers(inputs, 1, attributes, "axes")
    x = given(inputs, 0)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueezed(inputs: Inputs, attributes: Attributes) -> Tensor:
    x, axes = given(inputs, 0), _numbers(inputs, 1, attributes, "axes") or []
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _clipped(inputs: Inputs, attributes: Attributes) -> Tensor:
    low, high = optional(inputs, 1), optional(inputs, 2)
    x = given(inputs, 0)
    x = x if low is None and "min" not in attributes else torch.maximum(x, x.new_tensor(_bound(low, attributes, "min")))
    if high is None and "max" not in attributes:
        return x
    return torch.minimum(x, x.new_tensor(_bound(high, attributes, "max")))


def _bound(tensor: Tensor | None, attributes: Attributes, name: str) -> float:
    return float(attributes[name]) if tensor is None else float(tensor)


def _reduced(how: Callable[..., Tensor]) -> Operator:
    """A reduction over axes, all of them where none are given."""

    def run(inputs: Inputs, attributes: Attributes) -> Tensor:
        x, axes = given(inputs, 0), _numbers(inputs, 1, attributes, "axes")
        if axes is None and attributes.get("noop_with_empty_axes", 0):
            return x
        return how(x, tuple(range(x.ndim)) if axes is None else tuple(axes), bool(attributes.get("keepdims", 1)))

    return run


def _one(how: Callable[[Tensor], Tensor]) -> Operator:
    return lambda inputs, _: how(given(inputs, 0))


def _two(how: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda inputs, _: how(given(inputs, 0), given(inputs, 1))


def _cast(inputs: Inputs, attributes: Attributes) -> Tensor:
    kinds = {1: torch.float32, 10: torch.float16, 11: torch.float64, 7: torch.int64, 6: torch.int32}
    kind, x = kinds.get(attributes["to"]), given(inputs, 0)
    if kind is None or (x.is_floating_point() and not kind.is_floating_point):
        raise InvalidInput("Cast to integers or to a rare type is not converted: nothing can be differentiated past it")
    return x.to(kind)


#: Operators of the default domain that are converted.
OPERATORS: Mapping[str, Operator] = {
    **ROUNDING,
    "Abs": _one(torch.abs),
    "Add": _two(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _normalised,
    "Cast": _cast,
    "Clip": _clipped,
    "Concat": lambda inputs, a: torch.cat([x for x in inputs if x is not None], dim=a["axis"]),
    "Conv": _conv,
    "Div": _two(torch.div),
    "Dropout": _one(lambda x: x),
    "Elu": lambda inputs, a: functional.elu(given(inputs, 0), a.get("alpha", 1.0)),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Flatten": _flatten,
    "Gather": lambda inputs, a: _gathered(given(inputs, 0), given(inputs, 1), a.get("axis", 0)),
    "Gelu": lambda inputs, a: functional.gelu(given(inputs, 0), approximate=a.get("approximate", b"none").decode()),
    "Gemm": _gemm,
    "GlobalAveragePool": _one(lambda x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)),
    "GlobalMaxPool": _one(lambda x: x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)),
    "HardSigmoid": lambda i, a: torch.clamp(a.get("alpha", 0.2) * given(i, 0) + a.get("beta", 0.5), 0.0, 1.0),
    "HardSwish": _one(functional.hardswish),
    "Identity": _one(lambda x: x),
    "LayerNormalization": _layer_normalised,
    "LeakyRelu": lambda inputs, a: functional.leaky_relu(given(inputs, 0), a.get("alpha", 0.01)),
    "Log": _one(torch.log),
    "LogSoftmax": lambda i, a: torch.log_softmax(given(i, 0), dim=a.get("axis", -1 if a["opset"] >= 13 else 1)),
    "MatMul": _two(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _two(torch.mul),
    "Neg": _one(torch.neg),
    "PRelu": _two(lambda x, slope: torch.where(x >= 0, x, slope * x)),
    "Pow": _two(lambda x, power: torch.pow(x, power.to(x.dtype))),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(dim=axes, keepdim=keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(dim=axes, keepdim=keep)),
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(dim=axes, keepdim=keep)),
    "Relu": _one(torch.relu),
    "Reshape": _reshape,
    "Selu": _one(functional.selu),
    "Shape": _one(lambda x: torch.tensor(x.shape)),
    "Sigmoid": _one(torch.sigmoid),
    "Softmax": _softmax,
    "Softplus": _one(functional.softplus),
    "Sqrt": _one(torch.sqrt),
    "Squeeze": _squeezed,
    "Sub": _two(torch.sub),
    "Tanh": _one(torch.tanh),
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}


def _gathered(x: Tensor, places: Tensor, axis: int) -> Tensor:
    """Parts of an axis, in the shape of their places."""
    places = places.long()
    flat = torch.where(places < 0, places + x.shape[axis], places).reshape(-1)
    shape = [*x.shape[: axis % x.ndim], *places.shape, *x.shape[axis % x.ndim + 1 :]]
    return x.index_select(axis, flat).reshape(shape)
