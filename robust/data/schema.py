"""The feature schema: what each input feature is, and where it may go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from robust.data.relations import Relation, parse_relation
from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, FloatArray

Kind: TypeAlias = Literal["continuous", "integer", "binary", "one_hot", "categorical"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FeatureSpec: TypeAlias = Mapping[str, object]
SchemaSpec: TypeAlias = Mapping[str, object]
_FEATURE_KEYS = frozenset({"bounds", "kind", "immutable", "one_hot", "categories"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureSchema:
    """What each of d features is; a row's shape is `shape`, features are its elements in C order.

    Args:
        names: Names (d,).
        shape: Shape of one row.
        kinds: Kind of each feature (d,).
        lower: Lower bounds (d,), −inf where none.
        upper: Upper bounds (d,), inf where none.
        immutable: Which features an attack or a sweep may not touch (d,).
        groups: One-hot groups: name and indices.
        categories: For categorical features, the labels behind the codes 0 … k−1: feature index and labels.
        relations: Linear relations that each row obeys.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    kinds: tuple[Kind, ...]
    lower: FloatArray
    upper: FloatArray
    immutable: BoolArray
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    categories: tuple[tuple[int, tuple[str, ...]], ...] = ()
    relations: tuple[Relation, ...] = ()

    @property
    def width(self) -> int:
        """Number of features d."""
        return len(self.names)

    def index(self, feature: str | int) -> int:
        """Position of a feature, given its name or its position.

        Raises:
            InvalidInput: If there is no such feature.
        """
        if isinstance(feature, str):
            if feature not in self.names:
                raise InvalidInput(f"no feature is named {feature!r}; the features are {_some(self.names)}")
            return self.names.index(feature)
        if not 0 <= feature < self.width:
            raise InvalidInput(f"feature {feature} is outside 0 … {self.width - 1}")
        return int(feature)

    def flat(self, x: AnyArray) -> AnyArray:
        """Rows (n, *shape) as (n, d)."""
        return x.reshape(len(x), self.width)

    def mask(self, *kinds: Kind) -> BoolArray:
        """Which features are of one of `kinds` (d,)."""
        return np.array([kind in kinds for kind in self.kinds], dtype=bool)

    def violations(self, x: AnyArray) -> list[str]:
        """Ways in which rows break the schema, in words; empty when they obey it."""
        rows = self.flat(x)
        found = []
        below, above = rows < self.lower, rows > self.upper
        for outside, bound, word in ((below, self.lower, "below"), (above, self.upper, "above")):
            for j in np.flatnonzero(outside.any(axis=0))[:3]:
                extreme = rows[outside[:, j], j]
                worst = extreme.min() if word == "below" else extreme.max()
                found.append(
                    f"feature {self.names[j]!r} is {word} its bound {bound[j]:g} in {len(extreme)} rows (worst {worst:g})"
                )
        whole = self.mask("integer", "categorical")
        with np.errstate(invalid="ignore"):
            fractional = whole & np.any((rows != np.rint(rows)) & np.isfinite(rows), axis=0)
            not_binary = self.mask("binary", "one_hot") & np.any((rows != 0) & (rows != 1) & ~np.isnan(rows), axis=0)
        found += [
            f"feature {self.names[j]!r} is {self.kinds[j]} but has fractions" for j in np.flatnonzero(fractional)[:3]
        ]
        found += [
            f"feature {self.names[j]!r} is {self.kinds[j]} but has values other than 0 and 1"
            for j in np.flatnonzero(not_binary)[:3]
        ]
        for name, members in self.groups:
            wrong = int(np.sum(rows[:, list(members)].sum(axis=1) != 1))
            if wrong:
                found.append(f"one-hot group {name!r} does not sum to 1 in {wrong} rows")
        for relation in self.relations:
            wrong = int(relation.violated(rows).sum())
            if wrong:
                found.append(f"relation {relation.text!r} is broken in {wrong} rows")
        return found


def build_schema(
    spec: "SchemaSpec | FeatureSchema | None",
    *,
    names: Sequence[str],
    shape: tuple[int, ...],
    categories: Mapping[int, tuple[str, ...]] | None = None,
) -> FeatureSchema:
    """Build a schema from what a user wrote.

    Args:
        spec: `{"bounds": (lo, hi)}` for all features, and/or a mapping from feature names to
            `{"bounds": …, "kind": …, "immutable": …, "one_hot": group}`; `"relations"` is a list of texts.
        names: Feature names (d,).
        shape: Shape of one row.
        categories: Labels of features that came as text.

    Returns:
        The schema; features that are not named are continuous and unbounded.

    Raises:
        InvalidInput: On an unknown feature, key or kind, or on bounds that are not `lo <= hi`.
    """
    if isinstance(spec, FeatureSchema):
        if spec.shape != shape:
            raise InvalidInput(f"the schema describes rows of shape {spec.shape}, the data has {shape}")
        return spec
    width, spec = len(names), dict(spec or {})
    lower, upper = np.full(width, -np.inf), np.full(width, np.inf)
    kinds: list[Kind] = ["continuous"] * width
    immutable = np.zeros(width, dtype=bool)
    groups: dict[str, list[int]] = {}
    labels = dict(categories or {})
    for j in labels:
        kinds[j] = "categorical"
    if "bounds" in spec and not isinstance(spec["bounds"], Mapping):
        lower[:], upper[:] = _bounds(spec.pop("bounds"), "all features")
    relations = spec.pop("relations", ()) if not isinstance(spec.get("relations"), Mapping) else ()
    position = {name: j for j, name in enumerate(names)}
    for name, feature in spec.items():
        if name not in position:
            raise InvalidInput(f"the schema names {name!r}, which is no feature; the features are {_some(names)}")
        if not isinstance(feature, Mapping):
            raise InvalidInput(f"schema[{name!r}] must be a table such as {{'bounds': (0, 1)}}, got {feature!r}")
        unknown = sorted(set(feature) - _FEATURE_KEYS)
        if unknown:
            raise InvalidInput(f"schema[{name!r}] has unknown keys {unknown}; known: {sorted(_FEATURE_KEYS)}")
        j = position[name]
        if "bounds" in feature:
            lower[j], upper[j] = _bounds(feature["bounds"], repr(name))
        if "one_hot" in feature:
            kinds[j] = "one_hot"
            groups.setdefault(str(feature["one_hot"]), []).append(j)
        kind = feature.get("kind", kinds[j])
        if kind not in KINDS:
            raise InvalidInput(f"schema[{name!r}] has unknown kind {kind!r}; known: {list(KINDS)}")
        kinds[j] = kind
        immutable[j] = bool(feature.get("immutable", False))
    for j, kind in enumerate(kinds):
        if kind in ("binary", "one_hot"):
            lower[j], upper[j] = max(lower[j], 0.0), min(upper[j], 1.0)
        elif kind == "categorical" and j in labels:
            lower[j], upper[j] = 0.0, len(labels[j]) - 1.0
        if kind == "one_hot" and not any(j in members for members in groups.values()):
            raise InvalidInput(f"feature {names[j]!r} is one_hot but names no group: add one_hot = \"group\"")
    return FeatureSchema(
        names=tuple(names),
        shape=shape,
        kinds=tuple(kinds),
        lower=_frozen(lower),
        upper=_frozen(upper),
        immutable=_frozen(immutable),
        groups=tuple((name, tuple(members)) for name, members in groups.items()),
        categories=tuple(sorted(labels.items())),
        relations=tuple(parse_relation(str(text), tuple(names)) for text in _texts(relations)),
    )


def _texts(relations: object) -> Sequence[object]:
    if isinstance(relations, str) or not isinstance(relations, Sequence):
        raise InvalidInput(f"relations must be a list of texts such as ['low <= high'], got {relations!r}")
    return relations


def _bounds(bounds: object, where: str) -> tuple[float, float]:
    """Read (lo, hi)."""
    try:
        lower, upper = (float(end) for end in bounds)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"bounds of {where} must be a pair (lower, upper), got {bounds!r}") from error
    if not lower <= upper:
        raise InvalidInput(f"bounds of {where} must have lower <= upper, got {bounds!r}")
    return lower, upper


def _frozen(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more."""
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown}, … ({len(names)} in all)"
