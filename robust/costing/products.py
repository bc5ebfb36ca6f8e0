"""Multiply-accumulates of the products that count: convolutions, matrix products, recurrent cells, attention.

Pure arithmetic on shapes, shared by all frameworks. Bias, activation, pooling and folded normalisation are 0.
"""

from collections.abc import Sequence
from math import prod

from robust.errors import InvalidInput

Shape = Sequence[int]


def convolution_macc(weight: Shape, output: Shape) -> int:
    """Multiply-accumulates of a convolution, positions over the padding included.

    |Y| · C/g · k₁ ⋯ k_d

    Args:
        weight: Shape (M, C/g, k₁, …, k_d): output channels, input channels a group, kernel.
        output: Shape of Y, (n, M, …).

    Returns:
        A count, at least 0.

    >>> convolution_macc((8, 1, 3, 3), (1, 8, 8, 8))
    4608
    """
    return prod(output) * prod(weight[1:])


def transposed_convolution_macc(weight: Shape, data: Shape) -> int:
    """Multiply-accumulates of a transposed convolution: each input number meets each weight of its channel once.

    |X| · M/g · k₁ ⋯ k_d

    Args:
        weight: Shape (C, M/g, k₁, …, k_d).
        data: Shape of X, (n, C, …).

    Returns:
        A count, at least 0.

    >>> transposed_convolution_macc((3, 4, 3), (1, 3, 9))
    324
    """
    return prod(data) * prod(weight[1:])


def matrix_macc(output: Shape, inner: int) -> int:
    """Multiply-accumulates of a matrix product, batched or not.

    |Y| · K

    Args:
        output: Shape of the product.
        inner: K, the length of the axis that is summed over.

    Returns:
        A count, at least 0.

    >>> matrix_macc((1, 10), 256)
    2560
    """
    return prod(output) * inner


def recurrent_macc(
    input_weight: Shape, hidden_weight: Shape, *, steps: int, rows: int, peepholes: Shape | None = None
) -> int:
    """Multiply-accumulates of a recurrent layer: all its weights are used once a step.

    T · n · (|W| + |R| + |P|), with all directions and gates in W and R.

    Args:
        input_weight: Shape of W: gates · H by inputs, with or without an axis of directions.
        hidden_weight: Shape of R: gates · H by H.
        steps: T; sequences that end earlier are counted in full.
        rows: n.
        peepholes: Shape of P, the weights by which three gates see the state of their own cell: 3 · H a direction;
            None where there are none.

    Returns:
        A count, at least 0. Products of gates with states, element by element, hold no weights and count 0.

    >>> recurrent_macc((64, 8), (64, 16), steps=8, rows=1)
    12288
    >>> recurrent_macc((64, 8), (64, 16), steps=8, rows=1, peepholes=(48,)) - 12288
    384
    """
    seen = 0 if peepholes is None else prod(peepholes)
    return steps * rows * (prod(input_weight) + prod(hidden_weight) + seen)


def attention_macc(query: Shape, key: Shape, value: Shape) -> int:
    """Multiply-accumulates of scaled dot-product attention, QKᵀ and AV; a causal mask saves nothing here.

    n · h · L · S · (E + E_v)

    Args:
        query: Shape (n, h, L, E).
        key: Shape (n, h_k, S, E).
        value: Shape (n, h_k, S, E_v).

    Returns:
        A count, at least 0.

    >>> attention_macc((1, 4, 8, 4), (1, 4, 8, 4), (1, 4, 8, 4))
    2048
    """
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def einsum_macc(equation: str, shapes: Sequence[Shape]) -> int:
    """Multiply-accumulates of an Einstein sum, its operands taken in from left to right, two at a time.

    A pair that shares no summed index is a product element by element and counts 0; any other counts the product of
    the lengths of all its indices, once the indices that only one of them has, and nobody needs, are summed away.

    Args:
        equation: As numpy writes it, an ellipsis and an implicit output included.
        shapes: One shape an operand.

    Returns:
        A count, at least 0.

    Raises:
        InvalidInput: If the equation does not fit the shapes.

    >>> einsum_macc("bik,bjk->bij", [(1, 8, 16), (1, 8, 16)]), einsum_macc("ij,ij->ij", [(3, 4), (3, 4)])
    (1024, 0)
    """
    terms, output, sizes = _indices(equation, shapes)
    left, total = terms[0], 0
    for place, right in enumerate(terms[1:], start=1):
        needed = set(output).union(*terms[place + 1 :])
        left = _live(left, sizes, needed | set(right))
        right = _live(right, sizes, needed | set(left))
        both = set(left) | set(right)
        if (set(left) & set(right)) - needed:
            total += prod(sizes[index] for index in both)
        left = sorted(both & needed)
    return total


def _live(term: Sequence[str], sizes: dict[str, int], needed: set[str]) -> list[str]:
    """Indices that somebody still needs, axes of length 1 aside."""
    return [index for index in term if index in needed and sizes[index] != 1]


def _indices(equation: str, shapes: Sequence[Shape]) -> tuple[list[list[str]], list[str], dict[str, int]]:
    """Indices of each operand and of the output, and the length of each; axes behind an ellipsis count from the end."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    written = left.split(",")
    if len(written) != len(shapes):
        raise InvalidInput(f"the equation {equation!r} has {len(written)} operands, got {len(shapes)} shapes")
    sizes: dict[str, int] = {}
    terms = []
    for text, shape in zip(written, shapes, strict=True):
        hidden = len(shape) - len(text.replace("...", ""))
        if hidden < 0 or (hidden > 0 and "..." not in text):
            raise InvalidInput(f"the equation {equation!r} does not fit an operand of shape {tuple(shape)}")
        term = _spelled(text, hidden)
        for index, size in zip(term, shape, strict=True):
            sizes[index] = max(sizes.get(index, 1), size)
        terms.append(term)
    if arrow:
        most = max(len(shape) - len(text.replace("...", "")) for text, shape in zip(written, shapes, strict=True))
        return terms, _spelled(right, most), sizes
    all_of_them = [index for term in terms for index in term]
    return terms, [index for index in sizes if all_of_them.count(index) == 1 or len(index) > 1], sizes


def _spelled(text: str, hidden: int) -> list[str]:
    """A term as a list of indices; those behind an ellipsis are named by their place from the end."""
    before, dots, after = text.partition("...")
    behind = [f"…{place}" for place in range(hidden, 0, -1)] if dots else []
    return [*before, *behind, *after]
