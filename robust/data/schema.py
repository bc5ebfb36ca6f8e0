"""The feature schema: what each input feature is, and where it may go."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from robust.data.feature import KINDS as KINDS
from robust.data.feature import Feature, read_bounds, read_feature
from robust.data.feature import FeatureSpec as FeatureSpec
from robust.data.feature import Kind as Kind
from robust.data.naming import unknown_name
from robust.data.relations import Relation, parse_relation
from robust.data.violations import find_violations
from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, FloatArray

SchemaSpec: TypeAlias = Mapping[str, object]


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
        """Position of a feature.

        Args:
            feature: Its name, or its position in 0 … d−1.

        Returns:
            The position.

        Raises:
            InvalidInput: If there is no such feature.
        """
        if isinstance(feature, str):
            if feature not in self.names:
                raise InvalidInput(unknown_name(feature, self.names, where="there is no feature"))
            return self.names.index(feature)
        try:
            position = operator.index(feature)
        except TypeError as error:
            raise InvalidInput(f"a feature is given by its name or its position, got {feature!r}") from error
        if isinstance(feature, bool) or not 0 <= position < self.width:
            raise InvalidInput(f"feature {feature!r} is outside 0 … {self.width - 1}")
        return position

    def flat(self, x: AnyArray) -> AnyArray:
        """Rows (n, *shape) as (n, d)."""
        return x.reshape(len(x), self.width)

    def mask(self, *kinds: Kind) -> BoolArray:
        """Which features are of one of `kinds` (d,)."""
        return _of_kinds(self.kinds, kinds).copy()

    def key(self) -> tuple[object, ...]:
        """Everything that the schema says, as plain values: equal for schemas that say the same."""
        return (
            self.names,
            self.shape,
            self.kinds,
            self.lower.tolist(),
            self.upper.tolist(),
            self.immutable.tolist(),
            self.groups,
            self.categories,
            tuple(relation.text for relation in self.relations),
        )

    def violations(self, x: AnyArray) -> list[str]:
        """Ways in which rows break the schema.

        Args:
            x: Rows (n, *shape), in the user's units; missing values (NaN) break nothing but one-hot groups.

        Returns:
            One sentence each, at most three of a sort; empty when all rows obey the schema.
        """
        return find_violations(self, x)


def build_schema(
    spec: SchemaSpec | FeatureSchema | None,
    *,
    names: Sequence[str],
    shape: tuple[int, ...],
    categories: Mapping[int, tuple[str, ...]] | None = None,
    kinds: Mapping[int, Kind] | None = None,
) -> FeatureSchema:
    """Build a schema from what a user wrote.

    Args:
        spec: `{"bounds": (lo, hi)}` for all features, and/or a mapping from feature names to
            `{"bounds": …, "kind": …, "immutable": …, "one_hot": group, "categories": labels}`; `"relations"`
            is a list of texts.
        names: Feature names (d,).
        shape: Shape of one row.
        categories: Labels of features that came as text.
        kinds: Kinds that the data implies, for features of which nothing else is said.

    Returns:
        The schema; features that nothing is known about are continuous and unbounded.

    Raises:
        InvalidInput: On an unknown feature, key or kind, on bounds that are not `lo <= hi`, on words that
            contradict the data, or a schema of other features than `names`.

    >>> schema = build_schema({"age": {"bounds": (0, 120)}}, names=("age", "bmi"), shape=(2,))
    >>> schema.upper
    array([120.,  inf])
    >>> schema.violations(np.array([[130.0, 20.0]]))
    ["feature 'age' is above its bound 120.0 in 1 row (worst 130.0)"]
    """
    if isinstance(spec, FeatureSchema):
        return _same_features(spec, tuple(names), shape, categories or {})
    said = dict(spec or {})
    # A feature may itself be called `bounds` or `relations`: then its entry is a table.
    everywhere = (-np.inf, np.inf)
    if "bounds" in said and not isinstance(said["bounds"], Mapping):
        everywhere = read_bounds(said.pop("bounds"), "all features")
    relations = said.pop("relations", ()) if not isinstance(said.get("relations"), Mapping) else ()
    for name in said:
        if name not in names:
            raise InvalidInput(unknown_name(name, names, where="the schema names a feature that is not there,"))
    implied, labels = kinds or {}, categories or {}
    features = [
        read_feature(
            name,
            said.get(name, {}),
            bounds=everywhere,
            kind=implied.get(j, "continuous"),
            labels=labels.get(j),
        )
        for j, name in enumerate(names)
    ]
    return FeatureSchema(
        names=tuple(names),
        shape=shape,
        kinds=tuple(feature.kind for feature in features),
        lower=_frozen([feature.lower for feature in features], np.float64),
        upper=_frozen([feature.upper for feature in features], np.float64),
        immutable=_frozen([feature.immutable for feature in features], bool),
        groups=_one_hot_groups(features),
        categories=tuple((j, feature.labels) for j, feature in enumerate(features) if feature.labels is not None),
        relations=tuple(parse_relation(text, tuple(names)) for text in _texts(relations)),
    )


def _same_features(
    schema: FeatureSchema,
    names: tuple[str, ...],
    shape: tuple[int, ...],
    categories: Mapping[int, tuple[str, ...]],
) -> FeatureSchema:
    """A finished schema, if it describes these features."""
    if schema.shape != shape:
        raise InvalidInput(f"the schema describes rows of shape {schema.shape}, the data has {shape}")
    if schema.names != names:
        j = next(j for j, pair in enumerate(zip(schema.names, names, strict=True)) if pair[0] != pair[1])
        raise InvalidInput(
            f"the schema's feature {j} is {schema.names[j]!r}, the data's is {names[j]!r}: "
            "the same features in the same order would be right"
        )
    known = dict(schema.categories)
    for j in categories:
        if j not in known:
            raise InvalidInput(f"feature {names[j]!r} is text, the schema says {schema.kinds[j]} without categories")
    return schema


@lru_cache(maxsize=64)
def _of_kinds(kinds: tuple[Kind, ...], wanted: tuple[Kind, ...]) -> BoolArray:
    """Which features are of one of some kinds (d,): asked for many times, of many features."""
    return np.array([kind in wanted for kind in kinds], dtype=bool)


def _one_hot_groups(features: Sequence[Feature]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Members of each one-hot group, groups in the order of their first member."""
    groups: dict[str, list[int]] = {}
    for j, feature in enumerate(features):
        if feature.group is not None:
            groups.setdefault(feature.group, []).append(j)
    return tuple((name, tuple(members)) for name, members in groups.items())


def _texts(relations: object) -> list[str]:
    """The relations as a list of texts."""
    if isinstance(relations, str) or not isinstance(relations, Sequence):
        raise InvalidInput(f"relations must be a list of texts such as ['low <= high'], got {relations!r}")
    return [str(text) for text in relations]


def _frozen(values: Sequence[float], dtype: type) -> AnyArray:
    """A read-only array."""
    array: AnyArray = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array
