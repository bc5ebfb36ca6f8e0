"""Whether rows break on the way of a single step, where an attack of many steps has stepped over it."""

from collections.abc import Sequence

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.fgsm import straight_sweep
from robust.attacks.indicators import FEW, some_held
from robust.attacks.keeping import kept
from robust.attacks.projection import space_of
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer, title
from robust.attacks.unlimited import sampled
from robust.data.budget import feature_eps
from robust.evidence import SelfCheck
from robust.types import BoolArray, FloatArray

# Rows that are looked at, and places on the way of each; where any row breaks, more in search of narrower bands.
_ROWS, _PLACES, _MORE = 64, 32, 256


def stepped_over(attack: Attack, climb: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck | None:
    """Whether rows that held are wrong somewhere along the steepest step from nothing to the whole budget.

    A model that is wrong in a narrow band alone has no gradient that leads there, and steps that are wider go over it.
    More than 5 % of all rows are too many, as a sample of those that held tells.

    Args:
        attack: What was run.
        climb: The gradient attack that it rests on, with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them it broke (n,).
        seed: Picks the sample.

    Returns:
        The check; None where no row held, or where rows come from a surrogate.
    """
    rows = some_held(target, broken, seed=seed, most=_ROWS)
    if isinstance(climb, Transfer) or not len(rows):
        return None
    found = int(np.isfinite(_first_breaks(climb, target.part(rows))).sum())
    return _told(attack, found, len(rows), passed=bool(found / len(rows) * np.mean(~broken) <= FEW))


def stepped_over_in_curve(
    attack: Attack, target: Target, survived: BoolArray, grid: Sequence[float], *, seed: int
) -> list[SelfCheck | None]:
    """The same at each budget of a curve, from one look at all of them.

    Args:
        attack: The gradient attack, a template.
        target: The classifier and the rows, all right (n, d).
        survived: Which of them held at each budget (k, n).
        grid: The budgets (k,).
        seed: Picks the sample.
    """
    if isinstance(attack, Transfer) or not grid[-1]:
        return [None] * len(grid)
    rows = sampled(target, seed=seed, most=_ROWS)
    first = _first_breaks(attack.at(grid[-1]), target.part(rows)) * grid[-1]
    found: list[SelfCheck | None] = []
    for budget, held in zip(grid, survived[:, rows], strict=True):
        broken = int((held & (first <= budget)).sum())
        told = _told(attack.at(budget), broken, int(held.sum()), passed=broken <= FEW * len(rows))
        found.append(told if budget and held.any() else None)
    return found


def _first_breaks(attack: Attack, part: Target) -> FloatArray:
    """The share of the budget at which each row is first found to be wrong (m,); infinite where at none."""
    first = _first_of(attack, part, _PLACES)
    left = np.flatnonzero(np.isinf(first))
    if len(left) < len(first):
        first[left] = _first_of(attack, part.part(left), _MORE)
    return first


def _first_of(attack: Attack, part: Target, places: int) -> FloatArray:
    """The same of so many places, all of which are asked about."""
    eps, schema = require_budget(attack), part.data.schema
    shares = np.arange(1, places + 1) / places
    each = feature_eps(eps, schema)
    finest = each[each > 0].min(initial=np.inf) / places
    space = space_of(schema, part.x.dtype, eps=each, norm=attack.norm, finest=float(finest))

    def run() -> BoolArray:
        return straight_sweep(part, space, list(shares), stride=1).survived

    held = kept(part, "straight step", attack.norm, repr(eps), str(places), compute=run)[1:].sum(axis=0)
    return np.where(held < places, (held + 1) / places, np.inf)


def _told(attack: Attack, found: int, rows: int, *, passed: bool) -> SelfCheck:
    name = title(attack)
    reason = f"on the way of one steepest step, {found} of {rows} rows that held are wrong somewhere before its end"
    if not passed:
        reason += f": {name} has stepped over what is there"
    return SelfCheck(name="straight step", passed=passed, reason=reason, bias="raises")
