"""Whether gradients point where the loss rises: how well what they promise at random agrees with what comes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.faint_features import usual_ranges
from robust.attacks.keeping import kept
from robust.attacks.losses import log_margins, saturated
from robust.attacks.probe import Probe, margin_slopes
from robust.attacks.slope import rounding_of
from robust.attacks.target import Target
from robust.data.budget import feature_eps
from robust.randomness import row_uniform
from robust.types import AnyArray, FloatArray

# The least cosine of gradient and slope that is taken for honest, by the share of changes that is made again from
# another corner: where a model is straight, and where it rises by stairs. At its best step an honest network has, with
# three errors, 1.0 and 0.84 at least (deep ones of four bits); below these limits attacks lose 3 points and more. With
# less in common, as of two bits, stairs hide whatever slope there is.
_ALIGNED = ((0.95, 0.95), (0.6, 0.8))
_STRAIGHT, _TELLS = _ALIGNED[0][0], _ALIGNED[-1][0]
# Of the usual range: so small that smooth models are straight there; then wide enough to cross the stairs of few bits.
_STEPS = (0.003, 0.1, 0.3)
# The second move goes half as far as the first, so that the four corners lie on four stairs.
_HALF = 0.5
# Rows of the first look, which settles it for nearly all models; the second takes the whole sample.
_FIRST, _LEAST, _STREAM = 50, 10, 7 << 32
# A first look that agrees so well needs no second one.
_PLAIN = 0.95
# Standard errors within which the cosine is taken to lie.
_SURE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well promised and realised changes of the loss agree.

    Args:
        cosine: Of the angle between gradient and slope, about 1 at most; NaN where it cannot be told.
        error: Its standard error, over rows.
        rows: Rows that it is of.
        common: Share of the squared changes that is made again from another corner; 1 for a straight model.
    """

    cosine: float
    error: float
    rows: int
    common: float

    @property
    def highest(self) -> float:
        """What the cosine may well be; infinite where it cannot be told."""
        told = self.rows >= _LEAST and self.common >= _TELLS and np.isfinite(self.error)
        return self.cosine + _SURE * self.error if told else np.inf

    @property
    def straight(self) -> bool:
        """Whether the model is straight within the moves, so that wider ones tell less."""
        return self.common >= _STRAIGHT

    @property
    def honest(self) -> bool:
        """Whether gradients may be those of the model."""
        least = next((least for common, least in _ALIGNED if self.common >= common), 0.0)
        return self.highest >= least


def gradient_direction(probe: Probe, budgets: Sequence[Attack], *, seed: int) -> Agreement:
    """The cosine of the angle between gradients and slopes, over all features that may move.

    cos = Σ ½(d·p' + d'·p) / √(Σ d·d' · Σ p·p'), each row's terms divided by its mean of d² + Σ_j (g_j δ_j)²

    d and d' are the changes of the margin loss that one random move δ of all features makes from two corners of a
    small parallelogram about a row; p and p' are what gradients promise of them. For a straight model d = d', and for
    the projection of its true gradient this is the share of the length that is left. What stairs and rounding add to d
    has nothing in common with what they add to d', so that the products have the slope alone in them: networks of few
    bits stay near 1.

    A first look takes the gradients of the rows, and costs no others. Where they do not agree, gradients are asked for
    at the corners, and a move is promised the mean of its ends, since a row may lie on a kink, and wider moves bend.
    Then that step counts at which the cosine is, or may be, highest, of those that can tell.

    Args:
        probe: The classifier, rows that are all right, and their gradients (m, d).
        budgets: The attack at each budget that is asked about, which say what may move.
        seed: Seed of the moves.
    """
    sample = probe.sample
    schema, x = sample.data.schema, sample.x
    may = np.any([feature_eps(require_budget(at), schema) > 0 for at in budgets], axis=0)
    may &= ~schema.mask("integer", "binary", "one_hot")
    if x.dtype.kind != "f" or not may.any():
        return Agreement(cosine=np.nan, error=np.nan, rows=0, common=0.0)
    ranges = np.where(may, usual_ranges(sample), 0.0)

    def run() -> AnyArray:
        few = probe.fewer(_FIRST)
        best = _Corners.of(few.sample, _STEPS[0] * ranges, seed=seed, slopes=few.gradient).agreement()
        if not (best.cosine >= _PLAIN and best.common >= _TELLS):
            looks = (_Corners.of(sample, step * ranges, seed=seed).agreement() for step in _STEPS)
            best = _best(looks)
        return np.array([best.cosine, best.error, best.rows, best.common])

    cosine, error, rows, common = kept(sample, "gradient direction", ranges, str(seed), compute=run)
    return Agreement(cosine=float(cosine), error=float(error), rows=int(rows), common=float(common))


def _best(looks: Iterable[Agreement]) -> Agreement:
    """The look with the highest cosine of those that tell it, the first that is honest or of a straight model."""
    told: list[Agreement] = []
    for look in looks:
        told.append(look)
        if look.highest < np.inf and (look.honest or look.straight):
            return look
    return max(told, key=lambda look: look.highest if look.highest < np.inf else -np.inf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Corners:
    """A parallelogram about each row.

    Args:
        points: The corners (2, 2, m, d), by the end of the first move and of the second.
        slopes: Gradients of the margin loss there (2, 2, m, d).
        losses: The margin loss there (2, 2, m).
        noise: Changes of the loss that are rounding (m,).
    """

    points: AnyArray
    slopes: FloatArray
    losses: FloatArray
    noise: FloatArray

    @classmethod
    def of(cls, sample: Target, reach: FloatArray, *, seed: int, slopes: FloatArray | None = None) -> Self:
        """Moves by random signs, from inside the bounds; without slopes (m, d) the model is asked for them."""
        x, schema, keys = sample.x.astype(np.float64), sample.data.schema, sample.data.row_keys()
        inside = np.clip(x, schema.lower + reach, schema.upper - reach)
        one, two = (
            np.where(row_uniform(keys, x.shape[1], seed=seed, stream=_STREAM + k) < 0.5, -1.0, 1.0) for k in range(2)
        )
        points = np.empty((2, 2, *x.shape), dtype=sample.x.dtype)
        given = np.empty(points.shape) if slopes is None else np.broadcast_to(slopes, points.shape)
        losses, noise = np.empty(points.shape[:3]), np.zeros(len(x))
        for i, j in np.ndindex(2, 2):
            move = ((1 - 2 * i) * one + (1 - 2 * j) * _HALF * two) / (1 + _HALF)
            points[i, j] = np.clip(np.where(reach > 0, inside + reach * move, x), schema.lower, schema.upper)
            if slopes is None:
                scores, given[i, j] = margin_slopes(sample, points[i, j])
            else:
                scores = sample.scores(points[i, j]).astype(np.float64)
            losses[i, j] = log_margins(scores, sample.y, scale=sample.scale)
            losses[i, j, saturated(scores, sample.y, scale=sample.scale)] = np.inf  # how far, nobody knows
            noise = np.maximum(noise, rounding_of(scores, losses[i, j]))
        return cls(points=points, slopes=given, losses=losses, noise=noise)

    def agreement(self) -> Agreement:
        """How well the gradients agree with what the moves do, over the rows that they change."""
        realised, promised, sizes = (np.array(parts) for parts in zip(self._move(0), self._move(1), strict=True))
        realised[np.abs(realised) <= self.noise] = 0.0
        # Rows that nothing changes, as where probabilities are exactly 0, have no direction to tell.
        rows = np.isfinite(realised).all(axis=(0, 1)) & realised.any(axis=(0, 1)) & (sizes > 0).all(axis=(0, 1))
        if not rows.any():
            return Agreement(cosine=np.nan, error=np.nan, rows=0, common=0.0)
        realised, promised, sizes = realised[..., rows], promised[..., rows], sizes[..., rows]
        scale = np.sqrt(np.mean(realised**2 + sizes, axis=(0, 1)))
        (d, also), (p, told) = np.moveaxis(realised / scale, 1, 0), np.moveaxis(promised / scale, 1, 0)
        cosine, error = _cosine((d * told + also * p).sum(axis=0) / 2, (d * also).sum(axis=0), (p * told).sum(axis=0))
        squares = np.sum(d**2 + also**2, axis=1) / 2
        again = np.sum(d * also, axis=1)
        # At a tie of rounding the longer move alone decides, from wherever it starts.
        common = min(again.sum() / squares.sum(), 2 * again[1] / squares[1]) if squares[1] > 0 else 0.0
        return Agreement(cosine=cosine, error=error, rows=int(np.count_nonzero(rows)), common=float(common))

    def _move(self, axis: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of a move from either place: the change, what is promised of it, and Σ_j (g_j δ_j)² (2, m) each."""
        end, start = np.moveaxis(self.points, axis, 0).astype(np.float64)
        # A missing feature stays missing, and moves nothing.
        parts = np.nan_to_num(end - start) * np.mean(self.slopes, axis=axis)
        after, before = np.moveaxis(self.losses, axis, 0)
        with np.errstate(invalid="ignore"):  # no answer is an infinite loss
            return after - before, parts.sum(axis=-1), np.sum(parts**2, axis=-1)


def _cosine(both: FloatArray, common: FloatArray, told: FloatArray) -> tuple[float, float]:
    """Σ both / √(Σ common · Σ told), and its jackknife error over rows; NaN where either sum is not above 0."""
    # All rows but one, and all.
    sums = np.array([part.sum() - np.append(part, 0.0) for part in (both, common, told)])
    if (sums[1:] <= 0).any():
        return np.nan, np.nan
    cosines, n = sums[0] / np.sqrt(sums[1] * sums[2]), len(both)
    without = cosines[:-1]
    return float(cosines[-1]), float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
