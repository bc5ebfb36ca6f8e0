"""Adversarial examples: the rows behind a robust accuracy, before and after, and what each attack bought."""

from dataclasses import dataclass

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.keeping import kept
from robust.attacks.near_points import near_points
from robust.attacks.obedience import obeys
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.projection import space_of
from robust.attacks.row_changes import change_sizes, sizes_in
from robust.attacks.rungs import Ladder, Outcome, plan, require_question, run_ladder
from robust.attacks.target import Target, aim, classified, unanswered
from robust.attacks.transfer import title
from robust.data.budget import Eps, feature_eps
from robust.data.dataset import Dataset, read_only
from robust.data.live import as_data
from robust.models.base import Label
from robust.models.conversion import as_model
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Norm

_BLOCK = 4096
# Halvings of the way from a row to its adversarial form: within half a percent of where the model gives way.
_HALVINGS = 8
_UNKNOWN = "no class of the data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What one attack did to the rows that the attacks before it left.

    Args:
        name: The attack.
        broken: Rows that it broke.
        forward: Rows asked of the model.
        backward: Rows of which a gradient was asked.
    """

    name: str
    broken: int
    forward: int
    backward: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackedRows:
    """Rows before and after an attack, in the order of the data.

    Args:
        data: The rows before.
        x_adv: The rows after (n, *row shape), in the data's number type and units; rows that nothing broke, or that
            were wrong before, as they were. Read-only.
        right: Which rows the model got right before (n,).
        broken: Which of these it gets wrong now (n,).
        near: The first row that the model gets wrong on the straight way from each broken row to its `x_adv`, as
            far as bisection tells (n, *row shape); the others as they were. It obeys the budget, too. Read-only.
        size: Norm of the change to `near` (n,), in the user's units, or in budgets where features have their own; 0 for
            rows that nothing broke.
        unit: What the size is counted in.
        norm: Which norm.
        before: Class that the model gave each row before (n).
        after: Class that it gives `near` (n).
        floor: Right rows that random noise of the same budget broke; None where the attack is noise itself.
        bought: What each attack did, in turn.
    """

    data: Dataset
    x_adv: AnyArray
    near: AnyArray
    right: BoolArray
    broken: BoolArray
    size: FloatArray
    unit: str
    norm: Norm
    before: tuple[Label, ...]
    after: tuple[Label, ...]
    floor: int | None
    bought: tuple[Bought, ...]

    def fragile(self, most: int) -> IntArray:
        """Positions of broken rows, smallest change first, of equal ones in the order of the data; at most `most`."""
        positions = np.flatnonzero(self.broken)
        return positions[np.argsort(self.size[positions], kind="stable")][:most]


def attacked_rows(
    model: object,
    data: object,
    *,
    attack: object | None = None,
    eps: Eps | None = None,
    norm: str = "linf",
    strength: str = "standard",
    surrogate: object | None = None,
    seed: int = 0,
) -> AttackedRows:
    """The adversarial rows that `robust_accuracy` of the same arguments counts.

    x'_i with ‖x'_i − x_i‖ ≤ eps, inside the schema, for rows with f(x_i) = y_i and f(x'_i) ≠ y_i; x'_i = x_i otherwise

    Both run the same search with the same random numbers, and it is kept by content hash: whichever comes second does
    not search again. An attack uses the budget that it has; how little would have done is looked for on the way from
    x_i to x'_i, where 8 halvings ask the model about 8 points of each broken row.

    Args:
        model: A classifier, or what `as_model` takes.
        data: Rows (n, *row shape) with true labels, or what `as_data` takes.
        attack: As `robust_accuracy` takes it, and so on.
        eps: A budget in the data's units, in place of an attack.
        norm: Norm of `eps`.
        strength: How strong a cascade `eps` alone stands for.
        surrogate: A twin with gradients.
        seed: Seed of whatever is random.

    Returns:
        The rows, n of each.

    Raises:
        InvalidInput: For whatever `robust_accuracy` refuses.

    >>> rows = np.array([[-3.0], [-0.5], [0.75], [3.0]])
    >>> sign = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
    >>> found = attacked_rows(sign, (rows, [0, 0, 1, 1]), eps=1.0)
    >>> found.broken.tolist(), found.before, found.after
    ([False, True, True, False], (0, 0, 1, 1), (0, 1, 0, 1))
    """
    model, data = as_model(model), as_data(data)
    require_question(attack=attack, eps=eps, norm=norm, strength=strength, surrogate=surrogate)
    wanted = isinstance(attack, Attack) and attack.gradients
    if wanted or (attack is None and surrogate is None):
        model = with_own_gradients(model, data, wanted=wanted)
    predictions = classified(model, data)
    target = aim(model, data, predictions=predictions)
    ladder = plan(target, attack=attack, eps=eps, norm=norm, strength=strength, surrogate=surrogate)
    before = decided(target, target.x)
    right = before == target.y
    x, broken, after = target.x.copy(), np.zeros(len(data), dtype=bool), before.copy()
    near = x.copy()
    outcome: Outcome | None = None
    if right.any():
        part = target.part(right)
        outcome = run_ladder(ladder, part, seed=seed)
        x[right], broken[right] = outcome.rows, outcome.broken
        if broken.any():
            near[broken] = nearest(ladder.strongest, target.part(broken), x[broken])
            after[broken] = decided(target, near[broken])
    strongest = ladder.strongest
    size, unit = sizes_in(target.x, near, data.schema, require_budget(strongest), norm=strongest.norm)
    return AttackedRows(
        data=data,
        x_adv=read_only(x.reshape(data.x.shape)),
        near=read_only(near.reshape(data.x.shape)),
        right=right,
        broken=broken,
        size=size,
        unit=unit,
        norm=strongest.norm,
        before=_labels(before, predictions.classes),
        after=_labels(after, predictions.classes),
        floor=_floor(ladder, outcome),
        bought=_bought(outcome),
    )


def nearest(attack: Attack, target: Target, x_adv: AnyArray) -> AnyArray:
    """The first broken rows on the straight way to adversarial ones, by bisection; each is verified.

    Args:
        attack: Its budget and norm are kept to.
        target: The classifier and the rows (m, d).
        x_adv: Rows that it gets wrong (m, d).

    Returns:
        Rows that it gets wrong, too (m, d), none farther than `x_adv`.
    """
    eps, schema, x = require_budget(attack), target.data.schema, target.x
    space = space_of(schema, x.dtype, eps=feature_eps(eps, schema), norm=attack.norm)

    def run() -> AnyArray:
        move = np.nan_to_num(x_adv.astype(np.float64) - x.astype(np.float64))
        low, high = np.zeros((len(x), 1)), np.ones((len(x), 1))
        best = x_adv.copy()
        for _ in range(_HALVINGS):
            share = (low + high) / 2
            tried = near_points(space, x, x + share * move)
            out = decided(target, tried) != target.y
            out &= obeys(tried, x, schema, eps=eps, norm=attack.norm)
            out &= change_sizes(tried, x, norm=attack.norm) <= change_sizes(best, x, norm=attack.norm)
            best[out] = tried[out]
            high, low = np.where(out[:, None], share, high), np.where(out[:, None], low, share)
        return best

    return kept(target, "nearest on the way", repr(attack.norm), repr(eps), x_adv, compute=run)


def decided(target: Target, x: AnyArray, *, keep: bool = False) -> IntArray:
    """Index of the class that the model gives each of some rows (m, d), a block at a time; k where it is no class."""
    blocks = [target.scores(x[i : i + _BLOCK], keep=keep) for i in range(0, len(x), _BLOCK)]
    # Where there is no answer, there is no class of the data either.
    found = [np.where(unanswered(scores), target.classes, scores.argmax(axis=1)) for scores in blocks]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _labels(indices: IntArray, classes: tuple[Label, ...]) -> tuple[Label, ...]:
    """Labels of class indices; the index behind the last class is a label that the data does not have."""
    return tuple(classes[i] if i < len(classes) else _UNKNOWN for i in indices.tolist())


def _floor(ladder: Ladder, outcome: Outcome | None) -> int | None:
    """Rows that the noise floor broke."""
    if ladder.floor is None:
        return None
    return 0 if outcome is None else int(outcome.floor.sum())


def _bought(outcome: Outcome | None) -> tuple[Bought, ...]:
    """What each rung broke, and what it asked."""
    if outcome is None:
        return ()
    parts = zip(outcome.ladder.rungs, outcome.broken_by, outcome.passes, strict=True)
    return tuple(
        Bought(name=title(rung), broken=int(broken.sum()), forward=forward, backward=backward)
        for rung, broken, (forward, backward) in parts
    )
