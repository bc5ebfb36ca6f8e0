"""Which attacks a question calls for, run one after the other, each judged by the model itself."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.base import Attack, adversarial_rows, require_budget
from robust.attacks.foreign import foreign
from robust.attacks.linear_exact import LinearExact
from robust.attacks.minimal_norm import MinimalNorm
from robust.attacks.noise import RandomNoise
from robust.attacks.strengths import cascade, read_strength
from robust.attacks.target import Target, unanswered
from robust.attacks.transfer import Transfer
from robust.attacks.tree_attack import TreeAttack
from robust.data.budget import read_eps, read_norm
from robust.errors import InvalidInput
from robust.models.base import require_gradients
from robust.predicting.metering import metered
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
        strength: What was asked of it; empty where the user named an attack.
    """

    rungs: tuple[Attack, ...]
    floor: RandomNoise | None
    cascade: bool
    strength: str = ""

    @property
    def strongest(self) -> Attack:
        """The rung that the figure rests on: the last that reads gradients or the model itself, else the last."""
        for rung in reversed(self.rungs):
            if isinstance(rung, LinearExact | TreeAttack | Transfer):
                return rung
            if rung.gradients and not isinstance(rung, MinimalNorm):
                return rung
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
        silent: Which rows were broken by one that the model gives no answer for (n,).
        passes: For each rung, forward and backward passes, in rows.
    """

    ladder: Ladder
    broken_by: tuple[BoolArray, ...]
    passes: tuple[tuple[int, int], ...]
    floor: BoolArray
    moved: BoolArray
    rows: AnyArray
    silent: BoolArray

    @property
    def attacked(self) -> BoolArray:
        """Rows that some rung broke (n,)."""
        return np.asarray(np.any(self.broken_by, axis=0))

    @property
    def broken(self) -> BoolArray:
        """Rows that count as broken (n,)."""
        return self.attacked | self.floor if self.ladder.cascade else self.attacked


def plan(
    target: Target,
    *,
    attack: object | None,
    eps: object,
    norm: str,
    strength: str = "standard",
    surrogate: object | None = None,
) -> Ladder:
    """Choose the attacks.

    Args:
        target: The classifier and the rows.
        attack: The user's own attack, one of another library, or None.
        eps: A budget, that of an attack of another library; or one for which the attacks that apply are chosen.
        norm: Norm of that budget.
        strength: How strong a cascade is chosen.
        surrogate: A twin with gradients, or None.

    Returns:
        The ladder.

    Raises:
        InvalidInput: If the question is not understood (`require_question`), or the attack needs gradients that the
            model does not have.
    """
    model = target.caller.model
    if attack is None:
        budget, known, name = read_eps(eps), read_norm(norm), read_strength(strength)
        if budget is None:
            raise InvalidInput("eps got None; a budget such as 8 / 255 would be right")
        rungs = cascade(target, eps=budget, norm=known, strength=name, surrogate=surrogate)
        noise = RandomNoise(eps=budget, norm=known, draws=FLOOR_DRAWS)
        return Ladder(rungs=rungs, floor=noise, cascade=True, strength=name)
    if not isinstance(attack, Attack):
        own = foreign(attack, eps=eps, norm=norm)
        return Ladder(rungs=(own,), floor=RandomNoise(eps=own.eps, norm=own.norm, draws=FLOOR_DRAWS), cascade=False)
    if attack.gradients:
        require_gradients(model)
    floor = (
        None
        if isinstance(attack, RandomNoise)
        else RandomNoise(eps=require_budget(attack), norm=attack.norm, draws=FLOOR_DRAWS)
    )
    return Ladder(rungs=(attack,), floor=floor, cascade=False)


def require_question(*, attack: object | None, eps: object, norm: str, strength: str, surrogate: object | None) -> None:
    """Check what is asked before anything runs.

    Raises:
        InvalidInput: If neither or both of attack and budget are given, the attack is a template or no attack, or
            comes with a surrogate, or a name is unknown.
    """
    read_strength(strength)
    if attack is not None and not isinstance(attack, Attack):
        if surrogate is not None:
            raise InvalidInput("surrogate got a model beside an attack of another library: attack the surrogate itself")
        foreign(attack, eps=eps, norm=norm)
        return
    if (attack is None) == (eps is None):
        raise InvalidInput(
            f"robust_accuracy takes either an attack with a budget or eps, got attack={attack!r} and eps={eps!r}; "
            "attack=PGD(eps=8 / 255) or eps=8 / 255 would be right"
        )
    if attack is None:
        read_eps(eps)
        read_norm(norm)
        return
    if surrogate is not None:
        raise InvalidInput(
            f"surrogate got a model beside attack={attack!r}; attack=Transfer(attack=…, surrogate=…), or eps and "
            "surrogate, would be right"
        )
    if norm not in ("linf", attack.norm):
        raise InvalidInput(f"norm got {norm!r}, but {attack!r} has its own; leaving norm out would be right")
    require_budget(attack)


def run_ladder(ladder: Ladder, target: Target, *, seed: int) -> Outcome:
    """Run floor and rungs on rows that are all right.

    A row counts as broken when the model, asked afresh about the verified row, is wrong or gives no answer; an
    attack's own book-keeping is not believed.

    Args:
        ladder: The attacks.
        target: The classifier and the rows (n, d).
        seed: Seed of whatever is random.

    Returns:
        What broke.
    """
    n = len(target)
    rows, moved = target.x.copy(), np.zeros(n, dtype=bool)
    left, floor, silent = np.ones(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    if ladder.floor is not None:
        floor, silent = _strike(ladder.floor, target, left, rows, np.zeros(n, dtype=bool), seed=seed)
    broken_by, passes = [], []
    for rung in ladder.rungs:
        with metered() as meter:
            broken, quiet = _strike(rung, target, left, rows, moved, seed=seed)
        broken_by.append(broken)
        silent = np.where(broken, quiet, silent)
        passes.append((meter.forward_rows, meter.backward_rows))
        left = left & ~broken
    outcome = Outcome(
        ladder=ladder,
        broken_by=tuple(broken_by),
        passes=tuple(passes),
        floor=floor,
        moved=moved,
        rows=rows,
        silent=silent,
    )
    rows[~outcome.broken] = target.x[~outcome.broken]
    silent[~outcome.broken] = False
    return outcome


def _strike(
    attack: Attack, target: Target, tried: BoolArray, rows: AnyArray, moved: BoolArray, *, seed: int
) -> tuple[BoolArray, BoolArray]:
    """Which rows one attack breaks, and which of these by a row without an answer (n,).

    Their adversarial forms go into `rows`, what it moved into `moved`.
    """
    broken, silent = np.zeros(len(target), dtype=bool), np.zeros(len(target), dtype=bool)
    indices = np.flatnonzero(tried)
    if len(indices) == 0:
        return broken, silent
    part = target.part(indices)
    found = adversarial_rows(attack, part, seed=seed)
    scores = part.scores(found, keep=True)
    out = part.wrong(scores, slice(None))
    broken[indices], silent[indices] = out, out & unanswered(scores)
    rows[indices[out]] = found[out]
    moved[indices] |= np.any((found != part.x) & ~np.isnan(found), axis=1)
    return broken, silent
