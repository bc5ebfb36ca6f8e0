"""Keeps what attacks found by content hash, together with what it cost.

Long searches are kept block by block of rows, so that whoever interrupts one finds its finished rows again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robust.attacks.target import Target
from robust.predicting.metering import count_rows, metered
from robust.predicting.notices import notice
from robust.predicting.settings import current_settings
from robust.types import AnyArray

# Of the searches: what was found by another one is not handed out. It goes up when any of them finds other rows.
_EDITION = "8"

# Rows of a block, in full calls of the model and at least: within one, a row that is done makes room for the next.
_CALLS, _LEAST = 4, 256
# Forward passes, backward passes, rows without an answer.
_COSTS = 3


@dataclass(slots=True, eq=False)
class Progress:
    """Which searches have finished rows, kept or found again.

    Args:
        rows: Rows that each search has finished.
        kept: Whether what was finished can be found again: a plain function has no content that it could be kept by.
    """

    rows: dict[str, int] = field(default_factory=dict)
    kept: bool = True

    def words(self, folder: Path | None) -> str:
        """What somebody who interrupted is told.

        Args:
            folder: Where results outlive the process; None if nowhere.

        >>> Progress(rows={"FGSM": 9, "PGD": 5}).words(None)
        'kept in memory alone: finished rows, 9 of FGSM, 5 of PGD; asked again, it goes on from there'
        """
        done = ", ".join(f"{rows} of {name}" for name, rows in self.rows.items())
        if not done:
            return "nothing is kept: no search had finished any rows"
        if not self.kept:
            return "nothing is kept: the content of a function is not known; asked again, it starts anew"
        where = "in memory alone" if folder is None else f"in {folder}"
        return f"kept {where}: finished rows, {done}; asked again, it goes on from there"


_progress: ContextVar[Progress | None] = ContextVar("robust_attack_progress", default=None)


@contextmanager
def followed() -> Iterator[Progress]:
    """Follow what the searches inside the block finish."""
    progress = Progress()
    token = _progress.set(progress)
    try:
        yield progress
    finally:
        _progress.reset(token)


@contextmanager
def resumable() -> Iterator[None]:
    """Say of an interrupt inside the block what is kept, in a note of the exception and to whoever listens."""
    with followed() as progress:
        try:
            yield
        except KeyboardInterrupt as stop:
            words = progress.words(current_settings().cache.folder)
            stop.add_note(words)
            notice("interrupted", words)
            raise


def by_blocks(target: Target, name: str, *, run: Callable[[Target], AnyArray], axis: int = 0) -> AnyArray:
    """A result with an entry a row, made block by block of rows, so that an interrupted search keeps its start.

    Args:
        target: The classifier and the rows (n, d).
        name: Of the search, for people.
        run: Makes and keeps the result for some of the rows; a row's part in it must depend on that row alone.
        axis: Along which the rows lie in the result.

    Returns:
        The result for all rows, read-only.
    """
    n, progress = len(target), _progress.get()
    # What is not kept would only be slower in blocks.
    size = n if target.caller.identity is None else max(_CALLS * target.batch, _LEAST)
    found: list[AnyArray] = []
    for start in range(0, n, size):
        part = target if size >= n else target.part(np.arange(start, min(start + size, n)))
        found.append(run(part))
        if progress is not None:
            progress.kept &= target.caller.identity is not None
            progress.rows[name] = progress.rows.get(name, 0) + len(part)
    return found[0] if len(found) == 1 else _frozen(np.concatenate(found, axis=axis))


def kept_in_blocks(
    target: Target, name: str, *parts: AnyArray | str, compute: Callable[[Target], AnyArray], axis: int = 0
) -> AnyArray:
    """A result with an entry a row, from the cache or computed, each block of rows by itself.

    Args:
        target: The classifier and the rows (n, d).
        name: Of the search, for people; no part of the key.
        parts: Everything else that the result depends on.
        compute: Makes the result for some of the rows; a row's part in it must depend on that row alone.
        axis: Along which the rows lie in the result.

    Returns:
        The result for all rows, read-only.
    """
    return by_blocks(target, name, run=lambda part: kept(part, *parts, compute=lambda: compute(part)), axis=axis)


def kept(target: Target, *parts: AnyArray | str, compute: Callable[[], AnyArray]) -> AnyArray:
    """A result from the cache, or computed and kept.

    The passes that it cost are kept with it and counted again: a record says what a number costs, not what a
    run did.

    Args:
        target: The classifier and the rows, which are part of the key.
        parts: Everything else that the result depends on.
        compute: Makes the result.

    Returns:
        The result, read-only.
    """
    data, cache = target.data, current_settings().cache
    schema = data.schema
    rules = (schema.names, schema.kinds, schema.groups, schema.categories, schema.relations, target.kind)
    # Rows of a patient target are not those of another: the first broken one does not end its search.
    mood = (target.patient, target.askings.times)
    key = target.caller.key(
        _EDITION,
        *parts,
        repr(rules),
        repr(mood),
        schema.lower,
        schema.upper,
        schema.immutable,
        data.x,
        target.y,
        data.row_keys(),
    )
    if key is None:
        return _frozen(compute())
    found, cost = cache.get(key), cache.get(f"{key}-cost")
    if found is not None and cost is not None and len(cost) == _COSTS:
        count_rows(forward=int(cost[0]), backward=int(cost[1]))
        target.caller.count_unanswered(int(cost[2]))
        return found
    with metered() as meter:
        found = _frozen(compute())
    cache.put(key, found)
    cache.put(f"{key}-cost", np.array([meter.forward_rows, meter.backward_rows, meter.unanswered_rows]))
    return found


def _frozen(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array
