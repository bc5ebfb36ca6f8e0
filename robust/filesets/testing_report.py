"""The report of a test as a file of the format that is asked for."""

from collections.abc import Sequence

from robust.filesets.report_html import html_report
from robust.filesets.report_markdown import markdown_report
from robust.filesets.report_parts import Section
from robust.filesets.report_pdf import pdf_report
from robust.filesets.testing_options import ReportFormat


def written_report(sections: Sequence[Section], form: ReportFormat, *, title: str) -> tuple[str, bytes]:
    """A report as a file.

    Args:
        sections: Its parts.
        form: `markdown`, which links the pictures beside it; `html` or `pdf`, one file that holds them.
        title: Its heading.

    Returns:
        Name and content of the file.

    Raises:
        MissingExtra: If a PDF is asked for and the library that makes it is not installed.
    """
    if form == "markdown":
        return "report.md", markdown_report(sections, title=title).encode()
    if form == "pdf":
        return "report.pdf", pdf_report(sections, title=title)
    return "report.html", html_report(sections, title=title).encode()
