"""Audits of models and checks that are made here: results, gates, crashes, Ctrl-C, what the next run uses."""

import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest
from msgspec import structs

from robust.auditing.gates import build_gates
from robust.auditing.running import Plan, run_audit
from robust.check import Check, Subject
from robust.data.live import as_data
from robust.errors import Inapplicable, InvalidInput, MissingExtra, ModelFault
from robust.measurement import Measurement
from robust.measures.classification import accuracy
from robust.models.base import Model
from robust.predicting.predictions import predict
from robust.record.codec import dump
from robust.verdict import decide_by

N = 200
Y = np.arange(N) % 2
X = np.eye(2)[np.where(np.arange(N) < 180, Y, 1 - Y)]  # 90 % right


class Silent:
    """Told everything, says nothing."""

    def __init__(self):
        self.total, self.seen, self.ended = None, [], 0

    def begin(self, total):
        self.total = total

    def check(self, code, title):
        self.seen.append(code)

    def done(self):
        self.ended += 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    shift: float = 0.0


class Catalogue:
    """Checks that count their runs and do what they are told."""

    def __init__(self, **behaviour):
        self.runs, self.behaviour = [], behaviour

    def check(self, name, code, **fields):
        def measure():
            """Nothing."""

        def run(subject, options):
            self.runs.append(name)
            behaviour = self.behaviour.get(name)
            if isinstance(behaviour, BaseException):
                raise behaviour
            if callable(behaviour):
                return behaviour(subject, options)
            m = accuracy(subject.model, subject.test, level=subject.level, seed=subject.seed)
            return dataclasses.replace(m, name=name) + (options.shift if options else 0.0)

        return Check(code=code, name=name, title=name, measure=measure, run=run, why="w", remedy="r", **fields)

    @property
    def checks(self):
        return (
            self.check("first", "MET001"),
            self.check("second", "MET002", options=Options),
            self.check("third", "MET003"),
            self.check("compared", "QNT001", needs=frozenset({"reference"})),
            self.check("numeric", "MET011", needs=frozenset({"regression"})),
        )


def model(identity="abc"):
    return Model(name="m", framework="sklearn", forward=lambda x: x, output="probabilities", identity=lambda: identity)


def audit(catalogue, gates=None, *, folder=None, progress=None, identity="abc", **options):
    checks = catalogue.checks
    subject = Subject(model=model(identity), task="classification", test=as_data(X, Y))
    plan = Plan(subject=subject, checks=checks, gates=build_gates(gates or {}, checks), folder=folder, **options)
    return run_audit(plan, progress or Silent())


def named(entries):
    return [entry.name for entry in entries]


def without_times(record):
    return dump(
        structs.replace(record, times=structs.replace(record.times, started="", seconds=0.0, checks=(), from_cache=()))
    )


def test_every_check_that_applies_runs_once_and_the_others_say_what_they_need():
    catalogue, progress = Catalogue(), Silent()
    record = audit(catalogue, progress=progress)
    assert named(record.entries) == catalogue.runs == ["first", "second", "third"]
    assert (progress.total, progress.seen, progress.ended) == (3, ["MET001", "MET002", "MET003"], 3)
    assert [(s.name, s.failed, s.gated) for s in record.skipped] == [
        ("compared", False, False),
        ("numeric", False, False),
    ]
    assert "--reference" in record.skipped[0].reason
    assert record.skipped[1].reason == "for regression models alone"
    assert record.exit_code == 0
    assert record.entries[0].measurement.value == 0.9
    assert record.data[0].rows == N
    assert record.models[0].noise.decisions_changed == 0
    assert not record.interrupted
    assert [name for name, _ in record.times.checks] == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("gates", "code", "status"),
    [
        ({"first": "> 80%"}, 0, "PASS"),
        ({"first": "> 95%"}, 1, "FAIL"),
        ({"first": "> 89%"}, 4, "INCONCLUSIVE"),
        ({"first": "== 90%"}, 2, None),
        ({"first": "!= 50%"}, 2, None),
        ({"first": ">= 95"}, 2, None),
        ({"first": "> 95%", "third": "<= 1"}, 2, "FAIL"),
        ({"compared": "< 1%"}, 5, None),
        ({"numeric": "< 1%"}, 5, None),
        ({"first": "> 80%", "compared": "< 1%"}, 4, "PASS"),
        ({"first": "> 80%", "numeric": "< 1"}, 4, "PASS"),
        ({"first": "> 80%", "third": "!= 0"}, 2, "PASS"),
    ],
)
def test_gates_decide_the_exit_code(gates, code, status):
    record = audit(Catalogue(), gates)
    assert record.exit_code == code
    judged = [entry.gate.status for entry in record.entries if entry.gate is not None]
    assert judged == ([] if status is None else [status])
    lost = {skipped.name for skipped in record.skipped if skipped.gated}
    assert lost == set(gates) - {entry.gate.name for entry in record.entries if entry.gate is not None}


def test_a_check_runs_once_for_each_of_its_gates_with_its_options():
    catalogue = Catalogue()
    gates = {
        "second": {"limit": "> 1.2", "shift": 0.5},
        "lower": {"measure": "second", "limit": "< 0.45", "shift": -0.5},
        "absent": {"measure": "compared", "limit": "< 1"},
        "also_absent": {"measure": "compared", "limit": "< 2"},
    }
    record = audit(catalogue, gates)
    assert catalogue.runs == ["first", "second", "second", "third"]
    values = {entry.name: entry.measurement.value for entry in record.entries}
    assert values == {"first": 0.9, "second": 1.4, "lower": 0.4, "third": 0.9}
    assert [skipped.name for skipped in record.skipped] == ["absent", "also_absent", "numeric"]
    assert record.exit_code == 4


def test_require_gates():
    assert audit(Catalogue(), require_gates=True).exit_code == 5
    assert audit(Catalogue(), {"first": "> 80%"}, require_gates=True).exit_code == 0


def test_decide_by_value():
    token = decide_by.set("value")
    try:
        record = audit(Catalogue(), {"first": "> 89%"})
    finally:
        decide_by.reset(token)
    assert (record.decide, record.exit_code) == ("value", 0)
    (gate,) = (entry.gate for entry in record.entries if entry.gate)
    assert (gate.decided_by, gate.bound, gate.status) == ("value", 0.9, "PASS")


# --- checks that fail -----------------------------------------------------------------------------------------


def one_and_then_none(subject, options):
    yield accuracy(subject.model, subject.test)
    raise ModelFault("m raised on the row at position 7")


FAILURES = [
    ModelFault("m gives NaN"),
    InvalidInput("level got 7"),
    MissingExtra("this", "torch"),
    one_and_then_none,
    lambda subject, options: [],
    lambda subject, options: iter(()),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_check_that_fails_is_listed_and_the_others_run(failure):
    record = audit(Catalogue(first=failure))
    assert named(record.entries) == ["second", "third"]
    failed = next(skipped for skipped in record.skipped if skipped.name == "first")
    assert failed.failed
    assert failed.reason
    assert record.exit_code == 0  # nobody has asked for it


@pytest.mark.parametrize("failure", FAILURES)
def test_a_gate_on_a_check_that_fails_is_never_a_pass(failure):
    assert audit(Catalogue(first=failure), {"first": "> 0"}).exit_code == 5
    assert audit(Catalogue(first=failure), {"first": "> 0", "third": "> 0.5"}).exit_code == 4
    assert audit(Catalogue(first=failure), {"first": "> 0", "third": "> 0.99"}).exit_code == 1


def test_a_check_that_finds_that_it_does_not_apply_did_not_run():
    catalogue = Catalogue(second=Inapplicable("needs a network that can be read"))
    record = audit(catalogue)
    (told,) = [item for item in record.skipped if item.name == "second"]
    assert (told.failed, told.reason) == (False, "needs a network that can be read")


def test_a_crash_is_no_finding(tmp_path):
    # A mistake in this package is exit code 3; what was measured before it is kept.
    with pytest.raises(ZeroDivisionError):
        audit(Catalogue(second=ZeroDivisionError()), folder=tmp_path)
    again = Catalogue()
    record = audit(again, folder=tmp_path)
    assert again.runs == ["second", "third"]
    assert record.times.from_cache == ("first",)


def test_only_the_first_of_several_measurements_is_judged():
    def several(subject, options):
        m = accuracy(subject.model, subject.test)
        yield m
        yield m - 0.9

    record = audit(Catalogue(first=several), {"first": "> 80%"})
    assert [(entry.name, entry.gate is not None) for entry in record.entries] == [
        ("first", True),
        ("first", False),
        ("second", False),
        ("third", False),
    ]


def test_a_model_that_cannot_predict_costs_its_noise_alone():
    def fails(x):
        raise RuntimeError("no")

    catalogue = Catalogue()
    broken = Model(name="r", framework="sklearn", forward=fails, output="probabilities")
    subject = Subject(model=model(), task="classification", test=as_data(X, Y), reference=broken)
    record = run_audit(Plan(subject=subject, checks=catalogue.checks), Silent())
    assert [info.noise is None for info in record.models] == [False, True]
    assert named(record.entries) == ["first", "second", "third", "compared"]


# --- the next run ---------------------------------------------------------------------------------------------


def test_a_second_run_measures_nothing_and_says_the_same(tmp_path):
    gates = {"first": "> 80%", "second": {"limit": "> 1.2", "shift": 0.5}}
    one, other = Catalogue(), Catalogue()
    before, after = audit(one, gates, folder=tmp_path), audit(other, gates, folder=tmp_path)
    assert other.runs == []
    assert after.times.from_cache == ("first", "second", "third")
    assert before.times.from_cache == ()
    assert without_times(before) == without_times(after)
    third = Catalogue()
    audit(third, {**gates, "second": {"limit": "> 1.2", "shift": 0.6}}, folder=tmp_path)
    assert third.runs == ["second"]  # another limit alone would not have asked again
    fourth = Catalogue()
    assert audit(fourth, {"first": "> 95%"}, folder=tmp_path).exit_code == 1
    assert fourth.runs == ["second"]  # without its option it has not run yet


def test_failures_and_models_without_a_hash_are_not_kept(tmp_path):
    audit(Catalogue(first=ModelFault("no")), folder=tmp_path)
    again = Catalogue()
    audit(again, folder=tmp_path)
    assert again.runs == ["first"]
    for _ in range(2):
        live = Catalogue()
        audit(live, folder=tmp_path, identity=None)
        assert live.runs == ["first", "second", "third"]


def test_ctrl_c_keeps_what_was_measured_for_the_next_run(tmp_path):
    stopped = Catalogue(second=KeyboardInterrupt())
    record = audit(stopped, {"first": "> 80%", "third": "> 80%"}, folder=tmp_path)
    assert (record.exit_code, record.interrupted) == (130, True)
    assert named(record.entries) == ["first"]
    assert record.entries[0].gate.status == "PASS"
    reasons = {skipped.name: (skipped.reason, skipped.gated) for skipped in record.skipped}
    assert reasons["second"] == ("interrupted before it was measured", False)
    assert reasons["third"] == ("interrupted before it was measured", True)
    again = Catalogue()
    finished = audit(again, {"first": "> 80%", "third": "> 80%"}, folder=tmp_path)
    assert again.runs == ["second", "third"]
    assert (finished.exit_code, finished.times.from_cache) == (0, ("first",))


def test_ctrl_c_before_the_first_check():
    class Impatient(Silent):
        def begin(self, total):
            super().begin(total)
            raise KeyboardInterrupt

    record = audit(Catalogue(), {"first": "> 80%"}, progress=Impatient())
    assert (record.exit_code, record.entries) == (130, ())
    assert {skipped.name for skipped in record.skipped} == {"first", "second", "third", "compared", "numeric"}


def test_a_damaged_result_is_measured_again(tmp_path):
    audit(Catalogue(), folder=tmp_path)
    for path in (tmp_path / "results").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    again = Catalogue()
    audit(again, folder=tmp_path)
    assert again.runs == ["first", "second", "third"]


def test_predictions_of_checks_are_shared_through_the_folder(tmp_path):
    calls = []

    def forward(x):
        calls.append(len(x))
        return x

    subject = Subject(
        model=Model(name="m", framework="sklearn", forward=forward, output="probabilities", identity=lambda: "abc"),
        task="classification",
        test=as_data(X, Y),
    )
    run_audit(Plan(subject=subject, checks=Catalogue().checks, folder=tmp_path), Silent())
    noise = 1 + -(-N // 7)
    # One pass for all checks, one to see that it repeats, and 32 rows in other company, one of them also alone.
    assert calls[noise:] == [N, N, 32, 1]
    assert predict(subject.model, subject.test).outputs.shape == (N, 2)


@contextmanager
def unwritable(folder):
    (folder / "file").write_text("")
    yield folder / "file" / "below"


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path):
    with unwritable(tmp_path) as folder:
        assert audit(Catalogue(), {"first": "> 80%"}, folder=folder).exit_code == 0


def test_shards_say_the_same(tmp_path):
    one, many = audit(Catalogue()), audit(Catalogue(), shards=8)
    assert without_times(one) == without_times(many)


def test_a_value_that_is_no_number_is_recorded_as_invalid():
    from robust.evidence import SelfCheck

    def undefined(subject, options):
        failed = SelfCheck(name="relative to zero", passed=False, reason="use relative=False", bias="either")
        return Measurement(
            name="m", value=float("nan"), lower=-np.inf, upper=np.inf, n=3, method="none", validity=(failed,)
        )

    record = audit(Catalogue(first=undefined), {"first": "< 1"})
    assert record.exit_code == 4
    assert record.entries[0].gate.status == "INVALID"
    assert record.entries[0].measurement.value is None
