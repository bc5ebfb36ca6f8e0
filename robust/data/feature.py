"""What a user may say about one feature, e.g. `{"kind": "integer", "bounds": (0, 120)}`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from robust.data.naming import check_unique
from robust.errors import InvalidInput

Kind: TypeAlias = Literal["continuous", "integer", "binary", "one_hot", "categorical"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FeatureSpec: TypeAlias = Mapping[str, object]

_KEYS = frozenset({"bounds", "kind", "immutable", "one_hot", "categories"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature.

    Args:
        kind: What its values are.
        lower: Lower bound, −inf where none.
        upper: Upper bound, inf where none.
        immutable: Whether an attack or a sweep may not touch it.
        group: Its one-hot group, or None.
        labels: Labels behind the codes 0 … k−1 of a categorical feature, or None.
    """

    kind: Kind = "continuous"
    lower: float = -math.inf
    upper: float = math.inf
    immutable: bool = False
    group: str | None = None
    labels: tuple[str, ...] | None = None


def read_feature(
    name: str, spec: object, *, bounds: tuple[float, float], kind: Kind, labels: tuple[str, ...] | None
) -> Feature:
    """Read what a user wrote about a feature.

    Args:
        name: Its name, for messages.
        spec: A mapping with any of the keys `bounds`, `kind`, `immutable`, `one_hot`, `categories`.
        bounds: Bounds where the mapping has none.
        kind: Kind that the data implies: the kind where the mapping has none.
        labels: Labels of a feature that came as text.

    Returns:
        The feature. Bounds of a binary or one-hot feature lie in [0, 1], those of one with labels in [0, k −
        1].

    Raises:
        InvalidInput: On an unknown key or kind, bounds that are not lower <= upper, or a contradiction.

    >>> feature = read_feature("sex", {"kind": "binary"}, bounds=(-9, 9), kind="continuous", labels=None)
    >>> feature.lower, feature.upper
    (0.0, 1.0)
    """
    if not isinstance(spec, Mapping):
        raise InvalidInput(f"schema[{name!r}] must be a table such as {{'bounds': (0, 1)}}, got {spec!r}")
    unknown = sorted(str(key) for key in set(spec) - _KEYS)
    if unknown:
        raise InvalidInput(f"schema[{name!r}] has unknown keys {unknown}; known: {sorted(_KEYS)}")
    declared = spec.get("categories")
    if declared is not None and labels is None:
        labels = read_labels(name, declared)
    group = spec.get("one_hot")
    implied: Kind = "one_hot" if group is not None else "categorical" if labels is not None else kind
    chosen = _read_kind(name, spec.get("kind", implied))
    _refuse_contradictions(name, chosen, group, labels)
    immutable = spec.get("immutable", False)
    if not isinstance(immutable, bool):
        raise InvalidInput(f"schema[{name!r}]: immutable must be True or False, got {immutable!r}")
    lower, upper = read_bounds(spec["bounds"], repr(name)) if "bounds" in spec else bounds
    if chosen in ("binary", "one_hot"):
        lower, upper = max(lower, 0.0), min(upper, 1.0)
    elif labels is not None:
        lower, upper = 0.0, len(labels) - 1.0
    if lower > upper:
        raise InvalidInput(f"bounds of {name!r} leave no value that is 0 or 1, as {chosen} needs")
    return Feature(
        kind=chosen,
        lower=lower,
        upper=upper,
        immutable=immutable,
        group=None if group is None else str(group),
        labels=labels,
    )


def read_bounds(bounds: object, where: str) -> tuple[float, float]:
    """Read (lower, upper).

    Raises:
        InvalidInput: If it is no pair of numbers with lower <= upper.

    >>> read_bounds([0, 255], "all features")
    (0.0, 255.0)
    """
    wrong = f"bounds of {where} must be a pair of numbers (lower, upper), got {bounds!r}"
    if isinstance(bounds, str | Mapping):
        raise InvalidInput(wrong)
    try:
        lower, upper = (float(end) for end in bounds)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise InvalidInput(wrong) from error
    if not lower <= upper:
        raise InvalidInput(f"bounds of {where} must have lower <= upper, got {bounds!r}")
    return lower, upper


def read_labels(name: str, labels: object) -> tuple[str, ...]:
    """Read the labels of a categorical feature, in the order of their codes.

    Raises:
        InvalidInput: If they are no list of different texts.

    >>> read_labels("size", ["S", "M", "L"])
    ('S', 'M', 'L')
    """
    if isinstance(labels, str) or not isinstance(labels, Sequence) or not labels:
        raise InvalidInput(f"schema[{name!r}]: categories must be a list of texts, got {labels!r}")
    wrong = [label for label in labels if not isinstance(label, str)]
    if wrong:
        raise InvalidInput(f"schema[{name!r}]: categories must be texts, got {wrong[0]!r}")
    check_unique(labels, f"categories of {name!r}")
    return tuple(labels)


def _read_kind(name: str, kind: object) -> Kind:
    """One of the known kinds."""
    for known in KINDS:
        if kind == known:
            return known
    raise InvalidInput(f"schema[{name!r}] has unknown kind {kind!r}; known: {list(KINDS)}")


def _refuse_contradictions(name: str, kind: Kind, group: object, labels: tuple[str, ...] | None) -> None:
    """Refuse words about one feature that cannot all be true."""
    if kind == "one_hot" and group is None:
        raise InvalidInput(f'feature {name!r} is one_hot but names no group: add one_hot = "group"')
    if group is not None and kind != "one_hot":
        raise InvalidInput(f"feature {name!r} is in a one-hot group but is declared {kind}: leave kind out")
    if labels is not None and kind != "categorical":
        raise InvalidInput(f"feature {name!r} has categories but is declared {kind}: kind categorical would be right")
