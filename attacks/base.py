"""What an attack is: hyper-parameters, and a search for rows that break a classifier."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from robust.attacks.keeping import kept, kept_in_blocks
from robust.attacks.obedience import obeys
from robust.attacks.projection import Space, space_of
from robust.attacks.relation_rounding import inequalities_kept
from robust.attacks.target import Target, aim, classified
from robust.data.budget import Eps, feature_eps
from robust.data.dataset import read_only
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.types import AnyArray, BoolArray, Norm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swept:
    """What an attack did over a grid of budgets.

    Args:
        survived: Which rows are right before the attack, and stay right at each budget (k + 1, n).
        flat: Which rows have a gradient of exactly zero at their own place (n,); none for an attack without
            gradients.
    """

    survived: BoolArray
    flat: BoolArray


class Attack(ABC):
    """A search for rows near given ones that a classifier gets wrong; a frozen set of hyper-parameters."""

    __slots__ = ()

    @property
    @abstractmethod
    def eps(self) -> Eps | None:
        """The budget, in the user's units: a number, numbers by feature name, or None for a template."""

    @property
    @abstractmethod
    def norm(self) -> Norm:
        """The norm that the budget is measured in."""

    @property
    @abstractmethod
    def gradients(self) -> bool:
        """Whether it needs gradients of the model under test."""

    @property
    def alone(self) -> bool:
        """Whether what is found for a row depends on that row alone, so that rows can be attacked block by block."""
        return True

    def identity(self) -> str | None:
        """What its results depend on, besides model, data and seed; None where that cannot be known."""
        return repr(self)

    def at(self, eps: Eps) -> Self:
        """The same attack with a budget."""
        return replace(self, eps=eps)  # type: ignore[type-var] # each attack is a dataclass

    @abstractmethod
    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Look for adversarial rows.

        Args:
            target: The classifier and the rows (n, d).
            space: Where they may go.
            seed: Seed of whatever is random.

        Returns:
            Rows (n, d) inside the space: the first broken one found, else the one with the largest margin
            loss.
        """

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """Which rows stay right as the budget grows.

        By default each budget is tried on the rows that survived the smaller ones.

        Args:
            target: The classifier and the rows (n, d).
            grid: Increasing budgets (k,).
            seed: Seed of whatever is random.

        Returns:
            Which rows survive each budget; a row that was broken once stays broken, since the larger ball
            holds the smaller one.
        """
        right = ~target.wrong(target.scores(target.x), slice(None))
        survived = np.zeros((len(grid) + 1, len(target)), dtype=bool)
        survived[0] = right
        for k, eps in enumerate(grid):
            rows = np.flatnonzero(survived[k])
            if len(rows):
                part = target.part(rows)
                found = adversarial_rows(self.at(eps), part, seed=seed)
                survived[k + 1, rows] = ~part.wrong(part.scores(found), slice(None))
        return Swept(survived=survived, flat=np.zeros(len(target), dtype=bool))

    def perturb(self, model: object, data: object, *, seed: int = 0) -> AnyArray:
        """Adversarial rows.

        x' with ‖x' − x‖ ≤ eps, inside the schema, that the model gets wrong where the attack finds such a row

        Args:
            model: A classifier, or what `as_model` takes.
            data: Rows with their true labels, or what `as_data` takes.
            seed: Seed of whatever is random; a row's numbers depend on its id alone, not on its neighbours.

        Returns:
            Rows of the shape, type and units of `data.x`, read-only. Rows that are wrong from the start stay
            as they are.

        Raises:
            InvalidInput: If the attack is a template, needs gradients that the model does not have, or the
                model is no classifier of these labels; or data outside its bounds.
            ModelFault: If the model breaks its contract. One that raises on some rows alone does not: these stay as
                they are, and a point on which it raises has broken its row.
        """
        model, data = as_model(model), as_data(data)
        target = aim(model, data, predictions=classified(model, data))
        right = np.flatnonzero(~target.wrong(target.scores(target.x, keep=True), slice(None)))
        rows = target.x.copy()
        if len(right):
            rows[right] = adversarial_rows(self, target.part(right), seed=seed)
        return read_only(rows.reshape(data.x.shape))


def adversarial_rows(attack: Attack, target: Target, *, seed: int) -> AnyArray:
    """Run an attack, keep its rows by content hash, and verify them.

    Args:
        attack: The attack.
        target: The classifier and the rows (n, d).
        seed: Seed of whatever is random.

    Returns:
        Rows (n, d) of the data's number type, read-only; a row that does not obey budget and schema, which
        would be our mistake, is replaced by the original.

    Raises:
        InvalidInput: If the attack is a template.
    """
    eps, schema = require_budget(attack), target.data.schema
    space = space_of(schema, target.x.dtype, eps=feature_eps(eps, schema), norm=attack.norm)

    def run(part: Target) -> AnyArray:
        rows = inequalities_kept(attack.search(part, space, seed=seed), part.x, schema)
        fine = obeys(rows, part.x, schema, eps=eps, norm=attack.norm)
        return rows if fine.all() else np.where(fine[:, None], rows, part.x)

    identity = attack.identity()
    if identity is None:
        return run(target)
    if not attack.alone:
        return kept(target, "attack", identity, str(seed), compute=lambda: run(target))
    return kept_in_blocks(target, type(attack).__name__, "attack", identity, str(seed), compute=run)


def unit_space(attack: Attack, target: Target, grid: Sequence[float]) -> Space:
    """The space of an attack without a budget: 1 for each feature that may move, to be scaled row by row.

    Args:
        attack: Says which norm.
        target: Says which features.
        grid: The budgets that will be used.
    """
    schema = target.data.schema
    finest = min((eps for eps in grid if eps > 0), default=1.0)
    return space_of(schema, target.x.dtype, eps=feature_eps(1.0, schema), norm=attack.norm, finest=finest)


def require_budget(attack: Attack) -> Eps:
    """The budget of an attack.

    Raises:
        InvalidInput: If it is a template.
    """
    if attack.eps is None:
        raise InvalidInput(
            f"{attack!r} is a template, it has no budget; attack.at(8 / 255), or eps=… in it, would be right"
        )
    return attack.eps
