"""The box |δ_j| ≤ eps_j around rows, inside the bounds."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.boxed_ball import BoxedBall
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinfBall(BoxedBall):
    """The box |δ_j| ≤ eps_j inside the bounds; a state is a point, in the working number type.

    `low` and `high` are its corners in the working type, no farther than the budget and the bounds allow, exactly.
    """

    def centre(self) -> FloatArray:
        """The rows themselves; not to be written to."""
        return self.x.astype(self.space.work, copy=False)

    def drawn(self, u: FloatArray) -> FloatArray:
        """Uniform in the box; whole features uniform over the whole values in it."""
        width = self.high - self.low
        state = self.low + u * width
        if self.space.steps.any():
            steps = self.space.steps
            state[:, steps] = self.low[:, steps] + np.floor(u[:, steps] * (width[:, steps] + 1))
        return np.asarray(np.clip(state, self.low, self.high))

    def ascend(self, state: FloatArray, gradient: FloatArray, rate: float | FloatArray) -> FloatArray:
        """State + rate·eps·sign(gradient), clipped to the box."""
        step = np.sign(gradient).astype(self.space.work, copy=False)
        step *= (rate * self.eps).astype(self.space.work)
        step += state
        return np.asarray(np.clip(step, self.low, self.high, out=step))

    def optimum(self, gradient: FloatArray) -> FloatArray:
        """The corner that the signs of the gradient name; where it has none, the row itself."""
        return np.asarray(np.where(gradient > 0, self.high, np.where(gradient < 0, self.low, self.centre())))

    def nearest(self, state: FloatArray) -> FloatArray:
        """Clipped to the box."""
        return np.asarray(np.clip(state, self.low, self.high))

    def state_of(self, rows: AnyArray) -> FloatArray:
        """Given rows, clipped to the box."""
        return np.asarray(np.clip(rows.astype(self.space.work), self.low, self.high))

    def points(self, state: FloatArray, slope: FloatArray | None = None) -> AnyArray:
        """The state itself where every point is a row."""
        if self.space.smooth:
            return state
        delta = state.astype(np.float64) - self.x.astype(np.float64)
        return self.space.settle(self.x, delta, self.eps, slope)
