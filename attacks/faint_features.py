"""Features that a model follows much further than their gradients say: bins and rounding beside a smooth summary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.keeping import kept
from robust.attacks.losses import log_margins, saturated
from robust.attacks.probe import Probe
from robust.attacks.slope import rounding_of
from robust.attacks.target import Target
from robust.attacks.unlimited import BEYOND, full_ranges
from robust.data.budget import feature_eps
from robust.randomness import row_uniform
from robust.types import AnyArray, BoolArray, FloatArray

_ROWS, _DRAWS, _STREAM = 50, 2, 5 << 32
# Wide enough to cross the stairs of four bits, narrow enough that a smooth model hardly bends.
_STEP = 0.1
_GROUPS = (1.0, 0.75, 0.5, 0.25)
# What a group does counts where it is this share of the squared change that all features make.
_MATTERS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Faint:
    """The group of features whose gradients say least of what they do.

    Args:
        features: Features in the group, those with the smallest gradients; 0 where nothing could be asked.
        movable: Features that may move.
        ratio: Realised over promised change of the loss; 1 for a linear model, above it for hidden slopes.
    """

    features: int
    movable: int
    ratio: float

    @property
    def weighted(self) -> float:
        """The ratio times the share of the features that it is of."""
        return self.ratio * self.features / max(self.movable, 1)


def faint_features(attack: Attack, probe: Probe, budgets: Sequence[Attack], *, seed: int) -> Faint:
    """How far features move the loss at random, against what their gradients promise.

    √(Σ (L(x + δ) − L(x))² / Σ (g·δ)²) over rows and draws, δ = ±h at random on the group and 0 elsewhere, L the margin
    loss, h a tenth of the range in which nine of ten rows lie

    Groups are all features that may move, and the three, two and one quarters of them with the smallest mean |g_j|h_j.
    Taken together over all rows, a gradient that is right on average promises what comes true, also that of numbers
    with four bits or more; a feature whose gradient is that of a summary alone does not. Left out are whole and one-hot
    features, which such steps cannot move, and groups that matter little.

    Args:
        attack: A gradient attack.
        probe: The classifier, rows that are all right, and their gradients (m, d).
        budgets: The attack at each budget that is asked about, which say what may move.
        seed: Seed of the directions.

    Returns:
        The group with the largest ratio times its share of the features.
    """
    few = probe.fewer(_ROWS)
    sample, gradient = few.sample, few.gradient
    schema, x = sample.data.schema, sample.x
    may = np.any([feature_eps(require_budget(at), schema) > 0 for at in budgets], axis=0)
    may &= ~schema.mask("integer", "binary", "one_hot")
    if x.dtype.kind != "f" or not may.any():
        return Faint(features=0, movable=int(may.sum()), ratio=1.0)
    step = np.where(may, _STEP * usual_ranges(sample), 0.0)

    def run() -> AnyArray:
        sizes = np.where(may, np.abs(gradient).mean(axis=0) * step, np.inf)
        order = np.argsort(sizes, kind="stable")[: int(may.sum())]
        scores = sample.scores(x).astype(np.float64)
        counts = _counts(len(order))
        groups = np.array([np.isin(np.arange(x.shape[1]), order[:k]) for k in counts])
        return np.column_stack([counts, _changes(sample, scores, gradient, step, groups, seed=seed)])

    found = kept(sample, "faint features", attack.norm, step, str(seed), compute=run)
    return _worst(found, int(may.sum()))


def _worst(found: FloatArray, movable: int) -> Faint:
    """The group with the largest weighted ratio, of those that matter; the first holds all features."""
    counts, realised, promised = found.T
    ratios = np.sqrt(np.divide(realised, promised, out=np.full(len(found), np.inf), where=promised > 0))
    ratios[realised < _MATTERS * realised[0]] = 0.0
    if realised[0] == 0.0:
        return Faint(features=movable, movable=movable, ratio=1.0)
    worst = int((ratios * counts).argmax())
    return Faint(features=int(counts[worst]), movable=movable, ratio=float(ratios[worst]))


def _counts(movable: int) -> list[int]:
    """Sizes of the groups, the largest first."""
    return sorted({max(1, round(share * movable)) for share in _GROUPS}, reverse=True)


def _changes(
    sample: Target, scores: FloatArray, gradient: FloatArray, step: FloatArray, groups: BoolArray, *, seed: int
) -> FloatArray:
    """Squared realised and promised changes of the loss, summed over rows and draws, for groups (k, d) → (k, 2).

    Rounding counts as no change; rows whose probabilities have saturated say nothing.
    """
    schema, x, keys = sample.data.schema, sample.x, sample.data.row_keys()
    before = log_margins(scores, sample.y, scale=sample.scale)
    noise, lost = rounding_of(scores, before), saturated(scores, sample.y, scale=sample.scale)
    sums = np.zeros((len(groups), 2))
    for draw in range(_DRAWS):
        signs = np.where(row_uniform(keys, x.shape[1], seed=seed, stream=_STREAM + draw) < 0.5, -1.0, 1.0)
        moved = np.clip(x.astype(np.float64) + step * signs, schema.lower, schema.upper).astype(x.dtype)
        promised = (moved.astype(np.float64) - x.astype(np.float64)) * gradient
        points = np.where(groups[:, None], moved, x)
        answers = sample.scores(points.reshape(-1, x.shape[1])).astype(np.float64).reshape(len(groups), *scores.shape)
        for group, after, total in zip(groups, answers, sums, strict=True):
            change = log_margins(after, sample.y, scale=sample.scale) - before
            change[np.abs(change) <= noise] = 0.0
            # A missing feature stays missing, and moves nothing.
            told = np.nansum(promised[:, group], axis=1)
            # Nor does a row that has no answer there: that is no slope.
            unsure = lost | saturated(after, sample.y, scale=sample.scale) | ~np.isfinite(change)
            change[unsure], told[unsure] = 0.0, 0.0
            total += change @ change, told @ told
    return sums


def usual_ranges(target: Target) -> FloatArray:
    """Range in which nine of ten rows lie, by feature; the whole one where that is 0 (d,).

    Args:
        target: The classifier and the rows (n, d).
    """
    x = target.x.astype(np.float64)
    # The one that knows of missing values takes column after column.
    quantile = np.nanquantile if np.isnan(x).any() else np.quantile
    low, high = quantile(x, [0.05, 0.95], axis=0)
    whole, schema = full_ranges(target), target.data.schema
    # Without bounds that range is a multiple of what the data span.
    whole = np.where(np.isfinite(schema.upper - schema.lower), whole, whole / BEYOND)
    return np.asarray(np.where(high > low, np.minimum(high - low, whole), whole))
