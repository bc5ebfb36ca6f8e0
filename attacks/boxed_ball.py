"""What balls around rows have in common: where each coordinate may lie, and that rows come and go."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from robust.attacks.projection import Space
from robust.attacks.row_budgets import budget_joined, budget_part
from robust.types import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxedBall:
    """A ball inside the bounds.

    Args:
        space: Budget and schema.
        x: Original rows (m, d).
        eps: Budgets (1, d), (m, d) or one a row (m, 1), float64; 0 where a feature must stay.
        low: Lower bounds of a state (m, d).
        high: Upper bounds of a state (m, d).
    """

    space: Space
    x: AnyArray
    eps: FloatArray
    low: FloatArray
    high: FloatArray

    def part(self, keep: IntArray | BoolArray) -> Self:
        """The balls around some rows."""
        return replace(self, x=self.x[keep], eps=budget_part(self.eps, keep), low=self.low[keep], high=self.high[keep])

    def joined(self, other: Self) -> Self:
        """The balls around these rows and some more."""
        return replace(
            self,
            x=np.concatenate([self.x, other.x]),
            eps=budget_joined(self.eps, other.eps, len(self.x), len(other.x)),
            low=np.concatenate([self.low, other.low]),
            high=np.concatenate([self.high, other.high]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MoveBall(BoxedBall, ABC):
    """A ball whose states are moves δ, float64."""

    @abstractmethod
    def nearest(self, state: FloatArray) -> FloatArray:
        """The nearest move inside ball and bounds (m, d)."""

    def centre(self) -> FloatArray:
        """No move."""
        return np.zeros(self.x.shape)

    def state_of(self, rows: AnyArray) -> FloatArray:
        """The move to given rows, projected onto ball and bounds; missing values stay missing."""
        return self.nearest(np.nan_to_num(rows.astype(np.float64) - self.x.astype(np.float64)))

    def points(self, state: FloatArray, slope: FloatArray | None = None) -> AnyArray:
        """Rows after the move."""
        return self.space.settle(self.x, state, self.eps, slope)
