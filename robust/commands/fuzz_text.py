"""What `robust fuzz` prints, as text and as plain data.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust.commands.fuzz_model import FuzzReport
    from robust.fuzzing.fuzz_result import FuzzExample


def plain_result(report: "FuzzReport") -> dict[str, Any]:
    """What a fuzz found, as plain data.

    Args:
        report: With a result.
    """
    result, verdict = report.result, report.verdict
    if result is None:
        return {}
    return {
        "model": report.model,
        "failures": int(result.failures),
        "inputs": result.failures.n,
        "seed": result.failures.provenance.seed,
        "status": None if verdict is None else verdict.status,
        "reason": None if verdict is None else verdict.reason,
        "levels": {
            level: {
                "rows": tally.rows,
                "batches": tally.batches,
                "odd_forms": tally.forms,
                "refused": tally.refused,
                "failed": tally.failed,
                "by_property": dict(tally.by_property),
            }
            for level, tally in result.levels
        },
        "claims": list(result.claims),
        "refusals": dict(result.refusals),
        "notes": list(result.notes),
        "examples": [_plain_example(example) for example in result.examples],
        "seconds": result.seconds,
        "share_inside_model": result.inside_model,
        "interrupted": result.interrupted,
        "exit_code": report.exit_code,
    }


def _plain_example(example: "FuzzExample") -> dict[str, Any]:
    return {
        "property": example.property,
        "level": example.level,
        "kind": example.kind,
        "words": example.words,
        "rows": len(example.rows),
        "form": example.form.name,
        "features": [[i, name, repr(value)] for i, name, value in example.names],
        "inputs": example.inputs,
        "file": None if example.path is None else str(example.path),
    }


def plain_replay(report: "FuzzReport") -> dict[str, Any]:
    """What a replay found, as plain data.

    Args:
        report: With a replay.
    """
    found = report.replayed
    if found is None:
        return {}
    return {
        "model": report.model,
        "file": str(found.path),
        "property": found.property,
        "level": found.level,
        "fails": found.fails,
        "same_model": found.same_model,
        "words": found.words,
        "exit_code": report.exit_code,
    }


def result_text(report: "FuzzReport") -> str:
    """What is printed: levels, what may be said of them, one example of each failure, the verdict.

    Args:
        report: With a result.
    """
    from robust.report.wording import printable

    result = report.result
    if result is None:
        return ""
    lines = [*str(result).split("\n")]
    lines += [f"saved {example.path}" for example in result.examples if example.path is not None]
    lines += ["interrupted; finished batches count"] if result.interrupted else []
    lines += ["", f"failures: {report.verdict}"]
    return "\n".join(printable(line) for line in lines)


def replay_text(report: "FuzzReport") -> str:
    """What is printed of a replay.

    Args:
        report: With a replay.
    """
    from robust.report.wording import printable

    return printable(str(report.replayed))
