"""The space that an attack moves in: ball ∩ bounds ∩ schema, in the number type of the rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.attacks.relation_planes import Planes, planes_of
from robust.attacks.relation_settling import closed, snapped
from robust.attacks.rounding import drawn_in, overspent
from robust.data.schema import FeatureSchema
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

# A sum that was scaled to 1 is still at most 1 after rounding, in any order of up to 10⁶ terms.
JUST_BELOW = 1.0 - 1e-9
# Undoes JUST_BELOW before a move is truncated, so that a budget of exactly one step buys one step.
_JUST_ABOVE = 1.0 + 1e-8
# A budget this many times the rounding error of its values is shortened by that error; finer ones are checked.
_COARSE = 1e3
_WIDEST_INTEGER = 2.0**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """What a budget and a schema leave to an attack, before it is centred on rows.

    Args:
        schema: The features.
        dtype: Number type of the rows, which adversarial rows keep.
        work: Number type that points move in.
        norm: `linf`: |δ_j| ≤ eps_j; `l2`: Σ (δ_j/eps_j)² ≤ 1, `l1`: Σ |δ_j|/eps_j ≤ 1, which for one eps are the
            balls of that radius.
        eps: Budget of each feature (d,), float64; 0 where it must stay, whole where it moves by whole steps.
        lower: Lower bounds (d,), rounded inwards to the number type; float64.
        upper: Upper bounds (d,).
        steps: Features that move by whole steps (d,).
        members: Features that belong to a one-hot group (d,).
        groups: Members of each one-hot group.
        slack: Rounding error of x ± eps, (d,) or one for all (1,), by which budgets are shortened; None where each
            value is checked.
        planes: Relations that moves can break; None where there are none.
    """

    schema: FeatureSchema
    dtype: np.dtype[Any]
    work: np.dtype[Any]
    norm: Norm
    eps: FloatArray
    lower: FloatArray
    upper: FloatArray
    steps: BoolArray
    members: BoolArray
    groups: tuple[IntArray, ...]
    slack: FloatArray | None
    planes: Planes | None = None

    @property
    def smooth(self) -> bool:
        """Whether every point of the ball inside the bounds is a row: nothing to truncate, snap, relate or cast."""
        return self.boxed and self.dtype == self.work

    @property
    def boxed(self) -> bool:
        """The same but for casting: bounds alone say which points are rows."""
        return not (self.steps.any() or self.members.any() or self.schema.relations)

    @property
    def jumpy(self) -> bool:
        """Whether some features move by jumps, and no relations bind them."""
        return bool(self.steps.any() or self.members.any()) and not self.schema.relations

    def settle(self, x: AnyArray, delta: FloatArray, eps: FloatArray, slope: FloatArray | None) -> AnyArray:
        """Rows that obey the schema, from moves inside the ball.

        Whole features are truncated toward the original, one-hot groups jump to the member that the move
        prefers if the jump fits the budget, the other features of a broken relation close its gap where they can and
        stay where they cannot, and values are rounded toward the original. A row that rounding takes off a relation
        goes back to the original.

        Args:
            x: Original rows (m, d).
            delta: Moves (m, d), float64, inside ball and bounds.
            eps: Budgets (1, d) or (m, d).
            slope: Decides between members of a one-hot group that are liked equally (m, d), e.g. the
            gradient.

        Returns:
            Rows (m, d) of the data's number type.
        """
        if self.planes is not None:
            delta = snapped(delta, self.steps, eps)
        if self.steps.any() or self.members.any():
            delta = self._stepped(x, delta, eps, slope)
        if self.planes is not None:
            rigid, box = self.steps | self.members, (self.lower, self.upper)
            delta = closed(self.planes, x, delta, eps=eps, rigid=rigid, steps=self.steps, box=box, norm=self.norm)
        rows = self._rounded(x, delta)
        for relation in self.schema.relations:
            broken = relation.violated(rows)
            rows[broken] = x[broken]
        return rows

    def _rounded(self, x: AnyArray, delta: FloatArray) -> AnyArray:
        """Rows x + δ in the data's number type: no value farther from x than δ says, none outside the bounds."""
        if self.dtype.kind != "f":
            return np.asarray((x.astype(np.int64) + delta.astype(np.int64)).astype(self.dtype))
        rows = drawn_in((x.astype(np.float64) + delta).astype(self.dtype), x, np.abs(delta))
        return np.asarray(np.clip(rows, self.lower.astype(self.dtype), self.upper.astype(self.dtype)))

    def _stepped(self, x: AnyArray, delta: FloatArray, eps: FloatArray, slope: FloatArray | None) -> FloatArray:
        """Moves with whole steps and one-hot jumps; else the other features share what these leave."""
        eps = np.broadcast_to(eps, delta.shape)
        moved = np.where(self.members, 0.0, delta)
        if self.norm == "linf":
            moved[:, self.steps] = np.trunc(delta[:, self.steps])
            for group in self.groups:
                _jump(moved, x, delta, group, slope, able=eps[:, group] >= 1)
            return moved
        power = 2 if self.norm == "l2" else 1
        price = np.divide(1.0, eps, out=np.zeros(delta.shape), where=eps > 0) ** power
        whole = np.trunc(delta[:, self.steps] * _JUST_ABOVE)
        dear = overspent(whole, eps[:, self.steps], power=power)
        whole[dear] = np.trunc(delta[np.ix_(dear, self.steps)])
        paid = np.zeros(delta.shape)
        paid[:, self.steps] = moved[:, self.steps] = whole
        for group in self.groups:
            _jump(moved, x, delta, group, slope, able=eps[:, group] > 0)
            paid[:, group] = moved[:, group]
            unpaid = overspent(paid, eps, power=power)
            moved[np.ix_(unpaid, group)] = paid[np.ix_(unpaid, group)] = 0.0
        spent = np.sum(np.abs(paid) ** power * price, axis=1)
        free = ~(self.steps | self.members)
        wish = np.sum(np.abs(delta[:, free]) ** power * price[:, free], axis=1)
        room = np.maximum(1.0 - spent, 0.0)
        fits = wish <= room * JUST_BELOW
        share = (room / np.where(fits, 1.0, wish)) ** (1.0 / power) * JUST_BELOW
        moved[:, free] *= np.where(fits, 1.0, share)[:, None]
        return moved


def _jump(
    moved: FloatArray,
    x: AnyArray,
    delta: FloatArray,
    group: IntArray,
    slope: FloatArray | None,
    *,
    able: BoolArray,
) -> None:
    """Write the move of one one-hot group: to the able member that x + δ, then the slope, likes best; ties stay."""
    rows, hot = np.arange(len(x)), x[:, group].argmax(axis=1)
    may = able[rows, hot]
    wanted = np.where(able, x[:, group] + delta[:, group], -np.inf)
    tie = np.zeros(wanted.shape) if slope is None else slope[:, group]
    rank = np.where(wanted == wanted.max(axis=1, keepdims=True), tie, -np.inf)
    best = np.where(rank[rows, hot] == rank.max(axis=1), hot, rank.argmax(axis=1))
    jumps = may & (best != hot)
    moved[rows[jumps], group[hot[jumps]]] = -1.0
    moved[rows[jumps], group[best[jumps]]] = 1.0


def space_of(
    schema: FeatureSchema, dtype: np.dtype[Any], *, eps: FloatArray, norm: Norm, finest: float | None = None
) -> Space:
    """What a budget leaves of a schema.

    Args:
        schema: The features.
        dtype: Number type of the rows.
        eps: Budget of each feature (d,), see `feature_eps`.
        norm: `linf`, `l2` or `l1`.
        finest: Smallest budget that moves will be made with, where it is not the smallest of `eps`.

    Returns:
        The space.
    """
    integral = dtype.kind != "f"
    steps = np.ones(schema.width, dtype=bool) if integral else schema.mask("integer", "binary")
    members = schema.mask("one_hot")
    steps &= ~members
    lower, upper = _inward(schema.lower, dtype, up=True), _inward(schema.upper, dtype, up=False)
    work = np.dtype(np.float32) if dtype == np.float32 and norm == "linf" else np.dtype(np.float64)
    return Space(
        schema=schema,
        dtype=dtype,
        work=work,
        norm=norm,
        eps=eps,
        lower=lower,
        upper=upper,
        steps=steps,
        members=members,
        groups=tuple(np.array(group) for _, group in schema.groups),
        planes=planes_of(schema, eps),
        slack=_slack(lower, upper, eps[eps > 0].min(initial=np.inf) if finest is None else finest, work),
    )


def _inward(bounds: FloatArray, dtype: np.dtype[Any], *, up: bool) -> FloatArray:
    """Bounds as values of a number type, none outside the given ones."""
    if dtype.kind == "b":
        return np.full(len(bounds), 0.0 if up else 1.0)
    if dtype.kind in "iu":
        limit = np.iinfo(dtype)
        least, most = max(float(limit.min), -_WIDEST_INTEGER), min(float(limit.max), _WIDEST_INTEGER)
        return np.clip(np.ceil(bounds) if up else np.floor(bounds), least, most)
    with np.errstate(over="ignore"):
        near = bounds.astype(dtype)
        outside = near < bounds if up else near > bounds
        inner = np.nextafter(near, dtype.type(np.inf if up else -np.inf))
        return np.where(outside, inner, near).astype(np.float64)


def _slack(lower: FloatArray, upper: FloatArray, finest: float, work: np.dtype[Any]) -> FloatArray | None:
    """Rounding error of x ± eps between the bounds, if it is small beside the smallest budget."""
    if not np.isfinite(lower).all() or not np.isfinite(upper).all():
        return None
    # Half a unit for the sum, half for eps itself, and eps is at most twice as large as the largest bound or free.
    slack = 2.0 * np.spacing(np.maximum(np.abs(lower), np.abs(upper)).astype(work)).astype(np.float64)
    slack = slack[:1] if (slack == slack[:1]).all() else slack
    return slack if bool(np.all(slack * _COARSE <= finest)) else None
