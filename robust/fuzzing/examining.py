"""Holds one batch against all properties: the same examination finds a failure, shrinks it and replays it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from robust.fuzzing.asking import Answer, Asker
from robust.fuzzing.batch_forms import PLAIN, BatchForm
from robust.fuzzing.company import changed_by_neighbours, changed_by_size, changed_by_time
from robust.fuzzing.expected import Expected
from robust.fuzzing.faults import Fault, Level, Property
from robust.fuzzing.lasting import Witness
from robust.fuzzing.subject import KillsProcess
from robust.types import AnyArray, BoolArray, FloatArray

#: A call that takes too long is asked again so often: other work of the host is not the model's fault.
_RETRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """What was found on a batch.

    Args:
        faults: Properties that do not hold.
        refused: How the model said no, where it may; None where it answered, or must not.
        noise: Largest difference between a row's answers in batches of different sizes that counts as rounding, as a
            share of the outputs' spread.
    """

    faults: tuple[Fault, ...] = ()
    refused: str | None = None
    noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examiner:
    """A model and what it is held to.

    Args:
        asker: The model.
        obeyed: From rows (b, d) to those that are inside the schema (b,).
        base: The simplest row (d,), to put beside others.
        expected: The yardstick of its outputs.
        may_refuse: Whether it may say no to what is outside.
    """

    asker: Asker
    obeyed: Callable[[AnyArray], BoolArray]
    base: AnyArray
    expected: Expected
    may_refuse: bool = True
    witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        """The simplest row tells whether the model is still the same."""
        object.__setattr__(self, "witness", Witness(row=self.base))

    def examine(
        self, rows: AnyArray, *, level: Level, form: BatchForm = PLAIN, sampled: frozenset[Property] = frozenset()
    ) -> Examined:
        """Ask about a batch and look at the answer.

        Args:
            rows: (b, d).
            level: Where they come from, which says what may be refused.
            form: What the batch looks like.
            sampled: Properties to look at that take calls of their own.
        """
        if "determinism" not in sampled:
            return self._examined(rows, level, form, sampled)
        self.witness.remember(self.asker, self.expected)
        found = self._examined(rows, level, form, sampled)
        lasting = self.witness.changed(self.asker, self.expected)
        return found if lasting is None else replace(found, faults=(*found.faults, lasting))

    def _examined(self, rows: AnyArray, level: Level, form: BatchForm, sampled: frozenset[Property]) -> Examined:
        """What the batch itself shows."""
        answer = self.asker.ask(rows, form)
        if answer.error is not None:
            if self.may_say_no(answer.error, rows, level, form):
                return Examined(refused=answer.told)
            return Examined(faults=(raised(answer),))
        faults = [*self._time(rows, form, answer)]
        if answer.stopped:
            return Examined(faults=tuple(faults))
        if answer.changed:
            faults.append(Fault(property="input unchanged", kind="in place", words="it changes its input in place"))
        if answer.misshapen is not None or answer.outputs is None:
            faults.append(Fault(property="shape", kind="shape", words=answer.misshapen or "it gives nothing"))
            return Examined(faults=tuple(faults))
        outputs, noise = answer.outputs, 0.0
        if outputs.shape[1] != self.expected.columns and (len(rows) or not answer.listed):
            words = f"it gives {outputs.shape[1]} numbers a row, on the data's rows {self.expected.columns}"
            return Examined(faults=(*faults, Fault(property="shape", kind="columns", words=words)))
        finite, invariant = bool(np.isfinite(outputs).all()), bool(len(rows)) and "batch invariance" in sampled
        ordinary = self.obeyed(rows) if level == "outside" and (invariant or not finite) else None
        faults += self._numbers(outputs, ordinary, finite=finite)
        if len(rows) and "determinism" in sampled:
            faults += changed_by_time(self.asker, self.expected, rows, form, outputs)
        if invariant:
            faults += changed_by_neighbours(self.asker, self.expected, rows, form, outputs, ordinary, self.base)
            found, noise = changed_by_size(self.asker, self.expected, rows, form, outputs)
            faults += found
        return Examined(faults=tuple(faults), noise=noise)

    def may_say_no(self, error: BaseException, rows: AnyArray, level: Level, form: BatchForm) -> bool:
        """Whether an exception is a clear refusal of something that may be refused."""
        subject = self.asker.subject
        if level != "outside" or not self.may_refuse or not subject.refuses(error):
            return False
        if form.plain or form.size == 0 or not self.obeyed(rows).all():
            return True
        return subject.typed and form.dtype is not None  # a framework checks number types itself

    def _numbers(self, outputs: FloatArray, ordinary: BoolArray | None, *, finite: bool) -> list[Fault]:
        """Outputs that are not finite, or no probabilities."""
        if not outputs.size:
            return []
        found = []
        if not finite:
            bad: BoolArray = ~np.all(np.isfinite(outputs), axis=1)
            bad = bad if ordinary is None else bad & ordinary
            if bad.any():
                some = outputs[bad]
                kind = "nan" if np.isnan(some).any() else "infinite"
                words = f"it gives {'NaN' if kind == 'nan' else 'infinity'} for {int(bad.sum())} of {len(bad)} rows"
                found.append(Fault(property="finite outputs", kind=kind, words=words, rows=bad))
        if self.expected.inside is not None:
            wrong, gap, beyond = self.expected.improbable(outputs)
            if wrong.any():
                worst = int(np.argmax(np.where(wrong, np.maximum(gap, beyond), -np.inf)))
                kind = "sum" if self.expected.summed is not None and gap[worst] > self.expected.summed else "range"
                words = (
                    f"a row's probabilities sum to {outputs[worst].sum():.6g}"
                    if kind == "sum"
                    else f"a probability misses 0 … 1 by {beyond[worst]:.3g}"
                )
                found.append(Fault(property="probabilities", kind=kind, words=words, rows=wrong))
        return found

    def _time(self, rows: AnyArray, form: BatchForm, answer: Answer) -> list[Fault]:
        """A call over its budget, each time that it is asked."""
        budget = self.asker.budget
        if budget is None or not (answer.seconds > budget or answer.stopped):
            return []
        seconds = answer.seconds
        for _ in range(0 if answer.stopped else _RETRIES):
            again = self.asker.ask(rows, form)
            seconds = min(seconds, again.seconds)
            if again.error is not None or seconds <= budget:
                return []
        how = "was given up after" if answer.stopped else "takes"
        words = (
            f"a call of {len(rows)} row{'' if len(rows) == 1 else 's'} {how} {seconds:.3g} s, {budget:g} s are allowed"
        )
        return [Fault(property="time", kind="stopped" if answer.stopped else "slow", words=words)]


def raised(answer: Answer) -> Fault:
    """The fault of a call that ended in an exception, or would have ended the process."""
    if isinstance(answer.error, KillsProcess):
        return Fault(property="no exception", kind="killed", words=str(answer.error))
    return Fault(property="no exception", kind=type(answer.error).__name__, words=f"it raises {answer.told}")
