"""Reads a floating-point ONNX file as a network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from robust.certified.network import Builder, Network, Tail
from robust.certified.unsupported import Unsupported
from robust.errors import InvalidInput
from robust.types import AnyArray

_TAILS: dict[str, Tail] = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}


def onnx_network(content: bytes, shape: tuple[int, ...], data_dtype: "np.dtype[Any]", *, output: str | None) -> Network:
    """The network that a file holds.

    Args:
        content: The file.
        shape: Shape of a row.
        data_dtype: Number type of the rows.
        output: Name of the output that is judged; None for the only one.

    Returns:
        The network.

    Raises:
        Unsupported: If it holds an operator whose bounds are not known.
    """
    try:
        return _Reader(onnx.load_from_string(content).graph, shape).read(data_dtype, output)
    except (ValueError, IndexError, KeyError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise Unsupported(f"a graph whose shapes do not fit each other here ({type(error).__name__})") from error


class _Reader:
    """Walks a graph once, in its own order, which is that of computation."""

    def __init__(self, graph: onnx.GraphProto, shape: tuple[int, ...]) -> None:
        self.graph, self.builder = graph, Builder(shape)
        self.constants: dict[str, AnyArray] = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
        inputs = [part.name for part in graph.input if part.name not in self.constants]
        if len(inputs) != 1:
            raise Unsupported(f"a graph of {len(inputs)} inputs")
        self.nodes = {inputs[0]: 0}
        self.tails: dict[str, Tail] = {}
        self.dtype: np.dtype[Any] = np.dtype(np.float32)

    def read(self, data_dtype: "np.dtype[Any]", output: str | None) -> Network:
        """The network."""
        known: dict[str, Callable[[onnx.NodeProto, dict[str, Any]], int]] = {
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Conv": self._conv,
            "BatchNormalization": self._normalized,
            "Relu": lambda node, _: self.builder.rectify(self._source(node)),
            "LeakyRelu": self._leaky,
            "MaxPool": self._pooled,
            "AveragePool": self._pooled,
            "GlobalAveragePool": self._global,
            "Flatten": self._flat,
            "Reshape": self._flat,
            "Squeeze": self._flat,
            "Add": self._arithmetic,
            "Sub": self._arithmetic,
            "Mul": self._arithmetic,
            "Div": self._arithmetic,
        }
        for node in self.graph.node:
            options = {part.name: onnx.helper.get_attribute_value(part) for part in node.attribute}
            if node.op_type == "Constant":
                self._constant(node, options)
            elif not any(name in self.nodes for name in node.input):
                continue  # shapes and constants that are worked out in the graph; whoever needs one finds it missing
            elif any(name in self.tails for name in node.input):
                raise Unsupported(f"{node.op_type} behind {next(self.tails[n] for n in node.input if n in self.tails)}")
            elif node.op_type in ("Identity", "Dropout"):
                self.nodes[node.output[0]] = self._source(node)
            elif node.op_type in _TAILS:
                self._end(node, options)
            elif node.op_type in known:
                self.nodes[node.output[0]] = known[node.op_type](node, options)
            elif node.op_type not in ("Shape", "ArgMax"):  # which give no value that is judged
                raise Unsupported(f"{node.op_type} (node {node.name or node.output[0]!r})")
        name = self.graph.output[0].name if output is None else output
        if name not in self.nodes:
            raise Unsupported(f"the output {name!r}, which is no value of the network,")
        return self.builder.finish(
            self.nodes[name], tail=self.tails.get(name, "none"), dtype=self.dtype, data_dtype=data_dtype
        )

    def _constant(self, node: onnx.NodeProto, options: dict[str, Any]) -> None:
        if "value" not in options:
            raise Unsupported("a Constant that is no tensor")
        self.constants[node.output[0]] = numpy_helper.to_array(options["value"])

    def _weight(self, node: onnx.NodeProto, place: int) -> AnyArray | None:
        """A constant input, as doubles; None where there is none."""
        if len(node.input) <= place or not node.input[place]:
            return None
        array = self.constants.get(node.input[place])
        if array is None or array.dtype not in (np.float32, np.float64):
            kind = "a value" if array is None else str(array.dtype)
            raise Unsupported(f"{node.op_type} with {kind} where float32 weights belong")
        if array.dtype == np.float64:
            self.dtype = np.dtype(np.float64)
        return array.astype(np.float64)

    def _source(self, node: onnx.NodeProto) -> int:
        """The one value of the network that an operator reads first."""
        if node.input[0] not in self.nodes:
            raise Unsupported(f"{node.op_type} of a constant")
        return self.nodes[node.input[0]]

    def _gemm(self, node: onnx.NodeProto, options: dict[str, Any]) -> int:
        weight, bias = self._weight(node, 1), self._weight(node, 2)
        if (
            weight is None
            or options.get("transA", 0)
            or options.get("alpha", 1.0) != 1
            or options.get("beta", 1.0) != 1
        ):
            raise Unsupported("Gemm with factors or a transposed input")
        weight = weight if options.get("transB", 0) else weight.T
        bias = None if bias is None else np.broadcast_to(bias.reshape(-1), (len(weight),))
        return self.builder.dense(self._flat_source(node), weight, bias)

    def _matmul(self, node: onnx.NodeProto, _options: dict[str, Any]) -> int:
        weight = self._weight(node, 1)
        if weight is None or weight.ndim != 2:
            raise Unsupported("MatMul of more than a matrix")
        return self.builder.dense(self._flat_source(node), weight.T, None)

    def _flat_source(self, node: onnx.NodeProto) -> int:
        source = self._source(node)
        if len(self.builder.shapes[source]) != 1:
            raise Unsupported(f"{node.op_type} along the last of several axes")
        return source

    def _conv(self, node: onnx.NodeProto, options: dict[str, Any]) -> int:
        source, weight, bias = self._source(node), self._weight(node, 1), self._weight(node, 2)
        if weight is None or weight.ndim not in (3, 4):
            raise Unsupported("Conv of three or more axes")
        axes = weight.ndim - 2
        stride, dilation = list(options.get("strides", [1] * axes)), list(options.get("dilations", [1] * axes))
        return self.builder.convolution(
            source,
            weight,
            bias,
            stride=stride,
            padding=self._padding(options, source, list(weight.shape[2:]), stride, dilation),
            dilation=dilation,
            groups=int(options.get("group", 1)),
        )

    def _padding(
        self, options: dict[str, Any], source: int, kernel: list[int], stride: list[int], dilation: list[int]
    ) -> list[tuple[int, int]]:
        """Padding before and after along each axis."""
        auto = options.get("auto_pad", b"NOTSET").decode()
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            found = []
            for size, taps, step, gap in zip(self.builder.shapes[source][1:], kernel, stride, dilation, strict=True):
                total = max((-(-size // step) - 1) * step + gap * (taps - 1) + 1 - size, 0)
                half = total // 2
                found.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
            return found
        pads = list(options.get("pads", [0] * 2 * len(kernel))) if auto == "NOTSET" else [0] * 2 * len(kernel)
        return list(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))

    def _normalized(self, node: onnx.NodeProto, options: dict[str, Any]) -> int:
        if options.get("training_mode", 0):
            raise Unsupported("BatchNormalization in training mode")
        gain, shift, mean, variance = (self._weight(node, place) for place in (1, 2, 3, 4))
        if mean is None or variance is None:
            raise Unsupported("BatchNormalization without statistics")
        return self.builder.normalize(
            self._source(node), mean, variance, gain, shift, eps=float(options.get("epsilon", 1e-5))
        )

    def _leaky(self, node: onnx.NodeProto, options: dict[str, Any]) -> int:
        slope = float(options.get("alpha", 0.01))
        if not 0.0 <= slope <= 1.0:
            raise Unsupported(f"LeakyRelu of slope {slope}")
        return self.builder.rectify(self._source(node), slope)

    def _pooled(self, node: onnx.NodeProto, options: dict[str, Any]) -> int:
        source, kernel = self._source(node), list(options["kernel_shape"])
        axes = len(kernel)
        stride, dilation = list(options.get("strides", [1] * axes)), list(options.get("dilations", [1] * axes))
        padding = self._padding(options, source, kernel, stride, dilation)
        ceil = bool(options.get("ceil_mode", 0))
        if node.op_type == "MaxPool":
            if len(node.output) > 1:
                raise Unsupported("MaxPool that returns positions")
            return self.builder.maximum(
                source, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil
            )
        if ceil or any(gap != 1 for gap in dilation):
            raise Unsupported("AveragePool with ceil_mode or dilations")
        counted = bool(options.get("count_include_pad", 0))
        return self.builder.average(source, kernel=kernel, stride=stride, padding=padding, count_padding=counted)

    def _global(self, node: onnx.NodeProto, _options: dict[str, Any]) -> int:
        source = self._source(node)
        return self.builder.adaptive_average(source, [1] * (len(self.builder.shapes[source]) - 1))

    def _flat(self, node: onnx.NodeProto, options: dict[str, Any]) -> int:
        """Flatten, and the reshapes that flatten each row."""
        source = self._source(node)
        width = self.builder.nodes[source].width
        if node.op_type == "Flatten" and int(options.get("axis", 1)) != 1:
            raise Unsupported("Flatten along another axis than 1")
        if node.op_type == "Reshape":
            target = self.constants.get(node.input[1]) if len(node.input) > 1 else None
            sizes = None if target is None else [int(size) for size in target]
            if sizes is not None and (len(sizes) < 2 or (len(sizes) > 2 and any(size < 1 for size in sizes[1:]))):
                raise Unsupported(f"Reshape to {sizes}")
            if sizes is not None and len(sizes) > 2:
                if int(np.prod(sizes[1:])) != width:
                    raise Unsupported(f"Reshape to {sizes}")
                return self.builder.reshape(source, tuple(sizes[1:]))
            if sizes is not None and sizes[1] not in (-1, width):
                raise Unsupported(f"Reshape to {sizes}")
        return self.builder.reshape(source, (width,))

    def _arithmetic(self, node: onnx.NodeProto, _options: dict[str, Any]) -> int:
        """A sum of two values, or a constant that is added or multiplied."""
        inside = [name in self.nodes for name in node.input]
        if all(inside):
            one, other = (self.nodes[name] for name in node.input)
            if node.op_type == "Add" and self.builder.shapes[one] == self.builder.shapes[other]:
                return self.builder.add(one, other)
            raise Unsupported(f"{node.op_type} of two values of the network")
        place = int(inside[0])  # of the constant
        source, constant = self.nodes[node.input[1 - place]], self._weight(node, place)
        rank = len(self.builder.shapes[source])
        if constant is None or (constant.ndim > rank and constant.shape[0] != 1):
            raise Unsupported(f"{node.op_type} of a value that is no constant")
        constant = constant.reshape(constant.shape[1:]) if constant.ndim > rank else constant
        if node.op_type == "Add":
            return self.builder.scale(source, 1.0, constant)
        if node.op_type == "Sub":
            return self.builder.scale(source, 1.0 if place else -1.0, -constant if place else constant)
        if node.op_type == "Mul" or place:
            return self.builder.scale(source, constant if node.op_type == "Mul" else 1.0 / constant, 0.0)
        raise Unsupported("Div by a value of the network")

    def _end(self, node: onnx.NodeProto, options: dict[str, Any]) -> None:
        """What may stand behind the logits."""
        source = self._source(node)
        width = self.builder.nodes[source].width
        if self.builder.shapes[source] != (width,) or (node.op_type == "Sigmoid") != (width == 1):
            raise Unsupported(f"{node.op_type} of {width} values")
        if node.op_type != "Sigmoid" and int(options.get("axis", -1)) not in (1, -1):
            raise Unsupported(f"{node.op_type} along another axis than the last")
        self.nodes[node.output[0]] = source
        self.tails[node.output[0]] = _TAILS[node.op_type]
