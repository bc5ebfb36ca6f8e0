"""The cross-polytope Σ |δ_j|/eps_j ≤ 1 around rows, inside the bounds."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.boxed_ball import MoveBall
from robust.attacks.projection import JUST_BELOW
from robust.types import FloatArray

#: Share of the features that one step is divided among, where nothing else is said.
SPREAD = 0.05
# How far from 1 the length may be before it is scaled, and steps that always suffice: bisection alone needs 60.
_ROOT, _ROOT_STEPS = 1e-13, 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class L1Ball(MoveBall):
    """The cross-polytope Σ |δ_j|/eps_j ≤ 1 inside the bounds; a state is a move δ, float64."""

    def drawn(self, u: FloatArray) -> FloatArray:
        """Uniform in the ball, then clipped to the bounds.

        Shares E_j/Σ E of d + 1 exponential numbers, the last of which is what is not spent, are uniform in the simplex
        (Devroye 1986, section V.2); half of each uniform number decides a sign.
        """
        d = self.x.shape[1]
        wide = u.astype(np.float64)
        half = wide[:, :d] >= 0.5
        size = -np.log1p(-np.where(half, 2.0 * wide[:, :d] - 1.0, 2.0 * wide[:, :d])) * (self.eps > 0)
        total = np.sum(size, axis=1) - np.log1p(-wide[:, d])
        share = size / np.where(total > 0, total, 1.0)[:, None]
        return self.nearest(self.eps * np.where(half, share, -share))

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float | FloatArray) -> FloatArray:
        """A step divided among the steepest features that can still move, projected onto ball and bounds."""
        return self.spread(state, gradient, rate, SPREAD)

    def spread(
        self, state: FloatArray, gradient: FloatArray, rate: float | FloatArray, share: float | FloatArray
    ) -> FloatArray:
        """A step divided evenly among the steepest features that can still move, projected onto ball and bounds.

        Each feature takes rate/k budgets, or what its bound leaves, in the order of |eps_j·g_j|, until `rate` is spent;
        k is a share of the features that may move, at least one.

        Args:
            state: Moves (m, d).
            gradient: Gradients (m, d).
            rate: Length of the step in budgets, one number or one a row (m, 1).
            share: Share of the features, one number or one a row (m, 1).

        Returns:
            Moves (m, d).

        Source:
            Croce and Hein (2021), section 4.2; Tramèr and Boneh (2019), section 4.1.
        """
        free = np.sum(self.eps > 0, axis=1, keepdims=True)
        cap = rate / np.maximum(np.ceil(share * free), 1.0)
        return self.nearest(state + self._filled(state, gradient, rate, cap))

    def optimum(self, gradient: FloatArray) -> FloatArray:
        """The steepest features moved as far as they may, one after the other, until the budget is spent."""
        whole = np.ones((1, 1))
        return self.nearest(self._filled(self.centre(), gradient, whole, whole))

    def nearest(self, state: FloatArray) -> FloatArray:
        """The nearest move inside ball and bounds, in units of eps.

        The nearest point minimises ‖p − δ‖² on Σ |p_j| ≤ 1 and box; its Lagrangian separates into clip(|δ| − λ) between
        0 and the bound, with the λ that leaves a length of 1.

        Source:
            Croce and Hein (2021), section 3.1 and proposition 2.1.
        """
        used = np.broadcast_to(self.eps > 0, state.shape)
        wish = np.divide(state, self.eps, out=np.zeros(state.shape), where=used)
        room = np.where(wish > 0, self.high, -self.low)
        room = np.divide(room, self.eps, out=np.zeros(state.shape), where=used)
        move = np.minimum(np.abs(wish), room)
        far = np.flatnonzero(np.sum(move, axis=1) > JUST_BELOW)
        if len(far):
            size, most = np.abs(wish[far]), room[far]
            move[far] = np.clip(size - _shift(size, most), 0.0, most)
            # Rounding apart it is 1 now; scaled once more, it stays below whatever the order of the sum.
            move[far] *= np.minimum(JUST_BELOW / np.sum(move[far], axis=1), 1.0)[:, None]
        return np.asarray(np.copysign(move, wish) * self.eps)

    def _filled(
        self, state: FloatArray, gradient: FloatArray, length: float | FloatArray, cap: FloatArray
    ) -> FloatArray:
        """Moves along the gradient, no feature by more than `cap` budgets, the steepest first, `length` in all."""
        used = np.broadcast_to(self.eps > 0, state.shape)
        gradient = self._paired(gradient)
        rise = np.abs(gradient) * self.eps
        room = np.where(gradient > 0, self.high - state, state - self.low)
        room = np.divide(room, self.eps, out=np.zeros(state.shape), where=used & (rise > 0))
        able = np.minimum(np.maximum(room, 0.0), cap)
        order = np.argsort(-np.where(able > 0, rise, -1.0), axis=1)
        able = np.take_along_axis(able, order, axis=1)
        before = np.cumsum(able, axis=1) - able
        taken = np.empty(state.shape)
        np.put_along_axis(taken, order, np.clip(length - before, 0.0, able), axis=1)
        return np.asarray(np.copysign(taken, gradient) * self.eps)

    def _paired(self, gradient: FloatArray) -> FloatArray:
        """Gradients that see a one-hot group as what it is: one member falls while another rises.

        The member that is 1 and the steepest other one get what the jump brings for each budget that it costs; the rest
        of the group, and one whose jump brings nothing, get 0.
        """
        if not self.space.groups:
            return gradient
        gradient, rows = gradient.copy(), np.arange(len(gradient))
        eps = np.broadcast_to(self.eps, gradient.shape)
        for group in self.space.groups:
            slope, able = gradient[:, group], eps[:, group]
            hot = self.x[:, group].argmax(axis=1)
            others = np.where(able > 0, slope, -np.inf)
            others[rows, hot] = -np.inf
            best = others.argmax(axis=1)
            gain, pair = others[rows, best] - slope[rows, hot], (able[rows, hot], able[rows, best])
            jumps = rows[(gain > 0) & (pair[0] > 0)]
            brings = gain[jumps] / (1.0 / pair[0][jumps] + 1.0 / pair[1][jumps])
            gradient[:, group] = 0.0
            gradient[jumps, group[hot[jumps]]] = -brings / pair[0][jumps]
            gradient[jumps, group[best[jumps]]] = brings / pair[1][jumps]
        return gradient


def _shift(size: FloatArray, most: FloatArray) -> FloatArray:
    """The λ (m, 1) with Σ clip(size − λ, 0, most) = 1, for rows where it is more than 1 at 0.

    The length falls in straight pieces: a Newton step from a point of the right piece ends at the root. Steps out
    of the bracket, which bounds that stop to bind can cause, are halvings of it instead.
    """
    low, high = np.zeros(len(size)), size.max(axis=1)
    lam, rows = np.zeros(len(size)), np.arange(len(size))
    for _ in range(_ROOT_STEPS):
        rest = size[rows] - lam[rows, None]
        loose = (rest > 0) & (rest < most[rows])
        excess = np.sum(np.clip(rest, 0.0, most[rows]), axis=1) - 1.0
        going = np.abs(excess) > _ROOT
        if not going.any():
            break
        rows, excess, count = rows[going], excess[going], loose[going].sum(axis=1)
        above = excess > 0
        low[rows[above]], high[rows[~above]] = lam[rows[above]], lam[rows[~above]]
        newton = lam[rows] + excess / np.maximum(count, 1)
        inside = (count > 0) & (newton > low[rows]) & (newton < high[rows])
        lam[rows] = np.where(inside, newton, (low[rows] + high[rows]) / 2)
    return lam[:, None]
