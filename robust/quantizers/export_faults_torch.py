"""Why torch could not export a module, in one sentence that names the operator and the module."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch

from robust.models.adapter_torch import evaluating
from robust.models.foreign_errors import brief
from robust.quantizers.quiet import quiet

_NODE = re.compile(r"Error when translating node %(\S+) : .*?target=(?:torch\.ops\.)?([\w.]+)\]", re.DOTALL)
_CALL = re.compile(r'The following call raised this error:\s*File "([^"]+)", line (\d+), in \w+[ \t]*\n {4}(\S.*)')
_BY_DATA = ("DataDependent", "data-dependent")
_REMEDY = "export it yourself, with this replaced, and quantize the file"


def why_not_exported(error: BaseException, module: torch.nn.Module, example: torch.Tensor, free: Any) -> str:
    """What an exporter's error comes down to.

    Args:
        error: What was raised.
        module: What was exported.
        example: What it was traced with.
        free: Its free dimensions.

    Returns:
        A sentence behind "cannot export …:", the remedy in it.
    """
    chain = list(_chain(error))
    text = "\n".join(str(part) for part in chain)
    if any(word in brief(part) for part in chain for word in _BY_DATA):
        call = _CALL.search(text)
        where = f", at {call[3].strip()!r} ({Path(call[1]).name}, line {call[2]})" if call else ""
        return (
            f"its code goes on by the values of a tensor{where}, and a graph has one way for all rows: torch.where, or "
            "torch.cond, would be right"
        )
    node = _NODE.search(text)
    if node is None:
        return f"{brief(chain[-1])}; {_REMEDY}"
    owner = _owner(node[1], module, example, free)
    return f"operator {node[2]} (node {node[1]!r}{owner}) has no form in ONNX; {_REMEDY}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from: torch wraps what an operator says several times."""
    while error is not None:
        yield error
        error = error.__cause__


def _owner(node: str, module: torch.nn.Module, example: torch.Tensor, free: Any) -> str:
    """The module of a node of the exported program, as the end of a list; empty where it cannot be told."""
    try:
        with warnings.catch_warnings(), quiet("torch"), redirect_stderr(io.StringIO()), evaluating(module):
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=free).run_decompositions()
    except Exception:
        return ""
    nodes = list(program.graph.nodes)
    word = re.sub(r"_\d+$", "", node)  # the exporter takes some operators apart further, under shorter names
    found = [n for n in nodes if n.name == node] or [n for n in nodes if n.op == "call_function" and word in n.name]
    stacks = {str(n.meta.get("nn_module_stack")): n.meta.get("nn_module_stack") for n in found}
    stack = next(iter(stacks.values()), None)
    if len(stacks) != 1 or not stack:
        return ""
    path, kind = list(stack.values())[-1]
    kind = kind if isinstance(kind, str) else kind.__name__
    return f", in module {path or 'itself'} ({kind.rpartition('.')[2]})"
