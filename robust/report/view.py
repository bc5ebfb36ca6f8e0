"""A record arranged the way the page shows it: one card a measurement, one section a family."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from robust.evidence import Evidence, Fact, Figure, Finding, Flips, Gallery, Rows, Slices, Table, Values
from robust.record.shape import Entry, Record, Skipped
from robust.report.drawing import Drawn, draw
from robust.report.numbers import NO_BOUND, Shown, grouped, places, written
from robust.report.pictures import address
from robust.report.scale import Scale, scale
from robust.report.wording import FAMILIES, NO_GATE, family_words, row_words

Kind = TypeVar("Kind", bound=Evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """A table of slices as text; `rows` hold name, n, value, lower, upper and note."""

    by: str
    measure: str
    level: float
    rows: tuple[tuple[str, ...], ...]
    noted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """A gallery; `rows` hold id, words, and address and title of each picture."""

    title: str
    note: str
    rows: tuple[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], ...]
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One measurement of the page.

    Facts of one name stand together. `elsewhere` are figures that an earlier card shows: title, and id and title of
    that card.
    """

    id: str
    entry: Entry
    status: str
    shown: Shown
    scale: Scale | None
    values: tuple[tuple[str, str, str, str, str], ...]
    flips: tuple[tuple[Flips, str], ...]
    slices: tuple[SliceTable, ...]
    rows: tuple[tuple[Rows, str, int], ...]
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    figures: tuple[Drawn, ...]
    elsewhere: tuple[tuple[str, str, str], ...]
    tables: tuple[tuple[Table, int], ...]
    galleries: tuple[Shots, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The cards of one family of checks."""

    id: str
    title: str
    question: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """Checks (code and title) that gave no answer for one reason, and the gates that depend on them."""

    checks: tuple[tuple[str, str], ...]
    reason: str
    gates: tuple[str, ...]


def sections(record: Record, folder: Path | None = None) -> tuple[Section, ...]:
    """Arrange a record's entries by family, known families first, in the order of a report.

    Args:
        record: An audit.
        folder: Where charts are kept between runs; None lays them out anew.

    Returns:
        One section for each family that has an entry.
    """
    taken: set[str] = set()
    shown: dict[Figure, tuple[str, str]] = {}
    families: dict[str, list[Card]] = {family: [] for family in FAMILIES}
    for entry in record.entries:
        families.setdefault(entry.code[:3], []).append(_card(entry, _identifier(entry.code, taken), folder, shown))
    found = []
    for family, cards in families.items():
        if cards:
            title, question = family_words(family)
            found.append(Section(id=_identifier(family, taken), title=title, question=question, cards=tuple(cards)))
    return tuple(found)


def findings(record: Record) -> tuple[tuple[str, int], ...]:
    """What a reader would want to know, once each, with the position of the entry that found it."""
    found: dict[str, int] = {}
    for i, entry in enumerate(record.entries):
        for item in _of(entry, Finding):
            found.setdefault(item.text, i)
    return tuple(found.items())


def unanswered(record: Record, *, failed: bool) -> tuple[Unanswered, ...]:
    """Checks that failed, or that did not run, together where the reason is the same."""
    groups: dict[str, list[Skipped]] = {}
    for item in record.skipped:
        if item.failed == failed:
            groups.setdefault(item.reason, []).append(item)
    return tuple(
        Unanswered(
            checks=tuple(dict.fromkeys((item.code, item.title) for item in items)),
            reason=reason,
            gates=tuple(item.name for item in items if item.gated),
        )
        for reason, items in groups.items()
    )


def _card(entry: Entry, identifier: str, folder: Path | None, shown: dict[Figure, tuple[str, str]]) -> Card:
    """Evidence sorted by kind and written out; a figure that is `shown` already is not drawn again."""
    drawn = []
    elsewhere = []
    for i, item in enumerate(_of(entry, Figure), start=1):
        place = shown.setdefault(item, (identifier, entry.title))
        if place[0] == identifier:
            drawn.append(draw(item, f"{identifier}-figure-{i}", folder))
        else:
            elsewhere.append((item.title, *place))
    facts: dict[str, tuple[str, ...]] = {}
    for fact in _of(entry, Fact):
        text = fact.value if isinstance(fact.value, str) else grouped(fact.value)
        facts[fact.name] = (*facts.get(fact.name, ()), text)
    return Card(
        id=identifier,
        entry=entry,
        status=NO_GATE if entry.gate is None else entry.gate.status,
        shown=Shown(entry),
        scale=scale(entry),
        values=tuple(_values(item) for item in _of(entry, Values)),
        flips=tuple((item, row_words(item.rows)) for item in _of(entry, Flips)),
        slices=tuple(_slice_table(item, entry.measurement.unit) for item in _of(entry, Slices)),
        rows=tuple(
            (item, row_words(item.ids, item.values), max(item.total - len(item.ids), 0)) for item in _of(entry, Rows)
        ),
        facts=tuple(facts.items()),
        figures=tuple(drawn),
        elsewhere=tuple(elsewhere),
        tables=tuple((item, max(item.total - len(item.rows), 0)) for item in _of(entry, Table)),
        galleries=tuple(_shots(item) for item in _of(entry, Gallery)),
    )


def _of(entry: Entry, kind: type[Kind]) -> list[Kind]:
    """Evidence of one kind, in the order of the record."""
    return [item for item in entry.measurement.evidence if isinstance(item, kind)]


def _values(item: Values) -> tuple[str, str, str, str, str]:
    """Both models' values, as precise as it takes to tell them apart."""
    count = places("share", (item.reference, item.candidate))
    before, after = (written(number, count, missing="not a number") for number in (item.reference, item.candidate))
    return item.metric, before, item.names[0], after, item.names[1]


def _shots(item: Gallery) -> Shots:
    """A gallery with its pictures as they stand in the page."""
    return Shots(
        title=item.title,
        note=item.note,
        rows=tuple(
            (str(example.id), example.words, tuple((address(part), part.title) for part in example.pictures))
            for example in item.examples
        ),
        omitted=max(item.total - len(item.examples), 0),
    )


def _slice_table(table: Slices, unit: str) -> SliceTable:
    """All numbers of a table with the same decimals: columns that line up can be read down."""
    numbers = [number for part in table.slices for number in (part.value, part.lower, part.upper)]
    count = places(unit, numbers, apart=False)
    rows = tuple(
        (
            part.name,
            f"{part.n:,}",
            *(written(number, count, missing=NO_BOUND) for number in (part.value, part.lower, part.upper)),
            part.note,
        )
        for part in table.slices
    )
    return SliceTable(
        by=table.by,
        measure=table.measure,
        level=table.level,
        rows=rows,
        noted=any(part.note for part in table.slices),
    )


def _identifier(text: str, taken: set[str]) -> str:
    """A name for an element, unlike every other: letters, digits and dashes of a text, numbered from the second on."""
    base = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-") or "check"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name
