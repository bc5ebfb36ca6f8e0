"""Which attacks a question calls for, run one after the other, each judged by the model itself."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.base import Attack, adversarial_rows, require_budget
from robust.attacks.budget import read_eps, read_norm
from robust.attacks.fgsm import FGSM
from robust.attacks.foreign import foreign
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.target import Target
from robust.attacks.transfer import Transfer
from robust.errors import InvalidInput
from robust.models.base import Model, require_gradients
from robust.models.conversion import as_model
from robust.types import AnyArray, BoolArray

# Draws of the noise that an attack is compared with: a tenth of what noise costs as an attack of its own.
FLOOR_DRAWS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """The attacks that a question calls for.

    Args:
        rungs: Attacks, cheap to strong; each is tried on the rows that the earlier rungs left.
        floor: The noise that they are compared with, tried on all rows; None where a rung is noise itself.
        cascade: Whether this package chose them; the rows that the floor breaks then count too.
    """

    rungs: tuple[Attack, ...]
    floor: RandomNoise | None
    cascade: bool

    @property
    def strongest(self) -> Attack:
        """The last rung."""
        return self.rungs[-1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a ladder did to some rows, all right before it.

    Args:
        ladder: The attacks.
        broken_by: For each rung, which rows it broke (n,).
        floor: Which rows the floor broke (n,).
        moved: Which rows some rung tried at another place than their own (n,).
        rows: The row that broke the model, or the original (n, d).
    """

    ladder: Ladder
    broken_by: tuple[BoolArray, ...]
    floor: BoolArray
    moved: BoolArray
    rows: AnyArray

    @property
    def attacked(self) -> BoolArray:
        """Rows that some rung broke (n,)."""
        return np.asarray(np.any(self.broken_by, axis=0))

    @property
    def broken(self) -> BoolArray:
        """Rows that count as broken (n,)."""
        return self.attacked | self.floor if self.ladder.cascade else self.attacked


def plan(model: Model, *, attack: object | None, eps: object, norm: str, surrogate: object | None = None) -> Ladder:
    """Choose the attacks.

    Args:
        model: The classifier.
        attack: The user's own attack, one of another library, or None.
        eps: A budget, that of an attack of another library; or one for which the strongest attacks that apply
            are chosen: FGSM, then PGD on what it leaves; for a model without gradients the same on the
            surrogate, and without one noise alone.
        norm: Norm of that budget.
        surrogate: A twin with gradients, or None.

    Returns:
        The ladder.

    Raises:
        InvalidInput: If neither or both of attack and budget are given, the attack is a template or no
            attack, it needs gradients that the model does not have, or it comes with a surrogate.
    """
    if attack is not None and not isinstance(attack, Attack):
        if surrogate is not None:
            raise InvalidInput("surrogate got a model beside an attack of another library: attack the surrogate itself")
        own = foreign(attack, eps=eps, norm=norm)
        return Ladder(rungs=(own,), floor=RandomNoise(eps=own.eps, norm=own.norm, draws=FLOOR_DRAWS), cascade=False)
    if (attack is None) == (eps is None):
        raise InvalidInput(
            f"robust_accuracy takes either an attack with a budget or eps, got attack={attack!r} and eps={eps!r}; "
            "attack=PGD(eps=8 / 255) or eps=8 / 255 would be right"
        )
    if attack is None:
        budget, known = read_eps(eps), read_norm(norm)
        floor = RandomNoise(eps=budget, norm=known, draws=FLOOR_DRAWS)
        rungs: tuple[Attack, ...] = (FGSM(eps=budget, norm=known), PGD(eps=budget, norm=known))
        if model.gradients is None:
            if surrogate is None:
                return Ladder(rungs=(RandomNoise(eps=budget, norm=known),), floor=None, cascade=True)
            twin = as_model(surrogate)
            require_gradients(twin)
            rungs = tuple(Transfer(attack=rung, surrogate=twin) for rung in rungs)
        return Ladder(rungs=rungs, floor=floor, cascade=True)
    if surrogate is not None:
        raise InvalidInput(
            f"surrogate got a model beside attack={attack!r}; attack=Transfer(attack=…, surrogate=…), or eps and "
            "surrogate, would be right"
        )
    if norm not in ("linf", attack.norm):
        raise InvalidInput(f"norm got {norm!r}, but {attack!r} has its own; leaving norm out would be right")
    budget = require_budget(attack)
    if attack.gradients:
        require_gradients(model)
    noise = isinstance(attack, RandomNoise)
    return Ladder(
        rungs=(attack,),
        floor=None if noise else RandomNoise(eps=budget, norm=attack.norm, draws=FLOOR_DRAWS),
        cascade=False,
    )


def run_ladder(ladder: Ladder, target: Target, *, seed: int) -> Outcome:
    """Run floor and rungs on rows that are all right.

    A row counts as broken when the model, asked afresh about the verified row, is wrong; an attack's own
    book-keeping is not believed.

    Args:
        ladder: The attacks.
        target: The classifier and the rows (n, d).
        seed: Seed of whatever is random.

    Returns:
        What broke.
    """
    n = len(target)
    rows, moved = target.x.copy(), np.zeros(n, dtype=bool)
    left, floor = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    if ladder.floor is not None:
        floor = _strike(ladder.floor, target, left, rows, np.zeros(n, dtype=bool), seed=seed)
    broken_by = []
    for rung in ladder.rungs:
        broken = _strike(rung, target, left, rows, moved, seed=seed)
        broken_by.append(broken)
        left = left & ~broken
    outcome = Outcome(ladder=ladder, broken_by=tuple(broken_by), floor=floor, moved=moved, rows=rows)
    rows[~outcome.broken] = target.x[~outcome.broken]
    return outcome


def _strike(
    attack: Attack, target: Target, tried: BoolArray, rows: AnyArray, moved: BoolArray, *, seed: int
) -> BoolArray:
    """Which rows one attack breaks (n,); their adversarial forms go into `rows`, what it moved into `moved`."""
    broken = np.zeros(len(target), dtype=bool)
    indices = np.flatnonzero(tried)
    if len(indices) == 0:
        return broken
    part = target.part(indices)
    found = adversarial_rows(attack, part, seed=seed)
    out = part.wrong(part.scores(found, keep=True), slice(None))
    broken[indices] = out
    rows[indices[out]] = found[out]
    moved[indices] |= np.any((found != part.x) & ~np.isnan(found), axis=1)
    return broken
