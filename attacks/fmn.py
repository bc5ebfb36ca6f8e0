"""Fast minimum norm: a minimal-norm attack in linf, l2 and l1."""

from dataclasses import dataclass

from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.minimal_norm import MinimalNorm
from robust.attacks.minimal_options import read_below_one
from robust.attacks.minimal_walk import walked
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.types import AnyArray, Norm

# Share of the steps that explore; the rest close in.
_EXPLORE = 0.4
# First radius, in distances of the linearised boundary.
_START = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class FMN(MinimalNorm):
    """The smallest change in linf, l2 or l1 that breaks a row: the radius follows the linearised boundary.

    ρ ← (⟨∇L, δ⟩ − L)/⟨∇L, u⟩, never above the smallest adversarial norm so far; δ ← Π_ρ(δ + α·ρ·u); u the steepest
    direction of length 1 in the norm, Π onto ball, bounds and schema

    L is the margin loss, and that radius the one at which it is linearly 0 along the next point. Before, two
    fifths of the steps explore as `DDN` does, on the cross-entropy of logits brought to one scale: the margin
    alone ends at the boundary of the class that is nearest at first. The radius of the smallest point is
    bisected at the end, and each point that counts has been asked about. Until a row is broken for the first
    time its radius only grows, ever faster.

    Args:
        eps: None, for the smallest change; or a budget, in the user's units, that it must fit into: a number, or
            numbers by feature name.
        norm: `linf`, `l2` or `l1`.
        steps: Gradient steps.
        gamma: Share by which the radius changes in a step of exploring, and at most grows in one of closing in, in
            (0, 1).

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Pintor, Roli, Brendel and Biggio (2021), algorithm 1 and section 2.2; exploring: Rony et al. (2019).

    >>> FMN(norm="linf").at(0.1)
    FMN(eps=0.1, norm='linf', steps=20, gamma=0.2)
    """

    eps: Eps | None = None
    norm: Norm = "l2"
    steps: int = 20
    gamma: float = 0.2

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps")
        object.__setattr__(self, "gamma", read_below_one(self.gamma, "gamma"))

    def minimal(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002
        """Walk from every row; nothing is random."""
        return walked(target, space, steps=self.steps, explored=_EXPLORE, gamma=self.gamma, start=_START)
