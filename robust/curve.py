"""A measure along a grid: one measurement a point, with the numbers as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robust.errors import InvalidInput
from robust.measurement import Measurement
from robust.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Measurements along a grid of one quantity; iterating gives them in the order of the grid.

    Args:
        name: What the grid is of, e.g. `eps`.
        grid: Where was measured (k,), increasing, in the quantity's own unit.
        points: The measurement at each point (k,).

    Raises:
        InvalidInput: If there is no point, if grid and points differ in number, or the grid does not
            increase.

    >>> def accuracy(value):
    ...     return Measurement(name="accuracy", value=value, lower=value - 0.1, upper=1.0, n=20, method="m")
    >>> curve = Curve(name="eps", grid=[0.0, 0.5], points=(accuracy(0.9), accuracy(0.4)))
    >>> curve.eps.tolist(), curve.values.tolist(), [(point > 0.35).status for point in curve]
    ([0.0, 0.5], [0.9, 0.4], ['PASS', 'INCONCLUSIVE'])
    """

    name: str
    grid: FloatArray
    points: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        """Refuse a curve that cannot be drawn; keep the grid as read-only numbers."""
        grid = np.array(self.grid, dtype=np.float64)
        if grid.ndim != 1 or len(grid) == 0 or len(grid) != len(self.points):
            raise InvalidInput(
                f"a curve needs one measurement a grid point, got {len(self.points)} for a grid of shape {grid.shape}"
            )
        if not bool(np.all(np.diff(grid) > 0)):
            raise InvalidInput(f"the grid of a curve must increase, got {grid.tolist()}")
        grid.flags.writeable = False
        object.__setattr__(self, "grid", grid)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.points)

    def __getitem__(self, position: int) -> Measurement:
        return self.points[position]

    def __repr__(self) -> str:
        return f"Curve({self.name}={self.grid.tolist()}, values={[round(float(v), 4) for v in self.values]})"

    @property
    def eps(self) -> FloatArray:
        """The grid of a curve over eps (k,).

        Raises:
            AttributeError: If the grid is of something else.
        """
        if self.name != "eps":
            raise AttributeError(f"this curve runs over {self.name}, not eps: use .grid")
        return self.grid

    @property
    def values(self) -> FloatArray:
        """Point estimates (k,)."""
        return np.array([point.value for point in self.points])

    @property
    def lower(self) -> FloatArray:
        """Lower bounds (k,), one-sided at the level of the points, each for its own point."""
        return np.array([point.lower for point in self.points])

    @property
    def upper(self) -> FloatArray:
        """Upper bounds (k,), one-sided at the level of the points, each for its own point."""
        return np.array([point.upper for point in self.points])
