"""Asks an attack of another library for rows: fewer at a time where memory, or the model, fails it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.attacks.foreign_answers import ModuleRaised, rows_given
from robust.attacks.target import Target
from robust.data.budget import Eps
from robust.errors import InvalidInput
from robust.models.base import adapter_of
from robust.models.foreign_errors import blamed
from robust.predicting.memory import OutOfMemory, lacks_memory
from robust.types import AnyArray, FloatArray

_WORDS = 32


def is_foolbox(attack: object) -> bool:
    """Whether an object is one of foolbox's attacks; nothing is imported to find out.

    Args:
        attack: Anything.
    """
    library = sys.modules.get("foolbox")
    return library is not None and isinstance(attack, library.attacks.base.Attack)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """What an attack made of some rows.

    Args:
        rows: Flat (m, d), float64, as they came.
        stopped: With how many it could not go on, since the model raised.
        fault: What the model raised the last time; None where it did not.
    """

    rows: FloatArray
    stopped: int = 0
    fault: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What an attack is asked, whichever rows it is given.

    Args:
        call: The attack.
        title: What a reader calls it.
        eps: The budget in the user's units.
        bounds: One range for all features, which is what foolbox knows.
        seed: Of the global random numbers, for the length of the call.
    """

    call: Callable[..., Any]
    title: str
    eps: Eps | None
    bounds: tuple[float, float]
    seed: int

    def ask(self, part: Target) -> Given:
        """What the attack makes of some rows; halves of them are asked anew where the model raises.

        A single row on which it does is taken as it was when the model raised.

        Args:
            part: The rows (m, d).

        Raises:
            OutOfMemory: If there is no memory for so many rows.
            ModelFault: If the attack raises, or returns something else than rows.
        """
        try:
            return Given(rows=self._asked(part))
        except ModuleRaised as raised:
            fault, rows = raised.__cause__, raised.rows
        if len(part) == 1:
            reached = part.x if rows is None else rows
            return Given(rows=np.array(reached.reshape(1, -1), dtype=np.float64), stopped=1, fault=fault)
        halves = [self.ask(part.part(half)) for half in np.array_split(np.arange(len(part)), 2)]
        return Given(
            rows=np.vstack([half.rows for half in halves]), stopped=sum(half.stopped for half in halves), fault=fault
        )

    def _asked(self, part: Target) -> FloatArray:
        """The rows of one call."""
        model, adapter = part.caller.model, adapter_of(part.caller.model)

        def scores(x: AnyArray) -> FloatArray:
            rows = np.asarray(x)
            return part.scores(rows.reshape(len(rows), -1).astype(part.x.dtype))

        given: object = None
        failed: list[Exception] = []
        with blamed(self.title, f"it attacked {model.name}"), _noted(failed, len(part)), _seeded(self.seed):
            if model.framework == "torch" and hasattr(adapter, "module"):
                from robust.attacks.foreign_torch import foolbox_rows, function_rows

                if is_foolbox(self.call):
                    given = foolbox_rows(
                        self.call, adapter, part, eps=self._one_eps(), bounds=self.bounds, seed=self.seed
                    )
                else:
                    given = function_rows(self.call, adapter, part, seed=self.seed)
            elif is_foolbox(self.call):
                from robust.attacks.foreign_torch import foolbox_rows_by_scores

                given = foolbox_rows_by_scores(self.call, scores, part, eps=self._one_eps(), bounds=self.bounds)
            else:
                given = self.call(scores, np.array(part.data.x), np.array(part.data.targets))
        for error in failed:
            raise error
        return rows_given(given, part.data.x.shape, title=self.title)

    def _one_eps(self) -> float:
        if not isinstance(self.eps, float):
            raise InvalidInput(f"{self.title} takes one budget for all features, got {self.eps!r}")
        return self.eps


@contextmanager
def _noted(failed: list[Exception], rows: int) -> Iterator[None]:
    """Note what fewer rows may mend, rather than raise it: a lack of memory, and a model that raises."""
    try:
        yield
    except ModuleRaised as raised:
        failed.append(raised)
    except Exception as error:
        if rows == 1 or not lacks_memory(error):
            raise
        lack = OutOfMemory()
        lack.__cause__ = error
        failed.append(lack)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which foreign code draws from, and put it back."""
    before = np.random.get_state()  # noqa: NPY002 - theirs, not ours
    np.random.seed(seed % 2**_WORDS)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
