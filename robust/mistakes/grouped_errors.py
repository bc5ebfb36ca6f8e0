"""Mistakes by recording, site, device or any other column: do they come from everywhere, or from a few places?"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Finding, Slice, Slices
from robust.intervals.arguments import check_level, check_whole
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.confusions import holm
from robust.measures.details import numbers, words
from robust.mistakes.even_spread import even_spread
from robust.mistakes.group_rates import GroupRate, group_rates, largest_excess
from robust.mistakes.group_words import spread_sentence
from robust.mistakes.metadata_columns import GROUPS, parted_columns
from robust.mistakes.wrong_rows import judge_rows
from robust.predicting.metering import metered

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedErrors:
    """The mistakes by one column.

    Args:
        by: Name of the column.
        groups: Its values, the highest error rate first.
        p: P-value of an even spread.
        p_adjusted: The same, adjusted for the number of columns (Holm 1979).
        method: How it was tested.
        at_most: Whether both are only known to be no larger: nothing that was drawn was as uneven.
        sentence: Where the mistakes come from, in words; empty where there are none.
    """

    by: str
    groups: tuple[GroupRate, ...]
    p: float
    p_adjusted: float
    method: str
    at_most: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorGroups(Measurement):
    """The largest excess of an error rate, a measurement that also holds the rates of all columns.

    Args:
        columns: The columns, the least even spread first.
    """

    columns: tuple[GroupedErrors, ...]


def error_groups(
    model: Any,
    data: Any,
    *,
    by: str | Sequence[str] | None = None,
    least: int = 5,
    level: float = 0.95,
    seed: int = 0,
) -> ErrorGroups:
    """How much more often the model errs on the rows of one value of a column than on all others, at worst.

    max_v (e_v/n_v − (e − e_v)/(n − n_v)) over the values v of the columns, with e_v mistakes among the n_v rows of v.

    Numbers with many values are cut at their quartiles; values with fewer than `least` rows are pooled. For every
    column an exact test asks whether the mistakes fall on its values as by lot; p-values are adjusted for the number of
    columns (Holm 1979), and significant ones are findings: "all 12 errors come from recordings 7 and 8".

    Args:
        model: A classifier that `as_model` takes.
        data: Anything `as_data` takes, with targets, and with slices, unused columns or groups.
        by: Names of columns (slices, unused columns, features of a table, `group`, `order`); None for all but features
            and order.
        least: Fewest rows of a value, at least 1.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of simulated tests, and of the bootstrap for rows that depend on each other.

    Returns:
        A share in [0, 1], lower is better; with `.columns`. Its lower bound takes the choice of the worst value into
        account (Bonferroni over all values), so that it is above a limit only if some value truly is worse by that
        much; the upper bound is the largest of all values. Bounds of each difference come from exact bounds of both
        rates (Clopper and Pearson 1934), or from the bootstrap where rows have an order or groups: then of
        the 12 values of a column with the highest rates alone, beyond which there is no upper bound.

    Raises:
        InvalidInput: If the data has no such column or none with two values, or the model is no classifier.
        ModelFault: If the model breaks its contract.

    >>> from robust.data.live import as_data
    >>> site = np.repeat(["a", "b"], 20)
    >>> rows = as_data(np.zeros((40, 1)), np.repeat([0, 1], 20), slices={"site": site})
    >>> found = error_groups(lambda x: np.zeros(len(x), int), rows)
    >>> found.value, found.columns[0].groups[0].value, found.columns[0].p < 1e-9
    (1.0, 'b', True)
    """
    level, least = check_level(level), check_whole("least", least, least=1)
    seed = check_whole("seed", seed, least=0)
    with metered() as meter:
        judged = judge_rows(model, data)
        rows, wrong = judged.data, judged.wrong
        parted, facts = parted_columns(rows, by, least=least)
        if not parted:
            why = "; ".join(f"{fact.name}: {fact.value}" for fact in facts)
            raise InvalidInput(f"{rows.name} has no column with two values of {least} rows or more ({why})")
        family = sum(len(column.names) for column in parted)
        rated = tuple(
            (column, group_rates(column, wrong, rows, level=level, family=family, seed=seed)) for column in parted
        )
        tests = [
            even_spread(
                wrong,
                column.owner,
                rows,
                is_group=column.by == GROUPS and rows.groups is not None,
                seed=seed,
                smallest=(1 - level) / (10 * len(parted)),
            )
            for column in parted
        ]
        adjusted = holm(np.array([test.p for test in tests]))
        columns = [
            GroupedErrors(
                by=column.by,
                groups=rates,
                p=test.p,
                p_adjusted=float(p),
                method=test.method,
                at_most=test.at_most,
                sentence=spread_sentence(column.by, rates, float(p), sign=test.sign) if wrong.any() else "",
            )
            for (column, rates), test, p in zip(rated, tests, adjusted, strict=True)
        ]
        columns.sort(key=lambda column: column.p_adjusted)
        measured = assemble(
            largest_excess(rated, wrong, rows, level=level),
            name="error_groups",
            unit="share",
            higher_is_better=False,
            models=(judged.model,),
            data=rows,
            meter=meter,
            seed=seed,
            options={"by": tuple(column.by for column in parted), "least": least},
            evidence=(*_evidence(columns, level=level), *facts),
        )
    base = {field.name: getattr(measured, field.name) for field in fields(Measurement)}
    return ErrorGroups(**base, columns=tuple(columns))


def _evidence(columns: Sequence[GroupedErrors], *, level: float) -> tuple[Evidence, ...]:
    """Findings first, then a table and a test for each column, and a figure of the least even one."""
    findings = [Finding(text=column.sentence) for column in columns if column.p_adjusted <= 1 - level]
    tables = [
        Slices(
            by=column.by,
            measure="error rate",
            level=level,
            slices=tuple(
                Slice(
                    name=f"{column.by}={rate.value}",
                    n=rate.n,
                    value=rate.rate,
                    lower=rate.lower,
                    upper=rate.upper,
                    note=f"{rate.errors} errors, {rate.share:.0%} of all",
                )
                for rate in column.groups[:_MOST_SHOWN]
            ),
        )
        for column in columns
    ]
    tests = [
        Fact(
            name=f"even spread over {column.by}",
            value=f"p {'≤' if column.at_most else '='} {column.p:.3g}, {column.p_adjusted:.3g} adjusted for "
            f"{len(columns)} columns ({column.method})",
        )
        for column in columns
    ]
    return (*findings, *tables, *tests, _figure(columns[0]))


def _figure(column: GroupedErrors) -> Figure:
    """Error rates with their bounds, the highest first."""
    shown = column.groups[:_MOST_SHOWN]
    n, errors = sum(rate.n for rate in column.groups), sum(rate.errors for rate in column.groups)
    return Figure(
        kind="interval",
        title=f"Error rate by {column.by}",
        x_title="error rate",
        y_title=column.by,
        columns=(
            words("y", [rate.value for rate in shown]),
            numbers("x", np.array([rate.rate for rate in shown])),
            numbers("lower", np.array([rate.lower for rate in shown])),
            numbers("upper", np.array([rate.upper for rate in shown])),
        ),
        rules=(("x", errors / n, "all rows"),),
        note="" if len(shown) == len(column.groups) else f"the {len(shown)} highest of {len(column.groups)} values",
    )
