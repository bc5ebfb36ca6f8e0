"""Features that a model follows and its gradient does not: binned, rounded or detached ones beside smooth others."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.keeping import kept
from robust.attacks.noise import RandomNoise
from robust.attacks.probe import Probe
from robust.attacks.projection import space_of
from robust.attacks.target import Target
from robust.data.budget import feature_eps
from robust.types import AnyArray, BoolArray

_DRAWS = 5
# Changes of a score by so many times its rounding are the model's.
_CLEAR = 16.0


def hidden_features(attack: Attack, probe: Probe, budgets: Sequence[Attack], *, seed: int) -> list[tuple[int, float]]:
    """Features without any gradient, and the share of rows whose scores follow them all the same.

    blind = {j that may move: g_j(x_i) = 0 for all rows i}; x'_i = x_i + noise on blind features alone; the share
    is that of rows with f(x'_i) ≠ f(x_i)

    A feature that has a gradient at x' is not blind: a unit that is idle on the rows, and a tie that pooling
    resolves the other way, come alive there. The rest is tried again, until nothing changes or nothing comes
    alive.

    Args:
        attack: A gradient attack; says which norm.
        probe: The classifier, rows that are all right, and their gradients (m, d).
        budgets: The attack at each budget that is asked about.
        seed: Seed of the noise.

    Returns:
        For each budget the number of blind features, and the share of rows in [0, 1]; 0 is best.
    """
    sample = probe.sample
    limits = np.array([feature_eps(require_budget(at), sample.data.schema) for at in budgets])

    def run() -> AnyArray:
        dark = ~probe.gradient.any(axis=0)
        if (dark & (limits > 0)).any():
            # A class that is no row's own and no row's next best may follow them yet.
            dark &= _dark(sample, sample.x)
        return np.array([_followed(sample, dark & (eps > 0), eps, attack, seed=seed) for eps in limits])

    found = kept(sample, "hidden features", attack.norm, limits, str(seed), compute=run)
    return [(int(blind), float(share)) for blind, share in found]


def _followed(sample: Target, blind: BoolArray, eps: AnyArray, attack: Attack, *, seed: int) -> tuple[int, float]:
    """How many features stay blind, and on which share of the rows scores follow them."""
    while blind.any():
        space = space_of(sample.data.schema, sample.x.dtype, eps=np.where(blind, eps, 0.0), norm=attack.norm)
        # Patient: the draw with the largest loss of each row, whether or not it breaks it.
        points = RandomNoise(draws=_DRAWS).search(replace(sample, patient=True), space, seed=seed)
        before, after = (sample.scores(rows).astype(np.float64) for rows in (sample.x, points))
        clear = _CLEAR * np.finfo(np.float32).eps * np.abs(before).max(axis=1)
        share = float(np.mean(np.abs(after - before).max(axis=1) > clear))
        still = blind & _dark(sample, points) if share else blind
        if (still == blind).all():
            return int(blind.sum()), share
        blind = still
    return 0, 0.0


def _dark(sample: Target, points: AnyArray) -> BoolArray:
    """Which features have a gradient of exactly zero at every point (d,)."""
    lit = np.zeros(points.shape[1], dtype=bool)
    for start in range(0, len(points), sample.batch):
        rows = slice(start, start + sample.batch)
        lit |= sample.gradient(points[rows], rows)[1].any(axis=0)
    return ~lit
