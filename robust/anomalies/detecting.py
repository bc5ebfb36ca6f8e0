"""Anomaly detection: a threshold from held-out normal rows, judged on labelled test rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from robust.anomalies.anomaly_figures import error_figure, rule_figure
from robust.anomalies.anomaly_report import AnomalyReport
from robust.anomalies.anomaly_scores import ScoreKind, as_detector, row_scores
from robust.anomalies.labelling import anomalous_rows, refuse_anomalies
from robust.anomalies.normal_quantile import NormalThreshold, quantile_threshold, spread_threshold
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Rows
from robust.intervals.arguments import check_level
from robust.intervals.exact import exact
from robust.intervals.interval import Interval
from robust.limits import is_number
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import bindings, is_dependent
from robust.measures.details import row_ids
from robust.measures.row_contents import other_rows, row_contents
from robust.measures.row_means import mean_interval
from robust.measures.score_thresholds import ThresholdTable, threshold_table
from robust.measures.share_bounds import hit_share
from robust.measures.single import single_interval
from robust.measures.threshold_figures import roc_figure
from robust.measures.truth import Scored
from robust.metrics.ranking import AUC
from robust.models.base import Label, Model
from robust.predicting.metering import metered
from robust.predicting.predictions import Predictions
from robust.types import BoolArray, FloatArray

#: Thresholds of the table: multiples of the standard deviation, and quantiles, of normal scores.
_MULTIPLES = tuple(k / 2 for k in range(10))
_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_WORST = 10


def anomaly_detection(
    model: Any,
    data: Any,
    *,
    normal: Any,
    anomalous: Label | Sequence[Label] = 1,
    k: float | None = None,
    quantile: float | None = None,
    kind: ScoreKind | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> AnomalyReport:
    """Judge an anomaly detector at a threshold that held-out normal rows recommend.

    Score of a row: the mean squared difference (1/d) Σ_j (x_j − x̂_j)² of an autoencoder, or what the model gives.
    Threshold: just above the order statistic of the m normal scores above which, with confidence `level`, at most
    1 − quantile of new normal rows lie; or, with `k`, their mean + k standard deviations. A row is called anomalous
    where score ≥ threshold; tpr and fpr are the shares of anomalous and of normal test rows that are.

    Args:
        model: An autoencoder (outputs of the shape of a row), a callable x -> score (n,) or (n, 1) of which more is
            more anomalous, or a fitted scikit-learn outlier detector (minus its `score_samples`).
        data: Test rows that `as_data` takes; targets are labels (n,), of which `anomalous` means an anomaly.
        normal: Normal rows that were neither trained nor are tested on; the threshold is chosen on them.
        anomalous: The label of an anomaly, or several; all others are normal.
        k: Standard deviations above the mean, at least 0; instead of `quantile`.
        quantile: Share of new normal rows that must not be called anomalous, in (0, 1); 0.95 where `k` is not given.
        kind: `reconstruction` or `score`, where the shape of the outputs does not tell.
        level: Confidence of each bound, and of the quantile's guarantee, in (0.5, 1).
        seed: Seed of the bootstrap.

    Returns:
        A report with the measurements `.threshold` (exact), `.tpr` (higher is better), `.fpr` (lower is better), both
        with exact bounds (Clopper and Pearson 1934), `.auc` (DeLong's bounds), `.normal_error` and `.anomalous_error`
        (means; BCa bounds, their closed form beyond 20,000 rows), and `.table`, `.text` and `.csv`. With an order or
        groups bounds come from blocks or clusters. If test rows are among the normal rows a self-check fails, and what
        they flatter is INVALID.

    Raises:
        InvalidInput: If outputs and rows do not fit, labels are missing or all alike, normal rows are labelled
            anomalous or too few for the quantile (the message says how many are needed), or an option is out of range.
        ModelFault: If the model breaks its contract.

    Source: Wilks (1941), Annals of Mathematical Statistics 12:91, for the quantile's guarantee.

    >>> held_out = np.linspace(0.0, 1.0, 59)[:, None] ** 2
    >>> test = (np.array([[0.5], [0.2], [1.5], [3.0]]), [0, 0, 1, 1])
    >>> report = anomaly_detection(lambda x: x[:, 0], test, normal=held_out, kind="score")
    >>> [report.tpr.value, report.fpr.value, report.auc.value, round(report.threshold.value, 4)]
    [1.0, 0.0, 1.0, 1.0]
    """
    level = check_level(level)
    _check_rule(k, quantile)
    judged, test, held_out = as_detector(model), as_data(data), as_data(normal, name="normal")
    if held_out.x.shape[1:] != test.x.shape[1:]:
        raise InvalidInput(
            f"normal has rows of shape {held_out.x.shape[1:]}, {test.name} of {test.x.shape[1:]}: "
            "the same would be right"
        )
    odd = anomalous_rows(test, anomalous)
    refuse_anomalies(held_out, anomalous)
    with metered() as meter:
        usual, settled = row_scores(judged, held_out, kind)
        scores, _ = row_scores(judged, test, settled)
        chosen = _threshold(usual, k=k, quantile=quantile, level=level)
        shared = row_contents(held_out).shared(test)
        table = threshold_table(odd, scores)
        rules, rows = _rule_rows(usual, table)
        called = np.asarray(scores >= chosen.value)

        def measured(
            name: str,
            interval: Interval,
            *evidence: Evidence,
            higher_is_better: bool | None,
            on: Dataset = test,
            unit: str = "share",
            chosen_there: bool = False,
        ) -> Measurement:
            return assemble(
                interval,
                name=name,
                unit=unit,
                higher_is_better=higher_is_better,
                models=(judged,),
                data=on,
                meter=meter,
                seed=seed,
                options={"rule": chosen.rule, "kind": settled},
                evidence=evidence,
                validity=(other_rows(shared, test, what=held_out.name, higher_is_better=bool(higher_is_better)),)
                if chosen_there
                else (),
            )

        def mean(among: BoolArray) -> Interval:
            return mean_interval(scores[among], bindings(test, among), level=level, seed=seed)

        unit = "squared error" if settled == "reconstruction" else "score"
        facts = (
            Fact(name="threshold", value=chosen.rule),
            Fact(
                name="guarantee",
                value="none: the normal rows depend on each other" if is_dependent(held_out) else chosen.guarantee,
            ),
        )
        missed, alarms = odd & ~called, ~odd & called
        return AnomalyReport(
            kind=settled,
            threshold=measured(
                "threshold",
                exact(chosen.value, len(held_out)),
                *facts,
                error_figure(scores, odd, chosen.value, what=unit),
                higher_is_better=None,
                on=held_out,
                unit=unit,
            ),
            tpr=measured(
                "tpr",
                hit_share(called, odd, test, level=level, seed=seed),
                _rows("anomalous rows that are missed, lowest score first", missed, scores, test, falling=False),
                rule_figure(rules, rows),
                higher_is_better=True,
                chosen_there=True,
            ),
            fpr=measured(
                "fpr",
                hit_share(called, ~odd, test, level=level, seed=seed),
                _rows("normal rows that are called anomalous, highest score first", alarms, scores, test, falling=True),
                *facts,
                higher_is_better=False,
                chosen_there=True,
            ),
            auc=measured(
                "auc",
                _area(judged, scores, odd, test, level=level, seed=seed),
                roc_figure(table, chosen.value),
                higher_is_better=True,
            ),
            normal_error=measured("normal_error", mean(~odd), higher_is_better=False, unit=unit),
            anomalous_error=measured("anomalous_error", mean(odd), higher_is_better=True, unit=unit),
            normal_std=float(scores[~odd].std()),
            anomalous_std=float(scores[odd].std()),
            rules=rules,
            table=rows,
        )


def _check_rule(k: object, quantile: object) -> None:
    """At most one rule, with a number in its range."""
    if k is not None and quantile is not None:
        raise InvalidInput(f"k={k!r} and quantile={quantile!r} are two rules for one threshold: give one of them")
    if k is not None and not (is_number(k) and 0.0 <= float(k) < np.inf):
        raise InvalidInput(f"k got {k!r}; a number of standard deviations, at least 0, would be right")
    if quantile is not None and not (is_number(quantile) and 0.0 < float(quantile) < 1.0):
        raise InvalidInput(f"quantile got {quantile!r}; a share strictly between 0 and 1, e.g. 0.95, would be right")


def _threshold(usual: FloatArray, *, k: float | None, quantile: float | None, level: float) -> NormalThreshold:
    """The recommended threshold."""
    if k is not None:
        return spread_threshold(usual, k=float(k))
    return quantile_threshold(usual, quantile=0.95 if quantile is None else float(quantile), level=level)


def _rule_rows(usual: FloatArray, table: ThresholdTable) -> tuple[tuple[str, ...], ThresholdTable]:
    """What other thresholds from the normal rows would reach, ascending; of equal ones the first rule names all."""
    rules = [f"mean + {k:g} std" for k in _MULTIPLES] + [f"quantile {q:g}" for q in _QUANTILES]
    centre, spread = float(usual.mean()), float(usual.std())
    thresholds = np.array([centre + k * spread for k in _MULTIPLES] + np.quantile(usual, _QUANTILES).tolist())
    order = np.argsort(thresholds, kind="stable")
    return tuple(rules[i] for i in order), table.at(thresholds)


def _area(model: Model, scores: FloatArray, odd: BoolArray, data: Dataset, *, level: float, seed: int) -> Interval:
    """Area under the ROC curve of the scores, as that of a classifier with the classes normal and anomalous."""
    columns = np.column_stack([-scores, scores])
    predictions = Predictions(
        model=model.name, task="classification", kind="logits", outputs=columns, classes=("normal", "anomalous")
    )
    scored = Scored(truth=odd.astype(np.int64), prediction=columns, predictions=predictions)
    return single_interval(AUC, scored, data, level=level, seed=seed)


def _rows(what: str, which: BoolArray, scores: FloatArray, data: Dataset, *, falling: bool) -> Rows:
    """Some of the rows, by score."""
    found = np.flatnonzero(which)
    found = found[np.argsort(-scores[found] if falling else scores[found], kind="stable")][:_WORST]
    return Rows(
        what=what,
        ids=row_ids(data, found),
        values=tuple(float(f"{value:.4g}") for value in scores[found]),
        total=int(which.sum()),
    )
