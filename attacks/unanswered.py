"""What is told of rows that a model gives no answer for: as they are, and as an attack made them."""

import numpy as np

from robust.attacks.rungs import Outcome
from robust.attacks.target import Target, unanswered
from robust.evidence import Evidence, Finding, Rows
from robust.measures.details import row_ids
from robust.types import AnyArray, BoolArray, FloatArray

_MOST_ROWS = 10
# Rows of a class that is never predicted before that is worth a sentence: of few rows all may be mistaken.
_ENOUGH = 5


def clean_evidence(target: Target, scores: FloatArray) -> tuple[Evidence, ...]:
    """Rows without an answer as they are, which count as wrong, and classes of the data that are never predicted.

    Args:
        target: The classifier and all rows (n, d).
        scores: What it says of them (n, k); NaN in rows without an answer.
    """
    silent, name = unanswered(scores), target.caller.model.name
    found: list[Evidence] = []
    if silent.any():
        said = f"{name} {_reason(target, target.x, silent)} on {_count(silent)} as they are: they count as wrong"
        found += [Finding(text=said), _rows("rows without an answer (counted as wrong)", target, silent)]
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
    if outcome is None or target is None or not outcome.silent.any():
        return ()
    silent = outcome.silent
    said = (
        f"{target.caller.model.name} {_reason(target, outcome.rows, silent)} on adversarial forms of {_count(silent)}, "
        "inside budget and schema: they count as broken"
    )
    return Finding(text=said), _rows("rows whose adversarial form has no answer (counted as broken)", target, silent)


def _reason(target: Target, x: AnyArray, silent: BoolArray) -> str:
    """What the model does on the first of some rows."""
    first = x[np.flatnonzero(silent)[0]]
    return target.caller.unanswered(first.reshape(target.data.schema.shape)) or "gave no answer"


def _count(rows: BoolArray) -> str:
    return f"{int(rows.sum())} of {len(rows)} rows"


def _rows(what: str, target: Target, rows: BoolArray) -> Rows:
    return Rows(what=what, ids=row_ids(target.data, np.flatnonzero(rows)[:_MOST_ROWS]), total=int(rows.sum()))
