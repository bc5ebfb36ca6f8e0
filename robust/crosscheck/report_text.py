"""The report of a comparison as text: one section a line of the table, with what its figures rest on."""

from collections.abc import Sequence

from robust.crosscheck.output_rows import OutputRow, Role
from robust.crosscheck.summary_table import figures_line, ordered, summary_text, verdict_lines

_RULE = "-" * 100
_TITLES: dict[Role, str] = {
    "candidate": "Accuracy report #{} for the candidate model",
    "reference": "Accuracy report #{} for the reference model",
    "X-cross": "Cross accuracy report #{} (reference vs candidate)",
}


def report_text(rows: Sequence[OutputRow], *, header: Sequence[str], log: Sequence[str], remarks: Sequence[str]) -> str:
    """The whole report.

    Args:
        rows: Lines of the table.
        header: Which models, on what.
        log: How the samples were made, and what all tensors are.
        remarks: How to read it.

    Returns:
        Sections in the order candidate, reference, X-cross, each with notes, figures and, for classes, a confusion
        matrix; the summary table; the remarks; one line an output with its l2r.
    """
    parts = ["\n".join(header), "\n".join(["Validation data", *log])]
    parts += [section_text(row) for row in ordered(rows)]
    parts.append(summary_text(rows))
    if remarks:
        parts.append("\n".join(["How to read it", *(f"  - {remark}" for remark in remarks)]))
    lines = verdict_lines(rows)
    return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])]) + "\n"


def section_text(row: OutputRow) -> str:
    """One section: title, notes, figures, confusion matrix."""
    first, *others = row.notes
    lines = [_TITLES[row.role].format(row.number), _RULE, f"notes: - {first}"]
    lines += [f"       - {note}" for note in others]
    lines += ["", *(f"  {line}" for line in figures_line(row.metrics).splitlines())]
    if row.confusion is not None:
        lines += ["", *(f"  {line}" for line in row.confusion.text().splitlines())]
    return "\n".join(lines)
