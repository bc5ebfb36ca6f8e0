"""A record as one HTML page that needs nothing else: no network, no second file, scripts optional."""

import base64
import hashlib
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from robust.record.shape import Record
from robust.report import numbers, wording
from robust.report.bundle import bundle
from robust.report.sentence import answer, verdict_sentence
from robust.report.view import findings, sections, unanswered
from robust.verdict import percentage

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(record: Record, *, cache: Path | None = None) -> str:
    """Make the page of a record.

    Charts are drawn live where scripts run, and stand as SVG where they do not. The content policy forbids every
    load and every script but the two whose hashes it names; all text from the record is escaped.

    Args:
        record: An audit.
        cache: Folder in which charts and their libraries are kept between runs; None makes them anew.

    Returns:
        A whole HTML document; the same record gives the same text.
    """
    parts = sections(record, cache)
    specs = {drawn.id: drawn.spec for part in parts for card in part.cards for drawn in card.figures if drawn.spec}
    scripts = [bundle(cache), _read("report.js")] if specs else []
    cards = [card for part in parts for card in part.cards]
    entry_ids = {id(card.entry): card.id for card in cards}
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            sentence=verdict_sentence(record),
            answer=answer(record),
            sections=parts,
            gates=[card for card in cards if card.entry.gate is not None],
            findings=[(text, entry_ids[id(record.entries[i])]) for text, i in findings(record)],
            silent=[
                (name, heading, items)
                for name, heading, failed in (("failed", "What failed", True), ("skipped", "What did not run", False))
                if (items := unanswered(record, failed=failed))
            ],
            styles=Markup(_read("report.css")),  # noqa: S704 - our own file
            policy=_policy(scripts, pictured=any(card.galleries for card in cards)),
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own, and the bundle without end tags
            specs=_embedded(specs),
            words=wording,
            numbers=numbers,
        )
    )
    return page if page.endswith("\n") else f"{page}\n"


def _environment() -> Environment:
    """Templates in which everything is escaped, and nothing that is misspelt passes for empty."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else wording.printable(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percentage"] = percentage
    environment.filters["titled"] = wording.titled
    return environment


def _policy(scripts: list[str], *, pictured: bool) -> str:
    """The content policy: nothing is loaded, and no script runs but these; pictures stand in the page itself."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    sources = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    # Vega writes style attributes; there is no style from data.
    pictures = " img-src data:;" if pictured else ""
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline';{pictures} base-uri 'none'; "
        "form-action 'none'"
    )


def _embedded(specs: object) -> Markup:
    """JSON that no parser takes for the end of its element."""
    text = json.dumps(specs, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - no letter that HTML knows is left


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
