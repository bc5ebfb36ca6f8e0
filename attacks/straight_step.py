"""Whether rows break on the way of a single step, where an attack of many steps has stepped over it."""

from collections.abc import Sequence

import numpy as np

from robust.attacks.base import Attack, require_budget, unit_space
from robust.attacks.fgsm import FGSM, straight_sweep
from robust.attacks.indicators import FEW, some_held
from robust.attacks.keeping import kept
from robust.attacks.projection import Space, space_of
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer
from robust.attacks.unlimited import sampled
from robust.data.budget import feature_eps
from robust.evidence import SelfCheck
from robust.types import BoolArray, FloatArray

# Rows that are looked at, and places on the way of each; where some rows break, more in search of narrower bands.
_ROWS, _PLACES, _MORE = 64, 32, 128


def stepped_over(attack: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck | None:
    """Whether rows that held are wrong somewhere along the steepest step from nothing to the whole budget.

    A model that is wrong in a narrow band alone has no gradient that leads there, and steps that are wider go over it.
    More than 5 % of all rows are too many, as a sample of those that held tells.

    Args:
        attack: The gradient attack that was run, or that it rests on, with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them it broke (n,).
        seed: Picks the sample.

    Returns:
        The check; None where no row held, or where rows come from a surrogate.
    """
    rows = some_held(target, broken, seed=seed, most=_ROWS)
    if isinstance(attack, Transfer) or not len(rows):
        return None
    part, schema = target.part(rows), target.data.schema
    eps = feature_eps(require_budget(attack), schema)
    finest = float(eps[eps > 0].min(initial=np.inf)) / _MORE
    space = space_of(schema, part.x.dtype, eps=eps, norm=attack.norm, finest=finest)
    found = int(np.isfinite(_first_breaks(part, space, np.ones(len(rows)))).sum())
    return _told(found, len(rows), passed=bool(found / len(rows) * np.mean(~broken) <= FEW))


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

    Returns:
        The checks; None as above, and for `FGSM`, whose curve is about these budgets alone.
    """
    rows = sampled(target, seed=seed, most=_ROWS)
    part, held = target.part(rows), survived[:, rows]
    # The largest budget at which each row held: where it broke, nothing was stepped over.
    reach = np.where(held, np.array(grid)[:, None], 0.0).max(axis=0)
    asked = np.flatnonzero(reach)
    if isinstance(attack, FGSM | Transfer) or not len(asked):
        return [None] * len(grid)
    first = np.full(len(rows), np.inf)
    space = unit_space(attack, target, [budget / _MORE for budget in grid])
    first[asked] = _first_breaks(part.part(asked), space, reach[asked])
    found: list[SelfCheck | None] = []
    for budget, still in zip(grid, held, strict=True):
        broken = int((still & (first <= budget)).sum())
        told = _told(broken, int(still.sum()), passed=broken <= FEW * len(rows))
        found.append(told if budget and still.any() else None)
    return found


def _first_breaks(part: Target, space: Space, reach: FloatArray) -> FloatArray:
    """The multiple of the space's budget, up to the reach of each row, at which it is first wrong (m,), or infinity."""
    first = _first_of(part, space, reach, _PLACES)
    left = np.flatnonzero(np.isinf(first))
    # A row or two of many may have been stepped over; half of what is too much is a reason to look again.
    if len(first) - len(left) > FEW / 2 * len(first):
        first[left] = _first_of(part.part(left), space, reach[left], _MORE)
    return first


def _first_of(part: Target, space: Space, reach: FloatArray, places: int) -> FloatArray:
    """The same at so many places, all of which are asked about."""
    shares = np.arange(1, places + 1) / places

    def run() -> BoolArray:
        return straight_sweep(part, space, list(shares), stride=1, reach=reach).survived

    slack = "" if space.slack is None else space.slack
    key = ("straight step", space.norm, space.eps, slack, reach, str(places))
    held = kept(part, *key, compute=run)[1:].sum(axis=0)
    return np.where(held < places, (held + 1) / places * reach, np.inf)


def _told(found: int, rows: int, *, passed: bool) -> SelfCheck:
    reason = f"on the way of one steepest step, {found} of {rows} rows that held are wrong somewhere before its end"
    if not passed:
        reason += ": the attack has stepped over what is there"
    return SelfCheck(name="straight step", passed=passed, reason=reason, bias="raises")
