"""Attacks on labels: one walk along the decision boundary tells of every budget."""

from abc import abstractmethod
from collections.abc import Sequence

from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.decision_walk import Walk, settled, swept
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.types import AnyArray


class LabelAttack(Attack):
    """A walk from an adversarial row towards the original one, which needs labels alone."""

    __slots__ = ()

    @property
    def gradients(self) -> bool:
        """It needs none, nor scores."""
        return False

    @property
    def alone(self) -> bool:
        """Rows of other classes are where it starts from."""
        return False

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Walk until inside the budget."""
        return settled(self.walk(target, space, seed=seed, enough=1.0 - 1e-6))

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """One walk to the end for all budgets."""
        walk = self.walk(target, unit_space(self, target, grid), seed=seed, enough=min(grid, default=0.0))
        return swept(walk, grid)

    @abstractmethod
    def walk(self, target: Target, space: Space, *, seed: int, enough: float) -> Walk:
        """Walk.

        Args:
            target: The classifier and the rows (n, d).
            space: Units, norm, bounds and schema.
            seed: Seed of whatever is random.
            enough: How near a row must be to stay where it is, in budgets.
        """
