"""Which arrays of an npz file are inputs, and which are references of outputs."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from robust.data.naming import shorten
from robust.errors import InvalidInput
from robust.tensors.validation_data import Origin
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


#: Words for the inputs and the targets of data sets, which are no keys of validation files.
_DATA_SET = re.compile(r"(?P<part>[xy])(?P<end>(_\w+)?)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keyed:
    """Arrays by their part.

    Args:
        inputs: In order.
        outputs: In order; None where there are none.
        notes: On keys that are neither, and on those that are inputs by no known name.
        found: What the file has and what is understood, to be told with a wrong number of arrays.
        guessed: Whether the arrays are inputs by no known name, so that it is to be told with whatever is wrong.
        origin: Whose the outputs are, of two models; None where there are none, or the keys do not say.
    """

    inputs: tuple[AnyArray, ...]
    outputs: tuple[AnyArray, ...] | None
    notes: tuple[str, ...]
    found: str
    guessed: bool = False
    origin: Origin | None = None


def by_keys(arrays: Mapping[str, AnyArray], *, where: str, names: Sequence[str] | None = None) -> Keyed:
    """Tell inputs from references.

    Args:
        arrays: By key, in the order of the file.
        where: The file, for messages.
        names: What the model calls its inputs; keys that are these very names are matched by them. None where nobody
            knows.

    Raises:
        InvalidInput: If there are no arrays, numbers of keys are missing, references come without inputs, or nobody
            says whether a pair such as X and Y are two inputs.

    >>> import numpy as np
    >>> found = by_keys({"y_test": np.ones(1), "x_test": np.zeros(1)}, where="t.npz")
    >>> found.inputs, found.outputs
    ((array([0.]),), (array([1.]),))
    """
    if not arrays:
        raise InvalidInput(f"{where} holds no arrays; keys are understood as {UNDERSTOOD}")
    found = _found(arrays, where)
    for x, y in SIMPLE:
        if x in arrays:
            return _keyed(arrays, [x], [y] if y in arrays else [], where)
    for x, y in NUMBERED:
        inputs = _numbered(arrays, x, where)
        if inputs:
            return _keyed(arrays, inputs, _numbered(arrays, y, where), where)
    alone = [key for key in arrays if any(key == y for _, y in SIMPLE) or any(_number(key, y) for _, y in NUMBERED)]
    if alone:
        raise InvalidInput(_found(arrays, where, f", of which {alone[0]!r} is an output without its inputs"))
    if names is None and _data_set(arrays):
        raise InvalidInput(_found(arrays, where, ", which may be two inputs, or inputs and references"))
    if names is not None and len(set(names)) == len(names) and set(names) == set(arrays):
        turned = list(names) != list(arrays)
        note = f"{where}: the arrays are matched by the names of the model's inputs: {shorten(names)}"
        return Keyed(
            inputs=tuple(arrays[name] for name in names), outputs=None, notes=(note,) if turned else (), found=found
        )
    note = f"{where}: no known key, every array is an input, in this order: {shorten(list(arrays))}"
    return Keyed(inputs=tuple(arrays.values()), outputs=None, notes=(note,), found=found, guessed=True)


def of_candidate(keys: Collection[str]) -> bool:
    """Whether the inputs of a file are those that a candidate was given, by keys c_inputs_1 …, and not a reference's.

    >>> of_candidate(["c_inputs_1", "c_outputs_1"]), of_candidate(["c_inputs_1", "m_inputs_1"])
    (True, False)
    """
    (reference, _), (candidate, _) = NUMBERED
    earlier = any(x in keys for x, _ in SIMPLE) or any(_number(key, reference) for key in keys)
    return not earlier and any(_number(key, candidate) for key in keys)


def _data_set(arrays: Mapping[str, AnyArray]) -> bool:
    """Whether two keys look like the inputs and targets of a data set, as X and Y, or x_train and y_train, do."""
    pairs = [_DATA_SET.fullmatch(key) for key in arrays]
    parts = [(part["part"].lower(), part["end"].lower()) for part in pairs if part is not None]
    return len(pairs) == len(parts) == 2 and {part for part, _ in parts} == {"x", "y"} and parts[0][1] == parts[1][1]


def _keyed(arrays: Mapping[str, AnyArray], inputs: list[str], outputs: list[str], where: str) -> Keyed:
    ignored = [key for key in arrays if key not in (*inputs, *outputs)]
    note = f"{where}: not used: {shorten(ignored)}"
    return Keyed(
        inputs=tuple(arrays[key] for key in inputs),
        outputs=tuple(arrays[key] for key in outputs) or None,
        notes=(note,) if ignored else (),
        found=_found(arrays, where),
        origin=_origin(outputs[0]) if outputs else None,
    )


def _origin(key: str) -> Origin | None:
    """Whose tensor an output is, by the beginning of its key."""
    return "reference" if key.startswith("m_") else "candidate" if key.startswith("c_") else None


def _found(arrays: Mapping[str, AnyArray], where: str, why: str = "") -> str:
    """The keys of a file, what is wrong with them, and those that are understood."""
    return f"{where} has the keys {shorten(list(arrays))}{why}; keys are understood as {UNDERSTOOD}"


def _number(key: str, start: str) -> int | None:
    """The number of a key, None where it has none."""
    found = re.fullmatch(re.escape(start) + r"([0-9]{1,6})", key, re.ASCII)
    return None if found is None else int(found[1])


def _numbered(arrays: Mapping[str, AnyArray], start: str, where: str) -> list[str]:
    """Keys of one beginning by their numbers, which must be 1, 2, …."""
    numbers = {key: number for key in arrays if (number := _number(key, start)) is not None}
    if sorted(numbers.values()) != list(range(1, len(numbers) + 1)):
        own = f": numbers 1 to {len(numbers)} would be right of {shorten(sorted(numbers))}"
        raise InvalidInput(_found(arrays, where, own))
    return sorted(numbers, key=lambda key: numbers[key])
