"""Verdicts as text lines: a failed assertion, its report section, and the closing table of all gates."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from robust.evidence import Fact, Flips, Rows, SelfCheck, Slices, Values
from robust.measurement import Affine, Measurement
from robust.verdict import Verdict, aligned, percentage

# pytest cuts an explanation at 8 lines or 640 characters, outside CI; nothing that matters may be behind the cut.
LINES, CHARACTERS, WIDTH = 8, 640, 110
SLICES, IDS = 20, 3

Row = Mapping[str, str | float | int | bool | None]
Kind = TypeVar("Kind")


def assertion_lines(verdict: Verdict) -> list[str]:
    """Say in at most 8 lines and 640 characters why a comparison came out as it did.

    Args:
        verdict: What the comparison said.

    Returns:
        The verdict's line; for other than `PASS` also the reason, both models' values, flips, the worst slice,
        row ids and what to do, as far as there is evidence and room.

    >>> m = Measurement(name="accuracy", value=0.8, lower=0.7, upper=0.88, n=60, method="clopper-pearson")
    >>> for line in assertion_lines(m > 0.9):
    ...     print(line)
    0.8 > 0.9  [FAIL: 95% upper bound 0.88, n=60]
      accuracy  0.8 (95% one-sided: 0.7 .. 0.88)
    """
    head, m = _headline(verdict), verdict.measurement
    if verdict.status == "PASS":
        return [head]
    flips, rows = _first(m, Flips), _first(m, Rows)
    body = [_why(verdict), _values(m), _flips(verdict, flips), _worst(verdict), _row_ids(flips, rows)]
    chosen, fix = [head], [_clip(line) for line in _fix(verdict)]
    for line in map(_clip, filter(None, body)):
        if len(chosen) + len(fix) < LINES and sum(map(len, [*chosen, *fix, line])) <= CHARACTERS:
            chosen.append(line)
    return chosen + fix


def evidence_lines(verdict: Verdict) -> list[str]:
    """Write down everything that a verdict rests on.

    Args:
        verdict: What the comparison said.

    Returns:
        The verdict's line and reason, then each piece of evidence, self-check and provenance.
    """
    return [_clean(verdict.line()), _line("reason", verdict.reason), *_measured(verdict.measurement)]


def evidence_section(verdicts: Iterable[Verdict]) -> str:
    """Join the evidence of several verdicts; a measurement that was compared twice is written once."""
    groups: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(id(verdict.measurement), []).append(verdict)
    blocks = []
    for group in groups.values():
        lines = [_clean(verdict.line()) for verdict in group[:-1]]
        blocks.append("\n".join(lines + evidence_lines(group[-1])))
    return "\n\n".join(blocks)


def unsettled_text(uses: Sequence[tuple[Verdict, str]]) -> str:
    """Say why a passed test is made to fail.

    Args:
        uses: Each unsettled verdict that was used as a truth value, and where, or an empty text; at least one.

    Returns:
        The comparison, what is wrong with having used it, and what to do.
    """
    verdict, where = uses[0]
    others = len({id(other) for other, _ in uses}) - 1
    place = f" at {where}" if where else ""
    more = f", and so were {others} more unsettled comparisons" if others else ""
    return "\n".join(
        [
            _headline(verdict),
            f"  was used as a truth value{place}{more}, and the test passed: an unsettled comparison is false, "
            "so `not`, `or` and `if` turn it into a pass that nothing proves",
            *(line for line in [_why(verdict), *_fix(verdict)] if line),
            "  or        assert the comparison itself, ask for its .status, or mark the test "
            "robust_allow_inconclusive",
        ]
    )


# --- the closing table ----------------------------------------------------------------------------------------


def gate_property(verdict: Verdict, *, used: bool) -> str:
    """Write a verdict as the one-line JSON that travels in a test's properties."""
    m = verdict.measurement
    numbers = {"value": m.value, "bound": verdict.bound, "limit": verdict.limit, "margin": verdict.margin}
    row: dict[str, str | float | int | bool | None] = {"name": m.name, "operator": verdict.operator}
    # Strict JSON has no infinities.
    row |= {key: float(number) if math.isfinite(number) else str(float(number)) for key, number in numbers.items()}
    row |= {"n": int(m.n), "status": verdict.status, "needed_n": verdict.needed_n, "used": used}
    return json.dumps(row)


def omitted_property(count: int) -> str:
    """Say how many verdicts of a test have no row of their own."""
    return json.dumps({"omitted": count})


def gate_table(properties: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Lay out all gates of a run.

    Args:
        properties: For each test's id what `gate_property` wrote for its verdicts.

    Returns:
        Lines, each with a status or, for the heading and notes, an empty text; sorted by test.
    """
    cells = [("", ("gate", "value", "bound", "limit", "margin", "n", "verdict"))]
    for nodeid in sorted(properties):
        rows: list[Row] = [json.loads(text) for text in properties[nodeid]]
        for row in rows:
            name = f" [{row['name']}]" if len(rows) > 1 else ""
            value, bound, limit = aligned(*(float(row[key] or 0) for key in ("value", "bound", "limit")))
            status = str(row["status"])
            verdict = status.lower() if status == "PASS" else status
            verdict += f", need n>={row['needed_n']}" if row["needed_n"] else ""
            verdict += "" if row["used"] else " (never asserted)"
            margin = aligned(float(row["margin"] or 0), 0.0)[0]
            margin = margin if margin.startswith("-") else f"+{margin}"
            texts = (nodeid + name, value, bound, f"{row['operator']} {limit}", margin, str(row["n"]), verdict)
            cells.append((status, tuple(map(_clean, texts))))
    widths = [max(len(texts[column]) for _, texts in cells) for column in range(6)]
    return [
        (status, "  ".join([texts[0].ljust(widths[0]), *map(str.rjust, texts[1:6], widths[1:]), texts[6]]))
        for status, texts in cells
    ]


# --- single lines ---------------------------------------------------------------------------------------------


def _headline(verdict: Verdict) -> str:
    """The verdict's line without the long reason of INVALID, which has its own line."""
    return _clip(_clean(verdict.line()).replace(f" ({_clean(verdict.reason)})", "", 1).replace(" [", "  [", 1))


def _why(verdict: Verdict) -> str:
    """What stands in the way of a verdict; a FAIL has said it in its first line."""
    if verdict.status == "INVALID":
        return _line("why", verdict.reason)
    return f"  {_clean(verdict.reason)}" if verdict.status == "INCONCLUSIVE" else ""


def _values(m: Measurement) -> str:
    """Value and bounds, after the two models' own values where two were compared."""
    value, lower, upper = aligned(m.value, m.lower, m.upper)
    bounds = "exact" if m.exact else f"{percentage(m.level)} one-sided: {lower} .. {upper}"
    values = _first(m, Values)
    if values is None:
        return _line(m.name, f"{value} ({bounds})")
    reference, candidate = aligned(values.reference, values.candidate)
    return _line(values.metric, f"{reference} -> {candidate}, {m.name} {value} ({bounds})")


def _flips(verdict: Verdict, flips: Flips | None) -> str:
    """Discordant rows, which are the whole statistics of a paired gate; none at all needs a word of its own."""
    if flips is None:
        return ""
    if flips.right_to_wrong == flips.wrong_to_right == 0:
        rules_out = verdict.status == "INCONCLUSIVE" and verdict.decided_by == "upper"
        m = verdict.measurement
        only = f"; {flips.n} rows rule out only a {m.name} above {aligned(m.upper)[0]}" if rules_out else ""
        return _line("flips", f"0 of {flips.n} rows flipped{only}")
    return _line(
        "flips",
        f"{flips.right_to_wrong} right->wrong, {flips.wrong_to_right} wrong->right of {flips.n}; "
        f"exact McNemar p={flips.p:.1g}",
    )


def _worst(verdict: Verdict) -> str:
    """The worst slice, and whether it alone is proved to miss the limit."""
    m, table = verdict.measurement, _first(verdict.measurement, Slices)
    if table is None or not table.slices:
        return ""
    part = table.slices[0]
    value, lower, upper = aligned(part.value, part.lower, part.upper)
    text = f"{part.name}: {table.measure} {value} on n={part.n} ({lower} .. {upper})"
    # Slices keep the measure's own scale: after arithmetic they and the limit are different things.
    if table.measure == m.name and m.sizing is not None and not isinstance(m.sizing, Affine):
        if verdict.operator in ("<", "<=") and part.lower > verdict.limit:
            text += ", over the limit on its own"
        elif verdict.operator in (">", ">=") and part.upper < verdict.limit:
            text += ", under the limit on its own"
    return _line("worst", text)


def _row_ids(flips: Flips | None, rows: Rows | None) -> str:
    """A few rows to look at."""
    if rows is not None and rows.ids:
        what, ids, total = rows.what, rows.ids, max(rows.total, len(rows.ids))
    elif flips is not None and flips.rows:
        what, ids, total = "right->wrong", flips.rows, max(flips.right_to_wrong, len(flips.rows))
    else:
        return ""
    more = f" (+{total - IDS})" if total > IDS else ""
    return _line("rows", f"{what}: {', '.join(map(str, ids[:IDS]))}{more}")


def _fix(verdict: Verdict) -> list[str]:
    """What the reader can do about a verdict that is not settled."""
    m, limit = verdict.measurement, verdict.limit
    if verdict.status == "INVALID":
        return [_line("fix", "no number of rows helps: the self-check must pass before this value can be believed")]
    if verdict.status != "INCONCLUSIVE":
        return []
    passing = m.value < limit if verdict.operator in ("<", "<=") else m.value > limit
    if verdict.needed_n and passing:
        return [_line("fix", f"use n>={verdict.needed_n} rows (PASS there if the observed rates hold) or relax the limit")]
    if verdict.needed_n:
        text = f"the value misses the limit: n>={verdict.needed_n} rows would settle it as FAIL if the rates hold"
        return [_line("fix", text)]
    if m.value == limit:
        return [_line("fix", "no n settles it: the value equals the limit; improve the model or relax the limit")]
    return [_line("fix", "use more rows or relax the limit")]


def _measured(m: Measurement) -> list[str]:
    """All that is known about a measurement."""
    value, lower, upper = aligned(m.value, m.lower, m.upper)
    bounds = "no sampling error" if m.exact else f"{lower} .. {upper}, each {percentage(m.level)} one-sided"
    lines = [_line("measured", f"{m.name} {value} ({m.unit}), {bounds}, n={m.n}, method {m.method}")]
    for item in m.evidence:
        match item:
            case Values(metric=metric):
                before, after = aligned(item.reference, item.candidate)
                lines.append(_line(metric, f"reference {before}, candidate {after}"))
            case Flips():
                text = f"{item.right_to_wrong} right->wrong, {item.wrong_to_right} wrong->right of {item.n}"
                lines.append(_line("flips", f"{text}; exact McNemar p={item.p:.3g}"))
                if item.rows:
                    lines.append(_line("", "right->wrong rows: " + ", ".join(map(str, item.rows))))
            case Slices():
                lines += _slice_table(item)
            case Rows():
                values = [f" ({aligned(value)[0]})" for value in item.values] or [""] * len(item.ids)
                ids = ", ".join(f"{row}{value}" for row, value in zip(item.ids, values, strict=False))
                more = f" (+{item.total - len(item.ids)})" if item.total > len(item.ids) else ""
                lines.append(_line("rows", f"{item.what}: {ids}{more}"))
            case Fact(name=name):
                lines.append(_line(name, str(item.value)))
    lines += [_check(check) for check in m.validity]
    made = m.provenance
    lines += [_line("model", f"{name}  {digest}") for name, digest in made.models]
    lines += [_line("data", f"{name}  {digest}") for name, digest in made.data]
    options = [f"{name}={value}" for name, value in made.options]
    options += [] if made.seed is None else [f"seed={made.seed}"]
    cost = f"{made.cost.forward_rows} rows forwards, {made.cost.backward_rows} backwards, {made.cost.seconds:.3g} s"
    return [*lines, *([_line("options", " ".join(options))] if options else []), _line("cost", cost)]


def _slice_table(table: Slices) -> list[str]:
    """The parts with their simultaneous bounds, worst first."""
    shown = table.slices[:SLICES]
    texts = [aligned(part.value, part.lower, part.upper) for part in shown]
    width = max([len(part.name) for part in shown], default=0)
    lines = [_line("slices", f"{table.measure} by {table.by}, simultaneous {percentage(table.level)} bounds")]
    for part, (value, lower, upper) in zip(shown, texts, strict=True):
        note = f"  {part.note}" if part.note else ""
        lines.append(_clean(f"    {part.name.ljust(width)}  n={part.n:<7} {value:>8}  {lower} .. {upper}{note}"))
    left = len(table.slices) - len(shown)
    return [*lines, f"    ({left} more)"] if left else lines


def _check(check: SelfCheck) -> str:
    """One self-check and what came of it."""
    outcome = "passed" if check.passed else f"FAILED (bias: {check.bias})"
    return _line("check", f"{check.name}: {outcome}{': ' + check.reason if check.reason else ''}")


def _first(m: Measurement, kind: type[Kind]) -> Kind | None:
    """The first evidence of a kind."""
    return next((item for item in m.evidence if isinstance(item, kind)), None)


def _line(label: str, text: str) -> str:
    """A labelled line; the text starts in one column while labels are short."""
    return f"  {_clean(label):<9} {_clean(text)}"


def _clean(text: str) -> str:
    """Names and ids come from data: a newline or an escape sequence in one must not reach the terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _clip(line: str) -> str:
    """Cut a line that would push the others behind pytest's own cut."""
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
