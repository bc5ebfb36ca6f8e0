"""Do the bounds of the degradation of every metric cover the true loss, at 100, 500 and 2000 rows?

Pairs of models are drawn from populations in which the candidate is the reference with noise added to its outputs, as
quantization does. The true loss is the metric of the population itself, from a million rows. Bounds are one-sided at
95 %: they may miss on one side in at most 6.5 % of the samples, beyond what chance makes of so many samples.
"""

import functools
import zlib

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from robust.data.live import as_data
from robust.measures.change_statistic import metric_value, signed_change
from robust.measures.truth import score
from robust.metrics.catalogue import METRICS
from robust.models.conversion import as_model
from robust.predicting.predictions import predict
from robust.quantization.degradation_paired import degradation
from robust.quantization.plain_statistic import Statistic

SHARES = (0.4, 0.3, 0.2, 0.1)
CLASSES = [metric.name for metric in METRICS if metric.task == "classification"]
NUMBERS = [metric.name for metric in METRICS if metric.task == "regression"]
CASES = [
    *(("classes", name) for name in CLASSES),
    *(("two classes", name) for name in CLASSES),
    *(("labels", name) for name in CLASSES),
    *(("numbers", name) for name in NUMBERS),
    ("classes", "mcc"),
]
ALLOWED = 0.065
#: The loss of each population, as `of_the_population` gives it.
TRUTH = {
    "classes": {
        "accuracy": 0.05394,
        "f1": 0.05833,
        "log_loss": 0.18767,
        "auc": 0.02004,
        "precision": 0.05841,
        "recall": 0.05405,
        "brier": 0.05890,
        "mcc": 0.07387,
    },
    "two classes": {
        "accuracy": 0.02721,
        "f1": 0.03656,
        "log_loss": 0.21813,
        "auc": 0.01335,
        "precision": 0.04038,
        "recall": 0.02706,
        "brier": 0.01677,
    },
    "labels": {
        "accuracy": 0.07435,
        "f1": 0.04756,
        "log_loss": 0.14186,
        "auc": 0.02276,
        "precision": 0.05388,
        "recall": 0.03198,
        "brier": 0.01753,
    },
    "numbers": {
        "rmse": 0.12995,
        "mae": 0.13478,
        "r2": 0.05921,
        "mse": 0.27679,
        "explained_variance": 0.05921,
        "mape": 0.00482,
        "smape": 0.00484,
    },
}


def mcc(y, labels, sample_weight=None):
    """Matthews correlation of several classes (Gorodkin 2004), from the table of confusions."""
    table = np.zeros((4, 4))
    np.add.at(table, (y, labels), 1.0 if sample_weight is None else sample_weight)
    rows, columns, n = table.sum(axis=1), table.sum(axis=0), table.sum()
    base = np.sqrt((n**2 - rows @ rows) * (n**2 - columns @ columns))
    return float((np.trace(table) * n - rows @ columns) / base) if base else 0.0


MCC = Statistic(mcc, higher_is_better=True, low=-1, high=1)


def drawn(kind, rng, n):
    """Outputs of a reference and a candidate side by side, and targets."""
    if kind == "numbers":
        y = 10 + rng.normal(size=n)
        error = 0.4 * rng.standard_t(8, size=n)
        return np.c_[y - error, y - 1.1 * error - 0.12 * rng.normal(size=n)], y
    if kind == "labels":
        y = (rng.random((n, 3)) < (0.5, 0.3, 0.15)).astype(int)
        old = 3 * (y - 0.5) + 1.2 * rng.normal(size=(n, 3))
        return np.hstack([old, 0.9 * old + 0.6 * rng.normal(size=(n, 3))]), y
    k = 4 if kind == "classes" else 2
    y = rng.choice(k, size=n, p=SHARES if k == 4 else (0.8, 0.2))
    old = rng.normal(size=(n, k)) + 2.2 * np.eye(k)[y]
    return np.hstack([old, 0.9 * old + 0.5 * rng.normal(size=(n, k))]), y


@functools.cache
def pair(kind):
    if kind == "numbers":
        return tuple(as_model(lambda x, j=j: x[:, j], task="regression", name=f"m{j}") for j in (0, 1))
    k = {"classes": 4, "two classes": 2, "labels": 3}[kind]
    task = "multilabel" if kind == "labels" else "classification"
    # Multi-label outputs are probabilities; the others logits.
    turn, output = (expit, "probabilities") if kind == "labels" else (lambda x: x, "logits")
    return tuple(
        as_model(lambda x, j=j: turn(x[:, j * k : j * k + k]), task=task, output=output, name=f"m{j}") for j in (0, 1)
    )


@functools.cache
def population(kind):
    """A million rows, as both models answer them."""
    found = []
    for i in range(10):
        data = as_data(*drawn(kind, np.random.default_rng((99, i)), 100_000))
        found.append((data, [predict(model, data) for model in pair(kind)]))
    return found


def of_the_population(kind, name):
    """The loss of the population."""
    if name == "mcc":
        return float(
            np.mean([mcc(data.y, old.labels) - mcc(data.y, new.labels) for data, (old, new) in population(kind)])
        )
    metric = next(metric for metric in METRICS if metric.name == name)
    values = [[metric_value(metric, score(metric, one, data)) for one in both] for data, both in population(kind)]
    means = np.mean(values, axis=0)
    return float(signed_change(metric, means[:1], means[1:], relative=metric.relative)[0])


def misses(kind, name, n, samples):
    """How often the upper bound lies below the true loss, and the lower one above it."""
    true, above, below = TRUTH[kind][name], 0, 0
    metric = MCC if name == "mcc" else name
    for i in range(samples):
        x, y = drawn(kind, np.random.default_rng((zlib.crc32(f"{kind} {name}".encode()), n, i)), n)
        m = degradation(*pair(kind), (x, y), metric=metric, seed=i)
        above += m.upper < true
        below += m.lower > true
    return int(above), int(below)


def most(samples):
    """Misses that a true rate of 6.5 % exceeds by chance in one of a thousand simulations."""
    return int(binom.ppf(0.999, samples, ALLOWED))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda part: part)
def test_the_loss_is_that_of_the_population(kind, name):
    assert of_the_population(kind, name) == pytest.approx(TRUTH[kind][name], abs=1e-5)


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda part: part)
def test_bounds_cover_in_a_few_samples(kind, name):
    samples = 4 if name == "mcc" else 10
    assert max(misses(kind, name, 100, samples)) <= most(samples)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 500, 2000])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda part: part)
def test_bounds_cover(kind, name, n):
    samples = 200 if n == 2000 else 400
    assert max(misses(kind, name, n, samples)) <= most(samples)
