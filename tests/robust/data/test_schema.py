"""The feature schema: reading what users write, and finding rows that break it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust.data.schema import KINDS, build_schema
from robust.errors import InvalidInput

NAMES = ("a", "b", "c")


def schema(spec, names=NAMES, **options):
    return build_schema(spec, names=names, shape=(len(names),), **options)


def test_nothing_said():
    found = schema(None)
    assert found.kinds == ("continuous",) * 3
    assert np.all(np.isneginf(found.lower))
    assert np.all(np.isposinf(found.upper))
    assert not found.immutable.any()


def test_everything_said():
    found = schema(
        {
            "bounds": (-1, 1),
            "a": {"bounds": (0, 120), "kind": "integer", "immutable": True},
            "b": {"one_hot": "city"},
            "c": {"one_hot": "city"},
            "relations": ["a <= 120"],
        }
    )
    assert found.kinds == ("integer", "one_hot", "one_hot")
    assert found.lower.tolist() == [0, 0, 0]
    assert found.upper.tolist() == [120, 1, 1]
    assert found.immutable.tolist() == [True, False, False]
    assert found.groups == (("city", (1, 2)),)
    assert found.relations[0].text == "a <= 120"


def test_categories_imply_kind_and_bounds():
    found = schema({"a": {"categories": ["S", "M", "L"]}})
    assert found.kinds[0] == "categorical"
    assert (found.lower[0], found.upper[0]) == (0, 2)
    assert found.categories == ((0, ("S", "M", "L")),)
    assert found.violations(np.array([[3.0, 0, 0]])) == ["feature 'a' is above its bound 2.0 in 1 row (worst 3.0)"]


def test_features_may_be_called_bounds_and_relations():
    found = schema({"bounds": {"bounds": (0, 1)}, "relations": {"kind": "binary"}}, names=("bounds", "relations"))
    assert found.upper.tolist() == [1, 1]
    assert found.kinds == ("continuous", "binary")


def test_finished_schema_passes_through():
    found = schema({"bounds": (0, 1)})
    assert schema(found) is found


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        schema(None).lower[0] = 0


REFUSED = [
    ({"d": {}}, "names a feature that is not there, 'd'"),
    ({"a": 3}, r"schema\['a'\] must be a table"),
    ({"a": {"bound": (0, 1)}}, r"unknown keys \['bound'\]; known"),
    ({"a": {"kind": "float"}}, "unknown kind 'float'; known"),
    ({"bounds": (1, 0)}, "bounds of all features must have lower <= upper"),
    ({"bounds": (0, np.nan)}, "lower <= upper"),
    ({"bounds": 3}, "must be a pair"),
    ({"bounds": "01"}, "must be a pair"),
    ({"a": {"bounds": (0, 1, 2)}}, "bounds of 'a' must be a pair"),
    ({"a": {"bounds": ("low", "high")}}, "bounds of 'a' must be a pair"),
    ({"a": {"kind": "one_hot"}}, "is one_hot but names no group"),
    ({"a": {"one_hot": "g", "kind": "integer"}}, "is in a one-hot group but is declared integer"),
    ({"a": {"kind": "binary", "bounds": (3, 4)}}, "leave no value that is 0 or 1"),
    ({"a": {"immutable": "yes"}}, "immutable must be True or False, got 'yes'"),
    ({"a": {"categories": "abc"}}, "categories must be a list of texts"),
    ({"a": {"categories": []}}, "categories must be a list of texts"),
    ({"a": {"categories": [1, 2]}}, "categories must be texts, got 1"),
    ({"a": {"categories": ["u", "u"]}}, "categories of 'a' come more than once: u"),
    ({"a": {"categories": ["u"], "kind": "integer"}}, "has categories but is declared integer"),
    ({"relations": "a <= b"}, "relations must be a list of texts"),
    ({"relations": ["a <= z"]}, "names an unknown feature 'z'"),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused(spec, message):
    with pytest.raises(InvalidInput, match=message):
        schema(spec)


def test_text_under_a_finished_schema_without_categories_is_refused():
    with pytest.raises(InvalidInput, match="feature 'a' is text, the schema says continuous"):
        schema(schema(None), categories={0: ("u", "v")})


def test_index():
    found = schema(None)
    assert found.index("b") == found.index(1) == found.index(np.int64(1)) == 1
    for wrong, message in (
        ("bb", "did you mean 'b'"),
        (3, r"feature 3 is outside 0 … 2"),
        (-1, "outside"),
        (1.5, "by its name or its position, got 1.5"),
        (True, "outside"),
    ):
        with pytest.raises(InvalidInput, match=message):
            found.index(wrong)


def test_each_violation_is_named():
    found = schema(
        {
            "a": {"bounds": (0, 1)},
            "b": {"kind": "integer"},
            "c": {"kind": "binary"},
            "relations": ["a <= b"],
        }
    )
    rows = np.array([[-0.5, 1.0, 0.0], [1.5, 2.5, 0.5], [0.5, 0.0, 1.0]])
    assert found.violations(rows) == [
        "feature 'a' is below its bound 0.0 in 1 row (worst -0.5)",
        "feature 'a' is above its bound 1.0 in 1 row (worst 1.5)",
        "feature 'b' is integer but has fractions",
        "feature 'c' is binary but has values other than 0 and 1",
        "relation 'a <= b' is broken in 1 row",
    ]


def test_one_hot_group_must_sum_to_one():
    found = schema({"a": {"one_hot": "g"}, "b": {"one_hot": "g"}})
    rows = np.array([[1.0, 0, 9], [1, 1, 9], [0, 0, 9]])
    assert found.violations(rows) == ["one-hot group 'g' does not sum to 1 in 2 rows"]


def test_missing_values_break_nothing():
    found = schema({"bounds": (0, 1), "a": {"kind": "integer"}, "b": {"kind": "binary"}, "relations": ["a <= c"]})
    assert found.violations(np.full((2, 3), np.nan)) == []


def test_rows_clipped_in_float32_sit_on_their_bounds():
    found = schema({"bounds": (-0.1, 0.1)})
    rows = np.clip(np.array([[9, -9, 0]], dtype="f4"), np.float32(-0.1), np.float32(0.1))
    assert float(rows[0, 0]) > 0.1  # 0.1 itself is no float32
    assert found.violations(rows) == []
    beyond = np.nextafter(rows, np.float32(9))
    assert len(found.violations(beyond)) == 1


def test_at_most_three_features_of_a_sort():
    names = tuple(f"f{j}" for j in range(60))
    found = schema({"bounds": (0, 1)}, names=names)
    assert len(found.violations(np.full((2, 60), 5.0))) == 3


KIND_VALUES = {
    "continuous": st.floats(-5, 5),
    "integer": st.integers(-5, 5).map(float),
    "binary": st.sampled_from([0.0, 1.0]),
    "categorical": st.integers(0, 3).map(float),
}


@given(st.data())
def test_rows_drawn_from_a_schema_obey_it_and_one_wrong_cell_is_found(data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(KIND_VALUES)), min_size=1, max_size=5))
    names = tuple(f"f{j}" for j in range(len(kinds)))
    spec = {name: {"kind": kind, "bounds": (-5, 5)} for name, kind in zip(names, kinds, strict=True)}
    found = schema(spec, names=names)
    rows = np.array(data.draw(st.lists(st.tuples(*(KIND_VALUES[kind] for kind in kinds)), min_size=1, max_size=6)))
    assert found.violations(rows) == []
    i = data.draw(st.integers(0, len(rows) - 1))
    j = data.draw(st.integers(0, len(kinds) - 1))
    broken = rows.copy()
    broken[i, j] = data.draw(st.sampled_from([-7.0, 7.0]))
    assert any(f"'f{j}'" in sentence for sentence in found.violations(broken))
    # The order of the rows does not matter.
    assert found.violations(broken[::-1]) == found.violations(broken)


@given(st.lists(st.sampled_from([kind for kind in KINDS if kind != "one_hot"]), min_size=1, max_size=6))
def test_mask_splits_the_features(kinds):
    names = tuple(f"f{j}" for j in range(len(kinds)))
    found = schema({name: {"kind": kind} for name, kind in zip(names, kinds, strict=True)}, names=names)
    masks = np.stack([found.mask(kind) for kind in KINDS])
    assert masks.sum(axis=0).tolist() == [1] * len(kinds)
    np.testing.assert_array_equal(found.mask("integer", "binary"), found.mask("integer") | found.mask("binary"))
