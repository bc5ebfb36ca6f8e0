import math

import numpy as np
import pytest

from robust.data.budget import feature_eps, read_count, read_eps, read_norm, read_share, scaled_eps
from robust.data.schema import build_schema
from robust.errors import InvalidInput

SCHEMA = build_schema(
    {"b": {"immutable": True}, "c": {"kind": "integer"}},
    names=["a", "b", "c", "d"],
    shape=(4,),
    categories={3: ("x", "y")},
)


def test_a_number_is_the_budget_of_every_feature_that_may_move():
    assert feature_eps(2, SCHEMA).tolist() == [2, 0, 2, 0]


def test_features_that_a_dict_does_not_name_stay():
    assert feature_eps({"c": 3}, SCHEMA).tolist() == [0, 0, 3, 0]


def test_immutable_and_categorical_features_stay_even_when_named():
    assert feature_eps({"b": 1, "d": 1}, SCHEMA).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, True, "8/255", [0.1]])
def test_budgets_that_cannot_be(value):
    with pytest.raises(InvalidInput, match=r"eps got .*finite number of at least 0"):
        read_eps(value)


def test_budgets_by_name_that_cannot_be():
    with pytest.raises(InvalidInput, match="empty dict"):
        read_eps({})
    with pytest.raises(InvalidInput, match="key 0"):
        read_eps({0: 0.1})
    with pytest.raises(InvalidInput, match=r"eps\['a'\] got -1"):
        read_eps({"a": -1})
    with pytest.raises(InvalidInput, match="no feature"):
        feature_eps({"nope": 1}, SCHEMA)


def test_budgets_come_back_as_python_numbers():
    assert repr(read_eps(np.float32(0.5))) == "0.5"
    assert repr(read_eps({"a": np.int64(2)})) == "{'a': 2.0}"
    assert read_eps(None) is None


def test_other_hyper_parameters():
    with pytest.raises(InvalidInput, match=r"norm got 'l3'.*'linf', 'l2'"):
        read_norm("l3")
    for count in (0, 1.5, True):
        with pytest.raises(InvalidInput, match=r"steps got .*at least 1"):
            read_count(count, "steps")
    for share in (0, -1, math.nan, math.inf, "a"):
        with pytest.raises(InvalidInput, match=r"rel_step got .*above 0"):
            read_share(share, "rel_step")


@pytest.mark.parametrize("value", [1e308, 1e31, 1e-320, np.float32(1e38)])
def test_budgets_whose_steps_would_overflow_or_vanish(value):
    with pytest.raises(InvalidInput, match="between 1e-30 and 1e\\+30 would be right"):
        read_eps(value)
    with pytest.raises(InvalidInput, match="eps\\['age'\\]"):
        read_eps({"age": value})


def test_a_multiple_of_a_budget_is_a_budget():
    assert scaled_eps({"a": 2, "b": 0.0, "c": 1e30}, 1.5) == {"a": 3.0, "b": 0.0, "c": 1e30}
    for eps in (1e30, 1e-30, 0.0):
        for factor in (1.5, 0.01):
            assert read_eps(scaled_eps(eps, factor)) == scaled_eps(eps, factor)
