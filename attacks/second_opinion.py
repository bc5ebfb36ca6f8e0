"""What attacks of this package find where one that was named found nothing."""

from robust.attacks.base import Attack, require_budget
from robust.attacks.boundary import Boundary
from robust.attacks.foreign import Foreign
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.indicators import left_over
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.attacks.strengths import by_scores
from robust.attacks.target import Target
from robust.attacks.transfer import title
from robust.evidence import SelfCheck
from robust.types import BoolArray

# Steps along gradients, forward passes of a search by scores, steps of one by labels.
_CLIMBS, _QUERIES, _WALKS = 20, 100, 10


def second_opinion(attack: Attack, target: Target, broken: BoolArray, *, seed: int) -> SelfCheck | None:
    """Whether other attacks of the same budget do not break what this one left.

    An attack of another library may not have looked at all, one that sees scores learns nothing where these do not
    change, and one that climbs may be stuck between relations of features. Each is held against what it is not: the
    gradients of the model where it has some, a search by scores, a walk by labels.

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
    found, passed, rows = left_over(others, target, broken, seed=seed)
    if not rows:
        return None
    *first, last = (title(other) for other in others)
    names = f"{', '.join(first)} and {last}" if first else last
    reason = f"{names} of the same budget break{'s' if len(others) == 1 else ''} {found} of {rows} rows that held"
    if not passed:
        reason += f": {title(attack)} misses what is there; eps without an attack would run a cascade"
    return SelfCheck(name="second opinion", passed=passed, reason=reason, bias="raises")


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
    if target.caller.model.gradients is not None:
        found.append(PGD(eps=eps, norm=norm, steps=_CLIMBS))
    if target.kind != "labels" and not isinstance(attack, Square | RandomSearch):
        found.append(scores)
    if not isinstance(attack, HopSkipJump | Boundary):
        found.append(HopSkipJump(eps=eps, norm=norm, steps=_WALKS))
    return tuple(found)
