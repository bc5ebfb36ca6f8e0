"""Whether gradients that look wrong have hidden anything: where few features move, a search finds it without them."""

import msgspec
import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.indicators import broken_by, left_over
from robust.attacks.strengths import by_scores
from robust.attacks.substitute import Substitute
from robust.attacks.target import Target
from robust.attacks.unlimited import SAMPLE
from robust.data.budget import feature_eps
from robust.evidence import SelfCheck

# So few features are searched about as well without gradients as with them, by so many forward passes a row.
_FEATURES, _QUERIES = 16, 1000
# Share of all rows that may have been hidden: such a search does not find everything.
_HIDDEN = 0.02


def unless_harmless(
    checks: tuple[SelfCheck, ...], attack: Attack, sample: Target, *, seed: int
) -> tuple[SelfCheck, ...]:
    """Checks of gradients, those that failed let off where nothing was hidden.

    Steep, kinked and skewed functions of few features are no slopes at the scale of the budget, and hide nothing: where
    16 features at most may move in linf, a search by scores and a network that is fitted to labels go over the rows
    that gradients left. If they break 2 % of all rows at most, the gradients have done their work. In the other norms
    such a search misses half of what there is, and nothing is let off.

    Args:
        checks: What checks of gradients told.
        attack: The gradient attack, with a budget.
        sample: The classifier and some rows, all right (m, d).
        seed: Seed of the searches.
    """
    if sample.patient or attack.norm != "linf" or all(check.passed for check in checks):
        return checks
    eps, norm = require_budget(attack), attack.norm
    moving = int(np.count_nonzero(feature_eps(eps, sample.data.schema)))
    if not 0 < moving <= _FEATURES:
        return checks
    searches = by_scores(sample, eps, norm, queries=_QUERIES), Substitute(eps=eps, norm=norm)
    broken = broken_by(attack, sample, np.arange(len(sample)), seed=seed)
    found, rows = left_over(searches, sample, broken, seed=seed, most=SAMPLE)
    if found > _HIDDEN * len(sample):
        return checks
    told = f"; but of {rows} rows that gradients left, a search without them breaks {found}, and sees all {moving} "
    told += "features that move: they have hidden little"
    return tuple(
        check if check.passed else msgspec.structs.replace(check, passed=True, reason=check.reason + told)
        for check in checks
    )
