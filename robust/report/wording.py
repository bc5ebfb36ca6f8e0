"""The words that every report shares: statuses, methods, units, families, and text that came from data."""

import re
import unicodedata
from typing import Literal

from robust.evidence import RowId, SelfCheck
from robust.record.shape import Bounded, Gate
from robust.report.numbers import brief
from robust.verdict import Status, percentage

NO_GATE = "—"

#: What stands before a status, so that colour is never the only sign.
MARKS: dict[str, str] = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "INVALID": "!", NO_GATE: ""}

STATUSES: dict[Status, str] = {
    "PASS": "The bound on the unfavourable side keeps the limit. If the true value were exactly at the limit or beyond "
    "it, so good a bound would come up in at most one of twenty such audits (at 95%).",
    "FAIL": "Even the bound on the favourable side misses the limit: more rows would not help, the model must improve.",
    "INCONCLUSIVE": "The limit lies between the bounds: these rows cannot tell. It counts as not passed. Where a "
    "number of rows would settle it, with the observed rates unchanged, that number is given.",
    "INVALID": "A self-check of the measurement failed in a way that could have produced the answer by itself. No "
    "number of rows helps: the reason has to be removed first. It counts as not passed.",
}

FAMILIES: dict[str, tuple[str, str]] = {
    "MET": ("Metrics", "How good is the candidate on the test rows?"),
    "QNT": ("Against the reference", "What does the candidate lose against the reference, row by row?"),
    "ATK": ("Attacks", "How many answers survive small changes of the input that are made to break them?"),
    "SEN": ("Sensitivity", "Which inputs move the answer, and by how much?"),
    "RES": ("Residuals", "Is there anything left in the errors that the model could have used?"),
    "BAS": ("Baselines", "Is the model better than a simple one fitted on the same rows?"),
}

_METHODS = {
    "exact": "Exact: a count or a sum without sampling error.",
    "clopper-pearson": "Exact binomial bounds on a share of independent rows (Clopper and Pearson 1934).",
    "tango-corrected": "Score bounds on the difference of two paired shares (Tango 1998), with a half-count "
    "correction that keeps them honest when few rows differ.",
    "bca-bootstrap": "Bootstrap over rows, bias-corrected and accelerated (Efron 1987); two models keep their rows "
    "paired.",
    "delong": "Bounds on the area under the ROC curve from its variance components (DeLong et al. 1988): on the logit "
    "scale for one model, Tango's score bound for a difference of two.",
    "block-bootstrap": "Bootstrap over blocks of neighbouring rows, because rows in time order depend on each other "
    "(Politis and Romano 1994).",
    "cluster-bootstrap": "Bootstrap over whole groups, because rows of one group depend on each other.",
    "paired-t": "Normal-theory bounds on a mean of per-row differences (Student 1908).",
    "hc-robust": "Bounds from a variance that allows rows to differ in spread (White 1980).",
    "heteroskedasticity-robust": "Bounds from a variance that allows rows to differ in spread (White 1980).",
    "hac-robust": "Bounds from a variance that allows neighbours in time to depend on each other (Newey and West "
    "1987).",
    "cluster-robust": "Bounds from a variance that allows rows of one group to depend on each other (Liang and Zeger "
    "1986).",
    "abc": "Bounds in closed form that agree with a bootstrap to second order (DiCiccio and Efron 1992).",
    "logit-jackknife": "Bounds on the logit scale, from how much each row moves the value (Tukey 1958).",
    "summed-gaps": "Bounds on a sum of absolute gaps between confidence and success, which chance alone makes larger.",
    "order-statistics": "Distribution-free bounds on a median or another quantile: values of the sorted rows, picked "
    "by the binomial law.",
    "median-order-statistics": "Distribution-free bounds on the median call: times picked by the binomial law.",
    "clopper-pearson-differences": "Exact binomial bounds of two parts of the rows, put together so that both hold at "
    "once.",
    "gaffke": "Bounds on a mean of independent numbers from 0 to 1 (Gaffke 2005): exact binomial ones where all are 0 "
    "or 1; for others no distribution is known for which they miss too often, which is not yet proved.",
    "clopper-pearson below, joint clopper-pearson above": "Exact binomial bounds: below, each point's own; above, "
    "those that hold at all budgets at once.",
    "bootstrap-differences": "Bootstrap over blocks or groups of the difference between part of the rows and the rest.",
    "clopper-pearson-simultaneous": "Exact binomial bounds that hold for all candidates at once (Bonferroni).",
    "none": "No bounds: nothing could be proved about the spread.",
}

_LINES = re.compile(r"[\t\n\r]+")

_UNITS = {"share": "", "relative": "relative change", "target": "target units", "MACC": "", "parameters": ""}

_BIAS = {
    "raises": "a failure can only make the value too high",
    "lowers": "a failure can only make the value too low",
    "either": "a failure can move the value either way",
    "none": "a warning; it does not move the value",
}


def printable(text: object) -> str:
    r"""Text from data on one line, safe to show: control and direction characters become escapes.

    >>> printable("a\x1b[31m\u202eb"), printable("naïve 日本\n– ok")
    ('a\\x1b[31m\\u202eb', 'naïve 日本 – ok')
    """
    # Printable as Python sees it leaves out format characters (Cf), among them those that turn text around.
    return "".join(
        letter
        if letter.isprintable() or (unicodedata.category(letter) == "Zs")
        else letter.encode("unicode_escape").decode("ascii")
        for letter in " ".join(_LINES.split(str(text)))
    )


def method_words(method: str) -> str:
    """How the bounds were made, in plain words; a method without words is named."""
    return _METHODS.get(method, method)


def unit_words(unit: str) -> str:
    """A unit as it stands after a number; a share needs no word."""
    return _UNITS.get(unit, unit)


def direction_words(higher_is_better: bool | None) -> str:
    """Which way is better."""
    if higher_is_better is None:
        return "neither direction is better"
    return "higher is better" if higher_is_better else "lower is better"


def level_words(level: float) -> str:
    """What the two bounds mean, one by one and together.

    >>> level_words(0.95)
    'each bound one-sided 95%, together a two-sided 90% interval'
    """
    return f"each bound one-sided {percentage(level)}, together a two-sided {percentage(2 * level - 1)} interval"


def bias_words(check: SelfCheck) -> str:
    """What a failure of a self-check does to the value."""
    return _BIAS[check.bias]


def family_words(code: str) -> tuple[str, str]:
    """Heading and question of a family of checks; one that has no words yet is named by its letters."""
    return FAMILIES.get(code[:3], (code[:3], ""))


def decider_words(gate: Gate, m: Bounded) -> str:
    """Which number settled a gate, or came closest: `95% upper bound`."""
    if gate.decided_by == "value":
        return "exact value" if m.method == "exact" else "value, interval ignored"
    return f"{percentage(m.level)} {gate.decided_by} bound"


def settled_by(gate: Gate, m: Bounded) -> str:
    """For an inconclusive gate, how many rows would settle it; an empty text for any other."""
    if gate.status != "INCONCLUSIVE":
        return ""
    if not gate.needed_n:
        known = m.sizing is not None or m.value == gate.limit
        return "no number of rows settles it" if known else "how many rows would settle it is not known"
    low_side = gate.operator in ("<", "<=")
    value = m.number("value")
    passing = value is not None and (value < gate.limit if low_side else value > gate.limit)
    outcome: Literal["PASS", "FAIL"] = "PASS" if passing else "FAIL"
    return f"{gate.needed_n} rows would settle it, as {outcome} if the observed rates hold"


def row_words(ids: tuple[RowId, ...], values: tuple[float, ...] = ()) -> str:
    """Row ids in one line, each with its number where there is one."""
    numbers = [f" ({brief(value)})" for value in values] if len(values) == len(ids) else [""] * len(ids)
    return ", ".join(f"{printable(row)}{number}" for row, number in zip(ids, numbers, strict=True))


def depending(gates: tuple[str, ...]) -> str:
    """Which gates depend on a check that gave no answer.

    >>> depending(("f1",)), depending(("f1", "auc"))
    ('gate f1 depends on it', 'gates f1, auc depend on it')
    """
    names = ", ".join(map(printable, gates))
    return f"gate {names} depends on it" if len(gates) == 1 else f"gates {names} depend on it"


def titled(text: str) -> str:
    """A title with its first letter large; abbreviations in it stay as they are.

    >>> titled("loss by AUC")
    'Loss by AUC'
    """
    return text[:1].upper() + text[1:]


def plural(count: int, word: str) -> str:
    """A count with its noun.

    >>> plural(1, "gate"), plural(1078, "row")
    ('1 gate', '1,078 rows')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"
