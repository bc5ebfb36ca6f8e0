"""Runs an ONNX file with rounded weights and inputs: a copy of its graph, in a session of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from robust.bitwidths.layers_onnx import FoundNodes, find_nodes
from robust.bitwidths.rounding import Grid
from robust.bitwidths.simulators import Forward, LeftFloat, Plan, SimulatedLayer
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.base import Gradients
from robust.models.file_errors import reading
from robust.types import AnyArray

_PREFIX = "robust/bits"
_ERRORS_ONLY = 3


@dataclass(slots=True, kw_only=True, eq=False)
class OnnxSimulator:
    """A file whose layers run with other weights.

    One session a plan: weights that a session takes as inputs cannot be laid out for its kernels beforehand, which
    makes each run of a small network three times slower than opening a session costs.

    Args:
        adapter: The file's adapter.
        name: The file's name, for messages.
        found: Its layers, and what stays in float.
    """

    adapter: OnnxAdapter
    name: str
    found: FoundNodes
    layers: tuple[SimulatedLayer, ...] = field(init=False)
    left: tuple[LeftFloat, ...] = field(init=False)
    rest: int = field(init=False)
    itemsize: int = field(init=False)
    _watching: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        """What the protocol asks for."""
        self.layers, self.left = self.found.layers, self.found.left
        self.rest, self.itemsize = self.found.rest, self.found.itemsize

    def inputs(self, x: AnyArray) -> Mapping[str, Sequence[AnyArray]]:
        """What each layer is given on one batch."""
        nodes = self.found.model.graph.node
        names = {
            layer.name: [nodes[use.node].input[0] for use in self.found.uses[layer.name]]
            for layer in self.layers
            if layer.input
        }
        wanted = sorted({name for group in names.values() for name in group})
        fed = self.adapter.cast(x)
        found = {self.adapter.input: fed}
        inside = [name for name in wanted if name != self.adapter.input]
        if inside:  # an empty list of outputs would mean all of them
            if self._watching is None:
                self._watching = self._session(self._watched(inside))
            found |= dict(zip(inside, self._watching.run(inside, {self.adapter.input: fed}), strict=True))
        return {layer: [found[name] for name in group] for layer, group in names.items()}

    def forward(self, plan: Mapping[str, Plan]) -> Forward:
        """The file under a plan, in a new session."""
        adapter = replace(self.adapter, session=self._session(self._changed(plan)))
        return adapter.forward

    def gradients(self, plan: Mapping[str, Plan]) -> Gradients | None:  # noqa: ARG002 - the protocol's
        """None: onnxruntime gives no gradients."""
        return None

    def _session(self, model: Any) -> Any:
        """A session on the CPU, whose threads do not spin between calls: many are opened, one after the other."""
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _ERRORS_ONLY
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Rounding stays where it is put: onnxruntime would move it along the graph, to where integers serve it.
        settings.add_session_config_entry("session.disable_quant_qdq", "1")
        content = model.SerializeToString()
        with reading(Path(self.name), "an ONNX model", remedy="export it again; onnxruntime must know its operators"):
            return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])

    def _watched(self, names: Sequence[str]) -> Any:
        """The model with the inputs of its layers as outputs."""
        model = _copied(self.found.model)
        known = {value.name for value in (*model.graph.output, *model.graph.input)}
        model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in known)
        return model

    def _changed(self, plan: Mapping[str, Plan]) -> Any:
        """The model with the weights of a plan, and rounding before its layers' inputs."""
        model = _copied(self.found.model)
        graph = model.graph
        before: dict[int, list[Any]] = {}
        made: dict[tuple[str, object], str] = {}
        for layer in self.layers:
            item = plan.get(layer.name)
            if item is None:
                continue
            uses = self.found.uses[layer.name]
            kind = self.found.kinds[layer.name]
            for i, values in enumerate(item.weights or ()):
                name = f"{_PREFIX}/{layer.name}/weight_{i}"
                graph.initializer.append(numpy_helper.from_array(values.astype(kind), name))
                for use in uses:
                    graph.node[use.node].input[use.places[i]] = name
            if item.grid is None:
                continue
            for use in uses:
                source = graph.node[use.node].input[0]
                key = (source, item.grid)
                if key not in made:
                    made[key] = f"{_PREFIX}/{layer.name}/{use.node}"
                    before[use.node] = _rounding(graph, source, made[key], item.grid, kind)
                graph.node[use.node].input[0] = made[key]
        if before:
            nodes = [node for i, node in enumerate(graph.node) for node in (*before.get(i, ()), node)]
            kept = [_copy_node(node) for node in nodes]
            del graph.node[:]
            graph.node.extend(kept)
        self._drop_replaced(graph)
        return model

    def _drop_replaced(self, graph: Any) -> None:
        """Weights that nothing reads any more need not be in the copy; inner graphs read without saying so."""
        if any(attribute.type == onnx.AttributeProto.GRAPH for node in graph.node for attribute in node.attribute):
            return
        read = {name for node in graph.node for name in node.input}
        read |= {value.name for value in (*graph.output, *graph.input)}
        for i in reversed(range(len(graph.initializer))):
            if graph.initializer[i].name in self.found.stored - read:
                del graph.initializer[i]


def onnx_simulator(adapter: OnnxAdapter, content: bytes, name: str) -> OnnxSimulator:
    """Find the layers of a file.

    Raises:
        InvalidInput: If it has none, or is quantized already.
    """
    return OnnxSimulator(adapter=adapter, name=name, found=find_nodes(content))


def _rounding(graph: Any, source: str, target: str, grid: Grid, kind: np.dtype[Any]) -> list[Any]:
    """Nodes that put a tensor on a grid.

    Up to 8 bits of float32: clip, quantize, dequantize, which onnxruntime has vectorised. Else: divide, round, clip,
    multiply. The numbers are the same.
    """
    bytewise = kind == np.float32 and grid.high - grid.low <= 255
    names = {word: f"{target}/{word}" for word in ("scale", "low", "high", "zero")}
    ends = (grid.low * grid.scale, grid.high * grid.scale) if bytewise else (grid.low, grid.high)
    for word, value in (("scale", grid.scale), ("low", ends[0]), ("high", ends[1])):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=kind), names[word]))
    steps = [f"{target}/{word}" for word in ("first", "second", "third")]
    if not bytewise:
        return [
            helper.make_node("Div", [source, names["scale"]], [steps[0]]),
            helper.make_node("Round", [steps[0]], [steps[1]]),
            helper.make_node("Clip", [steps[1], names["low"], names["high"]], [steps[2]]),
            helper.make_node("Mul", [steps[2], names["scale"]], [target]),
        ]
    graph.initializer.append(numpy_helper.from_array(np.asarray(-grid.low, dtype=np.uint8), names["zero"]))
    return [
        helper.make_node("Clip", [source, names["low"], names["high"]], [steps[0]]),
        helper.make_node("QuantizeLinear", [steps[0], names["scale"], names["zero"]], [steps[1]]),
        helper.make_node("DequantizeLinear", [steps[1], names["scale"], names["zero"]], [target]),
    ]


def _copied(model: Any) -> Any:
    """A copy that may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _copy_node(node: Any) -> Any:
    """A node that outlives the list that it is in."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
