"""What an ONNX graph stores, and who reads it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from robust.costing.graph_onnx import setting
from robust.types import FloatArray

#: Operators that hand a stored tensor on, turned perhaps.
PASSING = frozenset({"Identity", "Transpose"})
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)


@dataclass(slots=True, eq=False)
class StoredGraph:
    """A graph with what is asked of it again and again.

    Args:
        graph: The graph.
    """

    graph: Any
    stored: dict[str, Any] = field(init=False)
    makers: dict[str, Any] = field(init=False)
    readers: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        """Look names up once."""
        self.stored = {tensor.name: tensor for tensor in self.graph.initializer}
        self.makers = {name: node for node in self.graph.node for name in node.output if name}
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                self.stored[node.output[0]] = node.attribute[0].t
        self.readers = Counter(name for node in self.graph.node for name in node.input)
        self.readers.update(value.name for value in self.graph.output)

    def constant(self, name: str) -> tuple[str, FloatArray] | None:
        """A stored floating tensor behind an input, by the name that it is stored under, and as the input has it."""
        turns = []
        while name not in self.stored:
            node = self.makers.get(name)
            if node is None or node.op_type not in PASSING:
                return None
            if node.op_type == "Transpose":
                turns.append(setting(node, "perm", None))
            name = node.input[0]
        tensor = self.stored[name]
        if tensor.data_type not in FLOATS:
            return None
        array = numpy_helper.to_array(tensor)
        for turn in reversed(turns):
            array = np.transpose(array, turn)
        return name, array

    def array(self, name: str) -> FloatArray:
        """The stored floating tensor behind an input that has one, as the input has it."""
        found = self.constant(name)
        if found is None:
            raise KeyError(name)
        return found[1]

    def origin(self, name: str) -> str:
        """The name under which the tensor behind an input is stored."""
        while name not in self.stored:
            name = self.makers[name].input[0]
        return name

    def turn(self, name: str) -> tuple[int, ...]:
        """How the axes of the stored tensor behind an input are turned on the way: those of the input, by position."""
        turns = []
        while name not in self.stored:
            node = self.makers[name]
            if node.op_type == "Transpose":
                turns.append(setting(node, "perm", None))
            name = node.input[0]
        axes = list(range(len(self.stored[name].dims)))
        for turn in reversed(turns):
            axes = axes[::-1] if turn is None else [axes[i] for i in turn]
        return tuple(axes)

    def vector(self, name: str) -> FloatArray | None:
        """A stored tensor as float64."""
        found = self.constant(name)
        return None if found is None else found[1].astype(np.float64)
