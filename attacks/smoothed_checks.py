"""Whether slopes that are smoothed over the ball, and of one scale for both classes, find what gradients do not.

Each of these faults can only have hidden adversarial rows, so each raises the value: a figure below its floor stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust.attacks.balls import ball_around, numbers_a_row
from robust.attacks.base import Attack, require_budget
from robust.attacks.fgsm import FGSM
from robust.attacks.indicators import FEW, broken_by, some_held
from robust.attacks.keeping import kept
from robust.attacks.losses import margin_cotangent
from robust.attacks.pgd import PGD
from robust.attacks.probe import Probe, margin_slopes, probed
from robust.attacks.projection import space_of
from robust.attacks.reachable import can_be_broken
from robust.attacks.slope import rounding_of
from robust.attacks.smoothed_gradients import SmoothedGradients
from robust.attacks.target import Target
from robust.attacks.unlimited import SAMPLE, sampled
from robust.data.budget import feature_eps
from robust.evidence import SelfCheck
from robust.randomness import row_uniform
from robust.types import BoolArray, FloatArray

# Rows that are looked at.
_ROWS = 32
# Slopes of two classes that differ by more than this are not of one scale: up to 3 in honest networks, also those that
# were trained to zero loss, and 10 to infinity behind tanh and its like. So many of the rows may.
_UNEVEN, _SOME = 10.0, 0.1
# Mean cosine of the gradients at a row and at a random point of its ball: 0.78 and more for honest networks, also at
# large budgets; where ripples hide more than 5 points from the weakest cascade, nearly always less than 0.75.
_COHERENT = 0.75
_STREAM = 10 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """What the slopes of a row's own score and of the best other one look like.

    Args:
        probe: The classifier, some rows that are all right, and their gradients (m, d).
        blind: Rows whose own score has a slope of exactly zero, though it differs between rows (m,).
        uneven: Share of the rows where one of the two slopes is more than ten times the other.
    """

    probe: Probe
    blind: BoolArray
    uneven: float


def smoothed_checks(
    attack: Attack, target: Target, budgets: Sequence[Attack], broken: Sequence[BoolArray], *, seed: int
) -> list[tuple[SelfCheck, ...]]:
    """The checks of what the slopes of single classes, and those beside the rows, say of an attack.

    Args:
        attack: A gradient attack, at the largest of the budgets: gradients that agree in its ball do in smaller ones.
        target: The classifier and the rows, all right (n, d).
        budgets: The attack at each budget that is asked about.
        broken: Which rows are broken at each (n,).
        seed: Picks samples, and seeds the search.

    Returns:
        The checks of each budget.
    """
    found = halves(probed(target, seed=seed))
    coherent = coherence(found.probe, attack)
    told = []
    for at, gone in zip(budgets, broken, strict=True):
        look = smoothed_look(at, target, found, coherent, gone, seed=seed)
        told.append((scores_seen(target, found, ~gone, seed=seed), *(() if look is None else (look,))))
    return told


def halves(probe: Probe) -> Halves:
    """Look at the slopes of a row's own score and of the best other one.

    Probabilities have none of their own: each rises as the others fall. Nor has a score that is the same everywhere, as
    that of a reference class.

    Args:
        probe: The classifier, rows that are all right, and their gradients.
    """
    few = probe.fewer(_ROWS)
    sample = few.sample
    if sample.scale != "logits":
        return Halves(probe=few, blind=np.zeros(len(sample), dtype=bool), uneven=0.0)

    def run() -> FloatArray:
        scores, own = sample.gradient(sample.x, slice(None), loss="own_score")
        lengths = [np.abs(half * few.ranges).max(axis=1) for half in (own, few.gradient - own)]
        differs = np.ptp(scores, axis=0) > rounding_of(None, np.abs(scores).max(axis=0))
        best = margin_cotangent(scores, sample.y).argmax(axis=1)
        return np.vstack([*lengths, differs[sample.y], differs[best]])

    own, other, differs, also = kept(sample, "halves of the margin", compute=run)
    low, high = np.minimum(own, other), np.maximum(own, other)
    uneven = (high > _UNEVEN * low) & (differs > 0) & (also > 0)
    return Halves(probe=few, blind=(own == 0) & (differs > 0), uneven=float(uneven.mean()))


def scores_seen(target: Target, found: Halves, held: BoolArray, *, seed: int) -> SelfCheck:
    """Whether rows held though nobody could see how to lower the score of their own class.

    Args:
        target: The classifier and the rows that were attacked, all right (n, d).
        found: What their slopes look like, of some of them (m,).
        held: Which rows held (n,).
        seed: Seed of the search for points of another class.

    Source:
        Carlini and Wagner (2017), section VIII-B, for attacks that saturated outputs mislead.
    """
    n = len(found.blind)
    rows = sampled(target, seed=found.probe.seed, most=n)[found.blind]
    rows = rows[held[rows]]
    share = len(rows) / n
    reason = f"{len(rows)} of {n} rows held and have no gradient of the score of their own class"
    passed = share <= FEW
    if not passed:
        known = can_be_broken(target, rows, seed=seed).mean()
        passed = share * known <= FEW
        reason += f"; a point of another class in the range of their features is known for {known:.0%} of these"
    if not passed:
        reason += ": it has saturated, as behind a clamp or tanh; attack the scores before these"
    return SelfCheck(name="saturated scores", passed=passed, reason=reason, bias="raises")


def coherence(probe: Probe, attack: Attack) -> float:
    """How well gradients at the rows agree with those beside them.

    mean over rows of cos(g(x), g(u)), u uniform in the ball around x, g the gradient of the margin loss

    Args:
        probe: The classifier, rows that are all right, and their gradients.
        attack: An attack with the budget that is asked about.

    Returns:
        The mean, in [−1, 1]; 1 where no row has a gradient.
    """
    sample, schema = probe.sample, probe.sample.data.schema
    limits = feature_eps(require_budget(attack), schema)

    def run() -> FloatArray:
        space = space_of(schema, sample.x.dtype, eps=limits, norm=attack.norm)
        u = row_uniform(sample.data.row_keys(), numbers_a_row(space), seed=probe.seed, stream=_STREAM)
        ball = ball_around(space, sample.x)
        here, there = probe.gradient * limits, margin_slopes(sample, ball.points(ball.drawn(u)))[1] * limits
        lengths = np.sqrt(np.sum(here**2, axis=1)) * np.sqrt(np.sum(there**2, axis=1))
        told = lengths > 0
        cosines = np.sum(here * there, axis=1)[told] / lengths[told]
        return np.array([cosines.mean() if told.any() else 1.0])

    return float(kept(sample, "coherence", attack.norm, limits, str(probe.seed), compute=run)[0])


def smoothed_look(
    attack: Attack, target: Target, found: Halves, coherent: float, broken: BoolArray, *, seed: int
) -> SelfCheck | None:
    """Whether slopes that are smoothed and evened do not break what the attack left.

    Where gradients are of one scale and agree with those beside them, they would find the same, and nothing is run.
    FGSM leaves rows that more steps break, in honest networks too: only what as many plain steps do
    not break counts against it.

    Args:
        attack: A gradient attack with a budget.
        target: The classifier and the rows, all right (n, d).
        found: What their slopes look like.
        coherent: How well gradients agree with those beside them, in [−1, 1].
        broken: Which rows are broken (n,).
        seed: Picks a sample, and seeds the search.

    Returns:
        The check; None where no row held, or nothing may move.
    """
    if broken.all() or not feature_eps(require_budget(attack), target.data.schema).any():
        return None
    reason = f"gradients and those beside them have the cosine {coherent:.2g}, and {found.uneven:.0%} of the rows have "
    reason += "slopes of two scales"
    passed = coherent >= _COHERENT and found.uneven <= _SOME
    if not passed:
        search = SmoothedGradients(eps=require_budget(attack), norm=attack.norm)
        rows = some_held(target, broken, seed=seed, most=SAMPLE)
        out = broken_by(search, target, rows, seed=seed)
        reason += f"; smoothed and of one scale, they break {out.sum()} of {len(rows)} rows that held"
        if isinstance(attack, FGSM) and out.any():
            plain = PGD(eps=search.eps, norm=search.norm, steps=search.steps)
            out &= ~broken_by(plain, target, rows, seed=seed)
            reason += f", {out.sum()} of which as many plain steps do not"
        passed = bool(out.mean() * np.mean(~broken) <= FEW)
    if not passed:
        reason += ": ripples, stairs or saturated scores mislead the attack"
    return SelfCheck(name="smoothed gradients", passed=passed, reason=reason, bias="raises")
