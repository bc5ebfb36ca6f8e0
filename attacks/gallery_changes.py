"""Adversarial examples that are rows of a table: which features were changed, from what to what."""

import numpy as np

from robust.attacks.gallery_rows import FragileRows
from robust.data.budget import Eps, category_eps, feature_eps
from robust.data.schema import FeatureSchema
from robust.evidence import Table
from robust.types import AnyArray

_FEATURES = 6


def change_table(
    rows: FragileRows,
    schema: FeatureSchema,
) -> Table:
    """A table of changes.

    Args:
        rows: Rows before and after, at most 8.
        schema: The features.

    Returns:
        The table, a line a row.
    """
    lines = []
    for i, row in enumerate(rows.ids):
        changes = changed_features(rows.x[i], rows.near[i], schema, rows.eps)
        told = [f"{name} {before} → {after}" for name, before, after in changes[:_FEATURES]]
        more = [f"{len(changes) - _FEATURES} more"] if len(changes) > _FEATURES else []
        lines.append(
            (str(row), f"{rows.classes[i][0]} → {rows.classes[i][1]}", f"{rows.size[i]:.3g}", "; ".join([*told, *more]))
        )
    return Table(
        title="What had to be changed, smallest change first",
        headings=("row", "true class → after", rows.unit, "features, in your units"),
        rows=tuple(lines),
        note="features that spent most of their budget come first",
        total=rows.total,
    )


def changed_features(old: AnyArray, new: AnyArray, schema: FeatureSchema, eps: Eps) -> list[tuple[str, str, str]]:
    """What was changed in one row, in the user's units: feature, before, after.

    Those that spent most of their own budget come first. A one-hot group is one feature, whose values are its columns;
    a category has its label.

    Args:
        old: The row before (d,).
        new: The row after (d,).
        schema: The features.
        eps: The budget.

    Returns:
        The features that differ.

    >>> from robust.data.schema import build_schema
    >>> schema = build_schema(None, names=("age", "bmi"), shape=(2,))
    >>> changed_features(np.array([43.0, 22.0]), np.array([45.0, 22.0]), schema, 2.0)
    [('age', '43', '45')]
    """
    moved = np.flatnonzero((new != old) & ~(np.isnan(new) & np.isnan(old)))
    budget = feature_eps(eps, schema) + category_eps(eps, schema)
    change = np.abs(new[moved].astype(np.float64) - old[moved].astype(np.float64))
    order = np.argsort(-change / np.where(budget > 0, budget, 1.0)[moved], kind="stable")
    member = {j: (name, list(places)) for name, places in schema.groups for j in places}
    labels = dict(schema.categories)
    found: dict[str, tuple[str, str, str]] = {}
    for j in moved[order].tolist():
        if j in member:
            name, columns = member[j]
            before, after = (schema.names[columns[int(np.argmax(row[columns]))]] for row in (old, new))
            found.setdefault(name, (name, before, after))
        elif j in labels:
            name = schema.names[j]
            found[name] = (name, labels[j][int(old[j])], labels[j][int(new[j])])
        else:
            found[schema.names[j]] = (schema.names[j], *_told(float(old[j]), float(new[j])))
    return list(found.values())


def _told(old: float, new: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ, and by how much, to two digits."""
    size = max(abs(old), abs(new))
    apart = abs(new - old)
    needed = 3 if not 0 < apart < np.inf else 2 + int(np.floor(np.log10(size)) - np.floor(np.log10(apart)))
    digits = min(max(needed, 3), 17)
    return f"{old:.{digits}g}", f"{new:.{digits}g}"
