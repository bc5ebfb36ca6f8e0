"""What is told of rows that a model gives no answer for: as they are, and as an attack made them."""

from collections.abc import Sequence

import numpy as np

from robust.attacks.base import Attack, adversarial_rows
from robust.attacks.rungs import Outcome
from robust.attacks.target import Target, unanswered
from robust.evidence import Evidence, Finding
from robust.measures.unanswered import attacked_silence, clean_silence
from robust.types import BoolArray, FloatArray

# Rows of a class that is never predicted before that is worth a sentence: of few rows all may be mistaken.
_ENOUGH = 5


def clean_evidence(target: Target, scores: FloatArray) -> tuple[Evidence, ...]:
    """Rows without an answer as they are, which count as wrong, and classes of the data that are never predicted.

    Args:
        target: The classifier and all rows (n, d).
        scores: What it says of them (n, k); NaN in rows without an answer.
    """
    silent, name = unanswered(scores), target.caller.model.name
    found = list(clean_silence(target.caller, target.data, silent, counted="wrong"))
    decided = scores[~silent].argmax(axis=1)
    for label in np.setdiff1d(target.y, decided).tolist():
        rows = int((target.y == label).sum())
        if rows >= _ENOUGH:
            names = target.caller.model.classes
            which = repr(label if names is None or label >= len(names) else names[label])
            text = f"{name} predicts class {which} for no row, but {rows} of {len(target)} rows have it: all are wrong"
            found.append(Finding(text=text))
    return tuple(found)


def silent_evidence(outcome: Outcome | None, target: Target | None) -> tuple[Evidence, ...]:
    """Rows that an attack broke by taking the model's answer away.

    Args:
        outcome: What the attacks did; None where no row was right.
        target: The classifier and the rows that were right; None where none was.
    """
    if outcome is None or target is None:
        return ()
    return attacked_silence(target.caller, target.data, outcome.rows, outcome.silent, counted="broken")


def curve_evidence(
    attack: Attack, target: Target, survived: BoolArray, grid: Sequence[float], *, silent: bool, seed: int
) -> list[tuple[Evidence, ...]]:
    """The same at each budget of a curve, whose search keeps no rows: asked anew where there is something to tell.

    Each row that broke is attacked once more, at the budget at which it did.

    Args:
        attack: The attack of the curve, a template.
        target: The classifier and all rows (n, d).
        survived: Which of them are right at each budget, from none to the largest (k + 1, n).
        grid: The budgets (k,).
        silent: Whether the model gave no answer for some rows that the curve asked about.
        seed: Seed of the attack.
    """
    right = survived[0]
    told, rows = np.unique(target.y, return_counts=True)
    lost = np.setdiff1d(told[rows >= _ENOUGH], target.y[right])
    if not silent and not len(lost):
        return [()] * len(grid)
    clean = clean_evidence(target, target.scores(target.x, keep=True))
    quiet, forms = np.zeros(len(target), dtype=bool), target.x.copy()
    found: list[tuple[Evidence, ...]] = []
    for k, budget in enumerate(grid):
        fallen = np.flatnonzero(survived[k] & ~survived[k + 1])
        if silent and len(fallen):
            part = target.part(fallen)
            forms[fallen] = adversarial_rows(attack.at(budget), part, seed=seed)
            quiet[fallen] = unanswered(part.scores(forms[fallen]))
        attacked = attacked_silence(
            target.caller, target.data.rows(right), forms[right], quiet[right], counted="broken"
        )
        found.append((*clean, *attacked))
    return found
