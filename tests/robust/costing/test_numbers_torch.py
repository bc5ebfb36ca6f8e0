"""Numbers that are followed are as floats, note each comparison, and tell where they are lost."""

import builtins
import contextlib
import math

import numpy as np
import pytest

from robust.costing.numbers_torch import Answers, Number, followed_arithmetic

ARITHMETIC = {
    "sum": lambda v: 1 + v + 2.5,
    "difference": lambda v: 7 - v - 1,
    "product": lambda v: 3 * v * 0.5,
    "quotient": lambda v: 9 / v / 2,
    "remainder": lambda v: 9 % v + v % 2 + 9 // v + v // 2,
    "power": lambda v: v**2 + 2**v,
    "sign": lambda v: abs(-v) + +v,
    "rounded": lambda v: round(v, 1),
    "of two": lambda v: v * v - v / v,
    "function": lambda v: math.sqrt(v) + math.log(v) + math.tanh(v),
    "of numpy": lambda v: np.log1p(v) + np.float64(2) * v,
    "larger": lambda v: max(v, 1e-6) + min([v, 1.0]),
}


@pytest.mark.parametrize("function", ARITHMETIC.values(), ids=ARITHMETIC)
def test_arithmetic_follows_without_a_comparison(function):
    answers = Answers()
    with followed_arithmetic():
        found = function(Number(2.25, answers))
    assert type(found) is Number
    assert isinstance(found, float)
    assert found.value == pytest.approx(function(2.25), rel=1e-12)
    assert (answers.taken, answers.lost) == ([], False)


LOST = {
    "float": float,
    "int": int,
    "text": str,
    "format": lambda v: f"{v:.2f}",
    "round": round,
    "floor": math.floor,
    "key": hash,
    "array": lambda v: np.array([v], dtype=float),
    "parts": lambda v: v.as_integer_ratio(),
    "limit in numpy": lambda v: np.float32(2) < v,
}


@pytest.mark.parametrize("function", LOST.values(), ids=LOST)
def test_what_loses_a_number_is_noted_and_gives_its_value(function):
    answers = Answers()
    found = function(Number(2.25, answers))
    assert np.all(found == function(2.25))
    assert answers.lost


def test_comparisons_are_noted_and_can_be_forced():
    def compared(answers):
        v = Number(2.0, answers)
        return [v < 3, v >= 3, v == 2, v != 2, bool(v), 3 > v, v in (1.0, 2.0)]  # noqa: SIM300

    free, forced = Answers(), Answers([False, True])
    assert compared(free) == [True, False, True, False, True, True, True]
    assert free.taken == [True, False, True, False, True, True, False, True]
    assert compared(forced)[:3] == [False, True, True]
    assert not free.lost


def test_arithmetic_that_may_fail_fails_where_it_is_told():
    for refusing, done in ((None, 3), (0, 0), (1, 2), (2, 3)):
        answers, results = Answers(refusing=refusing), []
        v = Number(2.0, answers)
        with contextlib.suppress(ZeroDivisionError):
            results.extend(step(v) for step in (lambda n: 1 / n, lambda n: n / 2, lambda n: n**2))
        assert (len(results), answers.refusal is None) == (done, done == 3)


def test_python_is_as_before_after_an_error():
    before = builtins.max, math.log
    with pytest.raises(ZeroDivisionError), followed_arithmetic():
        assert (max(1, 2), max([3, 4], key=lambda v: -v), math.log(1)) == (2, 3, 0) and 1 / 0  # noqa: PT018
    assert (builtins.max, math.log) == before


def test_kept_numbers_are_found():
    answers, kept = Answers(), []
    assert (Number(1.0, answers) + 1).value == 2
    assert not answers.kept()
    kept.append(Number(1.0, answers) * 2)
    assert answers.kept()
