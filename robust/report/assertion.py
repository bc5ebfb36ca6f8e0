"""Verdicts as text lines: a failed assertion and its report section."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

from robust.evidence import Cost, Fact, Finding, Flips, Gallery, Rows, Slices, Table, Values
from robust.measurement import Affine, Measurement
from robust.report.wording import printable
from robust.verdict import Verdict, aligned, percentage

# pytest cuts an explanation at 8 lines or 640 characters: nothing that matters may stand behind the cut.
LINES, CHARACTERS, WIDTH = 8, 640, 110
SLICES, IDS = 20, 3
Kind = TypeVar("Kind")


def assertion_lines(verdict: Verdict) -> list[str]:
    """Say in at most 8 lines and 640 characters why a comparison came out as it did.

    Args:
        verdict: What the comparison said.

    Returns:
        The verdict's line; for other than `PASS` also the reason, both models' values, flips, the worst
        slice, row ids and what to do, as far as there is evidence and room.

    >>> m = Measurement(name="accuracy", value=0.8, lower=0.7, upper=0.88, n=60, method="clopper-pearson")
    >>> for line in assertion_lines(m > 0.9):
    ...     print(line)
    0.8 > 0.9  [FAIL: 95% upper bound 0.88, n=60]
      accuracy  0.8 (95% one-sided: 0.7 .. 0.88)
    """
    if verdict.status == "PASS":
        return [_headline(verdict)]
    m = verdict.measurement
    chosen, fix = [_headline(verdict)], [_clip(line) for line in _fix(verdict)]
    for line in map(_clip, [*_why(verdict), _values(m), *_flips(verdict), *_worst(verdict), *_row_ids(m)]):
        if len(chosen) + len(fix) < LINES and sum(map(len, [*chosen, *fix, line])) <= CHARACTERS:
            chosen.append(line)
    return chosen + fix


def evidence_lines(verdict: Verdict) -> list[str]:
    """Write down everything that a verdict rests on.

    First the verdict's line and reason, then each piece of evidence, self-check and provenance.
    """
    m, made = verdict.measurement, verdict.measurement.provenance
    value, lower, upper = aligned(m.value, m.lower, m.upper)
    bounds = "no sampling error" if m.exact else f"{lower} .. {upper}, each {percentage(m.level)} one-sided"
    lines = [printable(verdict.line()), _line("reason", verdict.reason)]
    lines.append(_line("measured", f"{m.name} {value} ({m.unit}), {bounds}, n={m.n}, method {m.method}"))
    for item in m.evidence:
        lines += _evidence(item)
    for check in m.validity:
        outcome = "passed" if check.passed else f"FAILED (bias: {check.bias})"
        lines.append(_line("check", f"{check.name}: {outcome}; {check.reason}"))
    lines += [_line("model", f"{name}  {digest}") for name, digest in made.models]
    lines += [_line("data", f"{name}  {digest}") for name, digest in made.data]
    seed = [] if made.seed is None else [("seed", str(made.seed))]
    lines += [_line("option", f"{name}={setting}") for name, setting in [*made.options, *seed]]
    lines += [_line("host", f"{name}: {fact}") for name, fact in made.host]
    if made.cost != Cost():
        asked = f"{made.cost.forward_rows} rows forwards, {made.cost.backward_rows} backwards"
        lines.append(_line("cost", f"{asked}, {made.cost.seconds:.3g} s"))
    return lines


def unsettled_text(uses: Sequence[tuple[Verdict, str]]) -> str:
    """Say why what passed is made to fail.

    `uses` are the unsettled verdicts that were used as truth values, and where; at least one.
    """
    verdict, where = uses[0]
    others = len({id(other) for other, _ in uses}) - 1
    lines = [
        _headline(verdict),
        printable(f"  was used as a truth value at {where}, and nothing failed: while unsettled it is false,"),
        "  so `not`, `or` and `if` make a pass of it that nothing proves",
        *_why(verdict),
        *_fix(verdict),
        _line("or", "assert the comparison itself, ask for its .status, or mark it robust_allow_inconclusive"),
    ]
    return "\n".join(lines + ([_line("also", f"{others} more unsettled comparisons")] if others else []))


# --- the closing table --------------------------------------------------------------------------------------


# --- single lines: none where there is nothing to say -------------------------------------------------------


def _headline(verdict: Verdict) -> str:
    """The verdict's line without the long reason of INVALID, which has its own line."""
    line = verdict.line().replace(f" ({verdict.reason})", "", 1)
    return _clip(printable(line.replace(" [", "  [", 1)))


def _why(verdict: Verdict) -> list[str]:
    """What stands in the way of a verdict; a FAIL has said it in its first line."""
    if verdict.status == "INVALID":
        return [_clip(_line("why", verdict.reason))]
    return [f"  {printable(verdict.reason)}"] if verdict.status == "INCONCLUSIVE" else []


def _values(m: Measurement) -> str:
    """Value and bounds, after the two models' own values where two were compared."""
    value, lower, upper = aligned(m.value, m.lower, m.upper)
    bounds = "exact" if m.exact else f"{percentage(m.level)} one-sided: {lower} .. {upper}"
    values = _first(m, Values)
    if values is None:
        return _line(m.name, f"{value} ({bounds})")
    reference, candidate = aligned(values.reference, values.candidate)
    return _line(values.metric, f"{reference} -> {candidate}, {m.name} {value} ({bounds})")


def _flips(verdict: Verdict) -> list[str]:
    """Discordant rows, the statistics of a paired gate; red without a single one needs a word of its own."""
    m, flips = verdict.measurement, _first(verdict.measurement, Flips)
    if flips is None:
        return []
    if flips.right_to_wrong or flips.wrong_to_right:
        return [_line("flips", f"{_discordant(flips)}; exact McNemar p={flips.p:.1g}")]
    text = f"0 of {flips.n} rows flipped"
    if verdict.status == "INCONCLUSIVE" and verdict.decided_by == "upper":
        text += f"; {flips.n} rows rule out only a {m.name} above {aligned(m.upper)[0]}"
    return [_line("flips", text)]


def _worst(verdict: Verdict) -> list[str]:
    """The worst slice, and whether it alone is proved to miss the limit."""
    m, table = verdict.measurement, _first(verdict.measurement, Slices)
    if table is None or not table.slices:
        return []
    part = table.slices[0]
    value, lower, upper = aligned(part.value, part.lower, part.upper)
    text = f"{part.name}: {table.measure} {value} on n={part.n} ({lower} .. {upper})"
    # Slices keep the measure's own scale: after arithmetic, they and the limit are different things.
    if table.measure == m.name and m.sizing is not None and not isinstance(m.sizing, Affine):
        if verdict.operator in ("<", "<=") and part.lower > verdict.limit:
            text += ", over the limit on its own"
        elif verdict.operator in (">", ">=") and part.upper < verdict.limit:
            text += ", under the limit on its own"
    return [_line("worst", text)]


def _row_ids(m: Measurement) -> list[str]:
    """A few rows to look at."""
    rows, flips = _first(m, Rows), _first(m, Flips)
    if rows is None and flips is not None:
        rows = Rows(what="right->wrong", ids=flips.rows, total=flips.right_to_wrong)
    if rows is None or not rows.ids:
        return []
    shown = rows.ids[:IDS]
    left = max(rows.total, len(rows.ids)) - len(shown)
    more = f" (+{left})" if left else ""
    return [_line("rows", f"{rows.what}: {', '.join(map(str, shown))}{more}")]


def _fix(verdict: Verdict) -> list[str]:
    """What the reader can do about a verdict that is not settled."""
    m, limit, needed = verdict.measurement, verdict.limit, verdict.needed_n
    passing = m.value < limit if verdict.operator in ("<", "<=") else m.value > limit
    if verdict.status == "INVALID":
        advice = "more rows do not help: the self-check must pass before the value can be believed"
    elif verdict.status != "INCONCLUSIVE":
        return []
    elif m.value == limit:
        advice = "no n settles it, the value equals the limit: improve the model or relax the limit"
    elif needed and passing:
        advice = f"use n>={needed} rows (PASS there if the observed rates hold) or relax the limit"
    elif needed:
        advice = f"the value misses the limit: improve the model; n>={needed} rows would settle it as FAIL"
    else:
        advice = "use more rows or relax the limit"
    return [_line("fix", advice)]


def _evidence(item: object) -> list[str]:
    """All of one piece of evidence; a figure is for reports that can draw."""
    match item:
        case Values(metric=metric, reference=reference, candidate=candidate, names=(old, new)):
            before, after = aligned(reference, candidate)
            return [_line(metric, f"{old} {before}, {new} {after}")]
        case Flips(rows=ids, p=p):
            found = [_line("", f"right->wrong rows: {', '.join(map(str, ids))}")] if ids else []
            return [_line("flips", f"{_discordant(item)}; exact McNemar p={p:.3g}"), *found]
        case Slices(slices=parts):
            head = f"{item.measure} by {item.by}, simultaneous {percentage(item.level)} bounds"
            width = max([len(part.name) for part in parts[:SLICES]], default=0)
            lines = [_line("slices", head)]
            for part in parts[:SLICES]:
                value, lower, upper = aligned(part.value, part.lower, part.upper)
                text = f"{part.name.ljust(width)}  n={part.n:<7} {value:>8}  {lower} .. {upper}  {part.note}"
                lines.append(_line("", text.rstrip()))
            return [*lines, _line("", f"({len(parts) - SLICES} more)")] if len(parts) > SLICES else lines
        case Rows(ids=ids, total=total):
            numbers = [f" ({aligned(number)[0]})" for number in item.values]
            texts = ", ".join(f"{row}{number}" for row, number in zip_longest(ids, numbers, fillvalue=""))
            more = f" (+{total - len(ids)})" if total > len(ids) else ""
            return [_line("rows", f"{item.what}: {texts or 'none'}{more}")]
        case Table(title=title, rows=cells, total=total):
            lines = [_line("table", title), _line("", "  ".join(item.headings))]
            lines += [_line("", "  ".join(row)) for row in cells]
            return [*lines, _line("", f"({total - len(cells)} more)")] if total > len(cells) else lines
        case Gallery(title=title, examples=examples):
            return [
                _line("examples", title),
                *[_line("", f"row {example.id}: {', '.join(example.words)}") for example in examples],
            ]
        case Fact(name=name, value=fact):
            return [_line(name, str(fact))]
        case Finding(text=text):
            return [_line("finding", text)]
    return []


def _discordant(flips: Flips) -> str:
    """Counts of rows whose correctness changed, both ways."""
    return f"{flips.right_to_wrong} right->wrong, {flips.wrong_to_right} wrong->right of {flips.n}"


def _first(m: Measurement, kind: type[Kind]) -> Kind | None:
    """The first evidence of a kind."""
    return next((item for item in m.evidence if isinstance(item, kind)), None)


def _line(label: str, text: str) -> str:
    """A labelled line; the text starts in one column while labels are short."""
    return f"  {printable(label):<9} {printable(text)}"


def _clip(line: str) -> str:
    """Cut a line that would push the others behind pytest's own cut."""
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
