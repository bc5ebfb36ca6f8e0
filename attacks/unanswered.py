"""What is told of rows that a model gives no answer for: as they are, and as an attack made them."""

import numpy as np

from robust.attacks.rungs import Outcome
from robust.attacks.target import Target, unanswered
from robust.evidence import Evidence, Finding
from robust.measures.unanswered import attacked_silence, clean_silence
from robust.types import FloatArray

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
