"""The comparison is the test: every operator, position of the limit, self-check and way of deciding."""

import copy
import math
import pickle
import threading
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.evidence import SelfCheck, Values
from robust.intervals.tango import tango
from robust.measurement import Measurement
from robust.observing import observed
from robust.verdict import Verdict, aligned, decide_by, percentage

P, F, I = "PASS", "FAIL", "INCONCLUSIVE"  # noqa: E741
OPERATORS = ("<", "<=", ">", ">=")

# An interval of 2 .. 4 around 3, and a limit on each side of, on, and between its three numbers.
TABLE = {
    #      1  2  2.5 3  3.5 4  5
    "<": (F, F, I, I, I, I, P),
    "<=": (F, I, I, I, I, P, P),
    ">": (P, I, I, I, I, F, F),
    ">=": (P, P, I, I, I, I, F),
}
LIMITS = (1, 2, 2.5, 3, 3.5, 4, 5)
BY_VALUE = {
    "<": (F, F, F, F, P, P, P),
    "<=": (F, F, F, P, P, P, P),
    ">": (P, P, P, F, F, F, F),
    ">=": (P, P, P, P, F, F, F),
}
CASES = [(operator, limit, at) for operator in OPERATORS for at, limit in enumerate(LIMITS)]

# Which verdicts a failed self-check could have faked. A value that the failure raised fakes a PASS of `>` and
# a FAIL of `<`; never the opposite ones, which stand although the check failed.
FAKED = {
    ("raises", ">"): {P},
    ("raises", ">="): {P},
    ("raises", "<"): {F},
    ("raises", "<="): {F},
    ("lowers", ">"): {F},
    ("lowers", ">="): {F},
    ("lowers", "<"): {P},
    ("lowers", "<="): {P},
    **{("either", operator): {P, F, I} for operator in OPERATORS},
    **{("none", operator): set() for operator in OPERATORS},
}


def measured(value: float = 3.0, lower: float = 2.0, upper: float = 4.0, **other: Any) -> Measurement:
    return Measurement(**{"name": "m", "n": 100, "method": "by-hand"} | other, value=value, lower=lower, upper=upper)


def counted(value: float) -> Measurement:
    return measured(value, value, value, method="exact")


def compare(m: Measurement, operator: str, limit: object) -> Verdict:
    return {"<": m.__lt__, "<=": m.__le__, ">": m.__gt__, ">=": m.__ge__, "==": m.__eq__, "!=": m.__ne__}[operator](
        limit
    )


def check(bias: str, *, passed: bool = False) -> SelfCheck:
    return SelfCheck(name="self-check", passed=passed, reason="it went wrong", bias=bias)  # type: ignore[arg-type]


# --- the truth table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
def test_truth_table(operator: str, limit: float, at: int) -> None:
    assert compare(measured(), operator, limit).status == TABLE[operator][at]


@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
@pytest.mark.parametrize("bias", ["raises", "lowers", "either", "none"])
def test_a_failed_self_check_spoils_only_what_it_could_have_faked(
    operator: str, limit: float, at: int, bias: str
) -> None:
    verdict = compare(measured(validity=(check(bias),)), operator, limit)
    settled = TABLE[operator][at]
    spoiled = settled in FAKED[bias, operator]
    assert verdict.status == ("INVALID" if spoiled else settled)
    assert (verdict.reason == "self-check: it went wrong") is spoiled


@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
@pytest.mark.parametrize("bias", ["raises", "lowers", "either", "none"])
def test_a_passed_self_check_changes_nothing(operator: str, limit: float, at: int, bias: str) -> None:
    assert compare(measured(validity=(check(bias, passed=True),)), operator, limit).status == TABLE[operator][at]


@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
def test_a_mirrored_measurement_gives_the_mirrored_verdict(operator: str, limit: float, at: int) -> None:
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
    assert compare(-measured(), mirrored, -limit).status == TABLE[operator][at]


@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
@pytest.mark.parametrize("bias", ["raises", "lowers", "either", "none"])
def test_mirroring_also_mirrors_the_self_checks(operator: str, limit: float, at: int, bias: str) -> None:
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
    m = measured(validity=(check(bias),))
    assert compare(-m, mirrored, -limit).status == compare(m, operator, limit).status


@pytest.mark.parametrize("operator", OPERATORS)
def test_nothing_proved_is_inconclusive_at_every_limit(operator: str) -> None:
    nothing = measured(lower=-math.inf, upper=math.inf)
    assert {compare(nothing, operator, limit).status for limit in LIMITS} == {I}


@pytest.mark.parametrize("operator", [*OPERATORS])
def test_nan_is_invalid_and_never_a_pass(operator: str) -> None:
    broken = measured(math.nan, math.nan, math.nan, validity=(check("either"),))
    assert compare(broken, operator, 3).status == "INVALID"


@pytest.mark.parametrize(
    ("operator", "limit", "status"),
    [
        ("==", 3, P), ("==", 4, F), ("!=", 3, F), ("!=", 4, P),
        ("<", 3, F), ("<=", 3, P), (">", 3, F), (">=", 3, P), ("<", 3.0000001, P),
    ],
)  # fmt: skip
def test_an_exact_measure_is_decided_by_its_value(operator: str, limit: float, status: str) -> None:
    verdict = compare(counted(3), operator, limit)
    assert (verdict.status, verdict.decided_by, verdict.bound) == (status, "value", 3)


@pytest.mark.parametrize("bias", ["raises", "lowers", "either"])
@pytest.mark.parametrize("operator", ["==", "!="])
def test_equality_cannot_be_believed_with_a_failed_check_of_any_direction(operator: str, bias: str) -> None:
    m = measured(3, 3, 3, method="exact", validity=(check(bias),))
    assert compare(m, operator, 3).status == "INVALID"


@pytest.mark.parametrize(
    ("operator", "limit", "decided_by", "bound", "margin"),
    [
        ("<", 5, "upper", 4, 1), ("<", 1, "lower", 2, -1), ("<", 3, "upper", 4, -1),
        (">", 1, "lower", 2, 1), (">", 5, "upper", 4, -1), (">", 3, "lower", 2, -1),
    ],
)  # fmt: skip
def test_the_bound_that_settles_is_named_and_its_margin_signed(
    operator: str, limit: float, decided_by: str, bound: float, margin: float
) -> None:
    verdict = compare(measured(), operator, limit)
    assert (verdict.decided_by, verdict.bound, verdict.margin) == (decided_by, bound, margin)


@pytest.mark.parametrize(("operator", "limit", "margin"), [("==", 3, 0), ("==", 5, -2), ("==", 1, -2), ("!=", 5, 2)])
def test_the_margin_of_an_equality(operator: str, limit: float, margin: float) -> None:
    assert compare(counted(3), operator, limit).margin == margin


# --- decided by the value -----------------------------------------------------------------------------------


@pytest.fixture
def by_value():
    token = decide_by.set("value")
    yield
    decide_by.reset(token)


@pytest.mark.usefixtures("by_value")
@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
def test_a_project_may_let_the_value_decide(operator: str, limit: float, at: int) -> None:
    verdict = compare(measured(), operator, limit)
    assert (verdict.status, verdict.decided_by) == (BY_VALUE[operator][at], "value")
    assert "decided by the value, 95% interval ignored" in verdict.line()


@pytest.mark.usefixtures("by_value")
@pytest.mark.parametrize(("operator", "limit", "at"), CASES)
@pytest.mark.parametrize("bias", ["raises", "lowers", "either", "none"])
def test_that_does_not_override_invalid(operator: str, limit: float, at: int, bias: str) -> None:
    verdict = compare(measured(validity=(check(bias),)), operator, limit)
    settled = BY_VALUE[operator][at]
    assert verdict.status == ("INVALID" if settled in FAKED[bias, operator] else settled)


@pytest.mark.usefixtures("by_value")
def test_nan_stays_invalid_when_the_value_decides() -> None:
    broken = measured(math.nan, math.nan, math.nan, validity=(check("either"),))
    assert {compare(broken, operator, 3).status for operator in OPERATORS} == {"INVALID"}


@pytest.mark.usefixtures("by_value")
def test_a_thread_that_does_not_inherit_the_choice_falls_back_to_the_bound() -> None:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append((measured() < 3.5).status))
    thread.start()
    thread.join()
    assert (measured() < 3.5).status == P
    assert seen == [I]  # the strict side


# --- the truth value ----------------------------------------------------------------------------------------


@pytest.mark.robust_allow_inconclusive
def test_only_pass_is_true() -> None:
    invalid = measured(validity=(check("either"),)) < 5
    truths = {v.status: bool(v) for v in (measured() < 5, measured() < 1, measured() < 3, invalid)}
    assert truths == {"PASS": True, "FAIL": False, "INCONCLUSIVE": False, "INVALID": False}


def test_comparing_a_verdict_with_a_truth_value_is_using_it() -> None:
    passed, failed = measured() < 5, measured() < 1
    for true, false in product([True, 1, 1.0, np.True_, np.int64(1)], [False, 0, 0.0, np.False_, np.int64(0)]):
        assert passed == true
        assert true == passed
        assert passed != false
        assert failed == false
        assert failed != true
        assert not failed == true  # noqa: SIM201
        assert not failed != false  # noqa: SIM202 - `(m < x) != False` must not be green


def test_a_verdict_is_equal_to_no_other_verdict_and_hashable() -> None:
    first, second = measured() < 5, measured() < 5
    assert first != second
    assert first == first
    assert len({first, second}) == 2
    assert first != None  # noqa: E711


def test_a_verdict_is_not_compared_with_text() -> None:
    with pytest.raises(TypeError, match=r"compare verdict\.status with 'FAIL'"):
        _ = (measured() < 5) != "FAIL"


@pytest.mark.parametrize(
    "misuse", [lambda v: v < 1, lambda v: v & v, lambda v: v + 1, lambda v: float(v), lambda v: ~v]
)
def test_a_verdict_is_no_number(misuse: Any) -> None:
    with pytest.raises(TypeError):
        misuse(measured() < 5)


def test_observers_hear_what_is_made_and_what_is_used_also_in_threads() -> None:
    heard: list[tuple[str, Verdict]] = []
    with observed(lambda event, verdict: heard.append((event, verdict))):
        verdict = measured() < 5
        repr(verdict), verdict.status, verdict.margin, hash(verdict)
        assert [event for event, _ in heard] == ["made"]
        thread = threading.Thread(target=lambda: bool(measured() < 1))
        thread.start()
        thread.join()
        _ = verdict == True  # noqa: E712
    bool(verdict)
    assert [event for event, _ in heard] == ["made", "made", "used", "used"]
    assert heard[0][1] is heard[3][1] is verdict


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_verdict_survives_copying_and_pickling(clone: Any) -> None:
    verdict = measured(validity=(check("none"),)) < 3
    twin = clone(verdict)
    assert twin is not verdict
    assert (twin.line(), twin.margin, twin.reason) == (verdict.line(), verdict.margin, verdict.reason)
    assert twin.measurement.validity == verdict.measurement.validity


# --- its text -----------------------------------------------------------------------------------------------


def paired(b: int, c: int, n: int) -> Measurement:
    return Measurement(name="degradation", **{k: getattr(tango(b, c, n, level=0.95), k) for k in (
        "value", "lower", "upper", "n", "method", "sizing")})  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (measured() < 1, "3 < 1 [FAIL: 95% lower bound 2, n=100]"),
        (measured(level=0.99) < 5, "3 < 5 [PASS: 99% upper bound 4, n=100]"),
        (measured().__lt__(np.float64(5)), "3 < 5 [PASS: 95% upper bound 4, n=100]"),
        (measured() < 3, "3 < 3 [INCONCLUSIVE, no n settles it: 95% upper bound 4, n=100]"),
        # Without a rule for resizing the bounds it is not known whether more rows would help.
        (measured() < 3.5, "3 < 3.5 [INCONCLUSIVE: 95% upper bound 4, n=100]"),
        (counted(3) == 3, "3 == 3 [PASS: exact, n=100]"),
        (
            measured(validity=(check("either"),)) > 1,
            "3 > 1 [INVALID (self-check: it went wrong): 95% lower bound 2, n=100]",
        ),
        # 361 rows without a flip settle 1 %: the published worked value of the corrected bound.
        (paired(0, 0, 128) < 0.01, "0 < 0.01 [INCONCLUSIVE, need n>=361: 95% upper bound 0.0278, n=128]"),
        (paired(241, 58, 9300) < 0.01, "0.0197 < 0.01 [FAIL: 95% lower bound 0.0167, n=9300]"),
    ],
)
def test_the_line(verdict: Verdict, line: str) -> None:
    assert verdict.line() == repr(verdict) == str(verdict) == line


def test_the_needed_rows_settle_it_and_one_row_less_does_not() -> None:
    m = paired(26, 12, 2000)
    needed = (m < 0.01).needed_n
    assert needed is not None
    assert m.sizing is not None
    assert m.sizing.at(needed)[1] < 0.01 <= m.sizing.at(needed - 1)[1]


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((0.0104, 0.01), ["0.0104", "0.01"]),
        ((0.010004, 0.01), ["0.010004", "0.01"]),
        ((0.5, 0.5), ["0.5", "0.5"]),
        ((1 / 3,), ["0.3333"]),
        ((-0.0, 0.0), ["0", "0"]),
        ((1024.0, 2048.5), ["1024", "2048.5"]),
        ((math.nan, 0.01, -math.inf), ["nan", "0.01", "-inf"]),
        # Not even twelve decimals tell these two apart.
        ((0.25, 0.25 + 2**-50), ["0.25", "0.2500000000000009"]),
        ((1e300, 2.5), ["1e+300", "2.5"]),
    ],
)
def test_aligned(numbers: tuple[float, ...], texts: list[str]) -> None:
    assert aligned(*numbers) == texts


def test_aligned_never_writes_different_numbers_alike() -> None:
    bases = [sign * base for sign in (1, -1) for base in (1e-300, 1e-13, 1e-5, 0.01, 1.0, 1e9, 1e17)]
    close = [base * (1 + step) for base in bases for step in (0, 2**-52, 1e-12, 1e-6)]
    close += [0.0, 5e-324, math.inf, -math.inf, 0.1 + 0.2, 0.3]
    for first, second in combinations(close, 2):
        texts = aligned(first, second)
        assert (float(texts[0]) == float(texts[1])) is (first == second), (first, second, texts)


def test_percentage() -> None:
    assert [percentage(share) for share in (0.95, 0.999, 0.9, 0.975)] == ["95%", "99.9%", "90%", "97.5%"]


# --- limits that decide nothing -------------------------------------------------------------------------------

COMPARE = {"<": lambda m, x: m < x, "<=": lambda m, x: m <= x, ">": lambda m, x: m > x, ">=": lambda m, x: m >= x}


def share(
    *,
    better: bool | None = True,
    change: bool = False,
    unit: str = "share",
    reach: tuple[float, float] | None = None,
) -> Measurement:
    evidence = (Values(metric="accuracy", reference=0.9, candidate=0.8),) if change else ()
    return measured(0.1, 0.05, 0.2, unit=unit, higher_is_better=better, evidence=evidence, reach=reach)


BOTH, UP = (-1.0, 1.0), (0.0, math.inf)
LOSS, GAIN = share(better=False, change=True, reach=BOTH), share(change=True, reach=BOTH)
LOW, HIGH = share(better=False), share()
ERROR = share(better=False, unit="target", reach=UP)
WORSE = share(better=False, unit="relative", change=True, reach=(-1.0, math.inf))  # by how much of itself it grew
ATTACKED = share(change=True)  # before and after an attack: a share, no change


@pytest.mark.parametrize(
    ("m", "sign", "limit"),
    [
        (LOSS, "<", 1),  # the percent sign was forgotten
        (LOSS, "<=", 1),
        (LOSS, "<", 5),
        (LOSS, ">", -2),
        (LOSS, ">", -1),
        (ERROR, ">=", 0),
        (ERROR, ">", -3),
        (WORSE, ">", -50),
        (WORSE, ">", -1),
        (WORSE, ">=", -1),
        (-WORSE, "<=", 1),
        (-WORSE, "<", 1),
        (-WORSE, "<", 50),
        (ATTACKED, ">=", 0),
        (GAIN, ">", -1),
        (GAIN, ">=", -1),
        (LOW, "<", 1),
        (LOW, "<=", 1),
        (HIGH, ">=", 95),
        (HIGH, "<=", 1),
        (HIGH, ">=", 0),
        (HIGH, ">", -0.5),
        (share(unit="share of variance"), ">=", 20),
        (share(better=None, unit="correlation"), "<", 1),
        (share(better=None, unit="probability"), "<", 5),
        (100 * LOSS, "<", 100),
        (1 - HIGH, "<", 1),
        (HIGH - 0.5, ">=", -0.5),
    ],
)
def test_a_comparison_that_no_model_can_miss_or_meet_is_refused(m: Measurement, sign: str, limit: float) -> None:
    with pytest.raises(InvalidInput, match="decides nothing"):
        COMPARE[sign](m, limit)


@pytest.mark.parametrize(
    ("m", "sign", "limit"),
    [
        (LOSS, "<=", 0),
        (LOSS, "<", 0.99),
        (GAIN, ">", 0),
        (GAIN, ">=", 0),
        (GAIN, ">", -0.02),
        (LOW, "<=", 0),
        (HIGH, ">=", 1),
        (HIGH, ">", 0),
        (HIGH, "<", 1),
        (share(unit="share of variance"), ">", -3),
        (share(unit="share of variance", change=True, reach=(-math.inf, math.inf)), "<", 5),
        (WORSE, "<", 1),  # an error that does not double
        (-WORSE, ">", -1),
        (ERROR, ">", 0),
        (ERROR, "<", 3),
        (ATTACKED, ">", 0),
        (2 * HIGH - 1, ">", -1),  # the same as > 0 of the share itself
        (share(unit="nats"), "<", 3),
        (100 * HIGH, ">=", 95),
        (100 * LOSS, "<", 1),
        (1 - HIGH, "<=", 0.05),
        (HIGH - 0.9, ">=", 0.1),  # 1 - 0.9 is a little less than 0.1
        (measured(), "<", 7),  # whatever its unit says, it lies beyond 1
    ],
)
def test_a_comparison_that_a_model_can_miss_and_meet_is_judged(m: Measurement, sign: str, limit: float) -> None:
    assert COMPARE[sign](m, limit).status in ("PASS", "FAIL", "INCONCLUSIVE")


def test_what_was_meant_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"m < 1 decides .* from -1 to 1 \(share\).* 1%, in Python percent\(1\)\?"):
        _ = LOSS < 1
    with pytest.raises(
        InvalidInput, match=r"m > -0.5 decides nothing: it lies from 0 to 1 \(share\), whatever the model$"
    ):
        _ = HIGH > -0.5


def test_large_numbers_carry_no_decimals_that_nobody_reads() -> None:
    assert aligned(53.290173, 62.979211, 60) == ["53.29", "62.98", "60"]
    assert (measured(58.16, 53.290173, 62.979211, unit="target") < 60).reason.endswith("interval 53.29 .. 62.98")
