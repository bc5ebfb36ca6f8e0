"""Indicators of a search that failed: planted rows that it must find, and searches that ought to find less or no more.

Each is tried on a sample of the rows. What finds rows that the attack left, or shows that it misses what is there, can
only have raised the figure.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from robust.attacks.base import Attack, adversarial_rows, require_budget
from robust.attacks.fgsm import FGSM
from robust.attacks.keeping import kept
from robust.attacks.losses import log_margins
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import STEPS
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer, title
from robust.attacks.unlimited import SAMPLE, sampled
from robust.data.budget import Eps, scaled_eps
from robust.evidence import Fact, SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.mcnemar import mcnemar_p
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: Rows of a sample.
ROWS = 32
_DRAWS = 10
#: Share of the rows that may be missed, as elsewhere in the self-checks.
FEW, _LEVEL = 0.05, 0.95
# Share of planted rows that may be missed. Numbers with few bits rise by stairs: below one stair, the best of ten draws
# climbs by luck where no gradient leads, in a quarter of the rows; a search without gradients misses nearly all.
_MISSED = 0.5
_WIDER = 1.5


def planted_found(attack: Attack, target: Target, *, seed: int) -> SelfCheck:
    """Whether the attack finds adversarial rows that were planted.

    For each row of a sample the threshold of the decision is moved to the best of ten random points of the ball, which
    is adversarial then: an attack that climbs has to get at least as far.

    Args:
        attack: A gradient attack with a budget.
        target: The classifier and the rows, all right (n, d).
        seed: Seed of draws and attack.

    Returns:
        The check; it fails if more rows are missed than chance explains at a share of one half.

    Source:
        After Zimmermann, Brendel, Tramer and Carlini (2022), who plant rows in a new last layer.
    """
    part = replace(target.part(_some(target, np.arange(len(target)), seed=seed)), patient=True)
    noise = RandomNoise(eps=require_budget(attack), norm=attack.norm, draws=_DRAWS)
    planted = _margins(part, adversarial_rows(noise, part, seed=seed + 1))
    reached = _margins(part, adversarial_rows(attack, part, seed=seed))
    there = planted > _margins(part, part.x)  # noise that leads nowhere plants nothing
    missed, n = int((there & (reached < planted)).sum()), int(there.sum())
    passed = rare(missed, n, share=_MISSED)
    reason = f"of {n} planted adversarial rows, the attack found {n - missed}"
    if not passed:
        reason += ": it misses rows that are there"
    return SelfCheck(name="planted rows", passed=passed, reason=reason, bias="raises")


def beats_single_step(attack: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck:
    """Whether an iterative attack breaks no fewer rows than one step of the whole budget.

    Args:
        attack: An iterative gradient attack with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them it broke (n,).
        seed: Picks the sample.

    Source:
        Athalye, Carlini and Wagner (2018), section 3.1; Carlini et al. (2019), section 4.
    """
    rows = _some(target, np.arange(len(target)), seed=seed)
    single = FGSM(eps=require_budget(attack), norm=attack.norm)
    out = broken_by(single, target, rows, seed=seed)
    lucky, found = int((out & ~broken[rows]).sum()), int((~out & broken[rows]).sum())
    beaten = lucky > found and mcnemar_p(lucky, found) <= 2 * (1 - _LEVEL)
    reason = f"of {len(rows)} rows, one step breaks {out.sum()}, {title(attack)} {broken[rows].sum()}"
    if beaten:
        reason += ": steps that find less than the first one alone go astray"
    return SelfCheck(name="iterative beats single step", passed=not beaten, reason=reason, bias="raises")


def iterations_suffice(
    attack: Attack, target: Target, broken: BoolArray, *, seed: int, least: int = 0
) -> SelfCheck | None:
    """Whether twice as many steps would not have broken many more rows.

    Args:
        attack: An attack with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them some attack broke (n,).
        seed: Picks the sample, and seeds the attack.
        least: So many steps at least are tried, on a larger sample where that is more than twice as many: few steps
            gain little by being doubled.

    Returns:
        The check; None for an attack without steps, or where no row held.
    """
    steps = steps_of(attack)
    if steps is None:
        return None
    far = least > 2 * steps
    longer = with_steps(attack, least if far else 2 * steps)
    found, rows = left_over((longer,), target, broken, seed=seed, most=SAMPLE if far else ROWS)
    if not rows:
        return None
    passed = _few_left(found, rows, broken)
    reason = f"{f'{least} steps' if far else 'twice as many steps'} break {found} of {rows} rows that held"
    if not passed:
        reason += ": it had not converged"
    return SelfCheck(name="enough steps", passed=passed, reason=reason, bias="raises")


def weaker_black_box(box: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck | None:
    """Whether an attack that sees scores alone does not break what gradients could not.

    Args:
        box: A black-box attack with the same budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them gradients broke (n,).
        seed: Picks the sample, and seeds the attack.

    Returns:
        The check; None where no row held.

    Source:
        Athalye, Carlini and Wagner (2018), section 3.1.
    """
    found, rows = left_over((box,), target, broken, seed=seed)
    if not rows:
        return None
    passed = _few_left(found, rows, broken)
    reason = f"{title(box)}, which sees scores alone, breaks {found} of {rows} rows that gradients left"
    if not passed:
        reason += ": gradients that see less than scores are masked, or were followed for too few steps"
    return SelfCheck(name="stronger than black-box", passed=passed, reason=reason, bias="raises")


def more_budget(attack: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck | None:
    """Whether rows that are broken stay so when the budget is half as large again; a warning where they do not.

    Args:
        attack: A gradient attack with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them it broke (n,).
        seed: Picks the sample, and seeds the attack.

    Returns:
        The check; None where no row broke.
    """
    gone = np.flatnonzero(broken)
    if not len(gone):
        return None
    rows = _some(target, gone, seed=seed)
    wider = attack.at(scaled_eps(require_budget(attack), _WIDER))
    safe = int((~broken_by(wider, target, rows, seed=seed)).sum())
    passed = rare(safe, len(rows))
    reason = f"of {len(rows)} broken rows, {safe} hold at {_WIDER:g} times the budget"
    if not passed:
        reason += ": a search that more room makes worse depends on luck"
    return SelfCheck(name="more budget", passed=passed, reason=reason, bias="none")


def transfer_failure(attack: Transfer, target: Target, *, seed: int) -> Fact:
    """How many rows break the surrogate and not the model.

    Args:
        attack: The transfer, with a budget.
        target: The model under test and the rows, all right (n, d).
        seed: Picks the sample, and seeds the attack.

    Source:
        Pintor et al. (2022), indicator I5.
    """
    part = target.part(_some(target, np.arange(len(target)), seed=seed))
    twin, found = attack.aimed(part), adversarial_rows(attack, part, seed=seed)
    fooled = twin.wrong(twin.scores(found, keep=True), slice(None))
    lost = int((fooled & ~part.wrong(part.scores(found, keep=True), slice(None))).sum())
    return Fact(
        name="transfer failure", value=f"{lost} of {int(fooled.sum())} rows that break the surrogate do not break it"
    )


def unstable_loss(target: Target, *, eps: Eps, norm: str, seed: int) -> Fact:
    """How much the loss changes with tiny noise, relative to itself: a gradient of a restless loss says little.

    mean over rows and draws of min(1, |L(x + u) − L(x)| / |L(x)|), u uniform in a hundredth of the budget; L is the
    margin loss, of logits or of log-probabilities

    Args:
        target: The classifier and the rows, all right (n, d).
        eps: The budget.
        norm: Its norm.
        seed: Picks the sample, and seeds the draws.

    Source:
        Pintor et al. (2022), indicator I2.
    """
    part = replace(target.part(_some(target, np.arange(len(target)), seed=seed)), patient=True)
    before = _margins(part, part.x)
    tiny = RandomNoise(eps=scaled_eps(eps, 0.01), norm=norm, draws=1)  # type: ignore[arg-type]
    changes = []
    for draw in range(_DRAWS):
        after = _margins(part, adversarial_rows(tiny, part, seed=seed + draw))
        changes.append(np.minimum(1.0, np.abs(after - before) / np.maximum(np.abs(before), 1e-12)))
    return Fact(name="unstable loss", value=float(f"{np.mean(changes):.3g}"))


def _some(target: Target, rows: IntArray, *, seed: int, most: int = ROWS) -> IntArray:
    """At most so many of some rows, picked by their ids."""
    return np.sort(rows[sampled(target.part(rows), seed=seed, most=most)])


def left_over(
    attacks: tuple[Attack, ...], target: Target, broken: BoolArray, *, seed: int, most: int = ROWS
) -> tuple[int, int]:
    """What other attacks break of a sample of the rows that held.

    Args:
        attacks: Attacks with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them are broken already (n,).
        seed: Picks the sample, and seeds the attacks.
        most: Rows of the sample, at most.

    Returns:
        How many they break, and of how many.
    """
    rows = some_held(target, broken, seed=seed, most=most)
    if not len(rows):
        return 0, 0
    out = np.any([broken_by(attack, target, rows, seed=seed) for attack in attacks], axis=0)
    return int(out.sum()), len(rows)


def some_held(target: Target, broken: BoolArray, *, seed: int, most: int = ROWS) -> IntArray:
    """A sample of the rows that held, picked by their ids (m,).

    Args:
        target: The classifier and the rows (n, d).
        broken: Which of them are broken (n,).
        seed: Of the choice.
        most: Rows of the sample, at most.
    """
    return _some(target, np.flatnonzero(~broken), seed=seed, most=most)


def _few_left(found: int, rows: int, broken: BoolArray) -> bool:
    """Whether few of all rows are what a sample of those that held tells of."""
    return rare(found, rows, share=min(1.0, FEW / float(np.mean(~broken))))


def broken_by(attack: Attack, target: Target, rows: IntArray, *, seed: int) -> BoolArray:
    """Which of some rows an attack breaks (m,)."""
    part = target.part(rows)
    return part.wrong(part.scores(adversarial_rows(attack, part, seed=seed), keep=True), slice(None))


def _margins(part: Target, x: AnyArray) -> FloatArray:
    def run() -> AnyArray:
        return log_margins(part.scores(x).astype(np.float64), part.y, scale=part.scale)

    return kept(part, "margins", x, compute=run)


def rare(count: int, n: int, *, share: float = FEW) -> bool:
    """Whether a share of all, 5 % if none is given, explains a count out of n, at a level of 95 %."""
    return n == 0 or clopper_pearson_bounds(count, n, _LEVEL)[0] <= share


def steps_of(attack: Attack) -> int | None:
    """How many steps an attack, or the one that is handed over, makes; None for one that makes none."""
    inner: Any = attack.attack if isinstance(attack, Transfer) else attack
    return int(inner.steps or STEPS) if any(one.name == "steps" for one in fields(inner)) else None


def with_steps(attack: Attack, steps: int) -> Attack:
    """The same attack with another number of steps."""
    if isinstance(attack, Transfer):
        return replace(attack, attack=with_steps(attack.attack, steps))
    return replace(attack, steps=steps)  # type: ignore[type-var] # each attack is a dataclass
