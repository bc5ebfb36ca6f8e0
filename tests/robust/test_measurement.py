"""A measured value and its bounds: what it refuses to be, its arithmetic, what it does not do in silence."""

import copy
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from robust.errors import InvalidInput
from robust.evidence import (
    Cost,
    Fact,
    Figure,
    Flips,
    Provenance,
    Rows,
    SelfCheck,
    Series,
    Slice,
    Slices,
    Values,
)
from robust.intervals.tango import tango
from robust.measurement import Affine, Measurement

FULL = {
    "evidence": (
        Values(metric="accuracy", reference=0.9, candidate=0.8),
        Flips(right_to_wrong=3, wrong_to_right=1, n=100, p=0.625, rows=(1, "b")),
        Slices(by="class", measure="m", level=0.95, slices=(Slice(name="a", n=5, value=1, lower=0, upper=2),)),
        Rows(what="worst", ids=(1, 2), values=(0.5, 0.25), total=9),
        Fact(name="host", value="x"),
        Figure(kind="bar", title="t", x_title="x", y_title="y", columns=(Series(name="x", values=(1.0, "a")),)),
    ),
    "validity": (
        SelfCheck(name="one", passed=False, reason="r", bias="raises"),
        SelfCheck(name="two", passed=True, reason="", bias="lowers"),
        SelfCheck(name="three", passed=False, reason="r", bias="none"),
    ),
    "provenance": Provenance(models=(("a", "sha256:0"),), seed=3, cost=Cost(forward_rows=7)),
}


def measured(value: float = 3.0, lower: float = 2.0, upper: float = 5.0, **other: Any) -> Measurement:
    defaults = {"name": "m", "n": 100, "method": "by-hand", "higher_is_better": True}
    return Measurement(**defaults | other, value=value, lower=lower, upper=upper)


def counted(value: float) -> Measurement:
    return measured(value, value, value, method="exact")


def triple(m: Measurement) -> tuple[float, float, float]:
    return m.lower, m.value, m.upper


# --- what it refuses to be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": math.nan}, "m is NaN"),
        (
            {"value": math.nan, "validity": (SelfCheck(name="c", passed=True, reason="", bias="either"),)},
            "NaN",
        ),
        (
            {"value": math.nan, "validity": (SelfCheck(name="c", passed=False, reason="", bias="raises"),)},
            "NaN",
        ),
        ({"lower": 3.5}, "must enclose its value, got 3.5 .. 3.0 .. 5.0"),
        ({"upper": 2.5}, "must enclose its value"),
        ({"lower": math.nan}, "must enclose its value"),
        ({"upper": math.nan}, "must enclose its value"),
        ({"method": "exact"}, "m is exact, its bounds must equal its value 3.0, got 2.0 .. 5.0"),
        ({"n": 0}, "at least one row, got n=0"),
        ({"n": -1}, "at least one row"),
        ({"level": 0.5}, "level is the confidence of a one-sided bound"),
        ({"level": 1.0}, "level is the confidence"),
        ({"level": math.nan}, "level is the confidence"),
        ({"level": 95}, "level is the confidence"),
    ],
)
def test_a_number_that_cannot_be_judged_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        measured(**fields)


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        measured().value = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_it_survives_copying_and_pickling_with_all_its_evidence(clone: Any) -> None:
    interval = tango(26, 12, 2000, level=0.95)
    m = measured(interval.value, interval.lower, interval.upper, n=2000, sizing=interval.sizing, **FULL)
    twin = clone(100 * m)
    assert triple(twin) == triple(100 * m)
    assert (twin.evidence, twin.validity, twin.provenance) == (m.evidence, m.validity, m.provenance)
    assert twin.needed_n(1.0) == m.needed_n(0.01)


# --- comparisons reach it from both sides -------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [
        6, 6.0, Fraction(6), Decimal(6), np.float64(6), np.float32(6), np.int64(6), np.uint8(6),
        np.array(6.0), torch.tensor(6.0), torch.tensor(6),
    ],
    ids=lambda limit: f"{type(limit).__name__}-{limit!r}",
)  # fmt: skip
def test_a_scalar_on_either_side_gives_our_verdict(limit: Any) -> None:
    m = measured()
    verdicts = [m < limit, limit > m, m <= limit, limit >= m, m > limit, limit < m, m >= limit, limit <= m]
    assert [verdict.operator for verdict in verdicts] == ["<", "<", "<=", "<=", ">", ">", ">=", ">="]
    assert [verdict.status for verdict in verdicts] == ["PASS"] * 4 + ["FAIL"] * 4
    assert {verdict.limit for verdict in verdicts} == {6.0}


WRONG = {
    "array": np.array([6.0, 7.0]), "array of one": np.array([6.0]), "Series": pd.Series([6.0]),
    "DataFrame": pd.DataFrame([[6.0]]), "tensor": torch.tensor([6.0]), "numpy bool": np.True_, "bool": True,
    "torch bool": torch.tensor(True), "None": None, "str": "6", "bytes": b"6", "complex": 6j, "list": [6.0],
    "NA": pd.NA, "approx": pytest.approx(6.0), "object": object(),
}  # fmt: skip


@pytest.mark.parametrize("limit", WRONG.values(), ids=WRONG.keys())
def test_no_wrong_limit_is_compared_from_either_side(limit: Any) -> None:
    m = measured()
    for comparison in (
        lambda: m < limit, lambda: m <= limit, lambda: m > limit, lambda: m >= limit,
        lambda: limit < m, lambda: limit <= m, lambda: limit > m, lambda: limit >= m,
    ):  # fmt: skip
        with pytest.raises(TypeError, match="compared with a finite number"):
            comparison()


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf, np.float64("nan"), Decimal("NaN")], ids=repr)
def test_no_limit_that_is_not_finite(limit: Any) -> None:
    for comparison in (lambda: measured() < limit, lambda: limit > measured()):
        with pytest.raises(InvalidInput, match="compared with a finite number"):
            comparison()


@pytest.mark.parametrize(
    "comparison",
    [
        lambda a, b: a < b,
        lambda a, b: a >= b,
        lambda a, b: a == b,
        lambda a, b: a != b,
        lambda a, b: sorted([a, b]),
    ],
)
def test_two_measurements_are_not_compared_by_their_values(comparison: Any) -> None:
    with pytest.raises(TypeError, match=r"use degradation\(reference, candidate, data\) or gain\("):
        comparison(measured(), counted(1))


@pytest.mark.parametrize(
    "comparison",
    [
        lambda m: m == 3, lambda m: m != 0, lambda m: m == 3.0, lambda m: np.float64(3) == m,
        lambda m: m != np.int8(0),
        lambda m: m == np.array([3.0]), lambda m: m == torch.tensor(3.0), lambda m: m == Decimal(3),
        lambda m: m == pytest.approx(3), lambda m: m != pytest.approx(0), lambda m: pytest.approx(3) == m,
    ],
)  # fmt: skip
def test_an_estimate_is_never_equal_to_a_number_nor_unequal(comparison: Any) -> None:
    with pytest.raises(TypeError, match=r"m is an estimate: .* never settled"):
        comparison(measured())


def test_an_exact_measure_is_compared_for_equality() -> None:
    assert (counted(3) == 3).status == "PASS"
    assert (counted(3) != np.int64(3)).status == "FAIL"
    with pytest.raises(TypeError, match="finite number, got bool"):
        _ = counted(1) == np.True_


def test_nothing_else_equals_it_and_it_is_hashable() -> None:
    m = measured()
    assert m != None  # noqa: E711
    assert m != "3"
    assert m in [None, "3", m]
    assert {m: 1}[m] == 1


def test_it_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="m has no truth value: compare it with a limit"):
        bool(measured())
    with pytest.raises(TypeError, match="no truth value"):
        _ = measured() and True


# --- arithmetic ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "expected", "higher_is_better"),
    [
        (lambda m: m + 1, (3, 4, 6), True),
        (lambda m: 1 + m, (3, 4, 6), True),
        (lambda m: m - 1, (1, 2, 4), True),
        (lambda m: 1 - m, (-4, -2, -1), False),
        (lambda m: 2 * m, (4, 6, 10), True),
        (lambda m: m * np.float64(-2), (-10, -6, -4), False),
        (lambda m: np.float32(2) * m, (4, 6, 10), True),
        (lambda m: m * Fraction(1, 2), (1, 1.5, 2.5), True),
        (lambda m: m / 2, (1, 1.5, 2.5), True),
        (lambda m: m / -2, (-2.5, -1.5, -1), False),
        (lambda m: -m, (-5, -3, -2), False),
        (lambda m: +m, (2, 3, 5), True),
        (lambda m: -(1 - m) * 100, (100, 200, 400), True),
    ],
)
def test_affine_arithmetic_by_hand(
    operation: Any, expected: tuple[float, float, float], higher_is_better: bool
) -> None:
    m = operation(measured(**FULL))
    assert triple(m) == expected
    assert m.higher_is_better is higher_is_better
    biases = ["raises", "lowers", "none"] if higher_is_better else ["lowers", "raises", "none"]
    assert [check.bias for check in m.validity] == biases
    assert [check.passed for check in m.validity] == [False, True, False]
    assert (m.n, m.level, m.method, m.evidence) == (100, 0.95, "by-hand", FULL["evidence"])


def test_a_measure_without_direction_keeps_none() -> None:
    assert (-measured(higher_is_better=None)).higher_is_better is None


def test_infinite_bounds_stay_on_their_side() -> None:
    assert triple(1 - measured(upper=math.inf)) == (-math.inf, -2, -1)


def test_division_divides() -> None:
    # 49 · (1/49) is 0.9999999999999999: an exact count of 49 would then miss a limit of 49 / 49.
    assert all((counted(n) / n == 1).status == "PASS" for n in range(1, 1000))


@pytest.mark.parametrize("limit", [0.009, 0.01, 0.02, 0.001])
@pytest.mark.parametrize("scale", [100.0, -100.0, 0.5])
def test_needed_rows_do_not_depend_on_the_unit(scale: float, limit: float) -> None:
    interval = tango(26, 12, 2000, level=0.95)
    m = measured(interval.value, interval.lower, interval.upper, n=2000, sizing=interval.sizing)
    assert m.needed_n(limit) == (scale * m + 1).needed_n(scale * limit + 1)


def test_affine_sizing_orders_its_bounds() -> None:
    interval = tango(26, 12, 2000, level=0.95)
    lower, upper = interval.sizing.at(500)
    assert Affine(sizing=interval.sizing, scale=-2.0, shift=1.0).at(500) == (1 - 2 * upper, 1 - 2 * lower)


def test_row_values_follow() -> None:
    rows = (2 * measured(row_values=np.array([1.0, 5.0])) - 1).row_values
    assert rows is not None
    assert rows.tolist() == [1.0, 9.0]


@pytest.mark.parametrize(
    "operation",
    [
        lambda m: m + measured(), lambda m: m * measured(), lambda m: m / measured(),
        lambda m: m - measured(),
        lambda m: m + "1", lambda m: m * True, lambda m: m * None, lambda m: m * np.array([1.0, 2.0]),
        lambda m: np.array([1.0, 2.0]) * m, lambda m: m * 0, lambda m: 0.0 * m, lambda m: abs(m),
        lambda m: round(m), lambda m: round(m, 2), lambda m: m**2, lambda m: 2**m, lambda m: m // 2,
        lambda m: 2 // m, lambda m: m % 2,
        lambda m: 2 % m, lambda m: divmod(m, 2), lambda m: divmod(2, m), lambda m: 1 / m, lambda m: float(m),
        lambda m: int(m), lambda m: complex(m), lambda m: math.sqrt(m), lambda m: math.floor(m),
        lambda m: np.float64(2) / m,
    ],
)  # fmt: skip
def test_arithmetic_that_would_drop_the_bounds_names_the_value(operation: Any) -> None:
    with pytest.raises(TypeError, match=r"use \.value"):
        operation(measured())


@pytest.mark.parametrize(
    "operation", [lambda m: np.sqrt(m), lambda m: np.add(m, 1), lambda m: range(m), lambda m: -m + m]
)
def test_no_other_way_to_a_bare_number(operation: Any) -> None:
    with pytest.raises(TypeError):
        operation(measured())


def test_division_by_zero_and_by_no_number() -> None:
    with pytest.raises(ZeroDivisionError, match="divided by 0"):
        measured() / 0
    with pytest.raises(InvalidInput, match="finite number, got inf"):
        measured() + math.inf


def test_an_exact_measure_is_a_float() -> None:
    assert (float(counted(3.5)), int(counted(3.5)), math.floor(counted(3.5))) == (3.5, 3, 3)


# --- text ---------------------------------------------------------------------------------------------------


def test_formatting() -> None:
    m = measured(0.01834, 0.0155, 0.0212, n=10000)
    assert f"{m:.2%} {m:8.3f}" == "1.83%    0.018"
    assert f"{m}" == str(m) == "m 0.0183 (0.0155 .. 0.0212, 90% two-sided, n=10000, by-hand)"
    assert str(counted(3)) == "m 3 (share, exact)"
    assert repr(counted(3)) == "<Measurement m 3 (share, exact)>"


# --- the bad model ------------------------------------------------------------------------------------------


def test_a_model_at_its_limit_is_not_waved_through() -> None:
    # 2 % against 1 % of flips on 2,000 rows: the point estimate is exactly the limit of 1 %, and half of such
    # models look better than it. A limit the value happens to fall below must not pass either.
    interval = tango(39, 20, 2000, level=0.95)
    m = measured(interval.value, interval.lower, interval.upper, n=2000, sizing=interval.sizing)
    assert m.value < 0.01
    assert (m < 0.01).status == "INCONCLUSIVE"


def test_a_repr_is_one_short_line_whatever_it_rests_on():
    full = Measurement(name="m", value=0.5, lower=0.4, upper=0.6, n=100, method="by-hand", **FULL)
    assert repr(full) == f"<Measurement {full}>"
    assert len(repr(full)) < 100
    assert "\n" not in repr(full)


def test_small_numbers_are_not_shown_as_zeros():
    m = Measurement(name="latency", value=7e-6, lower=6.5e-6, upper=8e-6, n=100, unit="seconds", method="median")
    assert str(m).startswith("latency 7e-06 (6.5e-06 .. 8e-06,")
    assert str(Measurement(name="m", value=0.0, lower=0.0, upper=0.0, n=9, method="x")).startswith("m 0.0000 (0.0000")
