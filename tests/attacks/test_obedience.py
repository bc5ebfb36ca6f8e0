import numpy as np
import pytest

from robust.attacks.obedience import obeys
from robust.data.schema import build_schema

NAMES = ["a", "b", "n", "f", "g0", "g1", "c"]
SCHEMA = build_schema(
    {
        "a": {"bounds": (0, 1)},
        "b": {"immutable": True},
        "n": {"kind": "integer"},
        "f": {"kind": "binary"},
        "g0": {"one_hot": "g"},
        "g1": {"one_hot": "g"},
        "relations": ["a <= n"],
    },
    names=NAMES,
    shape=(7,),
    categories={6: ("x", "y")},
)
ROW = np.array([[0.5, 3.0, 1.0, 0.0, 1.0, 0.0, 1.0]])


def moved(**changes):
    row = ROW.copy()
    for name, value in changes.items():
        row[0, NAMES.index(name)] = value
    return row


@pytest.mark.parametrize(
    ("changes", "fine"),
    [
        ({}, True),
        ({"a": 1.0}, True),
        ({"a": 1.0001}, False),
        ({"b": 3.1}, False),
        ({"n": 2.0}, True),
        ({"n": 1.5}, False),
        ({"n": 0.0}, False),
        ({"f": 1.0}, True),
        ({"f": 0.5}, False),
        ({"g0": 0.0, "g1": 1.0}, True),
        ({"g1": 1.0}, False),
        ({"g0": 0.5, "g1": 0.5}, False),
        ({"c": 0.0}, False),
        ({"n": 3.0}, False),
        ({"a": np.nan}, False),
    ],
)
def test_one_rule_at_a_time(changes, fine):
    assert bool(obeys(moved(**changes), ROW, SCHEMA, eps=1.0, norm="linf")[0]) is fine


def test_l2_counts_all_features_together():
    both = moved(a=1.0, n=2.0)
    assert obeys(both, ROW, SCHEMA, eps=1.0, norm="linf")[0]
    assert not obeys(both, ROW, SCHEMA, eps=1.0, norm="l2")[0]
    assert obeys(both, ROW, SCHEMA, eps=1.2, norm="l2")[0]


def test_features_that_a_dict_does_not_name_stay():
    assert not obeys(moved(n=2.0), ROW, SCHEMA, eps={"a": 1.0}, norm="linf")[0]
    assert obeys(moved(a=0.7), ROW, SCHEMA, eps={"a": 0.2}, norm="linf")[0] == (0.7 - 0.5 <= 0.2)


def test_missing_values_may_stay_missing_but_not_be_filled():
    missing = moved(a=np.nan)
    assert obeys(missing, missing, SCHEMA, eps=1.0, norm="linf")[0]
    assert not obeys(ROW, missing, SCHEMA, eps=1.0, norm="linf")[0]


def test_a_change_of_category_is_a_move_of_length_one():
    schema = build_schema(
        {"hue": {"categories": ["red", "green", "blue"]}, "size": {"bounds": (0, 10)}},
        names=["hue", "size"],
        shape=(2,),
    )
    x = np.array([[0.0, 5.0]] * 4)
    moved = np.array([[2.0, 5.0], [2.0, 6.0], [3.0, 5.0], [0.0, 6.0]])
    named = {"hue": 1.0, "size": 1.0}
    assert obeys(moved, x, schema, eps=named, norm="linf").tolist() == [True, True, False, True]
    assert obeys(moved, x, schema, eps=named, norm="l2").tolist() == [True, False, False, True]
    assert obeys(moved, x, schema, eps=1.0, norm="linf").tolist() == [False, False, False, True]
    assert obeys(moved, x, schema, eps={"hue": 0.5, "size": 1.0}, norm="linf").tolist() == [False, False, False, True]
