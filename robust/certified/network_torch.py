"""Reads a torch module as a network, through the graph that torch.fx traces."""

import io
import operator
from contextlib import redirect_stderr
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp, TensorMetadata

from robust.certified.functions_torch import WEIGHTED, each, known, weighted
from robust.certified.network import Builder, Network, Tail
from robust.certified.unsupported import Unsupported
from robust.models.adapter_torch import evaluating, placement

_SAME = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
_SHAPED = ("flatten", "reshape", "view", "squeeze", "unsqueeze", "contiguous", "clone", "dropout", "identity")
_PRECISIONS: "dict[torch.dtype, np.dtype[Any]]" = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}
_DIMENSIONS = {"1d": 1, "2d": 2}


def torch_network(module: nn.Module, shape: tuple[int, ...], data_dtype: "np.dtype[Any]") -> Network:
    """The network that a module is.

    Args:
        module: A feed-forward module; what torch.fx cannot trace has control flow that depends on the data.
        shape: Shape of a row.
        data_dtype: Number type of the rows.

    Returns:
        The network.

    Raises:
        Unsupported: If it holds an operator whose bounds are not known.
    """
    _, precision = placement(module)
    if precision not in _PRECISIONS:
        raise Unsupported(f"arithmetic in {str(precision).removeprefix('torch.')}")
    with evaluating(module), torch.inference_mode(False), torch.no_grad():
        try:
            traced = module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(nn.Sequential(module))
            example = torch.zeros((2, *shape), dtype=precision, device=placement(module)[0])
            with redirect_stderr(io.StringIO()):  # where it fails, it prints a traceback beside what it raises
                ShapeProp(traced).propagate(example)
        except Exception as error:  # whatever a module's own code raises under a tracer
            raise Unsupported(f"code that torch.fx cannot trace ({type(error).__name__}: {_brief(error)})") from error
        return _Reader(traced, shape).read(_PRECISIONS[precision], data_dtype)


class _Reader:
    """Walks a traced graph once."""

    def __init__(self, traced: fx.GraphModule, shape: tuple[int, ...]) -> None:
        self.traced, self.modules = traced, dict(traced.named_modules())
        self.builder = Builder(shape)
        self.nodes: dict[fx.Node, int] = {}
        self.constants: dict[fx.Node, Any] = {}
        self.tail: Tail = "none"

    def read(self, dtype: "np.dtype[Any]", data_dtype: "np.dtype[Any]") -> Network:
        """The network."""
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                if self.nodes:
                    raise Unsupported("several inputs")
                self.nodes[node] = 0
            elif node.op == "get_attr":
                self.constants[node] = operator.attrgetter(node.target)(self.traced)
            elif node.op == "output":
                (last,) = node.args
                if isinstance(last, tuple | list) and len(last) == 1:
                    (last,) = last
                if not isinstance(last, fx.Node) or last not in self.nodes:
                    raise Unsupported("several outputs")
                return self.builder.finish(self.nodes[last], tail=self.tail, dtype=dtype, data_dtype=data_dtype)
            elif "tensor_meta" in node.meta and any(source in self.nodes for source in node.all_input_nodes):
                self._require_no_tail(node)
                if not isinstance(node.meta["tensor_meta"], TensorMetadata):
                    raise Unsupported(f"{_name(node, self.modules)} that gives several values")
                if _PRECISIONS.get(node.meta["tensor_meta"].dtype) != dtype:
                    raise Unsupported(f"{_name(node, self.modules)} in another precision")
                self.nodes[node] = self._call(node)
            elif "tensor_meta" in node.meta:
                raise Unsupported(f"a tensor made by {_name(node, self.modules)}")
        raise Unsupported("no output")

    def _require_no_tail(self, node: fx.Node) -> None:
        if self.tail != "none":
            raise Unsupported(f"{_name(node, self.modules)} behind {self.tail}")

    def _call(self, node: fx.Node) -> int:
        """One operator."""
        if node.op == "call_module":
            return self._module(node, self.modules[str(node.target)])
        # A function of an exported program is called by its overload: conv2d.default.
        return self._function(node, str(getattr(node.target, "__name__", node.target)).partition(".")[0])

    def _module(self, node: fx.Node, module: nn.Module) -> int:
        """One layer."""
        build, source = self.builder, self._source(node)
        if isinstance(module, _SAME):
            return source
        if isinstance(module, nn.Linear):
            return weighted(build, source, "linear", {"weight": module.weight, "bias": module.bias})
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            if module.padding_mode != "zeros":
                raise Unsupported(f"a convolution with {module.padding_mode} padding")
            return weighted(build, source, "conv2d", {key: getattr(module, key) for key in _CONVOLUTION})
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return weighted(build, source, "batch_norm", {key: getattr(module, key) for key in _NORMALISATION})
        if isinstance(module, nn.ReLU):
            return build.rectify(source)
        if isinstance(module, nn.LeakyReLU):
            return self._leaky(source, module.negative_slope)
        if isinstance(module, nn.Flatten | nn.Unflatten):
            return build.reshape(source, _shape(node))
        if isinstance(module, nn.Softmax | nn.LogSoftmax | nn.Sigmoid):
            return self._end(node, source, type(module).__name__, getattr(module, "dim", None))
        options = {key: getattr(module, key) for key in _POOLING if hasattr(module, key)}
        return self._pooled(node, source, type(module).__name__, options)

    def _function(self, node: fx.Node, name: str) -> int:
        """One function or method."""
        build = self.builder
        if name in ("add", "iadd", "add_", "sub", "mul", "truediv", "div"):
            return self._arithmetic(node, name)
        source = self._source(node)
        if name in _SHAPED or name == "to":
            if name == "dropout" and node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True):
                raise Unsupported("dropout that stays on in evaluation mode")
            if _shape(node, batch=2) is None:
                raise Unsupported(f"{name} that moves values between rows")
            return build.reshape(source, _shape(node))
        if name in ("relu", "relu_"):
            return build.rectify(source)
        options = self._options(node, name)
        if name in WEIGHTED:
            constants = {
                key: self.constants.get(value) if isinstance(value, fx.Node) else value
                for key, value in options.items()
            }
            return weighted(build, source, name, constants)
        if name in ("leaky_relu", "leaky_relu_"):
            return self._leaky(source, float(options.get("negative_slope", 0.01)))
        if name in ("softmax", "log_softmax", "sigmoid"):
            words = {"softmax": "Softmax", "log_softmax": "LogSoftmax", "sigmoid": "Sigmoid"}
            dim = options.get("dim", node.args[1] if len(node.args) > 1 else None)
            return self._end(node, source, words[name], dim)
        found = {key: value for key, value in options.items() if key in _POOLING}
        return self._pooled(node, source, "".join(word.capitalize() for word in name.split("_")), found)

    def _options(self, node: fx.Node, name: str) -> dict[str, Any]:
        """The arguments of a function by name."""
        if name.startswith(
            "conv"
        ):  # two schemas, with padding as numbers or as a word, which torch.fx cannot tell apart
            return dict(zip(("input", *_CONVOLUTION), node.args, strict=False)) | dict(node.kwargs)
        try:
            given = node.normalized_arguments(self.traced, normalize_to_only_use_kwargs=True)
        except RuntimeError as error:  # several schemas fit, as of `tanh` and `clamp`: none of a function that is known
            raise Unsupported(_name(node, self.modules)) from error
        return dict(node.kwargs) if given is None else dict(given.kwargs)

    def _arithmetic(self, node: fx.Node, name: str) -> int:
        """A sum of two nodes, or a constant that is added or multiplied."""
        one, other = node.args[0], node.args[1]
        if node.kwargs.get("alpha", 1) != 1 or node.kwargs.get("rounding_mode") is not None:
            raise Unsupported(f"{name} with options")
        if one in self.nodes and other in self.nodes:
            ends = [self.nodes[one], self.nodes[other]]
            if name in ("add", "iadd", "add_") and self.builder.shapes[ends[0]] == self.builder.shapes[ends[1]]:
                return self.builder.add(*ends)
            raise Unsupported(f"{name} of two values of the network")
        swapped = other in self.nodes
        source = self._source(node)
        other = one if swapped else other
        constant = known(self.constants.get(other, other) if isinstance(other, fx.Node) else other)
        if constant is None or constant.ndim > len(self.builder.shapes[source]) + 1:
            raise Unsupported(f"{name} of a value that is no constant")
        constant = (
            constant.reshape(constant.shape[1:]) if constant.ndim > len(self.builder.shapes[source]) else constant
        )
        if name in ("add", "iadd", "add_"):
            return self.builder.scale(source, 1.0, constant)
        if name == "sub":
            return self.builder.scale(source, -1.0 if swapped else 1.0, constant if swapped else -constant)
        if name == "mul" or not swapped:
            return self.builder.scale(source, constant if name == "mul" else 1.0 / constant, 0.0)
        raise Unsupported("a division by a value of the network")

    def _pooled(self, node: fx.Node, source: int, kind: str, options: dict[str, Any]) -> int:
        """Max and average pooling."""
        axes = _DIMENSIONS.get(kind[-2:], 0)
        if axes and kind.startswith("AdaptiveAvgPool"):
            return self.builder.adaptive_average(
                source,
                options["output_size"]
                if isinstance(options["output_size"], tuple | list)
                else (options["output_size"],) * axes,
            )
        if not axes or kind[:-2] not in ("MaxPool", "AvgPool") or len(self.builder.shapes[source]) != axes + 1:
            raise Unsupported(_name(node, self.modules))
        kernel = each(options["kernel_size"], axes)
        stride = kernel if not options.get("stride") else each(options["stride"], axes)
        padding = [(size, size) for size in each(options.get("padding", 0), axes)]
        ceil = bool(options.get("ceil_mode", False))
        if kind.startswith("Max"):
            if options.get("return_indices"):
                raise Unsupported("max pooling that returns positions")
            dilation = each(options.get("dilation", 1), axes)
            return self.builder.maximum(
                source, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil
            )
        if ceil:
            raise Unsupported("average pooling with ceil_mode")
        return self.builder.average(
            source,
            kernel=kernel,
            stride=stride,
            padding=padding,
            count_padding=bool(options.get("count_include_pad", True)),
            divisor=options.get("divisor_override"),
        )

    def _leaky(self, source: int, slope: float) -> int:
        if not 0.0 <= slope <= 1.0:
            raise Unsupported(f"a leaky ReLU of slope {slope}")
        return self.builder.rectify(source, float(slope))

    def _end(self, node: fx.Node, source: int, kind: str, dim: object) -> int:
        """What may stand behind the logits."""
        width = self.builder.nodes[source].width
        if self.builder.shapes[source] != (width,) or (kind == "Sigmoid") != (width == 1):
            raise Unsupported(f"{_name(node, self.modules)} of {width} values")
        if kind != "Sigmoid" and dim not in (1, -1, None):
            raise Unsupported(f"{_name(node, self.modules)} along axis {dim}")
        names: dict[str, Tail] = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
        self.tail = names[kind]
        return source

    def _source(self, node: fx.Node) -> int:
        """The one node of the network that an operator reads."""
        found = [source for source in node.all_input_nodes if source in self.nodes]
        if len(found) != 1:
            raise Unsupported(f"{_name(node, self.modules)} of several values of the network")
        return self.nodes[found[0]]


_CONVOLUTION = ("weight", "bias", "stride", "padding", "dilation", "groups")
_NORMALISATION = ("running_mean", "running_var", "weight", "bias", "eps")
_POOLING = (
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "ceil_mode",
    "return_indices",
    "output_size",
    "count_include_pad",
    "divisor_override",
)


def _shape(node: fx.Node, *, batch: int | None = None) -> Any:
    """Shape of a row behind a node; with `batch`, None where the first axis is no longer the batch."""
    shape = tuple(node.meta["tensor_meta"].shape)
    if batch is not None and (not shape or shape[0] != batch):
        return None
    return shape[1:]


def _name(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """What users call an operator."""
    if node.op == "call_module":
        return f"{type(modules[str(node.target)]).__name__} (layer {node.target!r})"
    return str(getattr(node.target, "__name__", node.target))


def _brief(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
