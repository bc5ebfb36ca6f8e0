"""The basic iterative method: projected gradient descent from the row itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from robust.attacks.base import Attack, Swept
from robust.attacks.pgd import PGD
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.types import AnyArray, Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class BIM(Attack):
    """Steepest-ascent steps from the row itself, each projected back: `PGD` without a random start.

    x ← Π(x + α·sign(∇L)), and in l2 and l1 the steepest step of that norm

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Gradient steps.
        rel_step: Step size α as a share of eps; None is 2.5/steps.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Kurakin, Goodfellow and Bengio (2017), section 2.2.

    >>> BIM(eps=0.1)
    BIM(eps=0.1, norm='linf', steps=10, rel_step=None)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 10
    rel_step: float | None = None

    def __post_init__(self) -> None:
        """Check the hyper-parameters, as PGD does."""
        checked = self._pgd()
        for name in ("eps", "norm", "steps", "rel_step"):
            object.__setattr__(self, name, getattr(checked, name))

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Climb from the rows themselves; nothing is random."""
        return self._pgd().search(target, space, seed=seed)

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """The budgets in falling order, as PGD does it."""
        return self._pgd().sweep(target, grid, seed=seed)

    def _pgd(self) -> PGD:
        return PGD(eps=self.eps, norm=self.norm, steps=self.steps, rel_step=self.rel_step, random_start=False)
