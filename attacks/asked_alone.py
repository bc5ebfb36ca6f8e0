"""Whether a curve misses what its attack finds at a single budget."""

import numpy as np

from robust.attacks.base import Attack
from robust.attacks.fgsm import FGSM
from robust.attacks.indicators import ROWS, rare, steps_of
from robust.attacks.keeping import kept
from robust.attacks.pgd import PGD, STEPS
from robust.attacks.target import Target
from robust.attacks.unlimited import sampled
from robust.evidence import SelfCheck
from robust.randomness import row_uniform
from robust.types import BoolArray, FloatArray, IntArray

_STREAM = 11 << 32


def asked_alone(
    attack: Attack, target: Target, survived: BoolArray, grid: list[float], *, seed: int
) -> SelfCheck | None:
    """Whether rows that held in a curve break when one budget alone is asked about, with more steps.

    A curve takes a row that holds at a budget to hold at all smaller ones, and spends few steps on each. Each row of a
    sample is asked about one of the budgets at which it held: the largest one in half of the rows, any of them in the
    others. More than 5 % of all rows are too many.

    Args:
        attack: The attack of the curve, a template.
        target: The classifier and the rows, all right (n, d).
        survived: Which of them held at each budget (k, n).
        grid: The budgets (k,).
        seed: Picks the sample and the budgets, by the rows' ids, and seeds the search.

    Returns:
        The check; None for an attack without steps, or where no row of the sample held.
    """
    steps = None if isinstance(attack, FGSM) or not attack.gradients else steps_of(attack)
    rows = sampled(target, seed=seed, most=ROWS)
    part, held = target.part(rows), survived[np.array(grid) > 0][:, rows].sum(axis=0)
    asked = np.flatnonzero(held)
    if steps is None or not len(asked):
        return None
    part = part.part(asked)
    eps = _budgets(part, held[asked], np.array([budget for budget in grid if budget > 0]), seed=seed)
    longer = PGD(norm=attack.norm, steps=max(steps, STEPS))
    found = kept(part, "alone", repr(longer), str(seed), eps, compute=lambda: longer.broken_at(part, eps, seed=seed))
    passed = rare(int(found.sum()), len(rows))
    reason = f"{longer.steps} steps at one budget alone break {found.sum()} of {len(asked)} rows that held there"
    if not passed:
        reason += ": the curve misses what is there; more steps, or robust_accuracy at one eps, would tell"
    return SelfCheck(name="enough steps", passed=passed, reason=reason, bias="raises")


def _budgets(part: Target, held: IntArray, grid: FloatArray, *, seed: int) -> FloatArray:
    """For each row one of the budgets (k,) of which it held at some first ones (m,)."""
    u = row_uniform(part.data.row_keys(), 2, seed=seed, stream=_STREAM)
    return np.asarray(grid[np.where(u[:, 0] < 0.5, held - 1, np.floor(u[:, 1] * held).astype(int))])
