"""Settles the shapes of an ONNX file's inputs, and which of their axes could be the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robust.costing.words import counted
from robust.errors import InvalidInput

Shape = tuple[int, ...]
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Axes that the batch may lie on.

    Args:
        places: Input and axis of each; empty where no axis could be the batch.
        words: These in words.
        size: Their common length in this run.
        free: Whether the length was neither in the file nor given, and is therefore 1.
    """

    places: tuple[tuple[int, int], ...]
    words: str
    size: int
    free: bool


def settled(model: Any, stored: frozenset[str], given: Sequence[Shape] | None) -> tuple[tuple[str, ...], Front]:
    """Write numbers for all free dimensions of the inputs: 1 for a first axis of which nothing is known.

    Args:
        model: The file; it is changed, and forgets what it said about the shapes of other tensors.
        stored: Names that are no inputs, though old files list them as such.
        given: Shape of each input, whole or of a row without the batch, or None.

    Returns:
        Names of the inputs, and the axes that could be the batch.

    Raises:
        InvalidInput: If shapes are missing, or contradict the file or one another.
    """
    inputs = [value for value in model.graph.input if value.name not in stored]
    for value in inputs:
        if not value.type.tensor_type.HasField("shape"):
            raise InvalidInput(f"the file gives input {value.name!r} no shape: export it again with one")
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value <= 0 and not dim.dim_param:
                dim.ClearField("dim_value")  # 0 and -1 are how some exporters write a free dimension
    wanted = _wanted(inputs, given)
    labels = [[dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in inputs]
    symbols = _symbols(inputs, wanted)
    firsts = [(place, value.type.tensor_type.shape.dim[:1]) for place, value in enumerate(inputs)]
    free = [
        (place, 0)
        for place, dims in firsts
        if dims and not dims[0].dim_value and wanted[place][0] is None and dims[0].dim_param not in symbols
    ]
    names = {labels[place][0] for place, _ in free if labels[place][0]}
    symbols |= dict.fromkeys(names, 1)
    for place, value in enumerate(inputs):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            size = dim.dim_value or wanted[place][axis] or symbols.get(dim.dim_param)
            if size is None and (place, axis) in free:
                size = 1
            if size is None:
                label = f" {dim.dim_param!r}" if dim.dim_param else ""
                raise InvalidInput(
                    f"dimension {axis}{label} of input {value.name!r} is free: give input_shape=, the shape of a row "
                    "without the batch, or data="
                )
            dim.dim_value = size
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    return tuple(value.name for value in inputs), _front(inputs, labels, free, names)


def _wanted(inputs: Sequence[Any], given: Sequence[Shape] | None) -> list[list[int | None]]:
    """What was given for each axis of each input; single numbers need no shape."""
    ranks = [len(value.type.tensor_type.shape.dim) for value in inputs]
    if given is None:
        return [[None] * rank for rank in ranks]
    shaped = [place for place, rank in enumerate(ranks) if rank]
    if len(given) != len(shaped):
        names = ", ".join(repr(inputs[place].name) for place in shaped)
        raise InvalidInput(
            f"the model takes {counted(len(shaped), 'input')} ({names}), got {counted(len(given), 'shape')}: one each, "
            "in this order, would be right"
        )
    wanted: list[list[int | None]] = [[] for _ in inputs]
    for place, shape in zip(shaped, given, strict=True):
        value = inputs[place]
        dims = [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
        whole = shape if len(shape) == len(dims) else (None, *shape)
        fits = len(whole) == len(dims) and all(
            None in (size, dim) or size == dim for size, dim in zip(whole, dims, strict=True)
        )
        if not fits:
            wants = f"as a whole {_shown(dims)}" if len(shape) == len(dims) else f"rows of shape {_shown(dims[1:])}"
            raise InvalidInput(f"input {value.name!r} takes {wants}, got {shape}")
        wanted[place] = list(whole)
    return wanted


def _shown(dims: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in dims) + ")"


def _symbols(inputs: Sequence[Any], wanted: Sequence[Sequence[int | None]]) -> dict[str, int]:
    """Lengths of the named dimensions, as given: one name stands for one number, wherever it is written."""
    symbols: dict[str, int] = {}
    for value, sizes in zip(inputs, wanted, strict=True):
        for dim, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
            if dim.dim_param and size is not None and symbols.setdefault(dim.dim_param, size) != size:
                raise InvalidInput(
                    f"dimension {dim.dim_param!r} of input {value.name!r} got {size}, and {symbols[dim.dim_param]} in "
                    "another place: one number for one name would be right"
                )
    return symbols


def _front(
    inputs: Sequence[Any], labels: Sequence[Sequence[str]], free: Sequence[tuple[int, int]], names: set[str]
) -> Front:
    """The axes that may be the batch: free ones in front, or the first of every input where all are as long."""
    if free:
        named = [(i, axis) for i, row in enumerate(labels) for axis, label in enumerate(row) if label in names]
        places = tuple(sorted({*free, *named}))
        return Front(places=places, words=_places(inputs, labels, places), size=1, free=True)
    shaped = [i for i, value in enumerate(inputs) if len(value.type.tensor_type.shape.dim)]
    sizes = {inputs[i].type.tensor_type.shape.dim[0].dim_value for i in shaped}
    if len(sizes) != 1:
        longest = max(sizes, default=1)
        return Front(places=(), words=_places(inputs, labels, [(i, 0) for i in shaped]), size=longest, free=False)
    names = {labels[i][0] for i in shaped if labels[i][0]}
    named = [(i, axis) for i, row in enumerate(labels) for axis, label in enumerate(row) if label in names]
    places = tuple(sorted({*((i, 0) for i in shaped), *named}))
    return Front(places=places, words=_places(inputs, labels, places), size=sizes.pop(), free=False)


def _places(inputs: Sequence[Any], labels: Sequence[Sequence[str]], places: Sequence[tuple[int, int]]) -> str:
    """Axes in words."""
    words = []
    for i, axis in places[:_SHOWN]:
        label = f" ({labels[i][axis]!r})" if labels[i][axis] else ""
        words.append(f"axis {axis}{label} of input {inputs[i].name!r}")
    if len(places) > _SHOWN:
        words.append(f"{len(places) - _SHOWN} more")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
