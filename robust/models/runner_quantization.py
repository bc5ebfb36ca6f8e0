"""Scale and zero point of an ONNX file's integer inputs and outputs, read from the operators beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from robust.errors import InvalidInput
from robust.tensors.spec import Quantization
from robust.types import AnyArray

_DOMAINS = ("", "ai.onnx", "com.microsoft")
# They hand integers on as they are: what comes out stands for numbers as what went in.
_MOVING = frozenset(
    (
        *("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather", "Split"),
        *("Expand", "Tile", "MaxPool", "DepthToSpace", "SpaceToDepth"),
    )
)
# By operator, where its inputs hold (an integer tensor, its scale, its zero point), and the scale and zero point of
# what it gives. ONNX operator specification (first three); onnxruntime's contributed operators (the others).
_READS: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "DequantizeLinear": ((0, 1, 2),),
    "QLinearConv": ((0, 1, 2), (3, 4, 5)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5)),
    "QLinearAdd": ((0, 1, 2), (3, 4, 5)),
    "QLinearMul": ((0, 1, 2), (3, 4, 5)),
    "QGemm": ((0, 1, 2), (3, 4, 5)),
    "QLinearSigmoid": ((0, 1, 2),),
    "QLinearLeakyRelu": ((0, 1, 2),),
    "QLinearSoftmax": ((0, 1, 2),),
    "QLinearAveragePool": ((0, 1, 2),),
    "QLinearGlobalAveragePool": ((0, 1, 2),),
    "QLinearWhere": ((1, 2, 3), (4, 5, 6)),
    "QLinearConcat": tuple((i, i + 1, i + 2) for i in range(2, 98, 3)),
}
_WRITES: Mapping[str, tuple[int, int]] = {
    "QuantizeLinear": (1, 2),
    "QLinearConv": (6, 7),
    "QLinearMatMul": (6, 7),
    "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7),
    "QGemm": (7, 8),
    "QLinearSigmoid": (3, 4),
    "QLinearLeakyRelu": (3, 4),
    "QLinearSoftmax": (3, 4),
    "QLinearAveragePool": (3, 4),
    "QLinearGlobalAveragePool": (3, 4),
    "QLinearWhere": (7, 8),
    "QLinearConcat": (0, 1),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedEdges:
    """The edges of an ONNX graph, asked how their integers stand for real numbers.

    Args:
        content: The bytes of the file; tensors that it keeps outside are not read, scales are never there.
    """

    content: bytes

    def of_input(self, name: str, dtype: str) -> Quantization | None:
        """Scale and zero point by which every operator reads an input.

        Args:
            name: Of the input.
            dtype: Its type.

        Returns:
            None where no operator tells, where they do not agree, or where there is one scale a channel.
        """
        found: set[Quantization | None] = set()
        waiting, seen = [name], {name}
        while waiting:
            tensor = waiting.pop()
            for node in self._readers.get(tensor, ()):
                found |= {self._pair(node, scale, zero, dtype) for scale, zero in _reading(node, tensor)}
                if _moves(node) and node.input[0] == tensor:
                    waiting += [output for output in node.output if output not in seen]
                    seen |= set(node.output)
        return found.pop() if len(found) == 1 else None

    def of_output(self, name: str, dtype: str) -> Quantization | None:
        """Scale and zero point by which the operator that makes an output writes it, None where it does not tell."""
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            node = self._writers.get(name)
            if node is None:  # handed through from an input, or no tensor of this graph
                return self.of_input(name, dtype)
            if _known(node) and node.op_type in _WRITES:
                return self._pair(node, *_WRITES[node.op_type], dtype)
            if not _moves(node):
                return None
            name = node.input[0]
        return None

    @cached_property
    def _graph(self) -> Any:
        return onnx.load_model_from_string(self.content).graph

    @cached_property
    def _readers(self) -> dict[str, list[Any]]:
        readers: dict[str, list[Any]] = {}
        for node in self._graph.node:
            for tensor in set(node.input):
                readers.setdefault(tensor, []).append(node)
        return readers

    @cached_property
    def _writers(self) -> dict[str, Any]:
        return {tensor: node for node in self._graph.node for tensor in node.output if tensor}

    @cached_property
    def _constants(self) -> dict[str, Any]:
        found = {tensor.name: tensor for tensor in self._graph.initializer}
        constants = (node for node in self._graph.node if node.op_type == "Constant")
        found |= {node.output[0]: one.t for node in constants for one in node.attribute if one.name == "value"}
        return found

    def _pair(self, node: Any, scale: int, zero: int, dtype: str) -> Quantization | None:
        """Scale and zero point at two inputs of a node; an absent zero point is 0."""
        width, offset = self._constant(node, scale), self._constant(node, zero)
        absent = zero >= len(node.input) or not node.input[zero]
        if width is None or width.size != 1 or not (absent or (offset is not None and offset.size == 1)):
            return None
        if offset is not None and str(offset.dtype) != dtype:
            return None
        try:
            point = 0 if offset is None else int(offset.item())
            return Quantization(scale=float(width.item()), zero_point=point, dtype=dtype)
        except InvalidInput:  # a type, or a scale, that stands for no real numbers
            return None

    def _constant(self, node: Any, place: int) -> AnyArray | None:
        """The constant at an input of a node, None where it is computed, absent, or kept outside the file."""
        names: Sequence[str] = node.input
        tensor = self._constants.get(names[place]) if place < len(names) else None
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
            return None
        return np.asarray(numpy_helper.to_array(tensor))


def _known(node: Any) -> bool:
    return node.domain in _DOMAINS


def _moves(node: Any) -> bool:
    """Whether a node hands the integers of its first input on as they are."""
    return _known(node) and node.op_type in _MOVING


def _reading(node: Any, tensor: str) -> list[tuple[int, int]]:
    """Where a node has scale and zero point of a tensor that it reads."""
    places = _READS.get(node.op_type, ()) if _known(node) else ()
    return [(scale, zero) for at, scale, zero in places if at < len(node.input) and node.input[at] == tensor]
