"""The set of changes that a row must withstand: ball ∩ bounds ∩ schema, or a set that holds all of it."""

from dataclasses import dataclass

import numpy as np

from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

#: Half the distance from 1 to the next double: the rounding error of one operation.
UNIT = 2.0**-53
# A budget that misses a whole step by less buys the step: an attack may round the same way.
_JUST_ABOVE = 1.0 + 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Perturbations:
    """Where each of b rows may go.

    Args:
        centre: The rows (b, d), float64.
        lower: Smallest value of each feature (b, d), rounded outwards.
        upper: Largest value (b, d), rounded outwards.
        eps: Semi-axes of the ball (d,), for a norm other than `linf`.
        norm: `linf`: lower and upper are all there is; `l2`, `l1`: the ball bounds the rows too.
        groups: Members of one-hot groups that can change: exactly one of each is 1.
    """

    centre: FloatArray
    lower: FloatArray
    upper: FloatArray
    eps: FloatArray
    norm: Norm
    groups: tuple[IntArray, ...] = ()

    def __len__(self) -> int:
        return len(self.centre)

    def part(self, rows: IntArray | BoolArray | slice) -> "Perturbations":
        """The same for some of the rows."""
        return Perturbations(
            centre=self.centre[rows],
            lower=self.lower[rows],
            upper=self.upper[rows],
            eps=self.eps,
            norm=self.norm,
            groups=self.groups,
        )

    @property
    def size(self) -> FloatArray:
        """Largest magnitude of each feature (b, d)."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def least(self, a: FloatArray, error: FloatArray) -> FloatArray:
        """Lower bounds of a·x' over all changed rows x', each feature off by at most `error` too.

        Args:
            a: Coefficients (b, m, d).
            error: Error of each feature (b, d), at least 0.

        Returns:
            (b, m); no sum in any order of rounding is below it.
        """
        width = a.shape[2]
        error = error + (2.0 * width + 16.0) * UNIT * self.size
        slope = np.abs(a)
        middle, radius = (self.lower + self.upper) / 2.0, (self.upper - self.lower) / 2.0
        if self.groups:
            free = np.ones(width, dtype=bool)
            free[np.concatenate(self.groups)] = False
            box = _dot(a[..., free], middle[:, free]) - _dot(slope[..., free], radius[:, free])
            for group in self.groups:
                box = box + self._cheapest_member(a[..., group], group)
        else:
            box = _dot(a, middle) - _dot(slope, radius)
        if self.norm != "linf":
            scaled = slope * self.eps
            dual = scaled.max(axis=2, initial=0.0) if self.norm == "l1" else np.sqrt(np.sum(scaled * scaled, axis=2))
            box = np.maximum(box, _dot(a, self.centre) - dual * (1.0 + (width + 16.0) * UNIT))
        return np.asarray(box - _dot(slope, error))

    def _cheapest_member(self, a: FloatArray, group: IntArray) -> FloatArray:
        """The smallest coefficient among the members that can be the hot one (b, m)."""
        lower, upper = self.lower[:, group], self.upper[:, group]
        stuck = lower > 0.0
        able = (upper >= 1.0) & (stuck | ~stuck.any(axis=1, keepdims=True))
        return np.asarray(np.where(able[:, None, :], a, np.inf).min(axis=2))


def _dot(a: FloatArray, z: FloatArray) -> FloatArray:
    """Row by row a z: (b, m, n), (b, n) to (b, m)."""
    return np.asarray(np.matmul(a, z[:, :, None])[:, :, 0])


def perturbations(x: AnyArray, schema: FeatureSchema, *, eps: FloatArray, norm: Norm) -> Perturbations:
    """What a budget and a schema let each row become.

    x'_j in [x_j − eps_j, x_j + eps_j] ∩ bounds; whole features move in whole steps, one-hot members from 0 to 1 or not
    at all; a categorical feature with a budget may take any code

    Args:
        x: Rows (n, d); NaN is passed on.
        schema: The features.
        eps: Budget of each feature (d,), see `feature_budget`.
        norm: Norm of the budget.

    Returns:
        The changes, as a set that holds all of them: relations between features are left out, and whole values are
        taken for continuous ones.
    """
    centre = np.asarray(x, dtype=np.float64)
    codes, members = schema.mask("categorical"), schema.mask("one_hot")
    whole = (np.full(schema.width, x.dtype.kind != "f") | schema.mask("integer", "binary")) & ~codes | members
    radius = np.where(whole, np.floor(eps * _JUST_ABOVE), eps)
    with np.errstate(invalid="ignore"):
        span = np.where(codes & (eps > 0), schema.upper - schema.lower, 0.0)
        radius = np.where(span > 0, span, radius)
        lower, upper = np.nextafter(centre - radius, -np.inf), np.nextafter(centre + radius, np.inf)
        lower = np.where(whole, centre - radius, lower)
        upper = np.where(whole, centre + radius, upper)
    moves = radius > 0
    lower = np.where(moves, np.maximum(lower, np.minimum(schema.lower, centre)), centre)
    upper = np.where(moves, np.minimum(upper, np.maximum(schema.upper, centre)), centre)
    ball = np.where(span > 0, span * np.maximum(eps, 1.0), np.where(moves, eps * _JUST_ABOVE, 0.0))
    groups = tuple(np.array(group) for _, group in schema.groups if moves[list(group)].any())
    return Perturbations(centre=centre, lower=lower, upper=upper, eps=ball, norm=norm, groups=groups)
