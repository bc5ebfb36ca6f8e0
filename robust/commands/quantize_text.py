"""What `robust quantize` prints, as text and as plain data.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust.commands.quantize_model import QuantizeReport
    from robust.quantization.candidate_rows import CandidateRow


def plain_report(report: "QuantizeReport") -> dict[str, Any]:
    """The report as plain data.

    Args:
        report: What was built and found.
    """
    table, verdict = report.table, report.verdict
    content = report.candidate.content
    return {
        "model": report.model,
        "candidate": report.candidate.name,
        "sha256": report.candidate.identity(),
        "bytes": None if content is None else len(content()),
        "written": None if report.written is None else str(report.written),
        "metric": None if table is None else table.metric,
        "rows": None if table is None else table.rows[0].degradation.n,
        "reference_rom": None if table is None else table.reference_rom,
        "candidates": [] if table is None else [_plain_row(row) for row in table.rows],
        "not_built": {} if table is None else dict(table.failed),
        "findings": [finding.text for finding in (report.findings if table is None else table.findings)],
        "gate": None
        if verdict is None
        else {"limit": verdict.limit, "operator": verdict.operator, "status": verdict.status, "reason": verdict.reason},
        "exit_code": report.exit_code,
    }


def _plain_row(row: "CandidateRow") -> dict[str, Any]:
    from robust.commands.cost_text import plain_number

    m, flips = row.degradation, row.flips
    return {
        "name": row.name,
        "model": row.model.name,
        "degradation": plain_number(m),
        "lower": plain_number(m, "lower"),
        "upper": plain_number(m, "upper"),
        "level": m.level,
        "right_to_wrong": None if flips is None else flips.right_to_wrong,
        "wrong_to_right": None if flips is None else flips.wrong_to_right,
        "weights_quantized": row.coverage.weights,
        "macc_quantized": row.coverage.macc,
        "rom": row.rom,
        "invalid": [check.reason for check in m.validity if not check.passed],
    }


def report_text(report: "QuantizeReport") -> str:
    """What is printed: what was built, the table, the verdict.

    Args:
        report: What was built and found.
    """
    from robust.report.wording import printable

    lines = [f"built    {report.candidate.name}"]
    lives = report.candidate.content is None
    missing = "not written: a live module has no file" if lives else "not written: give --out"
    lines.append(missing if report.written is None else f"written  {report.written}")
    lines += ["", report.table.table()] if report.table is not None else []
    lines += [f"note: {finding.text}" for finding in report.findings]
    lines += ["", f"degradation of the candidate: {report.verdict}"] if report.verdict is not None else []
    return "\n".join(printable(line) for text in lines for line in text.split("\n"))
