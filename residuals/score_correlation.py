"""Correlation of residuals with columns that the model does not see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.check import Check, Subject
from robust.data.dataset import Column, Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, SelfCheck
from robust.intervals.arguments import check_level
from robust.intervals.interval import Interval, RootSizing
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.row_sampling import Sampling, sampling_of
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.residuals.column_terms import FEW, Terms, column_terms
from robust.residuals.correlation_evidence import Analysed, column_slices, correlation_figures, findings
from robust.residuals.correlations import correlate, input_table, orthonormal, without
from robust.residuals.residual_rows import Residuals, residual_rows
from robust.types import FloatArray

_FEWEST_ROWS = 30


def unused_feature_correlation(
    model: Any, data: Any, *, features: Sequence[str] | None = None, level: float = 0.95, seed: int = 0
) -> Measurement:
    """Largest correlation, by size, of a model's residuals with a column that it does not see.

    max over columns and terms of |cor(e, t)|; the terms of a numeric column z are z and cos(πju), j = 1 … 4,
    of its rank u in (0, 1) (a rise, a U-shape, waves), those of a text column indicate its common values

    Args:
        model: Anything `as_model` takes.
        data: Anything `as_data` takes; has targets and `unused` columns.
        features: Names of the unused columns to look at; None for all.
        level: Confidence of each bound, in (0.5, 1).
        seed: Chooses the rows that a figure shows.

    Returns:
        A value in [0, 1], 0 is best. The upper bound is the largest |r| + t·s (the largest true one exceeds
        it with probability at most 1 − level), the lower one the largest |r| − t's with t' shared by all
        terms, columns and signs (Bonferroni). Errors s hold for unequal variances, are clustered where rows
        have groups and long-run where they have an order. Evidence has each column, with a p-value (Holm's)
        and with the correlation that remains when smooth effects of the model's own inputs are projected out
        of both: where nothing remains, the column tells of an input that the model underfits, not of missing
        information.

    Raises:
        InvalidInput: If there are no unused columns, a name is none of them, there are fewer than 30 rows, or
            the residuals do not vary.
        ModelFault: If the model breaks its contract.

    Source: White (1980), Econometrica 48:817; Shah and Peters (2020), Annals of Statistics 48:1514, for
    projecting the inputs out of both.

    >>> import numpy as np
    >>> from robust.data.live import as_data
    >>> z = np.tile([-1.0, 1.0], 50)
    >>> data = as_data(np.zeros((100, 1)), z, unused={"site": z})
    >>> round(unused_feature_correlation(as_model(lambda x: x[:, 0], task="regression"), data).value, 6)
    1.0
    """
    level = check_level(level)
    tested, rows = as_model(model), as_data(data)
    columns = _chosen(rows, features)
    if len(rows) < _FEWEST_ROWS:
        raise InvalidInput(f"unused_feature_correlation got {len(rows)} rows; at least {_FEWEST_ROWS} would be right")
    with metered() as meter:
        residuals = residual_rows(predict(tested, rows), rows)
        sampling = sampling_of(rows)
        terms = [column_terms(column) for column in columns]
        measurable = [found for found in terms if found.labels and found.known.sum() >= _FEWEST_ROWS]
        if not measurable:
            raise InvalidInput(
                f"none of the unused columns {[column.name for column in columns]} varies on enough rows: a "
                f"column with two values that {FEW} rows have would be right"
            )
        analysed = _analyse(residuals.values, measurable, sampling, rows)
        interval = _interval(analysed, residuals, sampling, n=len(rows), level=level)
        evidence: tuple[Evidence, ...] = (
            *findings(analysed, interval),
            column_slices(analysed, level=level, provable=sampling.provable),
            *residuals.facts,
            *_unmeasured(terms, measurable),
            *correlation_figures(analysed, residuals, rows, level=level, seed=seed),
        )
        return assemble(
            interval,
            name="unused_feature_correlation",
            unit="correlation",
            higher_is_better=False,
            models=(tested,),
            data=rows,
            meter=meter,
            seed=seed,
            options={"features": tuple(column.name for column in columns)},
            evidence=evidence,
            validity=(_coverage(terms, measurable),),
        )


def _chosen(data: Dataset, features: Sequence[str] | None) -> tuple[Column, ...]:
    """The unused columns asked for."""
    if not data.unused:
        raise InvalidInput(
            f"{data.name} has no unused columns: give unused= (columns that are known but that the model does not see)"
        )
    if features is None:
        return data.unused
    asked = [features] if isinstance(features, str) else list(features)
    named = {column.name: column for column in data.unused}
    wrong = [name for name in asked if name not in named]
    if wrong or not asked:
        raise InvalidInput(f"features got {wrong or asked!r}; some of the unused columns {list(named)} would be right")
    return tuple(named[name] for name in dict.fromkeys(asked))


def _analyse(residuals: FloatArray, terms: Sequence[Terms], sampling: Sampling, data: Dataset) -> tuple[Analysed, ...]:
    """Correlations of every column, marginal and given the inputs."""
    table = input_table(data)
    whole = None if table is None else orthonormal(table)
    found = []
    for column in terms:
        known = column.known
        e, rows = residuals[known], sampling if known.all() else sampling.take(known)
        basis = whole if table is None or known.all() else orthonormal(table[known])
        given = None
        if basis is not None:
            left = replace(column, values=without(column.values, basis))
            given = correlate(without(e, basis), left, rows, lost=basis.shape[1])
        found.append(Analysed(terms=column, marginal=correlate(e, column, rows), given_inputs=given))
    return tuple(sorted(found, key=lambda one: -float(np.abs(one.marginal.values).max())))


def _interval(
    analysed: Sequence[Analysed], residuals: Residuals, sampling: Sampling, *, n: int, level: float
) -> Interval:
    """Bounds of the largest correlation over all columns and terms."""
    total = sum(len(one.marginal.values) for one in analysed)
    shared = 1.0 - (1.0 - level) / (2 * total)
    value, lower, upper = 0.0, -1.0, 0.0
    notes = []
    for one in analysed:
        sizes = np.abs(one.marginal.values)
        value = max(value, float(sizes.max()))
        if one.terms.differing < FEW:
            upper = 1.0
            notes.append(
                f"{one.terms.name}: {one.terms.differing} rows differ from the commonest value, too few to "
                "prove anything"
            )
            continue
        # The true largest correlation alone must stay below the upper bound: no correction. Any may break the
        # lower.
        upper = max(upper, float((sizes + one.marginal.reach(level)).max()))
        lower = max(lower, float((sizes - one.marginal.reach(shared)).max()))
    if residuals.differing < FEW:
        lower, upper = -1.0, 1.0
        notes.append(f"{residuals.differing} residuals differ from the commonest: too few to prove anything")
    if not sampling.provable:
        lower, upper = -1.0, 1.0
        notes.append(f"{sampling.units} groups: too few to prove anything, at least 10 would be right")
    lower, upper = min(lower, value), max(upper, value)
    return Interval(
        value=value,
        lower=max(0.0, lower),
        upper=min(1.0, upper),
        level=level,
        n=n,
        method=sampling.method,
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
        notes=tuple(notes),
    )


def _unmeasured(terms: Sequence[Terms], measurable: Sequence[Terms]) -> tuple[Evidence, ...]:
    """What could not be looked at, and rows without a value."""
    facts: list[Evidence] = [
        Fact(name=f"rows without a value of {found.name}, left out", value=int((~found.known).sum()))
        for found in measurable
        if not found.known.all()
    ]
    lost = [found.name for found in terms if found not in measurable]
    if lost:
        facts.append(Fact(name="columns not measurable (constant, or no value on 10 rows)", value=", ".join(lost)))
    return tuple(facts)


def _coverage(terms: Sequence[Terms], measurable: Sequence[Terms]) -> SelfCheck:
    """Warn about columns that took no part."""
    lost = len(terms) - len(measurable)
    return SelfCheck(
        name="all unused columns measured",
        passed=lost == 0,
        reason="every column took part"
        if lost == 0
        else f"{lost} of {len(terms)} columns are constant or too fragmented",
        bias="none",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedFeatureOptions:
    """What a gate on `unused_feature_correlation` may set; no features stands for all."""

    features: tuple[str, ...] = ()


def _run(subject: Subject, options: UnusedFeatureOptions) -> Measurement:
    return unused_feature_correlation(
        subject.model, subject.test, features=options.features or None, level=subject.level, seed=subject.seed
    )


CHECKS = (
    Check(
        code="RES002",
        name="unused_feature_correlation",
        title="residuals against unused columns",
        measure=unused_feature_correlation,
        run=_run,
        options=UnusedFeatureOptions,
        needs=frozenset({"targets", "unused", "classification", "regression"}),
        why="Residuals that follow a column which the model does not see are errors that it need not make, "
        "and often a group of people or a place that it serves worse.",
        remedy="Where the correlation remains given the inputs, add the column (or what it stands for); "
        "where it does not, the model underfits an input: give it more capacity or better features. Then "
        "measure on fresh rows.",
    ),
)
