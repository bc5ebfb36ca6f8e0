"""A live set: rows under attack in one batch, where a finished row leaves at once and the next takes its place."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import numpy as np

from robust.attacks.balls import Ball
from robust.types import BoolArray, IntArray

# Frameworks compute in blocks of this many rows: filling smaller gaps would gain nothing.
_GAP = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Live:
    """Rows that are being attacked; every field is an array with a line a row, or the ball around the rows.

    Args:
        rows: Rows of the target (m,).
        ball: Where they may go.
    """

    rows: IntArray
    ball: Ball

    def part(self, keep: BoolArray) -> Self:
        """Some of the rows."""
        changes: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            changes[field.name] = value[keep] if isinstance(value, np.ndarray) else value.part(keep)
        return replace(self, **changes)

    def joined(self, other: Self) -> Self:
        """These rows and some more."""
        changes: dict[str, Any] = {}
        for field in fields(self):
            mine, its = getattr(self, field.name), getattr(other, field.name)
            changes[field.name] = np.concatenate([mine, its]) if isinstance(mine, np.ndarray) else mine.joined(its)
        return replace(self, **changes)


_Set = TypeVar("_Set", bound=Live)


def refilled(
    jobs: IntArray,
    *,
    batch: int,
    enter: Callable[[IntArray], _Set],
    step: Callable[[_Set], _Set | None],
    wanted: Callable[[IntArray], BoolArray] | None = None,
) -> None:
    """Work through jobs in one batch that is kept full.

    Args:
        jobs: Jobs, in the order in which they enter (m,).
        batch: Rows that fill a call of the model.
        enter: From jobs to their live set, a row each.
        step: From a live set to what goes on after one step; None where nothing does.
        wanted: Which of some jobs are still worth starting; all, where it is left out.
    """
    live: _Set | None = None
    while len(jobs) or live is not None:
        room = batch - (0 if live is None else len(live.rows))
        if len(jobs) and (live is None or room >= _GAP):
            if wanted is not None:
                jobs = jobs[wanted(jobs)]
            if len(jobs):
                entered = enter(jobs[:room])
                jobs = jobs[room:]
                live = entered if live is None else live.joined(entered)
        if live is not None:
            live = step(live)
