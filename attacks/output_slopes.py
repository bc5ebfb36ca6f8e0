"""Slopes of an output by central differences, for models that give no gradients and have few features."""

from dataclasses import dataclass, fields

import numpy as np

from robust.attacks.losses import Loss
from robust.attacks.output_target import OutputTarget
from robust.attacks.projection import Space
from robust.types import AnyArray, FloatArray, IntArray

#: Features that may move, at most: each costs two forward passes a row and step.
MOST_FEATURES = 64
# Of how far a feature goes: wide enough to see over small stairs, narrow enough that a smooth model hardly bends.
_STEP = 1 / 8
_CELLS = 1 << 22  # numbers that are asked about at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DifferencedTarget(OutputTarget):
    """An output whose slopes are measured: g_j = (f(x + h_j e_j) − f(x − h_j e_j)) / 2h_j, within the bounds.

    Args:
        step: h (d,), whole where a feature moves by whole steps; 0 for features that are not asked about, as those that
            must stay and members of one-hot groups.
    """

    step: FloatArray

    def gradient(
        self,
        x: AnyArray,
        rows: IntArray | slice,
        *,
        loss: Loss = "cross_entropy",  # noqa: ARG002 - as above
        aims: IntArray | None = None,  # noqa: ARG002
    ) -> tuple[FloatArray, FloatArray]:
        """Scores and slopes of s·f (m, d), each from two forward passes a feature."""
        slope = np.zeros(x.shape)
        columns = np.flatnonzero(self.step)
        chunk = max(_CELLS // max(2 * len(columns) * x.shape[1], 1), 1)
        for start in range(0, len(x), chunk) if len(columns) else ():
            some = slice(start, start + chunk)
            slope[some, columns] = self._slopes(x[some], columns)
        return self.compared(self.scores(x)[:, 1], rows), slope

    def _slopes(self, x: AnyArray, columns: IntArray) -> FloatArray:
        """Slopes of some features (m, c); 0 where a value is missing, or has no room on either side."""
        schema, m, c = self.data.schema, len(x), len(columns)
        points = np.repeat(x[:, None, :], 2 * c, axis=1)
        own, each = x[:, columns].astype(np.float64), np.arange(c)
        ends = own + self.step[columns], own - self.step[columns]
        for side, end in enumerate(ends):
            inside = np.clip(end, schema.lower[columns], schema.upper[columns])
            points[:, side * c + each, columns] = inside.astype(x.dtype)
        reached = [points[:, side * c + each, columns].astype(np.float64) for side in (0, 1)]
        values = self.caller.outputs(self._shaped(points.reshape(m * 2 * c, -1)))[:, self.output].reshape(m, 2, c)
        gap = np.nan_to_num(reached[0] - reached[1])
        # Where a side has no answer there is no slope.
        rise = np.nan_to_num(self.sign * (values[:, 0] - values[:, 1]), copy=False)
        return np.divide(rise, gap, out=np.zeros(gap.shape), where=gap > 0)


def differenced(target: OutputTarget, space: Space, *, reach: FloatArray | None = None) -> DifferencedTarget:
    """The same output and rows, with slopes from differences.

    Args:
        target: Output and rows.
        space: Says which features may move, and which by whole steps.
        reach: How far each is going to (d,), where that is not its budget.
    """
    far = space.eps if reach is None else reach
    step = np.where(space.steps, np.maximum(np.floor(far * _STEP), 1.0), _STEP * far)
    step = np.where((space.eps > 0) & ~space.members, step, 0.0)
    given = {field.name: getattr(target, field.name) for field in fields(target)}
    return DifferencedTarget(**given, step=step)


def few_features(space: Space) -> bool:
    """Whether differences are affordable, and any feature has a slope."""
    return 0 < int(np.sum((space.eps > 0) & ~space.members)) <= MOST_FEATURES
