"""What a model must keep to, on which rows, and how it is told that it does not."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from robust.errors import InvalidInput
from robust.types import BoolArray

Level: TypeAlias = Literal["inside", "edges", "outside"]
LEVELS: tuple[Level, ...] = get_args(Level)
Property: TypeAlias = Literal[
    "no exception",
    "shape",
    "finite outputs",
    "probabilities",
    "input unchanged",
    "determinism",
    "batch invariance",
    "time",
]
PROPERTIES: tuple[Property, ...] = get_args(Property)
#: Properties that are looked at on a sample of batches: they cost calls of their own.
SAMPLED: frozenset[Property] = frozenset({"determinism", "batch invariance"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fault:
    """A property that does not hold.

    Args:
        property: Which.
        kind: In one word or two, so that faults of one cause are one: `ValueError`, `nan`, `neighbours`, …
        words: What was seen, in a sentence.
        rows: The rows that it was seen on (b,); None where it is the batch.
    """

    property: Property
    kind: str
    words: str
    rows: BoolArray | None = None


def read_levels(levels: object) -> tuple[Level, ...]:
    """Check the levels that a user names.

    Raises:
        InvalidInput: If there are none, one is unknown, or comes twice.

    >>> read_levels("edges")
    ('edges',)
    """
    named = (levels,) if isinstance(levels, str) else levels
    known = ", ".join(map(repr, LEVELS))
    if not isinstance(named, tuple | list) or not named:
        raise InvalidInput(f"levels got {levels!r}: some of {known} would be right")
    unknown = [level for level in named if level not in LEVELS]
    if unknown or len(set(named)) != len(named):
        raise InvalidInput(f"levels got {unknown[0] if unknown else levels!r}: some of {known}, once each, are known")
    return tuple(level for level in LEVELS if level in named)
