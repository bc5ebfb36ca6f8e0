"""Which module of the user's an ONNX operator belongs to, as far as its file tells."""

import ast
import re
from collections.abc import Iterable
from typing import Any

#: What exporters and quantizers append to the name of a weight.
_ENDINGS = ("_quantized", "_Q4", "_fp16")
_LEAVES = ("weight", "bias", "kernel", "in_proj_weight", "in_proj_bias")
_COPY = re.compile(r"(__\d+|_token_\d+)+$")
_LONGEST = 10_000
_HIERARCHY, _SCOPES = "pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.name_scopes"


def layer_of(node: Any, place: int, stored: Iterable[str]) -> tuple[str, str]:
    """Name and kind of the layer of an operator: its module's, where the weights' names or the exporter's notes tell.

    Args:
        node: A node of an ONNX graph.
        place: Its position, for nodes without a name.
        stored: Names of the stored tensors that it reads, or that are unpacked for it alone.

    Returns:
        The name, e.g. `features.0`, and the kind: an operator's type, or a module's class.

    >>> from onnx import helper
    >>> layer_of(helper.make_node("Conv", ["x", "block.1.weight"], ["y"]), 0, ["block.1.weight"])
    ('block.1', 'Conv')
    """
    for name in stored:
        module = module_of(name)
        if module is not None:
            return module, node.op_type
    notes = {entry.key: entry.value for entry in node.metadata_props if entry.key in (_HIERARCHY, _SCOPES)}
    scopes, classes = _listed(notes.get(_SCOPES)), _listed(notes.get(_HIERARCHY))
    if len(scopes) > 1 and scopes[-2] and not scopes[-2].startswith("_empty_nn_module_stack"):
        return scopes[-2], classes[-2].rpartition(".")[2] if len(classes) > 1 else node.op_type
    if node.name.startswith("/"):
        module, _, own_name = node.name[1:].rpartition("/")
        return (module.replace("/", ".") or own_name), node.op_type
    return node.name or f"{node.op_type}_{place}", node.op_type


def module_of(stored: str) -> str | None:
    """The module whose weight or bias a stored tensor is, or None where its name does not tell.

    >>> module_of("block.1.weight_quantized"), module_of("onnx::MatMul_12")
    ('block.1', None)
    """
    module, dot, leaf = stored_name(stored).rpartition(".")
    return module if dot and leaf.startswith(_LEAVES) else None


def stored_name(stored: str) -> str:
    """Name of a stored tensor before it was quantized, and copied for one of its users.

    >>> stored_name("blocks.0_quantized"), stored_name("fc.weight__2_quantized"), stored_name("fc.weight_token_0")
    ('blocks.0', 'fc.weight', 'fc.weight')
    """
    for ending in _ENDINGS:
        stored = stored.removesuffix(ending)
    return _COPY.sub("", stored)


def _listed(text: str | None) -> list[str]:
    """A list of words as an exporter wrote it."""
    if not text or len(text) > _LONGEST:
        return []
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(item) for item in found] if isinstance(found, list) else []
