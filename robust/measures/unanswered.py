"""What is told of rows that a model gives no answer for, where a measure goes on without them."""

import numpy as np

from robust.data.dataset import Dataset
from robust.evidence import Evidence, Finding, Rows
from robust.measures.details import row_ids
from robust.predicting.calling import Caller
from robust.types import AnyArray, BoolArray

_MOST_ROWS = 10
_COUNTED = "answer (counted as"


def clean_silence(caller: Caller, data: Dataset, silent: BoolArray, *, counted: str) -> tuple[Evidence, ...]:
    """What a model does on rows as they are, and what that counts as.

    Args:
        caller: The model.
        data: All rows (n).
        silent: Those without an answer (n,); where there are none, nothing is told.
        counted: What they count as, such as `wrong`.
    """
    what = f"rows without an {_COUNTED} {counted})"
    return _told(caller, data, data.x, silent, where="{} as they are", counted=counted, what=what)


def of_silence(item: Evidence) -> bool:
    """Whether evidence lists rows that a model gave no answer for."""
    return isinstance(item, Rows) and _COUNTED in item.what


def attacked_silence(
    caller: Caller, data: Dataset, x: AnyArray, silent: BoolArray, *, counted: str
) -> tuple[Evidence, ...]:
    """What a model does on rows that an attack made, and what that counts as.

    Args:
        caller: The model.
        data: The rows that were attacked (n).
        x: The rows that were made of them (n, …).
        silent: Those without an answer (n,); where there are none, nothing is told.
        counted: What they count as, such as `broken`.
    """
    where = "adversarial forms of {}, inside budget and schema"
    what = f"rows whose adversarial form has no {_COUNTED} {counted})"
    return _told(caller, data, x, silent, where=where, counted=counted, what=what)


def _told(
    caller: Caller, data: Dataset, x: AnyArray, silent: BoolArray, *, where: str, counted: str, what: str
) -> tuple[Evidence, ...]:
    rows = np.flatnonzero(silent)
    if not len(rows):
        return ()
    did = caller.unanswered(x[rows[0]].reshape(data.schema.shape)) or "gave no answer"
    place = where.format(f"{len(rows)} of {len(silent)} rows")
    said = Finding(text=f"{caller.model.name} {did} on {place}: they count as {counted}")
    return said, Rows(what=what, ids=row_ids(data, rows[:_MOST_ROWS]), total=len(rows))
