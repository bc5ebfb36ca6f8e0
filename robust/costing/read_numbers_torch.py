"""Whether the numbers that a torch module reads of its data steer it: comparisons are answered both ways."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from robust.costing.decided_torch import READ
from robust.costing.numbers_torch import Answers
from robust.costing.tally import Uncounted

if TYPE_CHECKING:
    from robust.costing.recorder_torch import Recorder

#: Runs in which the answers to comparisons are tried.
MOST = 64
_TOO_MANY = (
    "whether its course is decided in the run is not known: it compares numbers that depend on the input, and their "
    f"answers are more than {MOST} runs can try"
)
_REFUSALS = (AssertionError, ValueError, ArithmeticError, RuntimeError)
Run = Callable[[Answers, int | None], tuple["Recorder", BaseException | None]]


def steering_numbers(recorder: "Recorder", run: Run) -> list[Uncounted]:
    """Modules whose operators may change with the numbers that they read.

    Every answer to every comparison is tried, after every answer to those before it; the operators and the shapes of
    their results have to be the same in all runs. A run that raises at once on an answer only refuses the number.

    Args:
        recorder: Of a run.
        run: Runs the model from its present state with answers, and with at most so many operators; returns its
            recorder, and what it raised.

    Returns:
        One entry a module that reads numbers, where they may decide.
    """
    reads = dict.fromkeys(recorder.flow.numbers)
    why = _why(recorder, run) if reads else ""
    return [Uncounted(name=name, kind=kind, reason=why, affects=("macc", "ram")) for name, kind in reads if why]


def _why(recorder: "Recorder", run: Run) -> str:
    """What the numbers decide, in words; empty for nothing."""
    answers = Answers()
    before, raised = run(answers, None)
    if raised is not None or not _followed(answers, before, recorder):
        return READ
    if before.flow.numbers[: len(recorder.flow.numbers)] != recorder.flow.numbers:
        return READ  # it kept some of the first run, and may decide by them
    course = before.flow.course
    left, tried = _branches(answers), 1
    while left:
        if tried + len(left) > MOST:
            return _TOO_MANY
        answers = left.pop()
        found, raised = run(answers, len(course))
        if not _followed(answers, found, recorder) or not _same(course, found, answers, raised):
            return READ
        tried += 1
        left += _branches(answers)
    return ""


def _branches(answers: Answers) -> list[Answers]:
    """Another answer to each comparison that was not forced, and a refusal of each number, after what went before."""
    if answers.refusing is not None:
        return []
    taken, first = answers.taken, len(answers.forced)
    refused = [Answers(taken[:at], refusing=i) for i, at in enumerate(answers.risks) if at >= first]
    return refused + [Answers([*taken[:i], not taken[i]]) for i in range(first, len(taken))]


def _followed(answers: Answers, found: "Recorder", recorder: "Recorder") -> bool:
    """Whether all numbers stayed in sight, and nothing decided that the first run did not tell."""
    told = {(item.name, item.kind) for item in recorder.uncounted}
    return (
        not answers.lost
        and {(item.name, item.kind) for item in found.uncounted} <= told
        and set(found.flow.exits) <= set(recorder.flow.exits)
    )


def _same(course: list[tuple[object, ...]], found: "Recorder", answers: Answers, raised: BaseException | None) -> bool:
    """Whether a run took the same course, or refused a number before it did anything with it."""
    if len(answers.taken) < len(answers.forced):
        return False
    if answers.refusing is not None and (answers.refusal is None or raised is not answers.refusal):
        return False  # somebody catches it and goes on
    if raised is None:
        return found.flow.course == course
    refused = isinstance(raised, _REFUSALS) and answers.tried == answers.asked
    return refused and found.flow.course == course[: len(found.flow.course)]
