"""Linear relations: reading them, and finding rows that break them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust.data.relations import parse_relation
from robust.errors import InvalidInput

NAMES = ("a", "b", "total", "body mass", "x[0,1]")


@pytest.mark.parametrize(
    ("text", "weights", "constant", "equality"),
    [
        ("total = a + b", {"total": 1, "a": -1, "b": -1}, 0, True),
        ("total == a + 2*b - 3", {"total": 1, "a": -1, "b": -2}, 3, True),
        ("a <= b", {"a": 1, "b": -1}, 0, False),
        ("a < b", {"a": 1, "b": -1}, 0, False),
        ("a >= b + 1", {"a": -1, "b": 1}, 1, False),
        ("-2*a <= b*3", {"a": -2, "b": -3}, 0, False),
        ("a / 4 <= (b + a) * 2", {"a": 0.25 - 2, "b": -2}, 0, False),
        ("2 * 3 * a <= 1 / 2", {"a": 6}, -0.5, False),
        ("+a <= -(b - 1)", {"a": 1, "b": 1}, -1, False),
        ("a + b - b <= 0", {"a": 1}, 0, False),
        ("`body mass` <= `x[0,1]`", {"body mass": 1, "x[0,1]": -1}, 0, False),
    ],
)
def test_weights(text, weights, constant, equality):
    relation = parse_relation(text, NAMES)
    assert {NAMES[j]: w for j, w in zip(relation.columns, relation.weights, strict=True)} == weights
    assert relation.constant == constant
    assert relation.equality is equality


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a +", "must be one comparison|cannot be read"),
        ("a <=", "cannot be read"),
        ("a", "must be one comparison"),
        ("a <= b <= total", "must be one comparison"),
        ("a = b = total", "must be one comparison"),
        ("a != b", "must be one comparison|cannot be read"),
        ("a * b <= 1", "must be linear"),
        ("a ** 2 <= 1", "must be linear"),
        ("1 / a <= 1", "must be linear"),
        ("a / 0 <= 1", "must be linear"),
        ("abs(a) <= 1", "must be linear"),
        ("a <= True", "must be linear"),
        ("a <= 1e999", "must be linear"),
        ("a <= 'b'", "must be linear"),
        ("__import__('os').system('true') <= 1", "must be linear"),
        ("1 <= 2", "depends on no feature"),
        ("a <= a", "depends on no feature"),
        ("tota <= a", "unknown feature 'tota': did you mean 'total'"),
        ("a <= \0", "cannot be read"),
    ],
)
def test_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        parse_relation(text, NAMES)


def test_violations_by_hand():
    rows = np.array([[1.0, 2, 3, 0, 0], [1, 2, 4, 0, 0], [1, 2, 2, 0, 0], [np.nan, 2, 3, 0, 0]])
    assert parse_relation("total = a + b", NAMES).violated(rows).tolist() == [False, True, True, False]
    assert parse_relation("total <= a + b", NAMES).violated(rows).tolist() == [False, True, False, False]
    assert parse_relation("total >= a + b", NAMES).violated(rows).tolist() == [False, False, True, False]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_float32_rounding_is_no_violation(a, b):
    a, b = np.float32(a), np.float32(b)
    rows = np.array([[a, b, a + b, 0, 0]], dtype=np.float32)
    assert not parse_relation("total = a + b", NAMES).violated(rows)[0]


@given(st.floats(1e-5, 1e5), st.floats(1e-3, 1))
def test_a_real_violation_is_found_at_any_scale(scale, gap):
    rows = np.array([[1.0 + gap, 1.0, 0, 0, 0]]) * scale
    assert parse_relation("a <= b", NAMES).violated(rows)[0]
    assert not parse_relation("b <= a", NAMES).violated(rows)[0]
