"""Which arrays of an npz file are inputs, and which are references of outputs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from robust.data.naming import shorten
from robust.errors import InvalidInput
from robust.types import AnyArray

#: Keys of one input and one output, in the order in which they are looked for.
SIMPLE = (("x_test", "y_test"), ("inputs", "outputs"), ("in_0", "out_0"), ("m_inputs", "m_outputs"))
#: Beginnings of keys of several inputs and outputs, numbered from 1, in that order.
NUMBERED = (("m_inputs_", "m_outputs_"), ("c_inputs_", "c_outputs_"))
UNDERSTOOD = (
    ", ".join(f"{x}/{y}" for x, y in SIMPLE)
    + ", "
    + ", ".join(f"{x}1 …/{y}1 …" for x, y in NUMBERED)
    + ", or no known key at all: then every array is an input"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keyed:
    """Arrays by their part.

    Args:
        inputs: In order.
        outputs: In order; None where there are none.
        notes: On keys that are neither.
    """

    inputs: tuple[AnyArray, ...]
    outputs: tuple[AnyArray, ...] | None
    notes: tuple[str, ...]


def by_keys(arrays: Mapping[str, AnyArray], *, where: str) -> Keyed:
    """Tell inputs from references.

    Args:
        arrays: By key, in the order of the file.
        where: The file, for messages.

    Raises:
        InvalidInput: If there are no arrays, numbers of keys are missing, or references come without inputs.

    >>> import numpy as np
    >>> found = by_keys({"y_test": np.ones(1), "x_test": np.zeros(1)}, where="t.npz")
    >>> found.inputs, found.outputs
    ((array([0.]),), (array([1.]),))
    """
    if not arrays:
        raise InvalidInput(f"{where} holds no arrays; keys are understood as {UNDERSTOOD}")
    for x, y in SIMPLE:
        if x in arrays:
            return _keyed(arrays, [x], [y] if y in arrays else [], where)
    for x, y in NUMBERED:
        inputs = _numbered(arrays, x, where)
        if inputs:
            return _keyed(arrays, inputs, _numbered(arrays, y, where), where)
    alone = [key for key in arrays if any(key == y for _, y in SIMPLE) or any(_number(key, y) for _, y in NUMBERED)]
    if alone:
        raise InvalidInput(
            f"{where} has the keys {shorten(list(arrays))}, of which {alone[0]!r} is an output without its inputs; "
            f"keys are understood as {UNDERSTOOD}"
        )
    return Keyed(inputs=tuple(arrays.values()), outputs=None, notes=())


def _keyed(arrays: Mapping[str, AnyArray], inputs: list[str], outputs: list[str], where: str) -> Keyed:
    ignored = [key for key in arrays if key not in (*inputs, *outputs)]
    note = f"{where}: not used: {shorten(ignored)}"
    return Keyed(
        inputs=tuple(arrays[key] for key in inputs),
        outputs=tuple(arrays[key] for key in outputs) or None,
        notes=(note,) if ignored else (),
    )


def _number(key: str, start: str) -> int | None:
    """The number of a key, None where it has none."""
    found = re.fullmatch(re.escape(start) + r"([0-9]{1,6})", key, re.ASCII)
    return None if found is None else int(found[1])


def _numbered(arrays: Mapping[str, AnyArray], start: str, where: str) -> list[str]:
    """Keys of one beginning by their numbers, which must be 1, 2, …."""
    numbers = {key: number for key in arrays if (number := _number(key, start)) is not None}
    if sorted(numbers.values()) != list(range(1, len(numbers) + 1)):
        raise InvalidInput(
            f"{where} has the keys {shorten(sorted(numbers))}: numbers 1 to {len(numbers)} would be right"
        )
    return sorted(numbers, key=lambda key: numbers[key])
