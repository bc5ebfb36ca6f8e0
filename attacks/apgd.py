"""AutoPGD: projected gradient ascent whose step size follows from how the loss goes, and needs no choice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from robust.attacks.apgd_climb import AdaptiveClimb
from robust.attacks.apgd_losses import loss_values
from robust.attacks.balls import Ball, numbers_a_row
from robust.attacks.base import Attack, Swept, unit_space
from robust.attacks.descent import Warm, descended
from robust.attacks.finds import Finds, no_finds
from robust.attacks.hyper_parameters import read_hyper_parameters
from robust.attacks.losses import Loss
from robust.attacks.minimal_sizes import dual_norms
from robust.attacks.projection import Space
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.errors import InvalidInput
from robust.randomness import row_uniform
from robust.types import AnyArray, FloatArray, IntArray, Norm

Climbed: TypeAlias = Literal["cross_entropy", "dlr", "margin", "targeted"]

_LOSSES: dict[Climbed, Loss] = {
    "cross_entropy": "even_cross_entropy",
    "dlr": "dlr",
    "margin": "log_margin",
    "targeted": "targeted",
}
# Classes that targets are chosen from, those with the highest scores.
_CANDIDATES = 9
_STREAM = 4 << 32  # of the row generator: run r of a row uses stream _STREAM + r


@dataclass(frozen=True, slots=True, kw_only=True)
class APGD(Attack):
    """Ascent with momentum and a step size that each row halves for itself, from its best point, when it stalls.

    linf, l2: z = Π(x_k + η·s(∇L)), x_{k+1} = Π(x_k + ¾(z − x_k) + ¼(x_k − x_{k−1})), s the steepest step of the
    norm; η starts at 2 eps. At checkpoints, which lie closer and closer, η is halved for a row whose loss rose
    in less than ¾ of the steps, or has found no better point at an unchanged η. l1: sparse steps, η from eps to
    eps/10, over two thirds as many features as its best move has.

    Rows leave when broken, runs where their start has no gradient, and the next take their place; restarts and
    targets share one batch, later ones enter where there is room and their row still stands. Which points are
    found does not depend on the batch.

    Args:
        eps: Budget in the user's units: a number, numbers by feature name, or None for a template.
        norm: `linf`, `l2` or `l1`.
        steps: Gradient steps of each run.
        loss: `cross_entropy`, of logits brought to one scale row by row; `dlr`, the difference of logits ratio;
            `margin`, of logits or log-probabilities; or `targeted`, a run for each of the best other classes, with
            the margin of that class. With two classes `dlr` is the margin loss: there is no third logit to
            divide by.
        restarts: Random starts.
        targets: Classes that `targeted` aims at: of the nine others with the highest scores, or as many as are asked
            for, the nearest ones, were the model straight.

    Raises:
        InvalidInput: If a hyper-parameter is out of range.

    Source:
        Croce and Hein (2020), algorithm 1, equation 6; l1: Croce and Hein (2021), algorithm 1.

    >>> APGD(eps=8 / 255, loss="dlr").at(0.1).loss
    'dlr'
    """

    eps: Eps | None = None
    norm: Norm = "linf"
    steps: int = 100
    loss: Climbed = "cross_entropy"
    restarts: int = 1
    targets: int = 9

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        read_hyper_parameters(self, "steps", "restarts", "targets")
        if self.loss not in get_args(Climbed):
            known = ", ".join(map(repr, get_args(Climbed)))
            raise InvalidInput(f"loss got {self.loss!r}; one of {known} would be right")

    @property
    def gradients(self) -> bool:
        """It needs them."""
        return True

    def search(self, target: Target, space: Space, *, seed: int) -> AnyArray:
        """Climb from every start to every target, until a row is broken."""
        return self._climbed(target, space, np.arange(len(target)), self._aims(target, space), seed=seed).found

    def sweep(self, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
        """The budgets in falling order, row by row, each from what broke the row at the one before."""
        aims = self._aims(target, unit_space(self, target, grid))

        def search(space: Space, rows: IntArray, eps: FloatArray, warm: Warm) -> Finds:
            return self._climbed(target, space, rows, aims, seed=seed, eps=eps, warm=warm)

        return descended(self, target, grid, search)

    def _climbed(
        self,
        target: Target,
        space: Space,
        rows: IntArray,
        aims: IntArray,
        *,
        seed: int,
        eps: FloatArray | None = None,
        warm: Warm | None = None,
    ) -> Finds:
        """All runs of some rows; the runs of the first restart start from known points."""
        finds = no_finds(target)
        runs = np.tile(aims, (self.restarts, 1))
        climb = AdaptiveClimb(
            target=target, space=space, finds=finds, steps=self.steps, loss=_LOSSES[self.loss], aims=runs
        )
        climb.run(rows, _starts(target, space, seed, warm, first=len(aims)), eps=eps)
        return finds

    def _aims(self, target: Target, space: Space) -> IntArray:
        """For each run of one restart the class that each row is to become (runs, n)."""
        n = len(target)
        if self.loss != "targeted":
            return np.zeros((1, n), dtype=int)
        scores = target.scores(target.x)
        ranked = np.argsort(-scores, axis=1, kind="stable")
        others = np.ascontiguousarray(ranked[ranked != target.y[:, None]].reshape(n, -1).T)[
            : max(_CANDIDATES, self.targets)
        ]
        if self.targets >= len(others):
            return others
        order = np.argsort(_distances(target, space, others), axis=0, kind="stable")
        return np.asarray(np.take_along_axis(others, order, axis=0)[: self.targets])


def _distances(target: Target, space: Space, aims: IntArray) -> FloatArray:
    """How far rows are from other classes, were the model straight: (z_y − z_t)/‖∇(z_t − z_y)‖* budgets (c, n)."""
    found = np.empty(aims.shape)
    for at, aim in zip(found, aims, strict=True):
        for start in range(0, len(target), target.batch):
            rows = slice(start, start + target.batch)
            scores, gradient = target.gradient(target.x[rows], rows, loss="targeted", aims=aim[rows])
            value = loss_values("targeted", scores, target.y[rows], scale=target.scale, aims=aim[rows])
            steepest = dual_norms(space, gradient)
            at[rows] = np.divide(-value, steepest, out=np.full(len(value), np.inf), where=steepest > 0)
    return found


def _starts(
    target: Target, space: Space, seed: int, warm: Warm | None, *, first: int
) -> Callable[[Ball, IntArray, IntArray], FloatArray]:
    """Where runs begin: draws that belong to row and run alone, or known points for the runs up to `first`."""
    keys, needed = target.data.row_keys(), numbers_a_row(space)

    def start(ball: Ball, rows: IntArray, runs: IntArray) -> FloatArray:
        u = np.empty((len(rows), needed), dtype=np.float32)
        for run in np.unique(runs):
            mine = runs == run
            u[mine] = row_uniform(keys[rows[mine]], needed, seed=seed, stream=_STREAM + int(run))
        drawn = ball.drawn(u)
        if warm is None:
            return drawn
        return np.where((runs < first)[:, None], warm.start(lambda *_: drawn)(ball, rows), drawn)

    return start
