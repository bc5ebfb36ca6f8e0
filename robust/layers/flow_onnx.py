"""An ONNX graph as a flow of tensors: who makes them, who reads them, and where the same numbers go by other names."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx
from onnx import inliner

from robust.costing.graph_onnx import reads, setting, subgraphs
from robust.errors import InvalidInput
from robust.models.layer_names import stored_name
from robust.quantization.stored_values_onnx import Constants, constants_of, named_scale
from robust.types import AnyArray

_UNPACK = "DequantizeLinear"
_PACK = "QuantizeLinear"
_DYNAMIC = "DynamicQuantizeLinear"
_SIZES = ("Shape", "Size")
#: Operators by which shapes, and tensors of one number, are made of sizes.
_RECKONING = frozenset(
    (
        *("Gather", "Slice", "Concat", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Identity", "Expand"),
        *("ConstantOfShape", "Range", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "ReduceProd"),
        *("Equal", "Less", "Greater", "Not", "And", "Or", "Where", "Tile", "Ceil", "Floor"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One activation under all the names that it has: as it is made, quantized, dequantized.

    Args:
        names: The names, as it is made first.
        packed: Its last form in integers; None where it is never quantized, or made as integers already.
        last: The name that its last reader sees.
    """

    names: tuple[str, ...]
    packed: str | None
    last: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow:
    """A graph, asked about its tensors.

    Args:
        model: The parsed file, functions inlined.
    """

    model: Any

    @property
    def graph(self) -> Any:
        """The graph of the file."""
        return self.model.graph

    @cached_property
    def makers(self) -> dict[str, Any]:
        """The node behind each tensor."""
        return {name: node for node in self.graph.node for name in node.output if name}

    @cached_property
    def constants(self) -> Constants:
        """The tensors that are the same in every run."""
        return constants_of(self.graph)

    @cached_property
    def fixed(self) -> frozenset[str]:
        """Names of tensors that no input has a part in."""
        fixed = {tensor.name for tensor in self.graph.initializer}
        for node in self.graph.node:
            if not subgraphs(node) and fixed.issuperset(name for name in node.input if name):
                fixed.update(node.output)
        return frozenset(fixed)

    @cached_property
    def scales(self) -> frozenset[str]:
        """Scales and zero points that a run works out, and what is made of them alone."""
        found: set[str] = set()
        for node in self.graph.node:
            if node.op_type == _DYNAMIC:
                found.update(node.output[1:])
                continue
            wanted = [name for name in node.input if name and name not in self.fixed]
            if wanted and found.issuperset(wanted):
                found.update(node.output)
        return frozenset(found)

    @cached_property
    def sizes(self) -> frozenset[str]:
        """Sizes of activations, and what is reckoned from these alone, such as shapes and first states of zeros."""
        found: set[str] = set()
        for node in self.graph.node:
            wanted = [name for name in node.input if name and name not in self.fixed]
            if node.op_type in _SIZES or (wanted and node.op_type in _RECKONING and found.issuperset(wanted)):
                found.update(node.output)
        return frozenset(found)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(value.name for value in self.graph.output)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that a caller fills."""
        stored = {tensor.name for tensor in self.graph.initializer}
        return tuple(value.name for value in self.graph.input if value.name not in stored)

    @cached_property
    def _readers(self) -> dict[str, list[Any]]:
        readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in () if node.op_type in _SIZES else reads(node):
                readers.setdefault(name, []).append(node)
        return readers

    @cached_property
    def shared(self) -> frozenset[str]:
        """Names of stored tensors, of a file before it was quantized, that several operators read."""
        users: dict[str, int] = {}
        for name in self.constants.stored:
            plain = stored_name(name)
            behind = [node for one in self.bundle(name).names for node in self.readers(one)]
            users[plain] = users.get(plain, 0) + sum(node.op_type != _UNPACK for node in behind)
        return frozenset(name for name, count in users.items() if count > 1)

    @cached_property
    def matrices(self) -> frozenset[str]:
        """Names of stored tensors of two axes and more, of a file before it was quantized."""
        stored = self.constants.stored.items()
        return frozenset(stored_name(name) for name, tensor in stored if len(tensor.dims) > 1)

    def readers(self, name: str) -> list[Any]:
        """Nodes that read a tensor's numbers, not its sizes alone; graphs inside them included."""
        return self._readers.get(name, [])

    def bundle(self, name: str) -> Bundle:
        """An activation with its quantized and dequantized forms.

        Where all readers take it quantized by one scale and zero point, that is what it is; where some take it as it
        was made, its quantization belongs to those that do not.
        """
        names, packed, last = [name], None, name
        packers = [node for node in self.readers(name) if node.op_type == _PACK]
        everywhere = len(packers) == len(self.readers(name)) and name not in self.outputs
        if packers and everywhere and len({tuple(node.input[1:]) for node in packers}) == 1:
            names += [node.output[0] for node in packers]
            packed = last = packers[0].output[0]
        unpacked = [
            node.output[0]
            for one in names
            for node in self.readers(one)
            if node.op_type == _UNPACK and node.input[0] == one
        ]
        return Bundle(names=(*names, *unpacked), packed=packed, last=unpacked[-1] if unpacked else last)

    def unpacked(self, name: str) -> tuple[AnyArray, AnyArray | None, int] | None:
        """Scale, zero point and axis by which the first operator that dequantizes a tensor does so.

        Returns:
            None where none does, by constants, or for blocks of elements. Integers that are looked up in a table stand
            for what those of the table do.
        """
        for node in self.readers(name):
            if node.op_type == _UNPACK and node.input[0] == name and not setting(node, "block_size", 0):
                scale = self.constants.array(node.input[1])
                zero = self.constants.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
                return None if scale is None else (scale, zero, int(setting(node, "axis", 1)))
        maker = self.makers.get(name)
        looked_up = (
            named_scale(maker.input[0], self.constants) if maker is not None and is_lookup(self, maker) else None
        )
        return None if looked_up is None or looked_up[0].size != 1 else (*looked_up, 0)

    def outside(self, bundle: Bundle) -> list[Any]:
        """Nodes that read a bundle, the ones inside it left out."""
        inside = {id(self.makers[name]) for name in bundle.names[1:]}
        found = {id(node): node for name in bundle.names for node in self.readers(name) if id(node) not in inside}
        return list(found.values())

    def ends(self, bundle: Bundle) -> bool:
        """Whether it is, under some name, an output of the model."""
        return any(name in self.outputs for name in bundle.names)

    def computed(self, names: Iterable[str]) -> list[str]:
        """Those names that a run of rows has a part in, scales left out."""
        return [name for name in names if name and name not in self.fixed and name not in self.scales]


def is_lookup(flow: Flow, node: Any) -> bool:
    """Whether a node looks up rows of a stored table, as an embedding does."""
    if node.op_type != "Gather" or setting(node, "axis", 0) or node.input[0] not in flow.fixed:
        return False
    table = flow.constants.array(node.input[0])
    numbers = table is not None and table.ndim > 1 and (table.dtype.kind == "f" or table.dtype.itemsize == 1)
    return numbers and bool(flow.computed(node.input[1:2])) and node.input[1] not in flow.sizes


def read_flow(content: bytes, name: str) -> Flow:
    """Parse a file.

    Args:
        content: Bytes of an ONNX file.
        name: Shown in messages.

    Raises:
        InvalidInput: If it keeps weights in other files.
    """
    model = onnx.load_model_from_string(content)
    if model.functions:
        model = inliner.inline_local_functions(model)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise InvalidInput(
            f"{name} keeps tensors in other files, which are not read here: save it as one file "
            "(onnx.save_model with save_as_external_data=False)"
        )
    return Flow(model=model)
