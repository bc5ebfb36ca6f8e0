"""One call of a model under test: what it gave, raised, changed, and how long it took."""

import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import FrameType

import numpy as np

from robust.errors import ModelFault
from robust.fuzzing.batch_forms import PLAIN, BatchForm
from robust.fuzzing.subject import Subject
from robust.models.contract import output_columns, same_bits
from robust.models.foreign_errors import brief
from robust.predicting.memory import OutOfMemory as OutOfMemory
from robust.predicting.memory import lacks_memory
from robust.predicting.metering import count_rows
from robust.types import AnyArray, FloatArray

#: A call is given up after this many budgets, or as many seconds if that is more.
_PATIENCE, _LEAST = 10.0, 1.0


class _TimeIsUp(BaseException):
    """Raised inside a call that takes too long; no `Exception`, so that a model does not catch it by the way."""


@dataclass(slots=True)
class Clock:
    """What was asked so far.

    Args:
        seconds: Inside the model.
        calls: Of it.
        rows: In all calls.
    """

    seconds: float = 0.0
    calls: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What one call came to.

    Args:
        outputs: (b, k), float64; None where there are none.
        error: What it raised, or None.
        misshapen: What is wrong with the outputs' shape or type, or None.
        changed: Whether the model changed its input.
        seconds: Inside the model.
        stopped: Whether it was given up.
        listed: Whether the outputs have one axis, as an empty list does, which says nothing of columns.
    """

    outputs: FloatArray | None = None
    error: BaseException | None = None
    misshapen: str | None = None
    changed: bool = False
    seconds: float = 0.0
    stopped: bool = False
    listed: bool = False

    @property
    def told(self) -> str:
        """What it raised, in a line."""
        return "" if self.error is None else brief(self.error)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asker:
    """A model that can be asked.

    Args:
        subject: The model.
        shape: Shape of a row.
        budget: Seconds that a call may take, or None.
        clock: Counts.
    """

    subject: Subject
    shape: tuple[int, ...]
    budget: float | None = None
    clock: Clock = field(default_factory=Clock)

    def ask(self, rows: AnyArray, form: BatchForm = PLAIN) -> Answer:
        """Ask about rows (b, d).

        Args:
            rows: In the number type of the data; not changed.
            form: What the batch looks like.

        Raises:
            OutOfMemory: If there is no memory for more than one row.
        """
        subject, fixed = self.subject, self.subject.model.fixed_batch
        asked = len(rows)
        if fixed is not None and asked < fixed:
            rows = np.concatenate([rows, np.repeat(rows[-1:], fixed - asked, axis=0)])
        self.clock.calls += 1
        self.clock.rows += asked
        count_rows(forward=asked)
        try:
            given = subject.native(rows.reshape(len(rows), *self.shape))
            own = form.arranged(given)
            # In the plain form the memory given is a copy of `given`, which stays as it is.
            before = given if form.dtype is None and form.layout == "rows" else own.copy()
            if subject.before is not None:
                subject.before(own)
            with nullcontext() if self.budget is None else _limited(self.budget):
                found = subject.ask(own)
        except KeyboardInterrupt:
            raise
        except _TimeIsUp:
            seconds = _patience(self.budget or 0.0)
            self.clock.seconds += seconds
            return Answer(seconds=seconds, stopped=True)
        except BaseException as error:
            if asked > 1 and fixed is None and lacks_memory(error):
                raise OutOfMemory from error
            return Answer(error=error)
        self.clock.seconds += found.seconds
        changed = found.changed or not same_bits(own, before)
        try:
            outputs = columns_of(found.outputs, len(rows))[:asked]
        except ModelFault as error:
            return Answer(misshapen=str(error), changed=changed, seconds=found.seconds)
        listed = np.ndim(found.outputs) == 1  # type: ignore[arg-type] # what has no axes has no columns
        return Answer(outputs=outputs, changed=changed, seconds=found.seconds, listed=listed)


def columns_of(outputs: object, rows: int) -> FloatArray:
    """Outputs as (b, k); an empty batch has no rows and as many columns as its shape says.

    Raises:
        ModelFault: If they are no numbers or of another shape.
    """
    found = np.asarray(outputs)
    if rows == 0 and found.ndim and not len(found) and found.dtype.kind in "fiub":
        return np.zeros((0, int(np.prod(found.shape[1:]))))
    return output_columns(found, rows)


def _patience(budget: float) -> float:
    return max(_PATIENCE * budget, _LEAST)


@contextmanager
def _limited(budget: float) -> Iterator[None]:
    """Give a call up after ten budgets where that can be done: in the main thread, where nobody else has set an alarm.

    Python's own code is interrupted; a kernel of a library runs on until it returns.
    """
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or signal.getitimer(signal.ITIMER_REAL)[0] or signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUp

    restore: Callable[[], object] = lambda: signal.setitimer(signal.ITIMER_REAL, 0)  # noqa: E731
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _patience(budget))
    try:
        yield
    finally:
        restore()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@contextmanager
def quiet() -> Iterator[None]:
    """Models warn of overflow and of odd values; here these are what is asked, and no warning is an answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
