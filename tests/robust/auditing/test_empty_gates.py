"""Gates that no value can settle are refused before anything is measured, and no others."""

import pytest

from robust.auditing.discovery import discover
from robust.auditing.empty_gates import refuse_empty
from robust.auditing.gates import build_gates
from robust.errors import InvalidInput

CHECKS = discover()

REFUSED = [
    ({"accuracy": ">= 95"}, r"accuracy >= 95 decides nothing: it lies from 0 to 1, .*; \">= 95%\" would be right"),
    ({"accuracy": "<= 100"}, r"lies from 0 to 1, whatever the model$"),
    ({"accuracy": "<= 100%"}, r"accuracy <= 1 decides nothing"),
    ({"mine": {"measure": "auc", "limit": "> -1%"}}, r"gate 'mine': auc > -0.01 decides nothing"),
    ({"rmse": "< -1"}, r"it is at least 0, whatever the model$"),
    ({"r2": "< 3"}, r"it is at most 1, .*; \"< 3%\" would be right"),
    ({"flip_rate": "< 2"}, r"lies from 0 to 1, .*; \"< 2%\" would be right"),
    ({"at_threshold": "> 90"}, r"; \"> 90%\" would be right"),
    (
        {"accuracy": "== 95%"},
        r"gate 'accuracy': accuracy is an estimate: == .*compare with <, <=, > or >=, as in \">= 0.95\"",
    ),
    ({"accuracy": "!= 95"}, r"estimate: != .*as in \">= 95%\""),
    ({"rmse": "== 60"}, r"as in \"< 60\""),
    (
        {"degradation": {"limit": "< 1", "metric": "f1"}},
        r"degradation < 1 decides nothing: it lies from -1 to 1, .*\"< 1%\"",
    ),
    ({"gain": {"limit": "== 5%", "metric": "auc"}}, r"gain is an estimate"),
]
KEPT = [
    {"accuracy": "> 0"},
    {"accuracy": ">= 100%"},
    {"accuracy": "< 100%"},
    {"r2": "> -3"},
    {"rmse": "< 70"},
    {"log_loss": "< 5"},
    {"macc": "== 84224"},
    {"rom": "< 256KiB"},
    {"degradation": {"limit": "< 1", "metric": "rmse"}},
    {"degradation": "< 1"},
    {"gain": {"limit": "> 5", "metric": "rmse", "relative": False}},
    {"degradation": {"limit": "< 1", "metric": "no such metric"}},
]


@pytest.mark.parametrize(("table", "message"), REFUSED)
def test_refused(table, message):
    with pytest.raises(InvalidInput, match=message):
        build_gates(table, CHECKS)


@pytest.mark.parametrize("table", KEPT)
def test_kept(table):
    assert build_gates(table, CHECKS)


def test_the_task_settles_the_metric_of_a_change():
    (gate,) = build_gates({"degradation": "< 1"}, CHECKS)
    ask = (gate.name, gate.check, gate.options, gate.operator, gate.limit)
    for task in ("classification", "multilabel"):
        with pytest.raises(InvalidInput, match=r"degradation < 1 decides nothing: it lies from -1 to 1, .*\"< 1%\""):
            refuse_empty(*ask, task=task)
    refuse_empty(*ask, task="regression")  # of the RMSE, relative: twice as bad
    refuse_empty(*ask, task="anomaly")
