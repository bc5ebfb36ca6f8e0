"""An ONNX graph before it is quantized and after: what is refused, prepared, named and left out."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto
from onnxruntime.quantization.shape_inference import quant_pre_process

from robust.errors import InvalidInput
from robust.models.foreign_errors import brief
from robust.models.layer_names import layer_of
from robust.quantizers.quiet import quiet

_QUANTIZED = re.compile(
    r"QuantizeLinear|DequantizeLinear|DynamicQuantize\w+|QLinear\w+|\w+Integer(ToFloat)?|QGemm|\w+NBits"
)
#: What onnxruntime puts before the name of a weight that it folds something into, and behind that of a node.
_FOLDED = re.compile(r"^(?:Conv(?:Bn|Mul|Add)Fusion_(?:BN_)?(?:W|B)_)+")
_REBUILT = re.compile(r"(_MatMul)?(_quant|_Q\d+)?$")
_NOTES = frozenset({"pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.name_scopes"})
_OTHER_FLOATS = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
_FLOATS = _OTHER_FLOATS | {TensorProto.FLOAT}
_SHOWN = 5
# Scales a channel exist from this opset on, 4- and 16-bit integers from the other.
_PER_CHANNEL, _ODD_WIDTHS = 13, 21


def float_graph(content: bytes, name: str) -> onnx.ModelProto:
    """A float model, fit to be quantized.

    Args:
        content: Bytes of its file.
        name: Of the model.

    Raises:
        InvalidInput: If it is quantized already, keeps tensors in other files, or weights in other than 32-bit floats.
    """
    model = onnx.load_model_from_string(content)
    outside = [tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    if outside:
        raise InvalidInput(
            f"{name} keeps {len(outside)} tensors ({outside[0]}, …) in other files: save it as one file with "
            "onnx.save(onnx.load(path), one_file), then quantize that"
        )
    already = [node for node in model.graph.node if _QUANTIZED.fullmatch(node.op_type)]
    if already:
        shown = ", ".join(f"{node.name or 'unnamed'} ({node.op_type})" for node in already[:_SHOWN])
        raise InvalidInput(
            f"{name} is quantized already, by {len(already)} nodes such as {shown}: quantize the float build that it "
            "was made of"
        )
    odd = [t for t in model.graph.initializer if t.data_type in _OTHER_FLOATS and len(t.dims) > 1]
    if odd:
        raise InvalidInput(
            f"{name} keeps weights such as {odd[0].name} in {TensorProto.DataType.Name(odd[0].data_type).lower()}, "
            "beside which a quantizer would leave casts: quantize the build in 32-bit floats"
        )
    return model


def prepared(model: onnx.ModelProto, *, odd_widths: bool) -> onnx.ModelProto:
    """The model as quantizers want it: constants folded, batch norms merged, shapes known, every node named.

    Args:
        model: The float model; it stays as it is.
        odd_widths: Whether 4- or 16-bit integers will be needed.

    Raises:
        InvalidInput: If onnxruntime cannot prepare it.
    """
    wanted = _ODD_WIDTHS if odd_widths else _PER_CHANNEL
    with tempfile.TemporaryDirectory() as folder, quiet() as heard:
        path, start = Path(folder, "prepared.onnx"), Path(folder, "float.onnx")
        try:
            onnx.save(_at_least(model, wanted), start)
            # Symbolic shapes are no need, and where they are incomplete a file is left in the working folder.
            quant_pre_process(start, path, skip_symbolic_shape=True)
            found = onnx.load(path)
        except Exception as error:
            raise InvalidInput(f"onnxruntime cannot prepare the model for quantization: {brief(error)}") from error
    # The optimizer's failure is only logged; its last line says which operator it did not know.
    failed = [said.strip().splitlines()[-1] for said in heard if said.startswith("Traceback")]
    if failed:
        raise InvalidInput(f"onnxruntime cannot prepare the model for quantization: {failed[0]}")
    stored = {tensor.name for tensor in found.graph.initializer}
    known = [info for info in found.graph.value_info if info.name not in stored]
    del found.graph.value_info[:]  # shapes of weights, which quantizers transpose under the same name
    found.graph.value_info.extend(known)
    for i, node in enumerate(found.graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
    _restore_names(found)
    carry_notes(model, found)
    return found


def carry_notes(source: onnx.ModelProto, target: onnx.ModelProto) -> None:
    """Write the exporter's notes on modules, which optimizers drop, on the nodes that the source's became."""
    notes = {node.name: [note for note in node.metadata_props if note.key in _NOTES] for node in source.graph.node}
    for node in target.graph.node:
        if not node.metadata_props:
            node.metadata_props.extend(notes.get(node.name) or notes.get(_REBUILT.sub("", node.name)) or [])


def tidied(model: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """The quantized model as a file that says nothing of the machine that made it.

    Args:
        model: As a quantizer left it.
        source: The float model.

    Returns:
        With the module names and the user's own notes of the source; without stack traces, the quantizer's marks and
        operator sets that nothing uses.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    carry_notes(source, plain)
    graph = plain.graph
    del graph.value_info[:]
    for part in (plain, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        kept = [note for note in part.metadata_props if note.key in _NOTES]
        del part.metadata_props[:]
        part.metadata_props.extend(kept)
        part.doc_string = ""
    plain.metadata_props.extend(note for note in source.metadata_props if not note.key.startswith("pkg."))
    used = (
        {node.domain for node in _all_nodes(graph)} | {node.domain for f in plain.functions for node in f.node} | {""}
    )
    opsets = [opset for opset in plain.opset_import if opset.domain in used]
    del plain.opset_import[:]
    plain.opset_import.extend(opsets)
    return plain


def weighted_nodes(model: onnx.ModelProto) -> tuple[tuple[str, str, str], ...]:
    """Layer, operator and node of each operator that reads a float weight.

    Args:
        model: A model before it is quantized, or after.
    """
    weights = {t.name for t in model.graph.initializer if t.data_type in _FLOATS and len(t.dims) > 1}
    return tuple(
        (layer_of(node, i, [name for name in node.input if name in weights])[0], node.op_type, node.name)
        for i, node in enumerate(model.graph.node)
        if weights.intersection(node.input)
    )


def nodes_of(model: onnx.ModelProto, keep: Iterable[str], *, name: str) -> list[str]:
    """Names of the nodes of some modules, the modules inside them included.

    Args:
        model: A prepared model.
        keep: Names of modules, or of nodes.
        name: Of the model.

    Raises:
        InvalidInput: If a module has no node.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    layers = [layer_of(node, i, [n for n in node.input if n in stored])[0] for i, node in enumerate(model.graph.node)]
    noted = [layer_of(node, i, ())[0] for i, node in enumerate(model.graph.node)]  # of weights that modules share
    found: list[str] = []
    for wanted in keep:
        inside = [
            node.name
            for node, layer, own in zip(model.graph.node, layers, noted, strict=True)
            if wanted in (layer, own, node.name) or layer.startswith(f"{wanted}.")
        ]
        if not inside:
            known = ", ".join(dict.fromkeys(layer for layer, _, _ in weighted_nodes(model)))
            raise InvalidInput(
                f"keep names {wanted!r}, which {name} does not have; its layers with weights are {known}"
            )
        found += inside
    return found


def _restore_names(model: onnx.ModelProto) -> None:
    """Give weights that onnxruntime folded a batch norm into the names of their modules again."""
    taken = {tensor.name for tensor in model.graph.initializer}
    new: dict[str, str] = {}
    for tensor in model.graph.initializer:
        name = _FOLDED.sub("", tensor.name)
        if name != tensor.name and name not in taken:
            taken.add(name)
            new[tensor.name] = tensor.name = name
    for node in _all_nodes(model.graph):
        for i, name in enumerate(node.input):
            node.input[i] = new.get(name, name)


def _all_nodes(graph: Any) -> Iterator[Any]:
    """Nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _at_least(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy in an operator set that has what is needed; never an older one."""
    own = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=opset)
    if own < opset:
        return onnx.version_converter.convert_version(model, opset)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
