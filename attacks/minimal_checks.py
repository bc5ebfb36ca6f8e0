"""What a minimal perturbation must survive before a pass is believed; each fault can only have raised it."""

from collections.abc import Sequence

import numpy as np

from robust.attacks.balls import ball_around, numbers_a_row
from robust.attacks.base import Attack, require_budget
from robust.attacks.flat_rows import flat_rows
from robust.attacks.gradient_checks import gradient_checks
from robust.attacks.keeping import kept
from robust.attacks.minimal_sizes import sizes_of
from robust.attacks.projection import Space
from robust.attacks.rungs import FLOOR_DRAWS
from robust.attacks.second_opinion import relations_passable
from robust.attacks.self_checks import (
    gradients_seen,
    repeats,
    strength,
    unlimited_budget,
)
from robust.attacks.target import Target
from robust.attacks.unlimited import full_ranges
from robust.data.budget import as_budget
from robust.evidence import SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.randomness import row_uniform
from robust.types import AnyArray, BoolArray, FloatArray

# Noise is drawn from balls of this share of the norm that was found, and may succeed for this share of the rows.
_BELOW, _FEW, _LEVEL = 0.95, 0.05, 0.95
# Where nothing was found, checks that need a budget take this share of the features' ranges.
_SHARE = 0.1
_STREAM = 6 << 32


def self_checks(
    rungs: Sequence[Attack], target: Target, space: Space, norms: FloatArray, lucky: BoolArray, *, seed: int
) -> tuple[SelfCheck, ...]:
    """The self-checks of a search, at a budget of the median norm that it found.

    Args:
        rungs: The attacks, the strongest last; their eps, if any, are units by feature.
        target: The classifier and the rows, all right (n, d).
        space: Norm and units.
        norms: Norms found, inf where nothing was (n,).
        lucky: Rows for which noise found a smaller change (n,).
        seed: Seed of whatever is random.

    Returns:
        The checks.
    """
    may = int(np.sum(space.eps > 0))
    room = "no feature may move: all are immutable or categorical" if may == 0 else f"{may} features may move"
    checks = [SelfCheck(name="room to move", passed=may > 0, reason=room, bias="raises"), repeats(target, seed=seed)]
    if may == 0:
        return tuple(checks)
    strongest, *others = reversed(rungs)
    at, held = budgeted(strongest, target, space, norms), np.isinf(norms)
    checks += [
        gradients_seen(target, flat_rows(target) & held, seed=seed),
        unlimited_budget(at, *others, target=target, seed=seed),
    ]
    checks += [*gradient_checks(at, target, [at], seed=seed)[0], smaller_than_noise(lucky)]
    if target.data.schema.relations:
        checks.append(relations_passable(target, held, eps=require_budget(at), norm=at.norm, seed=seed))
    return (*checks, strength(strongest))


def budgeted(attack: Attack, target: Target, space: Space, norms: FloatArray) -> Attack:
    """The attack with the median of the norms that were found for a budget."""
    found = norms[np.isfinite(norms)]
    moves = space.eps > 0
    typical = (
        float(np.median(found))
        if len(found)
        else _SHARE * float(np.median((full_ranges(target) / np.where(moves, space.eps, 1.0))[moves]))
    )
    if attack.eps is None:
        return attack.at(as_budget(typical))
    names = target.data.schema.names
    return attack.at({names[j]: as_budget(typical * float(space.eps[j])) for j in np.flatnonzero(moves)})


def smaller_than_noise(lucky: BoolArray) -> SelfCheck:
    """Whether noise finds smaller changes than the attack, for more rows than a slip here and there explains.

    Args:
        lucky: Rows for which it did (n,).
    """
    n, beaten = len(lucky), int(lucky.sum())
    passed = clopper_pearson_bounds(beaten, n, _LEVEL)[0] <= _FEW
    reason = f"of {n} rows, noise in a ball of {_BELOW:.0%} of the norm that was found breaks {beaten}"
    if not passed:
        reason += ": what random noise beats is no evidence"
    return SelfCheck(name="smaller than noise", passed=passed, reason=reason, bias="raises")


def noise_below(target: Target, space: Space, norms: FloatArray, *, seed: int) -> AnyArray:
    """Rows that noise breaks with a smaller change than the attack.

    Args:
        target: The classifier and the rows, all right (n, d).
        space: Norm and units.
        norms: Norms found, inf where nothing was (n,): there noise may go as far as the largest.
        seed: Seed of the draws, which belong to a row's id.

    Returns:
        Rows (n, d): the smallest that broke it, else the original.
    """
    finite = norms[np.isfinite(norms) & (norms > 0)]
    farthest = finite.max() if len(finite) else 1.0
    radius = _BELOW * np.where(np.isfinite(norms), norms, farthest)
    keys = target.data.row_keys()

    def run() -> AnyArray:
        rows, sizes = target.x.copy(), np.full(len(target), np.inf)
        for start in range(0, len(target), target.batch):
            some = np.arange(start, min(start + target.batch, len(target)))
            x = target.x[some]
            ball = ball_around(space, x, eps=radius[some, None] * space.eps)
            for draw in range(FLOOR_DRAWS):
                u = row_uniform(keys[some], numbers_a_row(space), seed=seed, stream=_STREAM + draw)
                points = ball.points(ball.drawn(u), u[:, : x.shape[1]])
                moved = sizes_of(space, x, points)
                better = target.wrong(target.scores(points), some) & (moved < sizes[some])
                rows[some[better]], sizes[some[better]] = points[better], moved[better]
        return rows

    return kept(target, "noise below", space.norm, repr(space.eps.tolist()), radius, str(seed), compute=run)
