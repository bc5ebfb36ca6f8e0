"""What a robust accuracy must survive before a pass is believed.

Each of these faults can only have hidden adversarial rows, so each raises the value: a figure below its floor
stands.
"""

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.foreign import Foreign
from robust.attacks.linear_exact import LinearExact
from robust.attacks.noise import RandomNoise
from robust.attacks.reachable import can_be_broken
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer
from robust.attacks.tree_attack import TreeAttack
from robust.attacks.unlimited import sampled, survives_anything
from robust.data.budget import category_eps, feature_eps
from robust.evidence import SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.mcnemar import mcnemar_p
from robust.types import BoolArray, FloatArray

# Share of the rows that may lack a gradient, or be sent back by a relation, before the figure is not believed.
_FEW = 0.05
_LEVEL = 0.95
# Rows that are enough to tell a feature's range.
_SPANNING = 10


def room_to_move(attack: Attack, target: Target) -> SelfCheck:
    """Whether the budget and the schema let anything move at all."""
    schema = target.data.schema
    budget = feature_eps(require_budget(attack), schema)
    if attack.norm == "linf":
        budget = np.where(schema.mask("integer", "binary", "one_hot"), np.floor(budget), budget)
    may = int(np.sum((budget > 0) | (category_eps(require_budget(attack), schema) > 0)))
    reason = f"{may} of {schema.width} features may move"
    if may == 0:
        reason = "no feature may move: eps is 0 or less than a whole step, or all features are immutable or categorical"
    return SelfCheck(name="room to move", passed=may > 0, reason=reason, bias="raises")


def strength(attack: Attack) -> SelfCheck:
    """What kind of evidence a pass is.

    Args:
        attack: The strongest attack that was run.
    """
    if isinstance(attack, Transfer):
        text = "rows come from a surrogate: an upper bound, the model may have weaknesses that its twin lacks"
    elif isinstance(attack, Foreign):
        text = f"{attack.title}, whose rows were projected and judged afresh: an upper bound, as every attack gives"
    elif attack.gradients:
        text = "gradients of the model itself: an upper bound, as every attack gives"
    elif isinstance(attack, LinearExact | TreeAttack):
        text = "the model's own weights or trees: an upper bound, exact where the attack says so"
    elif isinstance(attack, RandomNoise):
        text = "random noise alone: an upper bound, and a weak one"
    else:
        text = "what the model answers, asked many times: an upper bound, and a loose one without gradients"
    return SelfCheck(name="strength", passed=True, reason=text, bias="none")


def repeats(target: Target, *, seed: int) -> SelfCheck:
    """Whether the model gives the same rows the same answers.

    Where it does not, a row counts as broken if the mean of several answers is wrong, so that a mistake that is counted
    is one; but a search that follows random answers misses others.

    Args:
        target: The classifier and the rows, all right (n, d); it knows whether an answer was not repeated.
        seed: Picks the sample of rows that are asked twice.

    Source:
        Athalye, Carlini and Wagner (2018), section 3.1.
    """
    if target.askings.times == 1:
        reason = "rows that were asked twice got the same answers"
        return SelfCheck(name="randomness", passed=True, reason=reason, bias="raises")
    x = target.x[sampled(target, seed=seed)]
    first, second = target.once(x).argmax(axis=1), target.once(x).argmax(axis=1)
    reason = (
        f"the model's answers are random: {int((first != second).sum())} of {len(x)} rows change their class when they "
        f"are asked twice. Rows are judged by the mean of {target.askings.times} answers, but a search that follows "
        "random answers misses what is there: fix the model's seed, or remove the random layer"
    )
    return SelfCheck(name="randomness", passed=False, reason=reason, bias="raises")


def stronger_than_noise(noise: BoolArray, attacked: BoolArray) -> SelfCheck:
    """Whether noise of the same budget breaks more rows than the attack, by more than chance explains.

    Near a boundary one draw in ten may do by luck what a step along a coarse gradient misses: the rows that only one of
    the two breaks are compared by the exact McNemar test, one-sided at 5 %.

    Args:
        noise: Rows that noise breaks (n,).
        attacked: Rows that the attack breaks (n,).
    """
    lucky, found = int((noise & ~attacked).sum()), int((attacked & ~noise).sum())
    beaten = lucky > found and mcnemar_p(lucky, found) <= 2 * (1 - _LEVEL)
    reason = f"of {len(noise)} rows, noise of the same budget breaks {noise.sum()}, the attack {attacked.sum()}"
    if beaten:
        reason += ": what random noise beats is no evidence"
    return SelfCheck(name="stronger than noise", passed=not beaten, reason=reason, bias="raises")


def claims_hold(attack: Foreign) -> SelfCheck:
    """Whether the rows that an attack of another library gave were ones that count.

    Args:
        attack: After its run.
    """
    claims = attack.claims
    lost = claims.broken - claims.kept
    reason = (
        f"of {claims.rows} rows, {attack.title} gave {claims.broken} that break the model as they came, {claims.kept} "
        f"that do inside budget, bounds and schema; {claims.outside} lay outside, {claims.unusable} were no numbers"
    )
    if claims.stopped:
        reason += f"; with {claims.stopped} it could not go on, since the model raised"
    still = claims.unmoved >= (1.0 - _FEW) * claims.rows > 0
    passed = lost <= _FEW * claims.rows and claims.unusable <= _FEW * claims.rows and not still
    if still:
        reason += f"; {claims.unmoved} stayed where they were: it has not looked"
    elif not passed:
        reason += ": it does not know these rules, and has not looked where they lead"
    return SelfCheck(name="obeys budget and schema", passed=passed, reason=reason, bias="raises")


def gradients_seen(target: Target, held: BoolArray, *, seed: int) -> SelfCheck:
    """Whether rows held for want of a gradient, though another class is within their reach.

    Args:
        target: The classifier and the rows that were attacked, all right (n, d).
        held: Rows that held, and whose gradient is exactly zero through cross-entropy and margin (n,).
        seed: Seed of the search for points of another class, and of the rows that it is made for.
    """
    n, flat = len(target), int(held.sum())
    reason = f"{flat} of {n} rows held and have a gradient of exactly zero, through cross-entropy and margin"
    passed = flat <= _FEW * n
    if not passed:
        # The share of a sample stands for all of them: it decides between a model that is flat and one that hides.
        rows = np.flatnonzero(held)
        known = can_be_broken(target, rows[sampled(target.part(rows), seed=seed)], seed=seed).mean()
        passed = flat * known <= _FEW * n
        reason += f"; a point of another class in the range of their features is known for {known:.0%} of these"
    if not passed:
        rounded = target.kind == "probabilities"
        reason += ": the model hides its gradients"
        reason += ", perhaps in probabilities that round to 0 and 1, before which the logits differ" if rounded else ""
    return SelfCheck(name="gradients", passed=passed, reason=reason, bias="raises")


def unlimited_budget(*attacks: Attack, target: Target, seed: int) -> SelfCheck:
    """Whether rows that can be broken are broken when the whole range of every feature is the budget.

    Rows for which nobody knows a point of another class are honestly that robust, as far as anybody can tell.

    Args:
        attacks: Gradient attacks; each is tried on the rows that those before it left.
        target: The classifier and the rows, all right (n, d).
        seed: Picks the sample, and seeds the attacks.
    """
    rows = left = sampled(target, seed=seed)
    for attack in attacks:
        left = left[survives_anything(attack, target, left, seed=seed)] if len(left) else left
    missed, n, chance = int(can_be_broken(target, left, seed=seed).sum()), len(rows), 1.0 / target.classes
    passed = clopper_pearson_bounds(missed, n, _LEVEL)[0] <= chance
    reason = f"with the whole range of every feature for a budget, {len(left)} of {n} rows hold"
    if len(left) and not missed:
        reason += "; no point of another class is known in their range: the model may be that robust"
    elif missed:
        reason += (
            f", {missed} of them with a known point of another class in reach, where chance is {100 * chance:.3g}%"
        )
    if not passed:
        reason += ": gradients that lead nowhere at any distance are masked"
    return SelfCheck(name="unlimited budget", passed=passed, reason=reason, bias="raises")


def unrounded_outputs(target: Target) -> SelfCheck:
    """Whether probabilities have been rounded to 1, which costs them their gradient."""
    scores = target.scores(target.x, keep=True)
    lost = int(np.sum(scores[np.arange(len(target)), target.y] >= 1.0))
    reason = f"{lost} of {len(target)} rows have a probability of exactly 1"
    if lost:
        reason += '; outputs before the softmax, declared as output="logits", can be attacked harder'
    return SelfCheck(name="logits", passed=lost == 0, reason=reason, bias="none")


def plausible_units(attack: Attack, target: Target, ranges: tuple[FloatArray, FloatArray] | None = None) -> SelfCheck:
    """Whether the budget fits into the features' ranges; one that does not is often in other units than the data.

    Args:
        attack: Has the budget.
        target: The rows.
        ranges: `known_ranges` of them, where these have been asked for.
    """
    schema = target.data.schema
    budget = feature_eps(require_budget(attack), schema)
    low, high = known_ranges(target) if ranges is None else ranges
    width = high - low
    wide = np.flatnonzero((budget > width) & ~schema.mask("binary", "one_hot"))
    if attack.norm != "linf" and len(wide):
        # All features together have the budget: it is too large where it reaches every corner of the box.
        shares = np.divide(width, budget, out=np.zeros(len(width)), where=budget > 0)
        wide = wide if float(np.sum(shares ** (2 if attack.norm == "l2" else 1))) <= 1 else wide[:0]
    if len(wide) == 0:
        return SelfCheck(name="units", passed=True, reason="eps lies inside the features' ranges", bias="none")
    j = wide[0]
    spanned = "" if np.isfinite(schema.upper[j] - schema.lower[j]) else " (as far as the data spans it)"
    reason = (
        f"eps {budget[j]:g} exceeds the range {low[j]:g} … {high[j]:g} of feature {schema.names[j]!r}{spanned}"
        + (f" and of {len(wide) - 1} more" if len(wide) > 1 else "")
        + ": is it in the data's units?"
    )
    return SelfCheck(name="units", passed=False, reason=reason, bias="none")


def known_ranges(target: Target) -> tuple[FloatArray, FloatArray]:
    """Bounds of each feature; where there are none, what the rows span, and no bounds if that is nothing (d,)."""
    schema, x = target.data.schema, target.x.astype(np.float64)
    low, high = schema.lower.astype(np.float64), schema.upper.astype(np.float64)
    known = ~np.isnan(x)
    least = np.min(x, axis=0, where=known, initial=np.inf)
    most = np.max(x, axis=0, where=known, initial=-np.inf)
    free = ~(np.isfinite(low) & np.isfinite(high)) & (most > least)
    if len(x) < _SPANNING:
        return low, high
    return np.where(free, least, low), np.where(free, most, high)
