"""A record as a table for the command line, with what each gate that did not pass rests on."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from robust.record.shape import Entry, Record
from robust.report.numbers import NO_BOUND, Shown
from robust.report.sentence import answer, verdict_sentence
from robust.report.view import findings
from robust.report.wording import NO_GATE, decider_words, printable, settled_by, unit_words

_COLUMNS: Final = ("code", "measure", "value", "bounds", "n", "gate", "verdict")
#: Columns that the name of a measure keeps at least.
_NAME: Final = 12
_STYLES = {
    "PASS": "green",
    "FAIL": "bold red",
    "INCONCLUSIVE": "yellow",
    "INVALID": "magenta",
    NO_GATE: "dim",
}
_ANSWERS = {"yes": "bold green", "no": "bold red", "open": "bold yellow", "none": "bold"}


def render_table(record: Record, width: int) -> list[RenderableType]:
    """Lay out a record for a terminal.

    Args:
        record: An audit.
        width: Columns of the terminal; text that does not fit is folded, never cut.

    Returns:
        What to print, in order: the table, the gates that did not pass with their reasons, findings, checks that did
        not run, and the verdict, last, where the eye is.
    """
    parts: list[RenderableType] = []
    if record.entries:
        parts.append(_table(record, width))
    parts += [Padding(line, (0, 0, 0, 2), expand=False) for line in _unsettled(record)]
    parts += _listed("findings", (text for text, _ in findings(record)))
    parts += _listed(
        "not run",
        (f"{s.code} {s.title}: {s.reason}{' (a gate depends on it)' if s.gated else ''}" for s in record.skipped),
    )
    parts += [Text(""), _text(verdict_sentence(record), _ANSWERS[answer(record)])]
    return parts


def _table(record: Record, width: int) -> Table:
    """One row a measurement; the name of the measure gives way first, digits only where nothing else is left."""
    rows = [_cells(entry) for entry in record.entries]
    gap = 2 if width >= 100 else 1
    widest = [max(cells[i].cell_len for cells in rows) for i in range(len(_COLUMNS))]
    rigid = sum(map(max, widest, map(len, _COLUMNS))) - widest[1] + _NAME + gap * len(_COLUMNS) <= width
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold", collapse_padding=True)
    for name in _COLUMNS:
        table.add_column(
            name,
            justify="right" if name in ("value", "n") else "left",
            overflow="fold",
            no_wrap=rigid and name != "measure",
        )
    for cells in rows:
        table.add_row(*cells)
    return table


def _cells(entry: Entry) -> tuple[Text, ...]:
    """Code, measure, value, bounds, n, gate and verdict."""
    m, shown = entry.measurement, Shown(entry)
    status = NO_GATE if entry.gate is None else entry.gate.status
    name = _text(m.name)
    if unit_words(m.unit):
        name.append(f" ({printable(m.unit)})", style="dim")
    return (
        _text(entry.code, "dim"),
        name,
        _text(shown.value),
        _text(shown.bounds, "dim" if NO_BOUND in shown.bounds else ""),
        Text(str(m.n)),
        _text(shown.limit),
        Text(status, style=_STYLES[status]),
    )


def _unsettled(record: Record) -> Iterator[Text]:
    """For each gate that did not pass: gate, value, limit, bound, n and reason."""
    for entry in record.entries:
        gate, m = entry.gate, entry.measurement
        if gate is None or gate.status == "PASS":
            continue
        shown = Shown(entry)
        line = Text("\n") + Text(f"{gate.status} ", style=_STYLES[gate.status])
        line.append(f"{printable(gate.name)}: {shown.value}, required {shown.limit}; ")
        line.append(f"{decider_words(gate, m)} {shown.bound}, n={m.n}\n")
        line.append(printable(gate.reason))
        settled = settled_by(gate, m)
        line.append(f"; {settled}" if settled else "")
        yield line


def _listed(heading: str, texts: Iterable[str]) -> list[RenderableType]:
    """A heading and its lines, indented; nothing where there is no line."""
    lines = [Padding(_text(text), (0, 0, 0, 2), expand=False) for text in texts]
    return [Text(f"\n{heading}", style="bold"), *lines] if lines else []


def _text(text: str, style: str = "") -> Text:
    """Text from data: no markup is read in it, and no control character reaches the terminal."""
    return Text(printable(text), style=style, overflow="fold")
