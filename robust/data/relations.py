"""Linear relations between features, e.g. `total = a + b` or `min <= max`: parsed, never executed."""

import ast
import re
from dataclasses import dataclass

import numpy as np

from robust.data.naming import unknown_name
from robust.errors import InvalidInput
from robust.types import BoolArray, FloatArray

_QUOTED = re.compile(r"`([^`]+)`")
_LARGEST = 1e300
_COMPARISONS = {ast.LtE: "<=", ast.Lt: "<=", ast.GtE: ">=", ast.Gt: ">=", ast.Eq: "=="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A linear relation Σ w_j x_j + c ≤ 0, or = 0, between features.

    Args:
        text: As the user wrote it.
        columns: Indices j of the features.
        weights: Weights w_j.
        constant: c.
        equality: Whether the sum must be 0 rather than at most 0.
    """

    text: str
    columns: tuple[int, ...]
    weights: tuple[float, ...]
    constant: float
    equality: bool

    def violated(self, rows: FloatArray) -> BoolArray:
        """Which rows break the relation by more than rounding.

        Σ w_j x_j + c > 1e-6 · (Σ |w_j x_j| + |c|) + 1e-9, with |Σ w_j x_j + c| on the left for an equality.

        Args:
            rows: Rows (n, d).

        Returns:
            A mask (n,); a row with a missing value (NaN) in the relation breaks nothing.
        """
        terms = rows[:, list(self.columns)].astype(np.float64) * np.asarray(self.weights)
        total = terms.sum(axis=1) + self.constant
        # Relative to the terms: data in nanometres obeys the same rule as data in metres. The absolute part
        # is for terms that cancelled down to rounding errors.
        slack = 1e-6 * (np.abs(terms).sum(axis=1) + abs(self.constant)) + 1e-9
        return np.asarray((np.abs(total) if self.equality else total) > slack)


def parse_relation(text: str, names: tuple[str, ...]) -> Relation:
    """Read a relation such as `total = a + 2*b` or `low <= high`.

    Args:
        text: A comparison (`=`, `==`, `<=`, `<`, `>=`, `>`; `<` is read as `<=`, since features are
            continuous) of two linear expressions of feature names; a name that is no identifier stands
            between backticks.
        names: The features.

    Returns:
        The relation as weights.

    Raises:
        InvalidInput: If it is no linear relation of known features.

    >>> r = parse_relation("total = a + 2*b", ("a", "b", "total"))
    >>> r.columns, r.weights, r.equality
    ((2, 0, 1), (1.0, -1.0, -2.0), True)
    """
    quoted = dict.fromkeys(_QUOTED.findall(text))
    placeholders = {f"_quoted_{j}": name for j, name in enumerate(quoted)}
    source = _QUOTED.sub(lambda match: f"_quoted_{list(quoted).index(match[1])}", text)
    if not any(mark in source for mark in ("==", "<", ">")):
        source = source.replace("=", "==")
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"relation {text!r} cannot be read: {error}") from error
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
        raise InvalidInput(f"relation {text!r} must be one comparison, e.g. 'total = a + b' or 'low <= high'")
    comparison = _COMPARISONS[type(tree.ops[0])]
    found: dict[str, float] = {}
    sign = -1.0 if comparison == ">=" else 1.0
    constant = _collect(tree.left, sign, found, text) + _collect(tree.comparators[0], -sign, found, text)
    weights = {placeholders.get(name, name): weight for name, weight in found.items() if weight != 0}
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise InvalidInput(unknown_name(unknown[0], names, where=f"relation {text!r} names an unknown feature"))
    if not weights:
        raise InvalidInput(f"relation {text!r} depends on no feature")
    return Relation(
        text=text,
        columns=tuple(names.index(name) for name in weights),
        weights=tuple(weights.values()),
        constant=constant,
        equality=comparison == "==",
    )


def _collect(node: ast.expr, scale: float, weights: dict[str, float], text: str) -> float:
    """Add scale·node to the weights; return its constant part."""
    number = _number(node)
    if number is not None:
        return scale * number
    match node:
        case ast.Name(id=name):
            weights[name] = weights.get(name, 0.0) + scale
            return 0.0
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as operation, operand=inner):
            return _collect(inner, -scale if isinstance(operation, ast.USub) else scale, weights, text)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operation, right=right):
            second = scale if isinstance(operation, ast.Add) else -scale
            return _collect(left, scale, weights, text) + _collect(right, second, weights, text)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            for factor, inner in ((_number(left), right), (_number(right), left)):
                if factor is not None:
                    return _collect(inner, scale * factor, weights, text)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            divisor = _number(right)
            if divisor:
                return _collect(left, scale / divisor, weights, text)
    raise InvalidInput(f"relation {text!r} must be linear: sums of features, each times a number")


def _number(node: ast.expr) -> float | None:
    """The value of an expression of numbers alone, or None for any other."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as number) if abs(number) < _LARGEST:
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value = _number(inner)
            return None if value is None else -value
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as operation, right=right):
            first, second = _number(left), _number(right)
            if first is None or second is None:
                return None
            if isinstance(operation, ast.Mult):
                return first * second
            return first / second if second else None
    return None
