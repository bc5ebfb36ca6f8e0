"""How strong an attack a question calls for: a cascade from cheap to strong, each tried on the rows that are left."""

from typing import Literal, TypeAlias, get_args

from robust.attacks.apgd import APGD
from robust.attacks.base import Attack
from robust.attacks.ddn import DDN
from robust.attacks.fgsm import FGSM
from robust.attacks.fmn import FMN
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.linear_exact import LinearExact, linear_scores
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.attacks.substitute import Substitute
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer
from robust.attacks.tree_attack import TreeAttack
from robust.attacks.tree_structure import tree_ensemble
from robust.data.budget import Eps
from robust.errors import InvalidInput
from robust.models.base import require_gradients
from robust.models.conversion import as_model
from robust.types import Norm

Strength: TypeAlias = Literal["quick", "standard", "thorough"]
STRENGTHS: tuple[Strength, ...] = get_args(Strength)

#: Forward passes a row of an attack that sees scores alone, points a row that a substitute learns from, and steps of a
#: walk that sees labels alone.
_QUERIES = {"quick": 100, "standard": 300, "thorough": 2000}
_TAUGHT = {"quick": 50, "standard": 200, "thorough": 500}
_STEPS = {"quick": 5, "standard": 10, "thorough": 25}
#: Queries at least of the search among rows that keep relations.
_RELATED = 300
#: Gradient steps of PGD, None for its own; where much stronger rungs follow, it is there for rows that break easily.
_PGD_STEPS = {"quick": 10, "standard": None, "thorough": 20}


def read_strength(strength: object) -> Strength:
    """Check the name of a strength.

    Raises:
        InvalidInput: If it is unknown.
    """
    for known in STRENGTHS:
        if strength == known:
            return known
    raise InvalidInput(f"strength got {strength!r}; one of {', '.join(map(repr, STRENGTHS))} would be right")


def cascade(
    target: Target, *, eps: Eps, norm: Norm, strength: Strength, surrogate: object | None = None
) -> tuple[Attack, ...]:
    """The attacks that a strength stands for.

    Gradients: FGSM, PGD; `quick` aims at the nearest class between the two; `standard` adds APGD on the margin loss and
    towards the three nearest classes; `thorough` goes towards nine classes in few steps, since it is the class that
    decides there, then climbs the margin loss from four starts in many, for models whose slopes mislead, and adds a
    minimal-norm attack and Square. A row that holds costs it about 1,600 passes. Linear models and trees are attacked
    through their own closed form or leaves. Without gradients: the rows of the surrogate, those of a network that is
    fitted to the model's labels, a search that sees scores alone, and a walk that sees labels alone, since scores that
    saturate, or are decisions themselves, tell a search nothing. Where relations bind features, a search among rows
    that keep them takes part, whatever the model.

    Args:
        target: The classifier and the rows.
        eps: The budget.
        norm: Its norm.
        strength: `quick`, `standard` or `thorough`.
        surrogate: A twin with gradients, or None.

    Returns:
        The attacks, cheap to strong.
    """
    rungs = _by_model(target, eps, norm, strength, surrogate)
    related = target.data.schema.relations and target.kind != "labels"
    if not related or any(isinstance(rung, RandomSearch) for rung in rungs):
        return rungs
    return (*rungs, RandomSearch(eps=eps, norm=norm, queries=max(_QUERIES[strength], _RELATED)))


def _by_model(target: Target, eps: Eps, norm: Norm, strength: Strength, surrogate: object | None) -> tuple[Attack, ...]:
    """The attacks that the kind of model calls for."""
    model = target.caller.model
    handed: tuple[Attack, ...] = ()
    if surrogate is not None and model.gradients is None:
        twin = with_own_gradients(as_model(surrogate), target.data, wanted=True)
        require_gradients(twin)
        handed = tuple(
            Transfer(attack=rung, surrogate=twin) for rung in _by_gradients(eps, norm, strength, black=False)
        )
    if linear_scores(model) is not None:
        return (*handed, FGSM(eps=eps, norm=norm), LinearExact(eps=eps, norm=norm))
    if model.gradients is not None:
        return _by_gradients(eps, norm, strength, black=True)
    if tree_ensemble(model) is not None:
        return (*handed, TreeAttack(eps=eps, norm=norm))
    return (*handed, *_black_box(target, eps, norm, strength))


def _by_gradients(eps: Eps, norm: Norm, strength: Strength, *, black: bool) -> tuple[Attack, ...]:
    """Attacks that climb, and the one that checks that they see more than scores do."""
    first = (FGSM(eps=eps, norm=norm), PGD(eps=eps, norm=norm, steps=_PGD_STEPS[strength]))
    if strength == "quick":
        # The class that is nearest is often not the one with the next best score, which PGD follows.
        return (first[0], APGD(eps=eps, norm=norm, loss="targeted", steps=5, targets=1), first[1])
    if strength == "standard":
        return (
            *first,
            APGD(eps=eps, norm=norm, loss="margin", steps=40),
            APGD(eps=eps, norm=norm, loss="targeted", steps=40, targets=3),
        )
    least: Attack = DDN(eps=eps, steps=20) if norm == "l2" else FMN(eps=eps, norm=norm, steps=20)
    rungs = (
        *first,
        APGD(eps=eps, norm=norm, loss="targeted", steps=10, targets=9),
        APGD(eps=eps, norm=norm, loss="margin", steps=100, restarts=4),
        least,
    )
    return (*rungs, Square(eps=eps, norm=norm, queries=500)) if black else rungs


def _black_box(target: Target, eps: Eps, norm: Norm, strength: Strength) -> tuple[Attack, ...]:
    """Attacks that need nothing but answers."""
    twin = Substitute(eps=eps, norm=norm, queries=_TAUGHT[strength])
    walk = HopSkipJump(eps=eps, norm=norm, steps=_STEPS[strength])
    if target.kind == "labels":
        return (twin, walk)
    return (twin, by_scores(target, eps, norm, queries=_QUERIES[strength]), walk)


def by_scores(target: Target, eps: Eps, norm: Norm, *, queries: int) -> Attack:
    """The search by scores that fits the features: those that move by steps, or together, need one of their own.

    Args:
        target: The classifier and the rows.
        eps: The budget.
        norm: Its norm.
        queries: Forward passes a row.
    """
    schema = target.data.schema
    if schema.mask("integer", "binary", "one_hot", "categorical").any() or schema.relations:
        return RandomSearch(eps=eps, norm=norm, queries=queries)
    return Square(eps=eps, norm=norm, queries=queries)
