"""JSON of records: numbers that JSON lacks are null there, and what they were is read from where they stand."""

import math
from typing import Any, TypeVar

import msgspec
import numpy as np

T = TypeVar("T")
#: What a null stands for in a bound; anywhere else it is a number that is none.
_MISSING = {"lower": -math.inf, "upper": math.inf}


def encode(value: object) -> bytes:
    """A struct as JSON; scalars of numpy as the numbers that they are.

    >>> encode({"n": np.int64(3)})
    b'{"n":3}'
    """
    return msgspec.json.encode(value, enc_hook=_plain)


def decode(content: bytes, kind: type[T]) -> T:
    """A struct from JSON, infinite bounds included.

    Args:
        content: What `encode` gave.
        kind: Type of the value.

    Raises:
        msgspec.MsgspecError: If it is no JSON, or of another shape.
    """
    return msgspec.convert(_restored(msgspec.json.decode(content)), kind)


def _plain(value: object) -> object:
    """What msgspec does not write by itself."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a record cannot hold a {type(value).__name__}")


def _restored(value: Any) -> Any:
    """Nulls inside evidence as the numbers that they stand for."""
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get("type"):
        case "Slices":
            return value | {"slices": [_numbers(part, ("value", "lower", "upper")) for part in value["slices"]]}
        case "Figure":
            return value | {"columns": [_numbers(column, ("values",)) for column in value["columns"]]}
        case "Rows":
            return _numbers(value, ("values",))
        case "Values":
            return _numbers(value, ("reference", "candidate"))
        case "Fact":
            return _numbers(value, ("value",))
    return {key: _restored(item) for key, item in value.items()}


def _numbers(part: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """One struct with its nulls restored; a column of a figure is a bound by its name."""
    found = dict(part)
    for field in fields:
        value = found.get(field)
        if isinstance(value, list):
            missing = _MISSING.get(str(part.get("name")), math.nan)
            found[field] = [missing if item is None else item for item in value]
        elif value is None and field in found:
            found[field] = _MISSING.get(field, math.nan)
    return found
