"""A record as a table for the command line, with what each gate that did not pass rests on."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from robust.record.shape import Entry, Record
from robust.report.numbers import NO_BOUND, Shown
from robust.report.sentence import answer, verdict_sentence
from robust.report.view import Unanswered, findings, unanswered
from robust.report.wording import NO_GATE, decider_words, depending, printable, settled_by, unit_words

_COLUMNS: Final = ("code", "measure", "value", "bounds", "n", "gate", "verdict")
#: Columns that are folded at words where the table is too wide, in this order: measure, bounds, gate.
_FOLDED: Final = (1, 3, 5)
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
        What to print, in order: the table, the gates that did not pass with their reasons, findings, checks that
        failed or did not run, and the verdict, last, where the eye is.
    """
    parts: list[RenderableType] = []
    if record.entries:
        parts.append(_table(record, width))
    parts += [Padding(line, (0, 0, 0, 2), expand=False) for line in _unsettled(record)]
    parts += _listed("findings", (text for text, _ in findings(record)))
    parts += _listed("failed", map(_silence, unanswered(record, failed=True)))
    parts += _listed("not run", map(_silence, unanswered(record, failed=False)))
    parts += [Text(""), _text(verdict_sentence(record), _ANSWERS[answer(record)])]
    return parts


def _table(record: Record, width: int) -> Table:
    """One row a measurement; where it is too wide, names give way first, then bounds, then limits."""
    rows = [_cells(entry) for entry in record.entries]
    gap = 2 if width >= 100 else 1
    columns = list(zip(*[map(Text, _COLUMNS), *rows], strict=True))
    widths = [max(cell.cell_len for cell in cells) for cells in columns]
    for i in _FOLDED:
        excess = max(sum(widths) + gap * len(_COLUMNS) - width, 0)
        least = max(cell_len(piece) for cell in columns[i] for piece in _pieces(cell))
        widths[i] = max(widths[i] - excess, least)
        columns[i] = tuple(_folded(cell, widths[i]) for cell in columns[i])
    fits = sum(widths) + gap * len(_COLUMNS) <= width
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold", collapse_padding=True)
    for name in _COLUMNS:
        # In a terminal that is narrower than all this, letters are folded: nothing is ever cut.
        table.add_column(name, justify="right" if name in ("value", "n") else "left", overflow="fold", no_wrap=fits)
    for cells in zip(*[column[1:] for column in columns], strict=True):
        table.add_row(*cells)
    return table


def _pieces(text: Text) -> list[str]:
    """What is kept on one line: words, the parts of a name with underscores, a bound with the dots behind it."""
    return re.findall(r"\S+ \.\.|[^\s_]*_|[^\s_]+", text.plain)


def _folded(text: Text, width: int) -> Text:
    """Text with line ends, after a space or an underscore, where it would pass a width."""
    cuts, start, end = [], 0, 0
    for match in re.finditer(r"\S+ \.\. ?|[^\s_]*[_\s]|[^\s_]+", text.plain):
        if start < end and cell_len(text.plain[start : match.end()].rstrip()) > width:
            cuts.append(end)
            start = end
        end = match.end()
    lines = text.divide(cuts)
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


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


def _silence(item: Unanswered) -> str:
    """Which checks gave no answer, and why."""
    checks = ", ".join(f"{code} {title}" for code, title in item.checks)
    return f"{checks}: {item.reason}{f' ({depending(item.gates)})' if item.gates else ''}"


def _listed(heading: str, texts: Iterable[str]) -> list[RenderableType]:
    """A heading and its lines, indented; nothing where there is no line."""
    lines = [Padding(_text(text), (0, 0, 0, 2), expand=False) for text in texts]
    return [Text(f"\n{heading}", style="bold"), *lines] if lines else []


def _text(text: str, style: str = "") -> Text:
    """Text from data: no markup is read in it, and no control character reaches the terminal."""
    return Text(printable(text), style=style, overflow="fold")
