"""A report as Markdown, which links the pictures that lie beside it."""

from collections.abc import Callable, Sequence

from robust.filesets.report_parts import Section
from robust.report.wording import printable


def markdown_report(sections: Sequence[Section], *, title: str) -> str:
    r"""A report as a Markdown page.

    Args:
        sections: Its parts.
        title: Its heading.

    Returns:
        The page; text from data is shown letter by letter.

    >>> print(markdown_report([Section(title="Findings", lines=("2 * 3",))], title="a_b"), end="")
    # a\_b
    <BLANKLINE>
    ## Findings
    <BLANKLINE>
    2 \* 3
    """
    lines = [f"# {_plain(title)}"]
    for section in sections:
        lines += ["", f"## {_plain(section.title)}"]
        for line in section.lines:
            lines += ["", _plain(line)]
        if section.headings:
            lines += ["", _row(section.headings), _row(["---"] * len(section.headings), safe=str)]
            lines += [_row(row) for row in section.rows]
        for picture in section.pictures:
            lines += ["", f"![{_plain(picture.stem)}]({picture.name})"]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str], *, safe: Callable[[str], str] | None = None) -> str:
    return f"| {' | '.join((safe or _plain)(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Text from data as Markdown shows it letter by letter."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#!" else letter for letter in printable(text))
