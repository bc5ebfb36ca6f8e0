"""The rows that the smallest change breaks, before and after."""

from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.adversarial_examples import decided, nearest
from robust.attacks.base import require_budget
from robust.attacks.row_changes import sizes_in
from robust.attacks.rungs import Outcome
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.measures.details import row_ids
from robust.types import AnyArray, FloatArray, IntArray

#: Broken rows of which the smallest change is looked for: what a gallery costs does not grow with the data.
_LOOKED_AT = 256
_UNKNOWN = "no class of the data"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FragileRows:
    """Broken rows, smallest change first.

    Args:
        ids: Their ids (m).
        x: The rows before (m, d).
        near: The first row that the model gets wrong on the way to the adversarial one (m, d).
        size: How large that change is (m,).
        unit: What the size is counted in.
        eps: The budget.
        classes: True class, and class after (m).
        total: Broken rows in all.
        looked_at: Of how many of them the change was looked for.
    """

    ids: tuple[int | str, ...]
    x: AnyArray
    near: AnyArray
    size: FloatArray
    unit: str
    eps: Eps
    classes: tuple[tuple[str, str], ...]
    total: int
    looked_at: int

    def first(self, most: int) -> "FragileRows":
        """The first of them; `total` stays."""
        return replace(
            self,
            ids=self.ids[:most],
            x=self.x[:most],
            near=self.near[:most],
            size=self.size[:most],
            classes=self.classes[:most],
        )


def fragile_rows(outcome: Outcome, target: Target) -> FragileRows:
    """Broken rows with the smallest change found for each, smallest first.

    An attack uses the budget that it has; the change is that to the first row that the model gets wrong on the straight
    way to what the attack found, by bisection. Of more than 256 broken rows, those whose margin was smallest before the
    attack are looked at.

    Args:
        outcome: What the attacks did.
        target: The rows that they were tried on (n, d).

    Returns:
        The rows, at most 256.
    """
    attack = outcome.ladder.strongest
    broken: IntArray = np.flatnonzero(outcome.broken)
    eps, schema = require_budget(attack), target.data.schema
    kept = broken
    if len(broken) > _LOOKED_AT:
        margins = target.margins(target.scores(target.x[broken], keep=True), broken)
        kept = np.sort(broken[np.argsort(-margins, kind="stable")[:_LOOKED_AT]])
    part, near = target.part(kept), outcome.rows[kept]
    after: IntArray = np.zeros(0, dtype=np.int64)
    if len(kept):
        near = nearest(attack, part, near)
        after = decided(part, near, keep=True)
    size, unit = sizes_in(part.x, near, schema, eps, norm=attack.norm)
    order = np.argsort(size, kind="stable")
    names = _class_names(target)
    pairs = tuple((names[i], names[j]) for i, j in zip(part.y[order].tolist(), after[order].tolist(), strict=True))
    return FragileRows(
        ids=row_ids(part.data, order),
        x=part.x[order],
        near=near[order],
        size=size[order],
        unit=unit,
        eps=eps,
        classes=pairs,
        total=len(broken),
        looked_at=len(kept),
    )


def _class_names(target: Target) -> tuple[str, ...]:
    """What the user calls each class; the index behind the last is a label that the data does not have."""
    declared = target.caller.model.classes
    names: list[object] = list(range(target.classes))
    if declared is not None and len(declared) == target.classes:
        names = list(declared)
    elif len(target.labels) == target.classes:
        names = list(target.labels.tolist())
    labels, indices = target.data.targets, _firsts(target.y)
    if labels.ndim == 1:
        for first in indices.tolist():
            names[int(target.y[first])] = labels[first]
    return (*(str(name) for name in names), _UNKNOWN)


def _firsts(y: IntArray) -> IntArray:
    """Positions of the first row of each class."""
    return np.asarray(np.unique(y, return_index=True)[1])
