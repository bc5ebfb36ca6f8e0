"""A report as a PDF: tables that wrap and go on over pages, pictures that fit, the same bytes each time."""

import json
import re
from collections.abc import Sequence
from typing import Any

from robust.errors import MissingExtra
from robust.filesets.report_parts import Section
from robust.report.wording import printable

#: Letters that the fonts inside the typesetter have: Latin, Greek, Cyrillic, punctuation, arrows, mathematical signs.
_COVERED = re.compile(r"[\u0020-\u045f\u2010-\u2040\u2070-\u20c0\u2190-\u23ff]*")

#: The page itself is always the same: text comes in as strings of `sys.inputs`, which are never read as markup.
_PAGE = rb"""
#let report = json(bytes(sys.inputs.report))
#set document(title: report.title, date: none)
#set page(paper: "a4", margin: (x: 20mm, y: 22mm), numbering: "1 / 1")
#set text(font: "Libertinus Serif", size: 10.5pt, lang: "en", hyphenate: false)
#set par(spacing: 0.9em)
#set heading(outlined: true)
#show heading: set block(above: 1.6em, below: 0.9em)
#show table: set text(size: 9pt)
#show table.cell.where(y: 0): strong
// A long run without a gap may break at any letter, at an empty box, which adds nothing to what is copied or searched.
// Scripts whose letters join are left alone.
#show regex("[!-\u{2ff}\u{370}-\u{52f}]{17,}"): run => run.text.clusters().join(box())

#let tallest = 225mm
#let picture(shown) = layout(room => {
  let drawn = image.with(bytes(shown.content), alt: shown.name)
  let size = measure(drawn())
  align(center, drawn(width: size.width * calc.min(1, room.width / size.width, tallest / size.height)))
})

#title()
#for section in report.sections {
  heading(section.title)
  for line in section.lines { par(line) }
  if section.headings.len() > 0 {
    table(
      columns: section.headings.len(),
      stroke: (x: none, y: 0.5pt + luma(80%)),
      inset: (x: 5pt, y: 4pt),
      align: left,
      table.header(..section.headings),
      ..section.rows.flatten(),
    )
  }
  for shown in section.pictures { picture(shown) }
}
"""


def require_pdf() -> None:
    """Refuse a PDF before anything is measured where the library that makes it is not installed.

    Raises:
        MissingExtra: If it is not.
    """
    _typesetter()


def pdf_report(sections: Sequence[Section], *, title: str) -> bytes:
    """A report as a PDF file.

    Letters that no font of the typesetter has are taken from the machine's fonts, and drawn as a box where none of them
    has it either; without such letters the same report is the same bytes on every machine.

    Args:
        sections: Its parts.
        title: Its heading, and the title in its metadata.

    Returns:
        The file; text from data is shown letter by letter.

    Raises:
        MissingExtra: If the library that makes it is not installed.
    """
    typst = _typesetter()
    parts = {"title": printable(title), "sections": [_plain(section) for section in sections]}
    report = json.dumps(parts, ensure_ascii=False)
    covered = _COVERED.fullmatch(report) is not None
    content: bytes = typst.compile(
        _PAGE,
        format="pdf",
        font_paths=typst.Fonts(include_system_fonts=not covered),
        sys_inputs={"report": report},
    )
    return content


def _typesetter() -> Any:
    """The library, imported where a PDF is asked for alone."""
    try:
        import typst
    except ImportError as error:
        raise MissingExtra("a report as PDF", "pdf") from error
    return typst


def _plain(section: Section) -> dict[str, Any]:
    """A section in the words of the page; a picture is its bytes as numbers."""
    return {
        "title": _line(section.title),
        "lines": [_line(line) for line in section.lines],
        "headings": [_line(heading) for heading in section.headings],
        "rows": [[_line(cell) for cell in row] for row in section.rows],
        "pictures": [
            {"name": printable(picture.stem), "content": list(picture.read_bytes())} for picture in section.pictures
        ],
    }


def _line(text: str) -> str:
    """Text from data on one line, without the indents of a terminal."""
    return printable(text).strip()
