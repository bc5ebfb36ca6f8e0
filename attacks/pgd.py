"""Projected gradient descent: many small steps from a random start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from robust.attacks.balls import Ball, numbers_a_row
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.descent import Warm, descended
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.live import Climb
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps, read_count, read_share
from robust.errors import InvalidInput
from robust.limits import is_number
from robust.randomness import row_uniform
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

Start: TypeAlias = Callable[[Ball, IntArray], FloatArray]

_MADRY = 2.5  # total length of the steps, in budgets
# Steps of a single budget, and of each budget of a curve, where a row starts from what broke it at the next larger one.
STEPS, _CURVE_STEPS = 40, 12
_STREAM = 2 << 32  # of the row generator: restart r uses stream _STREAM + r


@dataclass(frozen=True, slots=True, kw_only=True)
class PGD(Attack):
    """Steepest-ascent steps from a random start, each projected back; the best iterate is kept.

    linf: x ← Π(x + α·sign(g)); l2: x ← Π(x + α·g/‖g‖); l1: x ← Π(x + α·sign(g)/k on the k steepest features
    that can still move, 5 % of them); Π projects onto ball, bounds and schema; g = ∇L, or with momentum
    g ← μ·g + ∇L/‖∇L‖₁

    L is the cross-entropy of logits brought to one scale row by row, so that multiplying all logits by a number
    changes nothing, or the margin loss where that gradient is exactly zero. After the
    last step, the point of the ball that the last gradient likes best is tried too: constant steps end near
    the optimum of a linear loss, that point is the optimum. A row that is broken leaves at once, and the next
    one takes its place in the batch.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Gradient steps of each restart; None is 40, and 12 for each budget of a curve.
        rel_step: Step size α as a share of eps; None is Madry's 2.5/steps.
        restarts: Random starts; a later one is for the rows that the earlier ones left.
        random_start: Whether to start from a uniform draw of the ball rather than from the row.
        momentum: Decay μ of earlier gradients, at least 0; 0 is the gradient alone, and 1 the momentum
            iterative method of Dong et al.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Madry, Makelov, Schmidt, Tsipras and Vladu (2018), section 2.1; step size: the authors' challenge
        code; l1: Tramèr and Boneh (2019), section 4.1; momentum: Dong, Liao, Pang, Su, Zhu, Hu and Li (2018),
        equation 6.

    >>> PGD(eps=8 / 255).norm, PGD().at(0.1).eps
    ('linf', 0.1)
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int | None = None
    rel_step: float | None = None
    restarts: int = 1
    random_start: bool = True
    momentum: float = 0.0

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self)
        if self.steps is not None:
            object.__setattr__(self, "steps", read_count(self.steps, "steps"))
        object.__setattr__(self, "restarts", read_count(self.restarts, "restarts"))
        if not isinstance(self.random_start, bool):
            raise InvalidInput(f"random_start got {self.random_start!r}; True or False would be right")
        if self.rel_step is not None:
            object.__setattr__(self, "rel_step", read_share(self.rel_step, "rel_step"))
        if not is_number(self.momentum) or not 0 <= float(self.momentum) < np.inf:
            raise InvalidInput(f"momentum got {self.momentum!r}; a finite number of at least 0 would be right")
        object.__setattr__(self, "momentum", float(self.momentum))

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Climb from each start; rows that are left go on to the next restart."""
        return self._climbed(target, space, np.arange(len(target)), self.steps or STEPS, seed=seed).found

    def broken_at(self, target: Target, eps: FloatArray, *, seed: int) -> BoolArray:
        """Which rows break when each is searched at a budget of its own.

        Args:
            target: The classifier and the rows (n, d).
            eps: A budget a row, above 0 (n,).
            seed: Seed of the starts.
        """
        space = unit_space(self, target, eps.tolist())
        rows, steps = np.arange(len(target)), self.steps or STEPS
        return self._climbed(target, space, rows, steps, seed=seed, eps=eps[:, None]).broken

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """The budgets in falling order, row by row, each from what broke the row at the one before."""

        def search(space: Space, rows: IntArray, eps: FloatArray, warm: Warm) -> Climb:
            return self._climbed(target, space, rows, self.steps or _CURVE_STEPS, seed=seed, eps=eps, warm=warm)

        return descended(self, target, grid, search)

    def _climbed(
        self,
        target: Target,
        space: Space,
        rows: IntArray,
        steps: int,
        *,
        seed: int,
        eps: FloatArray | None = None,
        warm: Warm | None = None,
    ) -> Climb:
        """All restarts of some rows, the first one from known points where there are some."""
        climb = Climb(
            target=target,
            space=space,
            steps=steps,
            rate=_MADRY / steps if self.rel_step is None else self.rel_step,
            momentum=self.momentum,
            found=target.x.copy(),
            best=np.full(len(target), -np.inf),
            broken=np.zeros(len(target), dtype=bool),
        )
        for restart in range(self.restarts):
            fresh = self._start(target, space, seed, restart)
            left = rows[~climb.broken[rows]]
            climb.run(left, fresh if restart or warm is None else warm.start(fresh), eps=eps)
        return climb

    def _start(self, target: Target, space: Space, seed: int, restart: int) -> Start:
        """Where a restart begins: a draw that belongs to row and restart alone, or the rows themselves."""
        keys, needed = target.data.row_keys(), numbers_a_row(space)

        def start(ball: Ball, rows: IntArray) -> FloatArray:
            if not self.random_start:
                return ball.centre()
            return ball.drawn(row_uniform(keys[rows], needed, seed=seed, stream=_STREAM + restart))

        return start
