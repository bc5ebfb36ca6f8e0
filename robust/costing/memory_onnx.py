"""Steps and buffers of an ONNX run, with quantized parts as an integer runtime executes them.

A file in QDQ form writes each operator in floating point between DequantizeLinear and QuantizeLinear; a runtime that
quantizes runs the three as one, on integers. Counted by the letter, such a file would need more memory than the
float one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robust.costing.graph_onnx import Graph, reads
from robust.costing.liveness import Buffer, Step
from robust.costing.operators_onnx import ELEMENTWISE
from robust.costing.weights_onnx import is_folded

#: The same bytes under another name.
_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
#: Products read dequantized inputs as integers, whatever becomes of their output.
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
#: Activations that a quantizing runtime takes into the product before them.
_TAKEN_IN = frozenset({"Relu", "Clip"})
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run reads and writes.

    Args:
        steps: Operators in order.
        sizes: Bytes of each buffer.
        inputs: Buffers that the caller fills.
        outputs: Buffers that the caller reads.
        unknown: Tensors whose size is not known.
    """

    steps: list[Step]
    sizes: dict[Buffer, int]
    inputs: list[Buffer]
    outputs: list[Buffer]
    unknown: list[str]


def memory_run(graph: Graph, plan: "Plan", names: Sequence[str]) -> Run:
    """Steps and buffers of a run.

    Args:
        graph: The graph.
        plan: Which names share a buffer.
        names: Layer of each node.
    """
    steps: list[Step] = []
    for node, name in zip(graph.nodes, names, strict=True):
        if is_folded(node, graph) or plan.vanishes(node):
            continue
        read = dict.fromkeys(plan.buffer(name) for name in reads(node) if name not in graph.fixed)
        write = dict.fromkeys(plan.buffer(name) for name in node.output if name and plan.is_used(name))
        steps.append(
            Step(
                name=name,
                reads=tuple(read),
                writes=tuple(write) or tuple(plan.buffer(made) for made in list(node.output)[:1]),
                elementwise=node.op_type in ELEMENTWISE,
            )
        )
    inputs: list[Buffer] = [plan.buffer(name) for name in graph.inputs]
    outputs: list[Buffer] = [plan.buffer(name) for name in graph.outputs if name not in graph.fixed]
    named = dict.fromkeys(buffer for step in steps for buffer in (*step.reads, *step.writes))
    found = {buffer: graph.size(str(buffer)) for buffer in (*named, *inputs, *outputs)}
    return Run(
        steps=steps,
        sizes={buffer: size for buffer, size in found.items() if size is not None},
        inputs=inputs,
        outputs=outputs,
        unknown=[str(buffer) for buffer, size in found.items() if size is None],
    )


class Plan:
    """Which names share a buffer, and which nodes are no steps of their own.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._readers: dict[str, list[Any]] = {}
        for node in graph.nodes:
            for name in reads(node):
                self._readers.setdefault(name, []).append(node)
        self._makers = {name: node for node in graph.nodes for name in node.output if name}
        self._narrow: dict[str, str | None] = {}
        self._same: dict[str, str] = {}
        for node in graph.nodes:
            if not is_folded(node, graph):
                self._merge(node)

    def buffer(self, name: str) -> str:
        """The name under which a tensor's bytes are counted."""
        while name in self._same:
            name = self._same[name]
        return name

    def is_used(self, name: str) -> bool:
        """Whether anybody reads a tensor."""
        return name in self._readers or name in self._graph.outputs

    def vanishes(self, node: Any) -> bool:
        """Whether a node only renames bytes."""
        if node.op_type not in (*_VIEWS, _QUANTIZE, _DEQUANTIZE) or not node.input:
            return False
        return all(self.buffer(name) == self.buffer(node.input[0]) for name in node.output if name)

    def _merge(self, node: Any) -> None:
        """Let the outputs of a node share a buffer with another tensor, where the run moves no bytes."""
        view = node.op_type in _VIEWS and node.input[0] not in self._graph.fixed
        if view or (node.op_type == _DEQUANTIZE and self._reads_integers(node.output[0])):
            self._same[node.output[0]] = node.input[0]
        elif self._runs_on_integers(node):
            for name in node.output:
                target = self._quantized(name) if name else None
                if target is not None:
                    self._same[name] = target

    def _quantized(self, name: str) -> str | None:
        """The integer tensor that a floating one becomes, if it becomes nothing else."""
        if name not in self._narrow:
            self._narrow[name] = None  # while the question is open; a graph has no circles
            readers = self._readers.get(name, [])
            if len(readers) == 1 and name not in self._graph.outputs:
                (reader,) = readers
                if reader.op_type == _QUANTIZE and reader.input[0] == name:
                    self._narrow[name] = reader.output[0]
                elif reader.op_type in (*_TAKEN_IN, *_VIEWS) and reader.input[0] == name:
                    self._narrow[name] = self._quantized(reader.output[0])
        return self._narrow[name]

    def _runs_on_integers(self, node: Any) -> bool:
        """Whether a node stands between dequantized inputs and a quantized output."""
        given = [name for name in reads(node) if name not in self._graph.fixed]
        made = [name for name in node.output if name and self.is_used(name)]
        if not given or not made or node.op_type in (_QUANTIZE, _DEQUANTIZE):
            return False
        return all(map(self._quantized, made)) and all(map(self._is_integer_inside, given))

    def _is_integer_inside(self, name: str) -> bool:
        """Whether a floating tensor stands for integers: just dequantized, or about to be quantized."""
        maker = self._makers.get(name)
        if maker is None:
            return False
        if maker.op_type == _DEQUANTIZE:
            return True
        if maker.op_type in _VIEWS:
            return self._is_integer_inside(maker.input[0])
        return self._quantized(name) is not None and self._runs_on_integers(maker)

    def _reads_integers(self, name: str) -> bool:
        """Whether all that read a dequantized tensor take it as integers."""
        if name in self._graph.outputs:
            return False
        for reader in self._readers.get(name, []):
            if reader.op_type in _VIEWS:
                if not self._reads_integers(reader.output[0]):
                    return False
            elif reader.op_type not in (*_PRODUCTS, _QUANTIZE) and not self._runs_on_integers(reader):
                return False
        return True
