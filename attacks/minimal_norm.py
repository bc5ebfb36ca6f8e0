"""Minimal-norm attacks: the smallest change that breaks a row, instead of any change within a budget."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robust.attacks.balls import ball_around
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.keeping import kept
from robust.attacks.minimal_sizes import fits
from robust.attacks.obedience import obeys
from robust.attacks.projection import Space, space_of
from robust.attacks.relation_rounding import inequalities_kept
from robust.attacks.target import Target, aim, require_classifier
from robust.data.budget import feature_eps
from robust.data.dataset import read_only
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.predictions import predict
from robust.types import AnyArray, BoolArray

# Patient targets want the largest loss of a budget: a step this many budgets along the move that breaks the twin.
_FAR = 1e6


class MinimalNorm(Attack):
    """A search for the smallest change that breaks a row; the budget, if any, only says which of them count."""

    __slots__ = ()

    @property
    def gradients(self) -> bool:
        """They need them."""
        return True

    @abstractmethod
    def minimal(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Look for the nearest adversarial rows.

        Args:
            target: The classifier and the rows, all right (n, d).
            space: Norm and schema, and the budget of each feature, which is the unit of the norm, not its limit.
            seed: Seed of whatever is random.

        Returns:
            Rows (n, d) that obey the schema and are wrong; where none was found, the original.
        """

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """The nearest adversarial rows where they lie within the budget, else the points of it on the way there.

        For a patient target the rows go on, the same way, to the end of the budget.
        """
        rows = self.minimal(replace(target, patient=False), space, seed=seed)
        inside = np.zeros(len(target), dtype=bool) if target.patient else fits(space, target.x, rows, 1.0)
        far = np.flatnonzero(~inside)
        if len(far):
            x = target.x[far]
            move = np.nan_to_num(rows[far].astype(np.float64) - x.astype(np.float64))
            ball = ball_around(space, x)
            move = _FAR * move if target.patient else move
            state = ball.nearest(move + x if space.norm == "linf" else move)
            rows = rows.copy()
            rows[far] = ball.points(state, move if space.groups else None)
        return rows

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """One search serves all budgets: a row is broken from the size of its nearest adversarial row on."""
        right, flat = _looked_at(target)
        survived = np.repeat(right[None, :], len(grid) + 1, axis=0)
        rows = np.flatnonzero(right)
        if len(rows):
            part, space = target.part(rows), unit_space(self, target, grid)
            found, broken = verified(self, part, space, seed=seed)
            for k, eps in enumerate(grid):
                survived[k + 1, rows] = ~(broken & fits(space, part.x, found, eps))
        return Swept(survived=survived, flat=flat)

    def perturb(self, model: object, data: object, *, seed: int = 0) -> AnyArray:
        """Adversarial rows: those within the budget, or without one the nearest that were found.

        x' with ‖x' − x‖ as small as the attack finds it, inside the schema, that the model gets wrong

        Args:
            model: A classifier, or what `as_model` takes.
            data: Rows with their true labels, or what `as_data` takes.
            seed: Seed of whatever is random.

        Returns:
            Rows of the shape, type and units of `data.x`, read-only. Rows that are wrong from the start, and
            those for which nothing was found, stay as they are.

        Raises:
            InvalidInput: If the model gives no gradients, or is no classifier of these labels.
        """
        if self.eps is not None:
            return super().perturb(model, data, seed=seed)
        model, data = as_model(model), as_data(data)
        target = aim(model, data, predictions=require_classifier(predict(model, data)))
        right = np.flatnonzero(~target.wrong(target.scores(target.x, keep=True), slice(None)))
        rows = target.x.copy()
        if len(right):
            part = target.part(right)
            rows[right] = verified(self, part, norm_space(self, part), seed=seed)[0]
        return read_only(rows.reshape(data.x.shape))


def norm_space(attack: Attack, target: Target) -> Space:
    """Norm and schema of a search without a limit: in the user's units, or in those of an attack's own eps by name.

    Args:
        attack: Says which norm, and which units.
        target: The rows.
    """
    schema = target.data.schema
    unit = 1.0 if attack.eps is None else attack.eps
    return space_of(schema, target.x.dtype, eps=feature_eps(unit, schema), norm=attack.norm)


def verified(attack: MinimalNorm, target: Target, space: Space, *, seed: int) -> tuple[AnyArray, BoolArray]:
    """Run a minimal-norm attack, keep its rows by content hash, and verify them.

    Args:
        attack: The attack.
        target: The classifier and the rows, all right (n, d).
        space: Norm, units and schema.
        seed: Seed of whatever is random.

    Returns:
        Rows (n, d), read-only, and which of them the model, asked afresh, is wrong about (n,); the others are the
        originals, as is a row that does not obey the schema, which would be our mistake.
    """

    def run() -> AnyArray:
        schema = target.data.schema
        rows = inequalities_kept(attack.minimal(target, space, seed=seed), target.x, schema)
        anywhere = dict(zip(schema.names, np.where(space.eps > 0, np.inf, 0.0).tolist(), strict=True))
        fine = obeys(rows, target.x, schema, eps=anywhere, norm="linf")
        wrong = target.wrong(target.scores(rows), slice(None))
        return np.where((fine & wrong)[:, None], rows, target.x)

    identity = attack.identity()
    key = (repr(space.eps.tolist()), space.norm, str(seed))
    rows = run() if identity is None else kept(target, "minimal", identity, *key, compute=run)
    return rows, np.asarray(np.any((rows != target.x) & ~np.isnan(rows), axis=1))


def _looked_at(target: Target) -> tuple[BoolArray, BoolArray]:
    """Which rows are right at their own places, and which have a gradient of exactly zero there."""
    right, flat = np.zeros(len(target), dtype=bool), np.zeros(len(target), dtype=bool)
    for start in range(0, len(target), target.batch):
        rows = slice(start, min(start + target.batch, len(target)))
        scores, gradient = target.gradient(target.x[rows], rows)
        right[rows], flat[rows] = ~target.wrong(scores, rows), ~gradient.any(axis=1)
    return right, flat
