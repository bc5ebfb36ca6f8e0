"""What a check would need, in words."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch

from robust.auditing.applicability import lacking
from robust.check import Check, Need, Subject
from robust.data.live import as_data
from robust.models.conversion import as_model

X = np.arange(12.0).reshape(6, 2)
BARE = Subject(model=as_model(lambda x: x[:, 0]), task="regression", test=as_data(X))
GRADIENT = as_model(lambda x: x[:, 0], gradients=lambda x, c: (x, x))
FULL = Subject(
    model=dataclasses.replace(GRADIENT, framework="torch"),
    task="classification",
    test=as_data(X, np.arange(6) % 2, order=np.arange(6), unused={"u": np.arange(6)}),
    reference=as_model(torch.nn.Linear(2, 2)),
    surrogate=GRADIENT,
    train=as_data(X + 1, np.arange(6) % 2),
    validation=as_data(X + 2, np.arange(6) % 2),
    normal=as_data(X + 3),
)


def check(*needs):
    def measure():
        """Nothing."""

    return Check(
        code="X", name="x", title="t", measure=measure, run=measure, why="w", remedy="r", needs=frozenset(needs)
    )


WORDS = {
    "reference": "--reference, or reference in",
    "train": "--train, or train in",
    "validation": "validation rows with targets, on which thresholds and bit widths are chosen (--validation, or",
    "normal": "held-out normal rows, on which a threshold is chosen (--normal, or normal in",
    "targets": "--target, or target in",
    "gradients": "a candidate that gives gradients",
    "surrogate": "surrogate in",
    "order": "order in",
    "unused": "unused in",
    "layers": "not a plain callable",
    "bits": "a torch module or a float ONNX file as reference or candidate, whose weights can be rounded",
    "layer pair": "torch modules or ONNX files as reference and candidate, whose layers can be compared",
    "metadata": "slices, unused or groups in",
    "classification": "for classifiers alone",
    "multilabel": "for multi-label models alone",
    "anomaly": "for anomaly detectors alone: give held-out normal rows, on which a threshold is chosen (--normal",
}


@pytest.mark.parametrize("need", [need for need in get_args(Need) if need != "regression"])
def test_each_need_names_what_would_help(need):
    assert WORDS[need] in lacking(check(need), BARE)
    task = need if need in ("multilabel", "anomaly") else FULL.task
    assert lacking(check(need), dataclasses.replace(FULL, task=task)) is None


def test_several_tasks_are_either():
    both = check("classification", "multilabel")
    assert lacking(both, FULL) is None
    assert lacking(both, BARE) == "for classifiers and multi-label models alone"
    assert (both.tasks, both.inputs) == (("classification", "multilabel"), ())


def test_regression_is_for_regression():
    assert lacking(check("regression"), BARE) is None
    assert lacking(check("regression"), FULL) == "for regression models alone"
    # What else is missing is not worth a word.
    assert lacking(check("classification", "reference"), BARE) == "for classifiers alone"


def test_checks_of_one_answer_are_for_classifiers_and_regression():
    answers = check("classification", "regression")
    for task in ("classification", "regression"):
        assert lacking(answers, dataclasses.replace(FULL, task=task)) is None
    for task in ("multilabel", "anomaly"):
        told = "for classifiers and regression models alone"
        assert lacking(answers, dataclasses.replace(FULL, task=task)) == told


def test_validation_rows_without_targets_do_not_do():
    assert "with targets" in lacking(check("validation"), dataclasses.replace(FULL, validation=as_data(X)))
    assert lacking(check("normal"), dataclasses.replace(FULL, normal=as_data(X))) is None


def test_several_needs_are_listed_together():
    assert lacking(check("reference", "train"), BARE) == (
        "needs a reference model (--reference, or reference in [models]) and training rows with targets "
        "(--train, or train in [data])"
    )
    assert lacking(check(), BARE) is None


def test_training_rows_without_targets_and_a_twin_without_gradients_do_not_do():
    assert "with targets" in lacking(check("train"), dataclasses.replace(FULL, train=as_data(X)))
    assert lacking(check("surrogate"), dataclasses.replace(FULL, surrogate=as_model(len))) is not None


def test_what_could_not_be_loaded_says_why():
    subject = dataclasses.replace(BARE, absent=(("surrogate", 'needs pip install "robust-gates[torch]"'),))
    assert lacking(check("surrogate"), subject).endswith('; needs pip install "robust-gates[torch]"')
