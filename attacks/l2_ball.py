"""The ellipsoid Σ (δ_j/eps_j)² ≤ 1 around rows, inside the bounds."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.boxed_ball import MoveBall
from robust.attacks.projection import JUST_BELOW
from robust.types import FloatArray

_NEWTON_STEPS = 60
# A step this many budgets long, projected back, ends where a linear loss is largest on ball and bounds.
_FAR = 1e3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class L2Ball(MoveBall):
    """The ellipsoid Σ (δ_j/eps_j)² ≤ 1 inside the bounds; a state is a move δ, float64."""

    def drawn(self, u: FloatArray) -> FloatArray:
        """Uniform in the ball: a normal direction (Box and Muller 1958), radius U^(1/d); then clipped to the bounds."""
        d = self.x.shape[1]
        half = (d + 1) // 2
        radius = np.sqrt(-2.0 * np.log1p(-u[:, :half].astype(np.float64)))
        angle = 2.0 * np.pi * u[:, half : 2 * half].astype(np.float64)
        normal = np.hstack([radius * np.cos(angle), radius * np.sin(angle)])[:, :d] * (self.eps > 0)
        free = np.maximum(np.sum(self.eps > 0, axis=1), 1)
        size = u[:, 2 * half].astype(np.float64) ** (1.0 / free)
        return self.nearest(self.eps * _unit(normal) * size[:, None])

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float | FloatArray) -> FloatArray:
        """State + rate·eps·g/‖g‖ with g the gradient in units of eps, projected onto ball and bounds."""
        return self.nearest(state + rate * self.eps * _unit(self.eps * gradient))

    def optimum(self, gradient: FloatArray) -> FloatArray:
        """The end of a step that is too long for the ball, projected back: clip(t·g) with the t that spends it."""
        return self.ascend(self.centre(), gradient, _FAR)

    def nearest(self, state: FloatArray) -> FloatArray:
        """The nearest move inside ball and bounds, in units of eps: clip(s·δ) with the s ≤ 1 that fits.

        The nearest point minimises ‖p − δ‖² on ‖p‖ ≤ 1 and box; its Lagrangian separates into clip(δ/(1 +
        λ)). Newton steps on ‖clip(s·δ)‖ = 1 from s = 1/‖δ‖ rise to the root, since ever more features lie on
        their bounds.
        """
        used = np.broadcast_to(self.eps > 0, state.shape)
        wish = np.divide(state, self.eps, out=np.zeros(state.shape), where=used)
        room = np.where(wish > 0, self.high, -self.low)
        room = np.divide(room, self.eps, out=np.zeros(state.shape), where=used)
        size = np.abs(wish)
        far = np.flatnonzero(np.sum(np.minimum(size, room) ** 2, axis=1) > JUST_BELOW**2)
        size, most = size[far], room[far]
        s = 1.0 / np.sqrt(np.maximum(np.sum(size**2, axis=1), np.finfo(np.float64).tiny))
        for _ in range(_NEWTON_STEPS):
            bound = s[:, None] * size > most
            fixed = np.sum(np.where(bound, most, 0.0) ** 2, axis=1)
            loose = np.sum(np.where(bound, 0.0, size) ** 2, axis=1)
            rise = np.sqrt(np.maximum(1.0 - fixed, 0.0) / np.where(loose > 0, loose, np.inf))
            if not bool(np.any(rise > s * (1 + 1e-15))):
                break
            s = np.maximum(rise, s)
        factor = np.ones(len(state))
        factor[far] = s * JUST_BELOW
        move = np.minimum(np.abs(wish) * factor[:, None], room)
        return np.asarray(np.copysign(move, wish) * self.eps)


def _unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1; zero rows stay zero."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors / np.where(largest > 0, largest, 1.0)  # first by the largest, so that no square underflows
    length = np.sqrt(np.sum(vectors**2, axis=1, keepdims=True))
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
