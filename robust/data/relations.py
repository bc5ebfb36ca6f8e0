"""Linear relations between features, e.g. `total = a + b` or `min <= max`: parsed, never executed."""

import ast
from dataclasses import dataclass

import numpy as np

from robust.errors import InvalidInput
from robust.types import BoolArray, FloatArray

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
        """Which rows (n, d) break the relation by more than rounding (1e-6 of the terms' size)."""
        terms = rows[:, list(self.columns)].astype(np.float64) * np.asarray(self.weights)
        total = terms.sum(axis=1) + self.constant
        slack = 1e-6 * (np.abs(terms).sum(axis=1) + abs(self.constant) + 1.0)
        return np.abs(total) > slack if self.equality else total > slack


def parse_relation(text: str, names: tuple[str, ...]) -> Relation:
    """Read a relation such as `total = a + 2*b` or `low <= high`.

    Args:
        text: A comparison (`=`, `==`, `<=`, `<`, `>=`, `>`) of two linear expressions of feature names.
        names: The features.

    Returns:
        The relation as weights.

    Raises:
        InvalidInput: If it is no linear relation of known features.

    >>> r = parse_relation("total = a + 2*b", ("a", "b", "total"))
    >>> r.columns, r.weights, r.equality
    ((2, 0, 1), (1.0, -1.0, -2.0), True)
    """
    source = text if any(mark in text for mark in ("==", "<", ">")) else text.replace("=", "==")
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        raise InvalidInput(f"relation {text!r} cannot be read: {error.msg}") from error
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
        raise InvalidInput(f"relation {text!r} must be one comparison, e.g. 'total = a + b' or 'low <= high'")
    comparison = _COMPARISONS[type(tree.ops[0])]
    weights: dict[str, float] = {}
    sign = -1.0 if comparison == ">=" else 1.0
    constant = _collect(tree.left, sign, weights, text) + _collect(tree.comparators[0], -sign, weights, text)
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise InvalidInput(f"relation {text!r} names unknown features {unknown}; known: {list(names)[:20]}")
    return Relation(
        text=text,
        columns=tuple(names.index(name) for name in weights),
        weights=tuple(weights.values()),
        constant=constant,
        equality=comparison == "==",
    )


def _collect(node: ast.expr, scale: float, weights: dict[str, float], text: str) -> float:
    """Add scale·node to the weights; return its constant part."""
    match node:
        case ast.Name(id=name):
            weights[name] = weights.get(name, 0.0) + scale
            return 0.0
        case ast.Constant(value=int() | float() as number):
            return scale * number
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _collect(inner, -scale, weights, text)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operation, right=right):
            second = scale if isinstance(operation, ast.Add) else -scale
            return _collect(left, scale, weights, text) + _collect(right, second, weights, text)
        case ast.BinOp(left=ast.Constant(value=int() | float() as number), op=ast.Mult(), right=inner):
            return _collect(inner, scale * number, weights, text)
        case ast.BinOp(left=inner, op=ast.Mult(), right=ast.Constant(value=int() | float() as number)):
            return _collect(inner, scale * number, weights, text)
    raise InvalidInput(f"relation {text!r} must be linear: sums of features, each times a number")
