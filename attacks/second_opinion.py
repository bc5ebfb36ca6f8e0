"""What attacks of this package find where one that was named found nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robust.attacks.base import Attack, adversarial_rows, require_budget
from robust.attacks.boundary import Boundary
from robust.attacks.foreign import Foreign
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.indicators import FEW, left_over
from robust.attacks.linear_exact import LinearExact, linear_scores
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.attacks.strengths import by_scores
from robust.attacks.substitute import Substitute
from robust.attacks.target import Target
from robust.attacks.transfer import title
from robust.attacks.tree_attack import TreeAttack
from robust.attacks.tree_structure import tree_ensemble
from robust.attacks.unlimited import SAMPLE, sampled
from robust.data.budget import Eps
from robust.evidence import SelfCheck
from robust.types import BoolArray, Norm

# Steps along gradients, forward passes of a search by scores, points a row that a substitute learns from, steps of a
# walk by labels.
_CLIMBS, _QUERIES, _TAUGHT, _WALKS = 20, 100, 100, 10
_RELATED, _DRAWS = 300, 10


def second_opinion(attack: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck | None:
    """Whether other attacks of the same budget do not break what this one left.

    An attack of another library may not have looked at all, one that sees scores learns nothing where these do not
    change, and one that climbs may be stuck between relations of features. Each is held against what it is not: weights
    or trees where these can be read, gradients of the model where it has some, else those of a network that is fitted
    to its labels; a search by scores, a walk by labels. More than 5 % of all rows are too many, as a sample of those
    that held tells.

    Args:
        attack: The attack that was run, with a budget.
        target: The classifier and the rows, all right (n, d).
        broken: Which of them it broke (n,).
        seed: Picks the sample, and seeds the attacks.

    Returns:
        The check; None where no row held, or there is nothing that it should be held against: noise is what it is, and
        gradients without relations have checks of their own.

    Source:
        Carlini et al. (2019), section 4; Athalye, Carlini and Wagner (2018), section 3.1.
    """
    others = _others(attack, target)
    if not others:
        return None
    found, rows = left_over(others, target, broken, seed=seed, most=SAMPLE)
    if not rows:
        return None
    return _opinion(attack, others, found, rows, passed=bool(found / rows * np.mean(~broken) <= FEW))


def opinion_of_curve(
    attack: Attack, others: Sequence[Attack], held: BoolArray, still: Sequence[BoolArray]
) -> SelfCheck | None:
    """The same at one budget of a curve, from the others' own searches over all budgets.

    Args:
        attack: The attack that was run, with the budget.
        others: What it is held against, of `others_of_curve`.
        held: Which rows of a sample of all held against it (m,).
        still: Which of them held against each of the others (m,).
    """
    if not len(others) or not held.any():
        return None
    found = int((held & ~np.all(still, axis=0)).sum())
    return _opinion(attack, others, found, int(held.sum()), passed=found <= FEW * len(held))


def others_of_curve(attack: Attack, target: Target, eps: float) -> tuple[Attack, ...]:
    """What an attack is held against in a curve, as templates.

    Args:
        attack: The attack, a template.
        target: The classifier and the rows.
        eps: Any budget.
    """
    others = _others(attack.at(eps), target)
    return tuple(replace(other, eps=None) for other in others)  # type: ignore[type-var] # each is a dataclass


def _opinion(attack: Attack, others: Sequence[Attack], found: int, rows: int, *, passed: bool) -> SelfCheck:
    *first, last = (title(other) for other in others)
    names = f"{', '.join(first)} and {last}" if first else last
    reason = f"{names} of the same budget break{'s' if len(others) == 1 else ''} {found} of {rows} rows that held"
    if not passed:
        reason += f": {title(attack)} misses what is there; eps without an attack would run a cascade"
    return SelfCheck(name="second opinion", passed=passed, reason=reason, bias="raises")


def relations_passable(target: Target, stuck: BoolArray, *, eps: Eps, norm: Norm, seed: int) -> SelfCheck:
    """Whether rows that an attack left where they were could move at all, and hold against a search that moves them.

    A row may stay because no change that the schema's relations allow breaks it; because they allow none, so that
    nothing was tried; or because the attack could not move along them.

    Args:
        target: The classifier and the rows, all right (n, d).
        stuck: Which of them held where they were (n,).
        eps: The budget.
        norm: Its norm.
        seed: Picks a sample, and seeds the search.
    """
    n, still, passed = len(target), int(stuck.sum()), True
    reason = f"{still} of {n} rows held where they were"
    if still > FEW * n:
        search = RandomSearch(eps=eps, norm=norm, queries=_RELATED)
        found, rows = left_over((search,), target, ~stuck, seed=seed)
        part = replace(target.part(stuck), patient=True)
        part = part.part(sampled(part, seed=seed, most=rows))
        noise = adversarial_rows(RandomNoise(eps=eps, norm=norm, draws=_DRAWS), part, seed=seed)
        fixed = int(np.all((noise == part.x) | np.isnan(part.x), axis=1).sum())
        reason += f"; of {rows} of them, a search among rows that keep the relations breaks {found}"
        if fixed * still > FEW * n * rows:
            passed, reason = False, f"{reason}, and {fixed} cannot move inside relations and budget"
        elif found * still > FEW * n * rows:
            passed, reason = False, f"{reason}: the attack does not know how to move along them"
    return SelfCheck(name="relations", passed=passed, reason=reason, bias="raises")


def climbing(attack: Attack, target: Target) -> Attack | None:
    """What asks for the gradients that an attack rests on; None where it rests on none.

    What an attack of another library reads, nobody knows: of a model with gradients, these are looked at.

    Args:
        attack: The attack, with a budget or a template.
        target: The classifier and the rows.
    """
    if attack.gradients:
        return attack
    if isinstance(attack, Foreign) and target.caller.model.gradients is not None:
        return PGD(eps=attack.eps, norm=attack.norm)
    return None


def _others(attack: Attack, target: Target) -> tuple[Attack, ...]:
    """Attacks of the same budget and another kind."""
    if isinstance(attack, RandomNoise):
        return ()
    eps, norm = require_budget(attack), attack.norm
    scores = by_scores(target, eps, norm, queries=_QUERIES)
    if attack.gradients:
        return (scores,) if target.data.schema.relations else ()
    found: list[Attack] = []
    if linear_scores(target.caller.model) is not None:
        found.append(LinearExact(eps=eps, norm=norm))
    elif tree_ensemble(target.caller.model) is not None and not isinstance(attack, TreeAttack):
        found.append(TreeAttack(eps=eps, norm=norm))
    elif target.caller.model.gradients is not None:
        found.append(PGD(eps=eps, norm=norm, steps=_CLIMBS))
    elif not isinstance(attack, Substitute):
        found.append(Substitute(eps=eps, norm=norm, queries=_TAUGHT))
    if target.kind != "labels" and not isinstance(attack, Square | RandomSearch):
        found.append(scores)
    if not isinstance(attack, HopSkipJump | Boundary):
        found.append(HopSkipJump(eps=eps, norm=norm, steps=_WALKS))
    return tuple(found)
