"""Builds a graph that runs one or several plans of the same file; what they have in common is in it once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from robust.bitwidths.layers_onnx import FoundNodes
from robust.bitwidths.rounding import Grid
from robust.bitwidths.simulators import Plan
from robust.types import FloatArray

_PREFIX = "robust/bits"
_BYTE = 255
#: The operator set from which on Clip takes bytes.
_CLIP_OF_BYTES = 12


@dataclass(slots=True, eq=False)
class Variants:
    """A file's graph with the weights of plans, and rounding before its layers' inputs.

    A node that is given the same tensors in two plans is in the graph once, and so are equal weights and roundings.

    Args:
        found: The file's layers.
    """

    found: FoundNodes
    _nodes: list[Any] = field(init=False, default_factory=list)
    _stored: list[Any] = field(init=False, default_factory=list)
    _outputs: dict[tuple[int, tuple[str, ...]], list[str]] = field(init=False, default_factory=dict)
    _rounded: dict[tuple[str, Grid, str], str] = field(init=False, default_factory=dict)
    _weights: dict[tuple[str, int], str] = field(init=False, default_factory=dict)
    _seen: set[int] = field(init=False, default_factory=set)
    _kept: list[FloatArray] = field(init=False, default_factory=list)

    def add(self, plan: Mapping[str, Plan]) -> dict[str, str]:
        """Put a plan into the graph.

        Returns:
            How its tensors are called, where another plan's have the names of the file.
        """
        names: dict[str, str] = {}
        grids: dict[int, tuple[Grid, np.dtype[Any]]] = {}
        for layer, item in plan.items():
            kind = self.found.kinds[layer]
            for (stored, turn), values in zip(self.found.tensors[layer], item.weights or (), strict=False):
                names[stored] = self._weight(stored, turn, values, kind)
            if item.grid is not None:
                grids |= dict.fromkeys(self.found.uses[layer], (item.grid, kind))
        for place, node in enumerate(self.found.model.graph.node):
            given = [names.get(name, name) for name in node.input]
            if place in grids:
                given[0] = self._round(given[0], *grids[place])
            made = self._node(place, node, given)
            names |= {old: new for old, new in zip(node.output, made, strict=True) if old != new}
        return names

    def model(self, outputs: Sequence[str] | None) -> Any:
        """The file's model with this graph.

        Args:
            outputs: Names of its outputs; None for those of the file.
        """
        source = self.found.model
        model = onnx.ModelProto(ir_version=source.ir_version, opset_import=source.opset_import)
        model.functions.extend(source.functions)
        graph = model.graph
        graph.name = source.graph.name
        graph.input.extend(source.graph.input)
        if outputs is None:
            graph.output.extend(source.graph.output)
        else:
            graph.output.extend(helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(outputs))
        graph.sparse_initializer.extend(source.graph.sparse_initializer)
        graph.node.extend(self._nodes)
        unread = self._unread(graph)
        graph.initializer.extend(tensor for tensor in source.graph.initializer if tensor.name not in unread)
        graph.initializer.extend(self._stored)
        return model

    def _unread(self, graph: Any) -> set[str]:
        """Weights that nothing reads any more need not be in it; inner graphs read without saying so."""
        if has_inner_graphs(graph):
            return set()
        read = {name for node in graph.node for name in node.input}
        read |= {value.name for value in (*graph.output, *graph.input)}
        return set(self.found.stored - read)

    def _weight(self, stored: str, turn: tuple[int, ...], values: FloatArray, kind: np.dtype[Any]) -> str:
        """A tensor of weights as the file stores it, by its name; the same array is put in once."""
        key = (stored, id(values))
        if key not in self._weights:
            self._kept.append(values)  # as long as it lives no other array has its id
            self._weights[key] = f"{_PREFIX}/{len(self._weights)}/{stored}"
            array = np.ascontiguousarray(np.transpose(values, np.argsort(turn)), dtype=kind)
            self._stored.append(numpy_helper.from_array(array, self._weights[key]))
        return self._weights[key]

    def _node(self, place: int, node: Any, given: Sequence[str]) -> list[str]:
        """The outputs of a node for what it is given."""
        key = (place, tuple(given))
        if key not in self._outputs:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = given
            if place in self._seen:  # another plan has the node's names
                copy.name = ""
                copy.output[:] = [name and f"{_PREFIX}/{len(self._outputs)}/{name}" for name in node.output]
            self._seen.add(place)
            self._nodes.append(copy)
            self._outputs[key] = list(copy.output)
        return self._outputs[key]

    def _round(self, source: str, grid: Grid, kind: np.dtype[Any]) -> str:
        """The name of a tensor on a grid.

        Up to 8 bits of float32: quantize, clip, dequantize, which onnxruntime has vectorised. Else: divide, round,
        clip, multiply. The numbers are the same.
        """
        key = (source, grid, kind.name)
        if key not in self._rounded:
            target = self._rounded[key] = f"{_PREFIX}/rounded/{len(self._rounded)}"
            if kind == np.float32 and grid.high - grid.low <= _BYTE and self._clips_bytes():
                self._round_bytes(source, grid, target)
            else:
                self._round_floats(source, grid, kind, target)
        return self._rounded[key]

    def _round_bytes(self, source: str, grid: Grid, target: str) -> None:
        """Rounding by way of bytes, which QuantizeLinear cuts off at 0 and 255 itself."""
        scale = self._store(f"{target}/scale", grid.scale, np.float32)
        zero = self._store(f"{target}/zero", -grid.low, np.uint8)
        codes, cut, most = f"{target}/codes", f"{target}/cut", grid.high - grid.low
        self._nodes.append(helper.make_node("QuantizeLinear", [source, scale, zero], [codes]))
        if most < _BYTE:
            end = self._store(f"{target}/most", most, np.uint8)
            self._nodes.append(helper.make_node("Clip", [codes, "", end], [cut]))
            codes = cut
        self._nodes.append(helper.make_node("DequantizeLinear", [codes, scale, zero], [target]))

    def _round_floats(self, source: str, grid: Grid, kind: np.dtype[Any], target: str) -> None:
        """Rounding in the layer's own type."""
        scale = self._store(f"{target}/scale", grid.scale, kind)
        ends = [self._store(f"{target}/{word}", end, kind) for word, end in (("low", grid.low), ("high", grid.high))]
        steps = [f"{target}/{word}" for word in ("divided", "whole", "cut")]
        self._nodes += [
            helper.make_node("Div", [source, scale], [steps[0]]),
            helper.make_node("Round", [steps[0]], [steps[1]]),
            helper.make_node("Clip", [steps[1], *ends], [steps[2]]),
            helper.make_node("Mul", [steps[2], scale], [target]),
        ]

    def _store(self, name: str, value: float, kind: Any) -> str:
        """Put one number into the graph."""
        self._stored.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def _clips_bytes(self) -> bool:
        """Whether the file's operators are new enough to clip bytes."""
        versions = [entry.version for entry in self.found.model.opset_import if entry.domain in ("", "ai.onnx")]
        return bool(max(versions) >= _CLIP_OF_BYTES)


def has_inner_graphs(graph: Any) -> bool:
    """Whether nodes hold graphs, which read the names around them."""
    return any(attribute.type == onnx.AttributeProto.GRAPH for node in graph.node for attribute in node.attribute)
