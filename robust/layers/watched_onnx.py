"""An ONNX model whose layers are asked for what they give: all of them in one session, in one pass."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnxruntime

from robust.costing.graph_onnx import subgraphs
from robust.errors import InvalidInput
from robust.layers.batch_axes import batch_axes, rows_back, rows_first
from robust.layers.blocks import ENTRY, OUTPUT, Block, Values
from robust.layers.blocks_onnx import blocks_of, output_of, source_of
from robust.layers.flow_onnx import Flow, read_flow
from robust.layers.modules_onnx import whole_modules
from robust.layers.wide_ranges import Codes
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.base import Model, adapter_of
from robust.models.foreign_errors import blamed
from robust.models.runner_quantization import QuantizedEdges
from robust.quantization.stored_values_onnx import dequantized
from robust.tensors.quantizing import dequantize
from robust.tensors.spec import QUANTIZED
from robust.types import AnyArray, FloatArray

_ERRORS_ONLY = 3
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
#: Operators whose own range, [0, 1], is that of the codes, whatever of it the rows fill.
_BOUNDED = frozenset(("Sigmoid", "HardSigmoid", "Softmax", "QLinearSigmoid", "QLinearSoftmax"))
#: What a quantizer of graphs adds to the name of an output, or of a tensor of integers.
_ADDED = ("_QuantizeLinear_Input", "_quantized")
_ELEMENTS = {np.dtype(np.float16): 10, np.dtype(np.float32): 1, np.dtype(np.float64): 11}


@dataclass(frozen=True, kw_only=True, eq=False)
class WatchedOnnx:
    """An ONNX model with every layer's end as one more output.

    Args:
        name: Shown in messages.
        flow: Its graph.
        adapter: How it is called.
        edges: How its integers stand for numbers.
        probe: A few rows.
        modules: The modules that are one layer each in the torch module that it is compared with, by name: one block
            for each of their tensors that is read, in each call.
    """

    name: str
    flow: Flow
    adapter: OnnxAdapter
    edges: QuantizedEdges
    probe: AnyArray
    modules: Mapping[str, Sequence[Block]] = field(default_factory=dict)
    _sessions: dict[frozenset[str], Any] = field(default_factory=dict, init=False)
    _turned: dict[str, int] = field(default_factory=dict, init=False)
    _asked: set[str] = field(default_factory=set, init=False)
    _feeding: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False)
    _types: dict[str, np.dtype[Any]] = field(default_factory=dict, init=False)
    _codes: dict[str, tuple[str, np.dtype[Any]]] = field(default_factory=dict, init=False)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Its layers, in the order of a run."""
        return whole_modules(self.flow, blocks_of(self.flow, self.modules), self.modules)

    @cached_property
    def output(self) -> Block:
        """What it gives."""
        return output_of(self.flow, self.blocks, self.adapter.output)

    def _watching(self, names: frozenset[str] = frozenset()) -> Any:
        """A session that gives the ends of all layers, and these tensors: other points alone where they are asked for.

        What a runtime has to give it does not merge with what follows.
        """
        for known, session in self._sessions.items():
            if names <= known:
                return session
        ends = {source_of(self.flow, key) for key in (self.flow.inputs[0], *(block.end for block in self.blocks))}
        wanted = names.union(ends, *self._sessions)
        outputs = [name for name in (*self.flow.outputs, *sorted(wanted)) if name not in self.flow.inputs]
        self._sessions.clear()
        self._sessions[wanted.union(self.flow.inputs, self.flow.outputs)] = self._opened(
            self.flow.model, list(dict.fromkeys(outputs))
        )
        return self._watching(names)

    def values(self, x: AnyArray, ends: Sequence[str]) -> Values:
        """What some points hold, dequantized, in one pass."""
        found = rows_first(self._held(x, ends), self._axes(ends))
        return {end: array for end, array in found.items() if array.shape[:1] == (len(x),)}

    def _axes(self, ends: Sequence[str]) -> dict[str, int]:
        """Axes of the rows at points, where these are not the first."""
        new = [end for end in dict.fromkeys((*(block.end for block in self.blocks), *ends)) if end not in self._asked]
        if new and self.adapter.shape[0] is None:
            self._turned.update(batch_axes(lambda x: self._held(x, new), self.probe))
        self._asked.update(new)
        return self._turned

    def _held(self, x: AnyArray, ends: Sequence[str]) -> Values:
        """What some points hold, dequantized, the rows where the graph has them."""
        feed = self._fed(x)
        sources = {end: self._source(end) for end in ends}
        entry = source_of(self.flow, self.flow.inputs[0])
        sources |= {ENTRY: entry} if entry not in self.flow.inputs else {}
        names = list(dict.fromkeys(sources.values()))
        session = self._watching(frozenset(names))
        with blamed(self.name, "its layers were watched"):
            given = session.run(names, {self.adapter.input: feed}) if names else []
        raw = {name: np.asarray(value) for name, value in zip(names, given, strict=True)}
        found = {end: self._numbers(source, raw[source]) for end, source in sources.items()}
        self._codes.update({end: (source, raw[source].dtype) for end, source in sources.items()})
        if ENTRY not in found:
            found[ENTRY] = self._numbers(self.adapter.input, feed)
        self._types.update({end: raw[source].dtype for end, source in sources.items() if source == end})
        return {end: array for end, array in found.items() if array is not None}

    def own(self, x: AnyArray, given: Values) -> Values:
        """What layers make of inputs that another model's layers got, in one pass."""
        ends = tuple(end for end in given if end not in (ENTRY, OUTPUT))
        session = self._feeding.get(ends)
        if session is None:
            session = self._feeding[ends] = self._cut(ends)
        feeds = {self.adapter.input: self._fed(x)}
        axes = self._axes(ends)
        back = rows_back({end: given[end] for end in ends}, axes)
        feeds |= {_given(i): np.asarray(back[end], dtype=self._type(end)) for i, end in enumerate(ends)}
        used = {value.name for value in session.get_inputs()}
        wanted = (*ends, OUTPUT) if OUTPUT in given and self.output.end not in ends else ends
        names = [self._source(end) for end in wanted]
        with blamed(self.name, "its layers were fed with another model's inputs"):
            raw = session.run(names, {name: array for name, array in feeds.items() if name in used})
        found = {end: self._numbers(name, array) for end, name, array in zip(wanted, names, raw, strict=True)}
        if OUTPUT in given and OUTPUT not in found:  # the output is a point that was given: nothing comes after it
            found[OUTPUT] = given[self.output.end]
        return rows_first({end: array for end, array in found.items() if array is not None}, axes)

    def codes(self, end: str) -> Codes | None:
        """What the codes of a point stand for, by one scale for all."""
        source, dtype = self._codes.get(end, ("", np.dtype(np.float32)))
        name = self.flow.inputs[0] if end == ENTRY else self._source(end) if end == OUTPUT else end
        read = self.flow.unpacked(source)
        maker = self.flow.makers.get(name)
        if dtype.kind not in "iu" or (read is not None and read[0].size != 1):
            return None
        if maker is not None and maker.op_type in _BOUNDED:
            return None
        edge = np.iinfo(dtype)
        numbers = self._numbers(source, np.array([[edge.min], [edge.max], [edge.max - 1]], dtype=dtype))
        if numbers is None or numbers.shape != (3, 1):
            return None
        low, high, before = (float(one) for one in numbers[:, 0])
        for ending in _ADDED:
            name = name.removesuffix(ending)
        return Codes(name=name, low=low, high=high, step=high - before)

    def answers(self, x: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Its outputs while its points are watched, and while they are not."""
        return replace(self.adapter, session=self._watching()).forward(x), self.adapter.forward(x)

    def bytes_of(self, values: Values) -> int:
        """Bytes that a pass over these rows holds at once."""
        return sum(array.nbytes for array in values.values())

    def _fed(self, x: AnyArray) -> AnyArray:
        """Rows in the type of the input."""
        try:
            return self.adapter.cast(x)
        except InvalidInput as error:
            raise InvalidInput(f"{self.name}: {error}") from error

    def _numbers(self, name: str, raw: AnyArray) -> AnyArray | None:
        """Real numbers of a tensor; None for whole numbers that stand for none.

        Integers stand for what those make of them that read them, which a faulty file may not write by the same scale.
        """
        if raw.dtype.kind == "f":
            return raw
        read = self.flow.unpacked(name)
        if read is not None:
            scale, zero, axis = read
            return dequantized(raw, scale, zero, axis=axis)
        dtype = str(raw.dtype)
        quantization = self.edges.of_output(name, dtype) if dtype in QUANTIZED else None
        return None if quantization is None else dequantize(raw, quantization)

    def _source(self, end: str) -> str:
        """The tensor that holds a point."""
        return self.adapter.output if end == OUTPUT else source_of(self.flow, end)

    def _type(self, end: str) -> np.dtype[Any]:
        """The floating type in which a point is handed on."""
        found = self._types.get(end, np.dtype(np.float32))  # a quantized point goes on dequantized, in float32
        if found not in _ELEMENTS:
            raise InvalidInput(
                f"{self.name} hands on integers ({found} at {end!r}), so no layer of it can be fed with the inputs of "
                "another model's: give the float build as reference, or quantized in QDQ form"
            )
        return found

    def _cut(self, ends: Sequence[str]) -> Any:
        """A session in which what follows a point reads the point's value from outside."""
        model = onnx.ModelProto()
        model.CopyFrom(self.flow.model)
        renamed: dict[str, str] = {}
        inside: set[str] = set()
        for i, end in enumerate(ends):
            bundle = self.flow.bundle(end)
            renamed |= dict.fromkeys(bundle.names, _given(i))
            inside.update(bundle.names[1:])
            model.graph.input.append(onnx.helper.make_tensor_value_info(_given(i), _ELEMENTS[self._type(end)], None))
        for node in model.graph.node:
            if not inside.intersection(node.output):
                _rename(node, renamed)
        return self._opened(model, list(dict.fromkeys(self._source(end) for end in (*ends, OUTPUT))))

    def _opened(self, model: Any, outputs: Sequence[str]) -> Any:
        """A session of a graph with other outputs."""
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        known = {value.name: value for value in changed.graph.output}
        values = [known.get(name, onnx.ValueInfoProto(name=name)) for name in outputs]
        del changed.graph.output[:]
        changed.graph.output.extend(values)
        del changed.graph.value_info[:]
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _ERRORS_ONLY
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several sessions take turns
        if not self._quantized:
            # Optimizers that choose kernels by what surrounds an operator would tell a graph from its own pieces.
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        content = changed.SerializeToString()
        with blamed(self.name, "its layers were opened"):
            return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])

    @cached_property
    def _quantized(self) -> bool:
        """Whether it computes with integers, in kernels that only a fully optimized session has."""
        return any(node.op_type in _QUANTIZERS for node in self.flow.graph.node)


def watched_onnx(model: Model, probe: AnyArray, modules: Mapping[str, Sequence[Block]]) -> WatchedOnnx:
    """Open an ONNX model for a look at its layers.

    Args:
        model: Loaded from a file.
        probe: A few rows.
        modules: The layers of the torch module that it is compared with, by their modules; empty for another file.

    Raises:
        InvalidInput: If it is a live session, which does not show its graph, or keeps weights in other files.
    """
    adapter = adapter_of(model)
    if model.content is None or not isinstance(adapter, OnnxAdapter):
        raise InvalidInput(f"{model.name}: a live session does not show its layers: pass the path of its file")
    content = model.content()
    flow = read_flow(content, model.name)
    return WatchedOnnx(
        name=model.name,
        flow=flow,
        adapter=adapter,
        edges=QuantizedEdges(content=flow.model.SerializeToString()),
        probe=probe,
        modules=modules,
    )


def _given(place: int) -> str:
    """Name of the input that stands for a point."""
    return f"robust::given_{place}"


def _rename(node: Any, names: Mapping[str, str]) -> None:
    """Let a node, and the graphs inside it, read other tensors."""
    for i, name in enumerate(node.input):
        if name in names:
            node.input[i] = names[name]
    for inner in subgraphs(node):
        made = set(_made(inner))
        outer = {old: new for old, new in names.items() if old not in made}
        for part in inner.node:
            _rename(part, outer)


def _made(graph: Any) -> Iterator[str]:
    """Names that a graph inside a node has for itself."""
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (name for node in graph.node for name in node.output)
