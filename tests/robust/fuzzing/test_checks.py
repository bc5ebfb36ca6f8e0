"""Fuzzing as a check of the audit: bounded in time, with one small input of each kind of failure."""

import time

import numpy as np

from robust.auditing.discovery import discover
from robust.auditing.gates import build_gates
from robust.check import Subject
from robust.data.live import as_data
from robust.evidence import Fact, Figure, Finding, Table
from robust.fuzzing.checks import CHECKS, FuzzFailuresOptions
from robust.fuzzing.random_attack import fuzz
from robust.models.conversion import as_model

X = np.random.default_rng(0).random((64, 3)) * 0.9
DATA = as_data(X, names=["a", "b", "c"], schema={"bounds": (0, 1)})


def run(model, **options):
    subject = Subject(model=as_model(model, task="regression"), task="regression", test=DATA)
    return CHECKS[0].run(subject, FuzzFailuresOptions(**options))


def only(m, kind):
    return [item for item in m.evidence if isinstance(item, kind)]


def test_the_audit_finds_it():
    assert "ATK030" in [check.code for check in discover()]


def test_a_config_can_ask_for_none():
    (gate,) = build_gates({"fuzz_failures": {"limit": "== 0", "n": 300, "levels": ["inside", "edges"]}}, CHECKS)
    assert gate.options == FuzzFailuresOptions(n=300, levels=("inside", "edges"))
    subject = Subject(model=as_model(lambda x: x[:, 0], task="regression"), task="regression", test=DATA)
    assert gate.judge(CHECKS[0].run(subject, gate.options)).status == "PASS"


def test_a_sound_model_has_no_failure():
    m = run(lambda x: x.sum(axis=1), n=1000)
    assert (m == 0).status == "PASS"
    assert m.name == "fuzz_failures"
    assert not only(m, Table) + only(m, Figure) + only(m, Finding)
    assert "none failed" in next(item.value for item in only(m, Fact) if item.name == "rows inside")


def broken(x):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(0.95 - x[:, 1]) + x[:, 0]


def test_a_broken_model_fails_with_the_input_that_shows_it():
    m = run(broken, n=1000)
    found = fuzz(as_model(broken, task="regression"), DATA, n=1000)
    assert m.value == found.failures.value > 0
    assert (m == 0).status == "FAIL"
    (table,) = only(m, Table)
    inside = next(line for line in table.rows if line[:2] == ("finite outputs", "inside"))
    assert "b = 1" in inside[3]
    (figure,) = only(m, Figure)
    columns = {column.name: column.values for column in figure.columns}
    assert sum(columns["value"]) >= m.value
    assert set(columns["y"]) == {"inside", "edges", "outside"}


def test_a_slow_model_is_asked_about_fewer_rows():
    def slow(x):
        time.sleep(0.002 * len(x))
        return x.sum(axis=1)

    before = time.perf_counter()
    m = run(slow, n=100_000, seconds=1.0, levels=("inside",))
    assert time.perf_counter() - before < 10
    told = next(item.value for item in only(m, Fact) if item.name == "random rows")
    assert told.endswith("of 100,000: more would have taken longer than 1 s")
    rows = int(told.split()[0].replace(",", ""))
    assert rows & (rows - 1) == 0


def test_levels_can_be_chosen():
    names = [item.name for item in only(run(lambda x: x.sum(axis=1), n=300, levels=("inside",)), Fact)]
    assert "rows inside" in names
    assert "rows outside" not in names
