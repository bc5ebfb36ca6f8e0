"""Decoupled direction and norm: a minimal-norm attack in l2."""

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
_EXPLORE = 0.6
# First radius, in distances of the linearised boundary: from farther out, nearer parts of the boundary are found.
_START = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DDN(MinimalNorm):
    """The smallest l2 change that breaks a row: the direction follows the gradient, the norm the model's answers.

    ρ ← (1 − γ)ρ where x + δ is adversarial, else (1 + γ)ρ; δ ← Π_ρ(δ + α·ρ·∇L/‖∇L‖), Π onto ball, bounds and schema

    Three fifths of the steps do this, with L the cross-entropy of logits brought to one scale, α from 1 to 0.5
    and a first ρ of three times the distance of the linearised boundary. In the others L is the margin loss,
    and ρ goes to where it is linearly 0. The radius of the smallest point is bisected at the end, and each
    point that counts has been asked about. Until a row is broken for the first time its radius only grows,
    ever faster.

    Args:
        eps: None, for the smallest change; or a budget, in the user's units, that it must fit into: a number, or
            numbers by feature name.
        steps: Gradient steps.
        gamma: γ, in (0, 1).

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Rony, Hafemann, Oliveira, Ben Ayed, Sabourin and Granger (2019), algorithm 1; the radius of the last steps:
        Pintor, Roli, Brendel and Biggio (2021), section 2.2.

    >>> DDN().norm, DDN(eps=0.5).eps
    ('l2', 0.5)
    """

    eps: Eps | None = None
    steps: int = 16
    gamma: float = 0.2

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps")
        object.__setattr__(self, "gamma", read_below_one(self.gamma, "gamma"))

    @property
    def norm(self) -> Norm:
        """It works in l2."""
        return "l2"

    def minimal(self, target: Target, space: Space, *, seed: int) -> AnyArray:  # noqa: ARG002
        """Walk from every row; nothing is random."""
        return walked(target, space, steps=self.steps, explored=_EXPLORE, gamma=self.gamma, start=_START)
