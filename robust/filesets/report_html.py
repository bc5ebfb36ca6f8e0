"""A report as one HTML file, which holds its pictures."""

import base64
from collections.abc import Sequence

from markupsafe import escape

from robust.filesets.report_parts import Section
from robust.report.wording import printable

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1d232b}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ccd2d9;padding:.25em .8em;"
    "text-align:left}img{max-width:100%}"
)


def html_report(sections: Sequence[Section], *, title: str) -> str:
    """A report as an HTML page that calls for nothing outside itself.

    Args:
        sections: Its parts.
        title: Its heading.

    Returns:
        The page; text from data is escaped.

    >>> "<h2>Findings</h2><p>2 &lt; 3</p>" in html_report([Section(title="Findings", lines=("2 < 3",))], title="a")
    True
    """
    name = escape(printable(title))
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title><style>{_STYLE}</style>"]
    parts.append(f"<h1>{name}</h1>")
    for section in sections:
        parts.append(f"<h2>{escape(printable(section.title))}</h2>")
        parts += [f"<p>{escape(printable(line))}</p>" for line in section.lines]
        if section.headings:
            heads = "".join(f"<th>{escape(printable(head))}" for head in section.headings)
            parts.append(f"<table><tr>{heads}")
            parts += ["<tr>" + "".join(f"<td>{escape(printable(cell))}" for cell in row) for row in section.rows]
            parts.append("</table>")
        for picture in section.pictures:
            content = base64.b64encode(picture.read_bytes()).decode()
            alt = escape(printable(picture.stem))
            parts.append(f'<p><img alt="{alt}" src="data:image/png;base64,{content}"></p>')
    return "".join([*parts, "</html>\n"])
