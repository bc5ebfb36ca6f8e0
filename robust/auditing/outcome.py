"""One number for a whole audit."""

from collections.abc import Iterable

from robust.record.shape import Entry, Skipped

OK, GATE_FAILED, USAGE, INTERNAL, UNSETTLED, NOT_EVALUATED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def exit_code(
    entries: Iterable[Entry], skipped: Iterable[Skipped], *, gated: bool, interrupted: bool, refused: bool = False
) -> int:
    """The exit code of an audit.

    Args:
        entries: What was measured.
        skipped: What was not; a gate on a check that did not run counts as unsettled.
        gated: Whether gates were configured or required.
        interrupted: Whether Ctrl-C ended it.
        refused: Whether a gate asks what no measurement can answer, such as whether a share is below 95.

    Returns:
        130 interrupted; 2 a gate was refused; 1 a gate failed; 4 a gate is inconclusive, invalid or could not be
        measured; 5 gates were wanted and none was evaluated; 0 otherwise; the first that applies, in that order.
    """
    if interrupted:
        return INTERRUPTED
    if refused:
        return USAGE
    statuses = [entry.gate.status for entry in entries if entry.gate is not None]
    if "FAIL" in statuses:
        return GATE_FAILED
    if gated and not statuses:
        return NOT_EVALUATED
    if set(statuses) - {"PASS"} or any(entry.gated for entry in skipped):
        return UNSETTLED
    return OK
