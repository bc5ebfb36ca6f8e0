"""Checks the graph of an exported program word for word, because its loader evaluates parts of it as Python.

With torch 2.13, code runs from guards (compiled as they are) and from size expressions (sympy evaluates their
text); names are pasted into generated source, and operators are looked up by attribute from `torch`, which
reaches whatever torch itself imports.
"""

import ast
import json
import re

from robust.errors import InvalidInput

_WORD = re.compile(r"[A-Za-z0-9_.+\-]*", re.ASCII)
_STACK = re.compile(r"[A-Za-z0-9_.,;()\[\]<>@*' \-]*", re.ASCII)
_SYMBOL = re.compile(r"[a-z]{1,4}[0-9]+", re.ASCII)
_TENSOR_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed|torchvision)\.([a-z_][A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)",
    re.ASCII,
)
_FILE_OPERATORS = frozenset({"from_file", "save", "load", "_print"})
_INTEGER_OPERATORS = "add sub mul floordiv truediv mod pow neg pos abs eq ne lt le gt ge and_ or_ not_ getitem"
_OTHER_OPERATORS = frozenset(
    {f"_operator.{name}" for name in _INTEGER_OPERATORS.split()}
    | {f"math.{name}" for name in ("ceil", "floor", "trunc", "sqrt")}
    | {f"torch.sym_{name}" for name in ("int", "float", "max", "min", "not", "ite", "sum")}
    | {f"torch.ops.higher_order.{name}" for name in ("wrap_with_set_grad_enabled", "cond")}
)
_SIZE_FUNCTIONS = (
    "Symbol Integer Float Rational Add Mul Pow Min Max Mod Abs Not And Or Eq Ne Lt Le Gt Ge StrictLessThan "
    "LessThan StrictGreaterThan GreaterThan Equality Unequality FloorDiv CeilDiv CleanDiv ModularIndexing "
    "PythonMod Where PowByNatural FloatPow FloatTrueDiv IntTrueDiv ToFloat TruncToInt TruncToFloat CeilToInt "
    "FloorToInt RoundToInt RoundDecimal Identity"
)
_FUNCTIONS = frozenset(_SIZE_FUNCTIONS.split())
_ASSUMPTIONS = frozenset(
    {"positive", "integer", "nonnegative", "real", "zero", "nonzero", "negative", "precision", "evaluate"}
)
_EXPRESSION_NODES = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Call, ast.keyword),
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop),
)
_CONTAINERS = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})


def checked_graph(text: bytes) -> bytes:
    """The graph with nothing left in it that its loader could execute.

    Guards, stack traces, and descriptions that only a debugger reads are dropped; every other word must be a
    plain name, a known operator, an arithmetic expression, or a string argument of an operator.

    Args:
        text: JSON as `torch.export.save` writes it.

    Raises:
        InvalidInput: Naming the first thing that has no place in a graph.
    """
    program = json.loads(text)
    if not isinstance(program, dict) or not isinstance(program.get("graph_module"), dict):
        raise InvalidInput("it holds no graph")
    program["guards_code"] = []
    graph_module = program["graph_module"]
    graph_module["metadata"] = {}
    calls = graph_module.get("module_call_graph", [])
    graph_module["module_call_graph"] = [entry for entry in calls if entry.get("fqn") == ""]
    _check(program, "program")
    return json.dumps(program).encode()


def _check(value: object, key: str) -> None:
    """Walk down; strings are judged by the name of the field that they stand in."""
    if isinstance(value, dict):
        for name, item in value.items():
            if key == "range_constraints":
                _check_expression(name)
            elif not _WORD.fullmatch(name):
                raise InvalidInput(f"{key} has an entry named {name[:80]!r}, which is no plain name")
            if name == "metadata" and "target" in value:
                value[name] = _module_stack(item)
            else:
                _check(item, name)
    elif isinstance(value, list):
        for item in value:
            _check(item, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    if key in ("target", "as_operator"):
        _check_operator(text)
    elif key == "expr_str":
        _check_expression(text)
    elif key in ("in_spec", "out_spec"):
        _check_structure(json.loads(text))
    elif key in (
        "as_string",
        "as_strings",
    ):  # an argument such as 'reflect' or 'ij,jk->ik': it stays a quoted value
        if len(text) > 1000:
            raise InvalidInput(f"an operator has a string argument of {len(text)} characters")
    elif not _WORD.fullmatch(text):
        raise InvalidInput(f"{key} is {text[:80]!r}, which is no plain name")


def _check_operator(target: str) -> None:
    match = _TENSOR_OPERATOR.fullmatch(target)
    if match is not None and match[2] not in _FILE_OPERATORS and not match[2].startswith("__") and match[3][:2] != "__":
        return
    if target not in _OTHER_OPERATORS:
        raise InvalidInput(f"it calls {target[:80]!r}, which is no operator on tensors")


def _check_expression(text: str) -> None:
    """Arithmetic on sizes: numbers, symbols, and the functions that torch prints."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError) as error:
        raise InvalidInput(f"a size is {text[:80]!r}, which is no arithmetic expression") from error
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        good = isinstance(node, _EXPRESSION_NODES)
        if isinstance(node, ast.Name):
            good = (
                node.id in _FUNCTIONS
                if id(node) in called
                else bool(_SYMBOL.fullmatch(node.id)) or node.id in ("oo", "int_oo")
            )
        elif isinstance(node, ast.Call):
            good = isinstance(node.func, ast.Name)
        elif isinstance(node, ast.keyword):
            good = node.arg in _ASSUMPTIONS
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Some of sympy's functions evaluate quoted text again: it has to be harmless by itself.
            good = bool(_SYMBOL.fullmatch(node.value)) or bool(re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?", node.value))
        if not good:
            raise InvalidInput(f"a size is {text[:80]!r}, which is no arithmetic expression")


def _check_structure(spec: object) -> None:
    """The nesting of inputs and outputs: tuples, lists and dicts of plain names."""
    if isinstance(spec, list):
        for item in spec:
            _check_structure(item)
    elif isinstance(spec, dict):
        if spec.get("type") not in _CONTAINERS:
            raise InvalidInput(f"its inputs or outputs are of type {str(spec.get('type'))[:80]!r}, no plain container")
        context = spec.get("context")
        if isinstance(context, str) and not re.fullmatch(r"null|\[[A-Za-z0-9_\", ]*\]", context):
            raise InvalidInput(f"its inputs or outputs are described by {context[:80]!r}, which is no list of names")
        _check_structure(spec.get("children_spec", []))


def _module_stack(metadata: object) -> dict[str, str]:
    """Of a node's descriptions, the module that it came from: it is used as text alone."""
    stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
    return {"nn_module_stack": stack} if isinstance(stack, str) and _STACK.fullmatch(stack) else {}
