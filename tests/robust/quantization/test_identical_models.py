"""Identical models, for every metric: a degradation of 0, finite bounds, and a verdict by the number of rows alone."""

import functools
import math

import numpy as np
import pytest

from robust import f1, percent, precision, recall
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.noise import RandomNoise
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.metrics.catalogue import METRICS
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation
from robust.quantization.plain_statistic import Statistic


def balanced(y, found):
    return float(np.mean([(found[y == c] == c).mean() for c in np.unique(y)]))


def brier_like(y, p):
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


def middling(y, found):
    return float(np.median(np.abs(y - found)))


BY_KIND = {
    "classes": [metric.name for metric in METRICS if metric.task == "classification"]
    + [
        functools.partial(f1, label=2),
        functools.partial(precision, average="weighted"),
        functools.partial(recall, average="micro"),
        Statistic(balanced, higher_is_better=True, low=0, high=1),
        Statistic(brier_like, of="probabilities", higher_is_better=False, low=0, high=2),
        functools.partial(robust_accuracy, attack=RandomNoise(eps=0.01, draws=3)),
    ],
    "labels": [metric.name for metric in METRICS if metric.task == "classification"],
    "numbers": [metric.name for metric in METRICS if metric.task == "regression"]
    + [Statistic(middling, of="values", higher_is_better=False)],
}
CASES = [(kind, metric) for kind, metrics in BY_KIND.items() for metric in metrics]


def named(part):
    if isinstance(part, functools.partial):
        return f"{part.func.__name__} {' '.join(map(str, part.keywords.values()))}"
    return part.label if isinstance(part, Statistic) else str(part)


def rows(kind, n):
    rng = np.random.default_rng(n)
    if kind == "numbers":
        y = 10 + rng.normal(size=n)
        return (y + 0.4 * rng.normal(size=n))[:, None], y
    if kind == "labels":
        y = (rng.random((n, 3)) < 0.4).astype(int)
        return np.clip(0.5 + 0.6 * (y - 0.5) + 0.3 * rng.normal(size=(n, 3)), 0.01, 0.99), y
    y = np.arange(n) % 3
    p = rng.random((n, 3)) + 2.0 * np.eye(3)[y]
    return p / p.sum(axis=1, keepdims=True), y


def build(kind, name="m"):
    if kind == "numbers":
        return as_model(lambda x: x[:, 0] + 0.0, task="regression", name=name)
    task = "multilabel" if kind == "labels" else "classification"
    return as_model(lambda x: x + 0.0, task=task, output="probabilities", name=name)


def shuffled(kind):
    """The same function of a row by another way."""

    def forward(x):
        found = np.empty_like(x)
        found[::-1] = x[::-1]
        return found[:, 0] if kind == "numbers" else found

    task = {"numbers": "regression", "labels": "multilabel", "classes": "classification"}[kind]
    return as_model(forward, task=task, output=None if kind == "numbers" else "probabilities", name="other")


@pytest.mark.parametrize(("kind", "metric"), CASES, ids=named)
@pytest.mark.parametrize("which", ["the same object", "an equal callable", "equal answers"])
def test_nothing_is_lost_and_n_alone_decides(kind, metric, which):
    one = build(kind)
    other = {"the same object": one, "an equal callable": build(kind), "equal answers": shuffled(kind)}[which]
    small = degradation(one, other, rows(kind, 60), metric=metric)
    assert small.value == 0.0
    assert math.isfinite(small.lower)
    assert math.isfinite(small.upper)
    assert small.lower < 0 < small.upper
    assert (small < percent(0.1)).status == "INCONCLUSIVE"
    assert (small > percent(-0.1)).status == "INCONCLUSIVE"
    if which != "the same object":
        return
    larger = degradation(one, other, rows(kind, 1200), metric=metric)
    assert larger.value == 0.0
    assert larger.upper < small.upper / 5
    assert (larger < 1.2 * larger.upper).status == "PASS"


# --- models that do not fit -----------------------------------------------------------------------------------

NAMES = ["ant", "bee", "cat"]


@pytest.mark.parametrize(
    "metric", [metric for metric in BY_KIND["classes"] if not isinstance(metric, functools.partial)], ids=named
)
def test_another_order_of_classes_is_aligned_for_every_metric(metric):
    x, y = rows("classes", 90)
    turn = [2, 0, 1]
    names = np.array(NAMES)

    def found(p, y):
        return float(np.mean([p[y == name].argmax(axis=1) == i for i, name in enumerate(NAMES)]))

    if isinstance(metric, Statistic):
        metric = Statistic(
            (lambda y, p: float(np.mean(np.array(NAMES)[p.argmax(axis=1)] == y)))
            if metric.of == "probabilities"
            else (lambda y, labels: float(np.mean(y == labels))),
            of=metric.of,
            higher_is_better=True,
            low=0,
            high=1,
        )
    old = as_model(lambda x: x, output="probabilities", classes=NAMES)
    new = as_model(lambda x: x[:, turn], output="probabilities", classes=names[turn].tolist())
    assert degradation(old, new, (x, names[y]), metric=metric).value == pytest.approx(0.0, abs=1e-12)
    # Taken by position, it would lose nearly all.
    wrong = as_model(lambda x: x[:, turn], output="probabilities", classes=NAMES)
    assert (
        abs(
            degradation(
                old, wrong, (x, names[y]), metric=metric, relative=False if metric == "log_loss" else None
            ).value
        )
        > 0.2
    )


@pytest.mark.parametrize("classes", [["ant", "bee", "dog"], ["dog", "cow", "hen"], ["ant", "bee"]])
@pytest.mark.parametrize("metric", ["accuracy", "f1", "log_loss"])
def test_classes_that_only_overlap_are_refused(classes, metric):
    x, y = rows("classes", 90)
    keep = y < 2
    old = as_model(lambda x: x, output="probabilities", classes=NAMES, name="old")
    new = as_model(
        lambda x: x[:, : len(classes)] / x[:, : len(classes)].sum(axis=1, keepdims=True),
        output="probabilities",
        classes=classes,
        name="new",
    )
    with pytest.raises(InvalidInput, match=r"know different classes: old .* new|labels that new does not know"):
        degradation(old, new, (x[keep], np.array(NAMES)[y[keep]]), metric=metric)


@pytest.mark.parametrize(
    ("forward", "options", "error", "message"),
    [
        (lambda x: np.c_[x, x[:, 0]], {"output": "logits"}, InvalidInput, "know different classes: m .* new"),
        (lambda x: x[:, :2], {"output": "logits"}, InvalidInput, "labels that new does not know|different classes"),
        (
            lambda x: x[:, :2],
            {"output": "logits", "classes": NAMES},
            InvalidInput,
            "new has 2 outputs, but classes names 3",
        ),
        (lambda x: x[:-1], {"output": "logits"}, ModelFault, r"new.*rows"),
        (lambda x: x[:, :, None, None].repeat(2, axis=3), {"output": "logits"}, (InvalidInput, ModelFault), "new"),
        (
            lambda x: x[:, 0],
            {"task": "regression"},
            InvalidInput,
            "accuracy is a classification metric; new is a regression model",
        ),
    ],
)
def test_other_output_shapes_are_refused_by_name(forward, options, error, message):
    x, y = rows("classes", 60)
    with pytest.raises(error, match=message):
        degradation(build("classes"), as_model(forward, name="new", **options), (x, y))


def test_several_outputs_must_be_as_many():
    y = np.random.default_rng(0).normal(size=(50, 2))
    old = as_model(lambda x: x, task="regression", name="old")
    new = as_model(lambda x: x[:, :1], task="regression", name="new")
    with pytest.raises(InvalidInput, match="new gives 1 values a row, the targets are 2"):
        degradation(old, new, as_data(y + 0.1, y), metric="rmse")
