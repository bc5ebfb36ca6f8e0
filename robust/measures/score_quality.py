"""Public measures of class scores that two models are not compared by: calibration error and average precision."""

from typing import Any

import numpy as np
from scipy.special import stdtrit

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Evidence, Fact, Figure, Series
from robust.intervals.clipping import clip
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.interval import Interval, RootSizing
from robust.intervals.summed_gaps import summed_gaps
from robust.intervals.vacuous import never_vacuous
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import is_dependent
from robust.measures.details import numbers, words
from robust.measures.row_sampling import sampling_of
from robust.measures.single import measure_metric
from robust.measures.truth import Scored, score
from robust.metrics.calibration import Calibration, calibration
from robust.metrics.classification import ACCURACY
from robust.metrics.precision_recall import AVERAGE_PRECISION
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.types import FloatArray


def average_precision(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Average precision: the area under the precision-recall curve; one-vs-rest, macro-averaged, of several classes.

    AP = Σ_t (R_t − R_{t−1}) P_t over falling thresholds t, without interpolation; of two classes that of the second

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,), each class at least once, one-hot or multi-label (n,
            k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap; used only where rows have an order or groups.

    Returns:
        A value in [0, 1], higher is better; the share of positive rows is chance. Bounds on the logit scale around the
        value less its bias, by the infinitesimal jackknife (Efron 1982). Evidence: the area and curve of each class.

    Raises:
        InvalidInput: If a class has no rows, or the model gives labels only.
        ModelFault: If the model breaks its contract.

    >>> ranks = as_model(lambda x: np.hstack([1 - x, x]), output="probabilities")
    >>> average_precision(ranks, (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1])).value.__round__(4)
    0.8333
    """
    judged, rows = as_model(model), as_data(data)
    with metered():
        scored = score(AVERAGE_PRECISION, predict(judged, rows), rows)
    if scored.multilabel:
        absent = [scored.predictions.classes[c] for c in np.flatnonzero(scored.truth.sum(axis=0) == 0)]
    else:
        seen = np.bincount(scored.truth, minlength=len(scored.predictions.classes))
        absent = [scored.predictions.classes[c] for c in np.flatnonzero(seen == 0)]
    if absent:
        raise InvalidInput(
            f"average_precision needs rows of each class; {rows.name} has none of {absent[:10]} of {judged.name}: use "
            "accuracy or log_loss, or rows of all classes"
        )
    return measure_metric(AVERAGE_PRECISION, judged, rows, level=level, seed=seed)


def calibration_error(model: Any, data: Any, *, level: float = 0.95, seed: int = 0) -> Measurement:
    """Expected calibration error of the predicted class, in 15 bins of equal width.

    ECE = Σ_b (n_b/n)·|accuracy_b − confidence_b|, over bins b of the predicted class's probability; where a row can
    have several labels each is an answer of its own, with confidence p where it is predicted and 1 − p where it is not,
    and the bins pool the answers of all labels

    Args:
        model: Anything `as_model` takes, with probabilities or logits.
        data: Anything `as_data` takes; targets are labels (n,), one-hot or multi-label (n, k).
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the normal draws of the lower bound.

    Returns:
        A value in [0, 1], lower is better, of probabilities as the model gives them. The estimate is too high, most of
        all for a calibrated model, whose own figure is in the evidence; the bounds allow for that and hold for
        calibrated and miscalibrated models alike (`summed_gaps`). Those of several labels have simultaneous errors of
        bins (Bonferroni), clustered by row, for labels of a row depend on each other. Evidence: the reliability figure.

    Raises:
        InvalidInput: If the model gives labels only, or labels and outputs do not fit.
        ModelFault: If the model breaks its contract.

    Source: Naeini, Cooper and Hauskrecht (2015), AAAI; Guo, Pleiss, Sun and Weinberger (2017), ICML.

    >>> sure = as_model(lambda x: np.full((len(x), 2), (0.2, 0.8)), output="probabilities")
    >>> calibration_error(sure, (np.zeros((10, 1)), [1] * 5 + [0] * 5)).value.__round__(4)
    0.3
    """
    judged, rows = as_model(model), as_data(data)
    with metered() as meter:
        predictions = predict(judged, rows)
        found = answer_calibration(score(ACCURACY, predictions, rows), predictions.probabilities)
        return assemble(
            calibration_interval(found, rows, level=level, seed=seed),
            name="calibration_error",
            unit="share",
            higher_is_better=False,
            models=(judged,),
            data=rows,
            meter=meter,
            seed=seed,
            evidence=calibration_evidence(found, level=level),
        )


def answer_calibration(labelled: Scored, probabilities: FloatArray) -> Calibration:
    """Confidence of what is predicted beside whether it is true.

    Args:
        labelled: Labels beside the truth.
        probabilities: Of the same rows (n, k).

    Returns:
        The answers by bin: one a row, or one a label.
    """
    labels = labelled.prediction
    if labelled.multilabel:
        return calibration(np.where(labels == 1, probabilities, 1.0 - probabilities), labels == labelled.truth)
    return calibration(probabilities[np.arange(len(labels)), labels], labels == labelled.truth)


def calibration_interval(found: Calibration, data: Dataset, *, level: float, seed: int) -> Interval:
    """Interval of the expected calibration error, in [0, 1].

    Args:
        found: The answers by bin.
        data: Says how rows depend on each other.
        level: Confidence of each bound.
        seed: Seed of normal draws.

    Returns:
        The interval. Never narrower than what the wrong rows (or the right ones, if these are fewer) can prove. For
        rows that depend on each other, and for several labels a row, the lower bound is a sum over bins with
        simultaneous errors.
    """
    null = found.confidence * (1.0 - found.confidence)
    several = found.right.ndim == 2
    if several or is_dependent(data):
        interval = _dependent(found, null, data, level=level)
    else:
        interval = summed_gaps(found.gaps, found.bins, number=found.number, null=null, level=level, seed=seed)
    right = found.right if found.right.ndim == 1 else np.asarray(found.right.all(axis=1))
    wrong = int((~right).sum())
    fewer = min(wrong, len(right) - wrong)
    floor = never_vacuous(interval, differing=fewer, units=len(right), effect=1.0, level=level)
    return clip(floor, 0.0, 1.0)


def _dependent(found: Calibration, null: FloatArray, data: Dataset, *, level: float) -> Interval:
    """Bounds from standard errors of rows, groups or neighbours in time: exact signs for none, Bonferroni over bins."""
    n, size, value, sampling = len(found.bins), found.bins.size, found.error(), sampling_of(data)
    occupied = np.flatnonzero(found.sums(np.ones(found.bins.shape)))
    sums = found.sums(found.gaps) / size
    # As for independent rows: a bin without a mistake shows no spread, and is still no proof.
    least = np.sqrt(found.sums(null)) / size
    lower, upper = 0.0, 1.0
    if sampling.provable:
        for b in occupied:
            error, freedom = sampling.error(found.of_rows(int(b), found.gaps) - sums[b])
            # Where there is no gap, chance makes one to either side.
            each = 1 - (1 - level) / (2 * len(occupied))
            reach = float(stdtrit(freedom, each)) * max(error, float(least[b]))
            lower += max(abs(float(sums[b])) - reach, 0.0)
        signs = np.where(sums < 0, -1.0, 1.0)[found.bins]
        spread: list[float] = []
        for signed in (signs * found.gaps, found.gaps):
            rows = signed if signed.ndim == 1 else signed.mean(axis=1)
            error, freedom = sampling.error(rows - rows.mean())
            spread.append(float(stdtrit(freedom, level)) * error)
        upper = value + max(spread)
    lower, upper = min(lower, value), max(upper, value)
    return Interval(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        n=n,
        method=sampling.method if sampling.provable else "none",
        sizing=RootSizing(value=value, lower=lower, upper=upper, n=n),
        notes=() if sampling.provable else (f"{sampling.units} {sampling.kind}: too few to prove anything",),
    )


def calibration_evidence(found: Calibration, *, level: float) -> tuple[Evidence, ...]:
    """The reliability figure, and what a calibrated model would show."""
    variance = found.sums(found.confidence * (1.0 - found.confidence))
    expected = float(np.sqrt(2.0 * variance / np.pi).sum()) / found.bins.size
    over = float(found.confidence.mean() - found.right.mean())
    return (
        Fact(name="mean confidence minus accuracy", value=round(over, 6)),
        Fact(name="estimate that a calibrated model with these confidences would show", value=round(expected, 6)),
        reliability_figure(found, level=level),
    )


def reliability_figure(found: Calibration, *, level: float) -> Figure:
    """Accuracy against confidence of each bin that has rows, with exact bounds for each."""
    rows, confidence, accuracy = found.table()
    kept = np.flatnonzero(rows)
    bounds = np.array(
        [clopper_pearson_bounds(float(round(accuracy[b] * rows[b])), float(rows[b]), level) for b in kept]
    )
    ends = np.array([0.0, 1.0])

    def column(name: str, values: FloatArray) -> Series:
        return numbers(name, np.concatenate([values, ends]))

    return Figure(
        kind="line",
        title="Reliability",
        x_title="mean confidence",
        y_title="accuracy",
        columns=(
            column("x", confidence[kept]),
            column("y", accuracy[kept]),
            column("lower", bounds[:, 0]),
            column("upper", bounds[:, 1]),
            words("series", ["model"] * len(kept) + ["calibrated"] * 2),
        ),
        note=f"{'answers' if found.bins.ndim == 2 else 'rows'} a bin: " + ", ".join(str(int(rows[b])) for b in kept),
    )
