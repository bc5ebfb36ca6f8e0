"""The one sentence that a release manager reads: may it ship?"""

from dataclasses import dataclass
from typing import Literal

from robust.record.shape import Record
from robust.report.wording import printable
from robust.verdict import Status

Answer = Literal["yes", "no", "open", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Names of the gates by what became of them; `unmeasured` ones belong to checks that did not run."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    inconclusive: tuple[str, ...]
    invalid: tuple[str, ...]
    unmeasured: tuple[str, ...]

    @property
    def total(self) -> int:
        """All gates that were set."""
        return sum(map(len, (self.passed, self.failed, self.inconclusive, self.invalid, self.unmeasured)))


def tally(record: Record) -> Tally:
    """Sort the gates of a record by what became of them."""

    def named(status: Status) -> tuple[str, ...]:
        return tuple(entry.gate.name for entry in record.entries if entry.gate and entry.gate.status == status)

    return Tally(
        passed=named("PASS"),
        failed=named("FAIL"),
        inconclusive=named("INCONCLUSIVE"),
        invalid=named("INVALID"),
        unmeasured=tuple(skipped.name for skipped in record.skipped if skipped.gated),
    )


def answer(record: Record) -> Answer:
    """Whether it may ship: `yes`, `no`, `open` (not settled) or `none` (nothing was asked)."""
    gates = tally(record)
    if gates.failed:
        return "no"
    if gates.total == 0:
        return "open" if record.interrupted or record.exit_code == 5 else "none"
    return "yes" if len(gates.passed) == gates.total and not record.interrupted else "open"


def verdict_sentence(record: Record) -> str:
    """Say in one sentence whether it may ship, and which gates stand in the way.

    Args:
        record: An audit.

    Returns:
        The question, the answer and the count of gates; never a yes while a gate is unsettled, could not be
        measured, or the audit was interrupted.
    """
    gates = tally(record)
    if gates.total == 0:
        if record.interrupted:
            return "May it ship? Not settled: the audit was interrupted before any gate was evaluated."
        if record.exit_code == 5:
            return "May it ship? Not settled: gates were asked for and none was evaluated."
        return "No gate was set: this audit measures, and leaves the decision to its reader."
    word = {"yes": "Yes", "no": "No", "open": "Not settled", "none": ""}[answer(record)]
    text = f"May it ship? {word}: {_counts(gates)}"
    if record.interrupted:
        text += "; the audit was interrupted, what it did not reach is missing"
    if record.decide == "value":
        text += "; estimates were decided by their values, intervals ignored"
    return f"{text}."


def _counts(gates: Tally) -> str:
    """`3 of 4 gates pass, 1 is inconclusive (degradation)`."""
    if len(gates.passed) == gates.total:
        return {1: "the only gate passes", 2: "both gates pass"}.get(gates.total, f"all {gates.total} gates pass")
    groups = (
        (gates.failed, "fails", "fail"),
        (gates.passed, "passes", "pass"),
        (gates.inconclusive, "is inconclusive", "are inconclusive"),
        (gates.invalid, "is invalid", "are invalid"),
        (gates.unmeasured, "could not be measured", "could not be measured"),
    )
    parts: list[str] = []
    for names, one, many in groups:
        if names:
            subject = str(len(names)) if parts else f"{len(names)} of {gates.total} gates"
            if gates.total == 1:
                subject = "the only gate"
            which = "" if names is gates.passed else f" ({', '.join(map(printable, names))})"
            parts.append(f"{subject} {one if len(names) == 1 else many}{which}")
    return ", ".join(parts)
