"""Gradients of an ONNX file, through a conversion to torch that is checked against onnxruntime first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from robust.errors import InvalidInput
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.adapter_torch import BLOCK, TorchAdapter
from robust.models.base import Model, adapter_of
from robust.models.contract import output_columns
from robust.models.onnx_expanding import expanded
from robust.models.onnx_operators_torch import OPERATORS
from robust.types import AnyArray, FloatArray

# Outputs may differ by this share of their largest size: two libraries add in different orders. Where activations are
# rounded to integers one of them may round up where the other rounds down, so there decisions are compared too.
_NOISE, _ROUNDED, _SAME_DECISIONS = 1e-4, 0.05, 0.99
_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conversion:
    """An ONNX model with gradients, and how well they belong to it.

    Args:
        model: The model, answered by onnxruntime as before, with the gradients of its conversion.
        gap: Largest difference between the outputs of the two on the rows that were compared.
        rows: How many rows were compared.
        rounded: The file rounds activations to integers; its gradient goes straight through the rounding.
    """

    model: Model
    gap: float
    rows: int
    rounded: bool

    @property
    def words(self) -> str:
        """What a reader of a measurement must know."""
        what = "the dequantized network, straight through its rounding" if self.rounded else "a torch conversion"
        return (
            f"gradients of {self.model.name} are those of {what}; outputs of the two differ by at most {self.gap:.2g} "
            f"on {self.rows} rows"
        )


class OnnxGraph(torch.nn.Module):  # type: ignore[misc]  # mypy is not shown torch
    """The part of a graph between its input and the output that is judged."""

    def __init__(self, nodes: list[Any], constants: Mapping[str, AnyArray], *, source: str, target: str, opset: int):
        super().__init__()
        self._source, self._target = source, target
        self._nodes = [
            (OPERATORS[node.op_type], list(node.input), node.output[0], _attributes(node, opset)) for node in nodes
        ]
        self._names = {name: f"constant_{i}" for i, name in enumerate(constants)}
        for name, array in constants.items():
            self.register_buffer(self._names[name], torch.from_numpy(np.array(array)))

    def forward(self, x: Tensor) -> Tensor:
        """The output for one batch."""
        held: dict[str, Tensor] = {self._source: x}
        held.update((name, getattr(self, place)) for name, place in self._names.items())
        for operator, names, output, attributes in self._nodes:
            held[output] = operator([held[name] if name else None for name in names], attributes)
        return held[self._target]


def converted(model: Model, rows: AnyArray) -> Conversion:
    """Convert an ONNX model to torch for its gradients, and check the conversion on rows.

    Args:
        model: Loaded from an `.onnx` file.
        rows: Rows (n, *row shape) that both are asked about; the first 256 are.

    Returns:
        The model with gradients. Its answers are still onnxruntime's.

    Raises:
        InvalidInput: If the model is no ONNX file, takes integers, has operators that are not converted, or if the
            conversion answers otherwise than onnxruntime by more than rounding.
    """
    adapter = adapter_of(model)
    if not isinstance(adapter, OnnxAdapter) or model.content is None:
        raise InvalidInput(f"{model.name} ({model.framework}) was not loaded from an .onnx file, whose graph is needed")
    if adapter.dtype.kind != "f" or adapter.zipped or adapter.quantization is not None:
        raise InvalidInput(
            f"{model.name} takes or gives integers or a map, past which nothing can be differentiated: export it with "
            "floating input and output"
        )
    graph, rounded = _graph(onnx.load_model_from_string(model.content()), adapter, model.name)
    twin = TorchAdapter(module=graph.to(torch.float32).eval(), block=model.fixed_batch or BLOCK)
    size = model.fixed_batch or model.batch_size
    blocks = [rows[i : i + size] for i in range(0, min(len(rows), _ROWS), size)]
    if model.fixed_batch is not None:
        blocks = [np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) for rows in blocks]
    try:
        mine = np.concatenate([twin.forward(np.array(block)) for block in blocks])
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        raise InvalidInput(f"{model.name} could not be converted to torch: {error}") from error
    told = np.concatenate([output_columns(adapter.forward(np.array(block)), len(block)) for block in blocks])
    gap = float(np.abs(mine - told).max()) if mine.shape == told.shape else np.inf
    _require_parity(mine, told, gap, rounded=rounded, name=model.name)
    with_slope = replace(model, gradients=twin.gradients)
    return Conversion(model=with_slope, gap=gap, rows=min(len(rows), _ROWS), rounded=rounded)


def _require_parity(mine: FloatArray, told: FloatArray, gap: float, *, rounded: bool, name: str) -> None:
    """Refuse a conversion that is another model."""
    scale = max(float(np.abs(told).max()), 1e-30)
    same = 1.0 if not np.isfinite(gap) or told.shape[1] < 2 else float((mine.argmax(1) == told.argmax(1)).mean())
    if gap > (_ROUNDED if rounded else _NOISE) * scale or (rounded and same < _SAME_DECISIONS):
        raise InvalidInput(
            f"the torch conversion of {name} answers otherwise than onnxruntime: outputs differ by up to {gap:.3g} of "
            f"{scale:.3g}, {1.0 - same:.1%} of the decisions differ. Its gradients are not used; Transfer from a twin, "
            "or Square(eps=…), would be right"
        )


def _graph(proto: Any, adapter: OnnxAdapter, name: str) -> tuple[OnnxGraph, bool]:
    """The graph as a module, and whether it rounds activations."""
    made = {output: node for node in expanded(proto.graph.node) for output in node.output}
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    needed: list[Any] = []
    constants: dict[str, AnyArray] = {}
    entered, finished = set[str](), set[str]()
    waiting = [adapter.output]
    while waiting:  # depth first, so that what a node needs comes before it
        value = waiting[-1]
        node = made.get(value)
        if value in finished or value == adapter.input or not value or (node is None and value in stored):
            if value in stored and value not in constants:
                constants[value] = _array(stored[value], name)
            waiting.pop()
        elif node is None:
            raise InvalidInput(f"{name}: nothing gives {value!r}, which its output needs")
        elif value not in entered:
            entered.add(value)
            waiting += _inputs(node, value, constants, name)
        else:
            waiting.pop()
            finished.add(value)
            if node.op_type != "Constant":
                needed.append(node)
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 1)
    rounded = any(node.op_type == "QuantizeLinear" for node in needed)
    return OnnxGraph(needed, constants, source=adapter.input, target=adapter.output, opset=opset), rounded


def _inputs(node: Any, value: str, constants: dict[str, AnyArray], name: str) -> Iterable[str]:
    """What a node needs; a constant is taken down at once.

    Raises:
        InvalidInput: If the node's operator is not converted.
    """
    if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
        values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        found = next(iter(values.values()))
        constants[value] = _array(found, name) if isinstance(found, onnx.TensorProto) else np.asarray(found)
        return []
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx") or node.output[0] != value:
        raise InvalidInput(
            f"{name} has operator {node.op_type} at node {(node.name or value)!r}, which is not converted to torch: "
            "Transfer from a twin with gradients, or Square(eps=…), attacks the file as it is"
        )
    return [given for given in node.input if given]


def _array(tensor: Any, name: str) -> AnyArray:
    """A stored tensor."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise InvalidInput(f"{name} keeps tensors in another file: save it as one file (onnx.save does) to convert it")
    found: AnyArray = numpy_helper.to_array(tensor)
    return found


def _attributes(node: Any, opset: int) -> dict[str, Any]:
    """Attributes by name, and the version of the operators; a quantized softmax names its own."""
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {"opset": opset, **found}
