"""One number for a whole audit."""

from itertools import product

import pytest

from robust.auditing.outcome import exit_code
from robust.record.shape import Bounded, Entry, Gate, Skipped

NUMBER = Bounded(
    name="m",
    value=0.5,
    lower=0.4,
    upper=0.6,
    level=0.95,
    n=10,
    unit="share",
    higher_is_better=True,
    method="t",
    sizing=None,
    evidence=(),
    validity=(),
    models=(),
    data=(),
    seed=None,
    options=(),
    forward_rows=0,
    backward_rows=0,
)


def entry(status):
    gate = None
    if status is not None:
        gate = Gate(
            name="g",
            operator="<",
            limit=1.0,
            status=status,
            decided_by="upper",
            bound=0.6,
            margin=0.4,
            needed_n=None,
            reason="r",
        )
    return Entry(code="MET001", name="m", title="t", measurement=NUMBER, gate=gate)


def missing(gated):
    return Skipped(code="MET002", name="s", title="t", reason="r", gated=gated)


@pytest.mark.parametrize(
    ("statuses", "skipped", "gated", "interrupted", "code"),
    [
        ([], [], False, False, 0),
        ([None, None], [False], False, False, 0),
        (["PASS"], [], True, False, 0),
        (["PASS"], [False], True, False, 0),
        (["PASS", None], [], True, False, 0),
        (["FAIL"], [], True, False, 1),
        (["PASS", "FAIL", "INVALID"], [True], True, False, 1),
        (["INCONCLUSIVE"], [], True, False, 4),
        (["INVALID", "PASS"], [], True, False, 4),
        (["PASS"], [True], True, False, 4),  # a gate that could not be measured is no pass
        ([], [True], True, False, 5),
        ([None], [True], True, False, 5),
        ([], [], True, False, 5),
        (["PASS"], [], True, True, 130),
        (["FAIL"], [True], True, True, 130),
        ([], [], False, True, 130),
    ],
)
def test_the_table_of_exit_codes(statuses, skipped, gated, interrupted, code):
    entries, lacking = [entry(status) for status in statuses], [missing(one) for one in skipped]
    assert exit_code(entries, lacking, gated=gated, interrupted=interrupted) == code


@pytest.mark.parametrize("statuses", [[], ["PASS"], ["FAIL"], ["INVALID"]])
def test_a_refused_gate_is_a_mistake_of_the_config(statuses):
    entries = [entry(status) for status in statuses]
    assert exit_code(entries, [missing(True)], gated=True, interrupted=False, refused=True) == 2
    assert exit_code(entries, [missing(True)], gated=True, interrupted=True, refused=True) == 130


def test_only_passes_are_zero_once_a_gate_was_asked():
    for statuses in product([None, "PASS", "FAIL", "INCONCLUSIVE", "INVALID"], repeat=2):
        for gated_skip in (False, True):
            code = exit_code([entry(s) for s in statuses], [missing(gated_skip)], gated=True, interrupted=False)
            asked = set(statuses) - {None}
            assert (code == 0) == (asked == {"PASS"} and not gated_skip)
            assert (code == 1) == ("FAIL" in asked)
