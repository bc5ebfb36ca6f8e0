"""Whether gradients tell what a model does: along them, feature by feature, at random, and where they say nothing.

Each of these faults can only have hidden adversarial rows, so each raises the value: a figure below its floor stands.
"""

from collections.abc import Sequence

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.faint_features import Faint, faint_features
from robust.attacks.gradient_direction import Agreement, gradient_direction
from robust.attacks.harmless import unless_harmless
from robust.attacks.hidden_features import hidden_features
from robust.attacks.probe import probed
from robust.attacks.slope import realised_slope
from robust.attacks.target import Target
from robust.evidence import SelfCheck
from robust.types import FloatArray

# Share of the rows whose scores may follow features without a gradient, or whose gradient says nothing of its slope.
_FEW = 0.05
# Realised over promised rise: 1 for plain networks at any scale, 0.1 at most behind ripples, −1 if reversed; above 30
# the gradient is of another order of magnitude than the slope.
_HONEST = (0.3, 30.0)
# That ratio is judged on at least so many rows that change, in sum, by this many of its standard errors: numbers with
# few bits rise by rare stairs, whose sum is the slope. Where nearly all rows change, the median row must tell it too.
_JUDGED, _SURE = 10, 3.0
# Rows of each budget, where there are several: a model that fails at one of them fails as a curve.
_ROWS_OF_CURVE = 50
# Realised over promised change at random of all features, and as many times more of fewer: up to 1.5 for networks, also
# those of four bits, 5 and more behind bins. Of few features with small gradients honest stairs are large.
_FAINT = 5.0


def gradient_checks(
    attack: Attack, target: Target, budgets: Sequence[Attack], *, seed: int, steps: Sequence[Attack] | None = None
) -> list[tuple[SelfCheck, ...]]:
    """The four checks of a model's gradients.

    Args:
        attack: A gradient attack; says which norm.
        target: The classifier and the rows, all right (n, d).
        budgets: The attack at each budget that is asked about.
        seed: Picks the sample of rows, by their ids, and what is random.
        steps: The attack at the budgets whose quarter the slope is tried with, where these are others.

    Returns:
        The checks of each budget.
    """
    probe = probed(target, seed=seed)
    features = slope_of_features(faint_features(attack, probe, budgets, seed=seed))
    direction = direction_told(gradient_direction(probe, budgets, seed=seed))
    few = probe.fewer(_ROWS_OF_CURVE) if len(budgets) > 1 else probe
    slopes = realised_slope(attack, few, budgets if steps is None else steps)
    hidden = hidden_features(attack, probe, budgets, seed=seed)
    return [
        unless_harmless((slope_told(rises), features_seen(*blind), features, direction), at, probe.sample, seed=seed)
        for at, rises, blind in zip(budgets, slopes, hidden, strict=True)
    ]


def slope_told(rises: FloatArray) -> SelfCheck:
    """Whether a step along the gradient raises the loss as the gradient says it would.

    Args:
        rises: Realised and promised rise of the margin loss, of rows whose gradient promises one (2, m).
    """
    realised, promised = rises[:, np.isfinite(rises).all(axis=0)]  # no answer tells no slope
    m, moved = len(promised), int(np.count_nonzero(realised))
    if moved < _JUDGED:
        reason = f"a small step along the gradient changes the loss of {moved} rows, too few to tell its slope"
        return SelfCheck(name="gradient tells the slope", passed=True, reason=reason, bias="raises")
    ratio = realised.sum() / promised.sum()
    error = np.sqrt(m / (m - 1) * np.sum((realised - ratio * promised) ** 2)) / promised.sum()
    middle, smooth = float(np.median(realised / promised)), moved >= (1 - _FEW) * m
    low, high = _HONEST
    passed = bool(ratio + _SURE * error >= low and ratio - _SURE * error <= high)
    passed = passed and (low <= middle <= high or not smooth)
    reason = f"small steps along the gradient raise the loss {ratio:.2g} times as much as it promises, of {m} rows"
    reason += f" taken together, {middle:.2g} times in the median row" if smooth else " taken together"
    if not passed:
        reason += ": a gradient that is not the model's slope is masked"
    return SelfCheck(name="gradient tells the slope", passed=passed, reason=reason, bias="raises")


def features_seen(blind: int, share: float) -> SelfCheck:
    """Whether every feature that the model follows has a gradient somewhere.

    Args:
        blind: Features that may move, and have a gradient of exactly zero wherever it was asked.
        share: Share of rows whose scores change when these alone move.
    """
    passed = share <= _FEW
    reason = f"{blind} features have no gradient on any row"
    if blind:
        reason += f", and scores of {share:.0%} of the rows follow them"
    if not passed:
        reason += ": the attack cannot see what these do, as behind bins or rounding"
    return SelfCheck(name="hidden features", passed=passed, reason=reason, bias="raises")


def slope_of_features(faint: Faint) -> SelfCheck:
    """Whether features move the loss about as far as their gradients say.

    Args:
        faint: The group of features whose gradients say least of what they do.
    """
    passed = faint.weighted <= _FAINT
    which = "all" if faint.features == faint.movable else f"the {faint.features} with the smallest gradients"
    much = f"{faint.ratio:.2g} times as much as gradients say" if np.isfinite(faint.ratio) else "where gradients are 0"
    reason = f"of {faint.movable} features, {which} move the loss {much}"
    if not passed:
        reason += ": what these do is hidden from the attack, as behind bins or rounding beside a smooth summary"
    return SelfCheck(name="slope of features", passed=passed, reason=reason, bias="raises")


def direction_told(agreement: Agreement) -> SelfCheck:
    """Whether gradients point where the loss rises.

    Args:
        agreement: Of promised and realised changes at random.
    """
    if agreement.highest == np.inf:
        reason = "random moves of the features tell too little of the slope to say whether gradients point along it"
        return SelfCheck(name="direction of gradients", passed=True, reason=reason, bias="raises")
    passed = agreement.honest
    reason = f"what random moves do to the loss and what gradients promise have the cosine {agreement.cosine:.2g} ± "
    reason += f"{agreement.error:.1g}, of {agreement.rows} rows"
    if not passed:
        reason += ": gradients point elsewhere than the loss rises, as behind a blur, a projection or another network"
    return SelfCheck(name="direction of gradients", passed=passed, reason=reason, bias="raises")
