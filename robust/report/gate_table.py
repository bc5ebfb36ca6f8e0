"""The closing table of all gates of a test run; rows travel as JSON, so that worker processes can hand them on."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from robust.report.wording import printable
from robust.verdict import Verdict, aligned

HEADING = ["gate", "value", "bound", "limit", "margin", "n", "verdict"]


def gate_property(verdict: Verdict, *, used: bool) -> str:
    """Write a verdict, and whether it was `used` as a truth value, as the JSON that travels with a test."""
    m = verdict.measurement
    row: dict[str, Any] = {"name": m.name, "operator": verdict.operator, "n": int(m.n), "used": used}
    row |= {"status": verdict.status, "needed_n": verdict.needed_n}
    numbers = {"value": m.value, "bound": verdict.bound, "limit": verdict.limit, "margin": verdict.margin}
    for key, number in numbers.items():  # strict JSON has no infinities
        row[key] = float(number) if math.isfinite(number) else str(float(number))
    return json.dumps(row)


def omitted_property(count: int) -> str:
    """Say how many verdicts of a test have no row of their own."""
    return json.dumps({"omitted": count})


def gate_table(properties: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Lay out all gates of a run.

    Args:
        properties: For each test's id what `gate_property` and `omitted_property` wrote.

    Returns:
        A heading and one line a gate, each with its status or, where it is no gate, an empty text; by test.
        Comparisons that nothing took for a truth value are no gates but may be forgotten ones: a last line.
    """
    table, unused = [("", HEADING)], []
    for nodeid in sorted(properties):
        for text in properties[nodeid]:
            try:
                status, cells = _row(nodeid, json.loads(text), alone=len(properties[nodeid]) == 1)
            except (KeyError, TypeError, ValueError):
                # A user's own property of the same name must not break the summary.
                status, cells = "", [nodeid, *[""] * 5, f"unreadable: {text}"]
            if status == "unused":
                unused.append(nodeid)
            else:
                table.append((status, cells))
    widths = [max(len(cells[column]) for _, cells in table) for column in range(6)]
    lines = [
        (status, printable("  ".join([gate.ljust(widths[0]), *map(str.rjust, numbers, widths[1:]), verdict])))
        for status, (gate, *numbers, verdict) in table
    ]
    if not unused:
        return lines
    note = f"{len(unused)} comparisons were never asserted, the first in {printable(unused[0])}"
    return [*(lines if len(lines) > 1 else []), ("", note)]


def _row(nodeid: str, row: dict[str, Any], *, alone: bool) -> tuple[str, list[str]]:
    """One row of the table."""
    if "omitted" in row:
        return "", [nodeid, *[""] * 5, f"({int(row['omitted'])} more comparisons)"]
    value, bound, limit = aligned(*(float(row[key]) for key in ("value", "bound", "limit")))
    margin = aligned(float(row["margin"]), 0.0)[0]
    margin = f"+{margin}" if float(row["margin"]) >= 0 else margin
    verdict = "pass" if row["status"] == "PASS" else str(row["status"])
    verdict += f", need n>={row['needed_n']}" if row["needed_n"] else ""
    gate = nodeid if alone else f"{nodeid} [{row['name']}]"
    status = str(row["status"]) if row["used"] else "unused"
    return status, [gate, value, bound, f"{row['operator']} {limit}", margin, str(row["n"]), verdict]
