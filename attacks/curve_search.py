"""The search behind a robustness curve: kept by content hash, and checked where it passes over budgets."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robust.attacks.base import Attack, Swept
from robust.attacks.fgsm import FGSM, PatientFGSM
from robust.attacks.keeping import kept, kept_in_blocks
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer
from robust.attacks.unlimited import sampled
from robust.types import BoolArray

# Rows that are asked about every budget: none of them differs by luck in one of 25 cases where 5 % of all rows do.
_SAMPLE = 64


def kept_sweep(attack: Attack, target: Target, grid: Sequence[float], *, seed: int, name: str = "") -> Swept:
    """The attack's own search over all budgets, from the cache or made.

    Args:
        attack: The attack, without a budget.
        target: The classifier and the rows (n, d).
        grid: Increasing budgets (k,).
        seed: Seed of whatever is random.
        name: Of the search, for people; the attack's where there is none.
    """
    identity = attack.identity()

    def run(part: Target) -> BoolArray:
        swept = attack.sweep(part, grid, seed=seed)
        return np.vstack([swept.survived, swept.flat])

    if identity is None:
        return attack.sweep(target, grid, seed=seed)
    key = ("sweep", identity, repr(list(grid)), str(seed))
    if attack.alone:
        found = kept_in_blocks(target, name or type(attack).__name__, *key, compute=run, axis=1)
    else:
        found = kept(target, *key, compute=lambda: run(target))
    return Swept(survived=found[:-1], flat=found[-1])


def sure_sweep(attack: Attack, target: Target, grid: Sequence[float], *, seed: int) -> Swept:
    """The same, and every budget of every row where the search passes over budgets that matter.

    A search that passes over budgets misses rows that are wrong in a narrow band alone. A sample of the rows that held
    at some budget is asked about all of them; where one row of it breaks earlier, all rows are.

    Args:
        attack: The attack, without a budget.
        target: The classifier and the rows (n, d).
        grid: Increasing budgets (k,).
        seed: Seed of whatever is random, and of the sample, which is picked by the rows' ids.
    """
    swept, patient = kept_sweep(attack, target, grid, seed=seed), _patient(attack)
    held = np.flatnonzero(swept.survived[1])
    if patient is None or len(grid) == 1 or not len(held):
        return swept
    name = f"{type(attack).__name__} at every budget"
    rows = held[sampled(target.part(held), seed=seed, most=_SAMPLE)]
    sample = kept_sweep(patient, target.part(rows), grid, seed=seed, name=name)
    if (sample.survived == swept.survived[:, rows]).all():
        return swept
    return kept_sweep(patient, target, grid, seed=seed, name=name)


def _patient(attack: Attack) -> Attack | None:
    """The attack that asks about every budget; None for one that passes over none."""
    if isinstance(attack, Transfer):
        inner = _patient(attack.attack)
        return None if inner is None else replace(attack, attack=inner)
    return PatientFGSM(norm=attack.norm) if isinstance(attack, FGSM) else None
