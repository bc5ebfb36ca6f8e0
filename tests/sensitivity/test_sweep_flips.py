"""Flip rates against the closed form of linear classifiers, the schema, and models that hang on noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from robust.check import Subject
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Rows, Slices
from robust.models.conversion import as_model
from robust.sensitivity import Sweep, flip_curve, flip_rate
from robust.sensitivity.sweep import default_sweeps, read_sweeps, sweep_steps
from robust.sensitivity.sweep_flips import CHECKS, FlipOptions


def draw(n, d=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def linear(weights, bias=0.0):
    weights = np.asarray(weights)
    return as_model(
        lambda x: (x @ weights + bias > 0).astype(int), task="classification", classes=[0, 1], name="linear"
    )


def evidence(m, kind):
    return [item for item in m.evidence if isinstance(item, kind)]


# --- values


def test_the_closed_form_of_a_linear_classifier():
    x = draw(500)
    weights, bias, reach = np.array([2.0, -1.0]), 0.3, 0.4
    m = flip_rate(linear(weights, bias), x, sweep=Sweep(feature=0, absolute=(-reach, reach)))
    # A row flips where its margin is smaller than the largest change of it, |w| times the reach.
    flips = np.abs(x @ weights + bias) < 2.0 * reach
    assert m.value == flips.mean()
    np.testing.assert_array_equal(m.row_values, flips)
    interval = binomtest(int(flips.sum()), 500).proportion_ci(0.9, method="exact")
    assert (m.lower, m.upper) == pytest.approx((interval.low, interval.high))


def test_relative_changes_and_a_fitted_model():
    x = draw(300) + 3
    model = LogisticRegression().fit(x, x.sum(axis=1) > 6)
    m = flip_rate(model, x, sweep={"feature": "x1", "relative": (-0.1, 0.1), "points": 3})
    base = model.predict(x)
    ends = [np.column_stack([x[:, 0], x[:, 1] * factor]) for factor in (0.9, 1.1)]
    flips = np.any([model.predict(end) != base for end in ends], axis=0)
    assert 0 < m.value == flips.mean()


def test_the_row_is_the_unit_over_several_sweeps():
    x = draw(400)
    model = linear([1.0, 1.0])
    sweeps = [Sweep(feature=j, absolute=(-0.2, 0.2), points=5) for j in (0, 1)]
    both, one = flip_rate(model, x, sweep=sweeps), flip_rate(model, x, sweep=sweeps[0])
    assert both.value == one.value
    assert both.n == 400
    assert [part.value for part in evidence(both, Slices)[0].slices] == [one.value, one.value]


def test_the_curve_has_each_change_by_itself():
    x = draw(400)
    curve = flip_curve(linear([1.0, 0.0]), x, sweep=Sweep(feature=0, absolute=(-0.5, 0.5), points=5))
    np.testing.assert_allclose(curve.grid, [-0.5, -0.25, 0.25, 0.5])
    expected = [np.mean((x[:, 0] + change > 0) != (x[:, 0] > 0)) for change in curve.grid]
    np.testing.assert_allclose(curve.values, expected)
    whole = flip_rate(linear([1.0, 0.0]), x, sweep=Sweep(feature=0, absolute=(-0.5, 0.5), points=5))
    assert whole.value == pytest.approx(curve.values[0] + curve.values[-1])


def test_regression_flips_beyond_a_tolerance():
    x = np.linspace(-1, 1, 100)[:, None]
    model = as_model(lambda x: x[:, 0] ** 3, task="regression")
    m = flip_rate(model, x, sweep=Sweep(feature=0, absolute=(0.0, 0.1)), tolerance=0.05)
    assert m.value == np.mean(np.abs((x[:, 0] + 0.1) ** 3 - x[:, 0] ** 3) > 0.05)
    assert any("more than" in item.name and item.value == 0.05 for item in evidence(m, Fact))


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 64]))
@settings(max_examples=15, deadline=None)
def test_row_order_and_batches_do_not_matter(seed, batch):
    x = draw(80, seed=seed)
    data = as_data(x)
    mixed = np.random.default_rng(seed).permutation(80)
    model = as_model(lambda x: (x[:, 0] > x[:, 1]).astype(int), task="classification", classes=[0, 1], batch_size=batch)
    sweep = Sweep(feature=0, absolute=(-0.3, 0.3), points=4)
    m, again = flip_rate(model, data, sweep=sweep), flip_rate(model, data.rows(mixed), sweep=sweep)
    np.testing.assert_array_equal(again.row_values, m.row_values[mixed])
    assert evidence(m, Rows)[0].total == evidence(again, Rows)[0].total


# --- verdicts


def test_a_model_that_hangs_on_noise_fails():
    jagged = as_model(lambda x: (np.floor(x[:, 0] * 50) % 2).astype(int), task="classification", classes=[0, 1])
    m = flip_rate(jagged, draw(300), sweep=Sweep(feature=0, absolute=(-0.05, 0.05)))
    assert (m < 0.05).status == "FAIL"
    text = evidence(m, Finding)[0].text
    assert "of the decisions flip" in text
    assert "the worst change is 0 by ±0.05 (" in text


def test_a_finding_of_a_regression_model_names_its_tolerance():
    model = as_model(lambda x: 10 * x[:, 0], task="regression")
    m = flip_rate(model, draw(300), sweep=Sweep(feature=0, absolute=(-1.73459, 2)), tolerance=1.23456)
    text = evidence(m, Finding)[0].text
    assert "of the predictions move by more than 1.23 (at least" in text
    assert "the worst change is 0 by -1.73 … +2 (" in text
    assert "-1.73459" in dict(m.provenance.options)["sweep"]  # the record has all digits


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"relative": (-0.1, 0.1)}, "age by ±10%"),
        ({"relative": (-0.1, 0.25)}, "age by -10% … +25%"),
        ({"absolute": (-1.73459, 1.73459)}, "age by ±1.73"),
        ({"absolute": (1, 2)}, "age by +1 … +2"),
        ({}, "age set to each value"),
    ],
)
def test_a_sweep_in_words(sweep, words):
    assert str(Sweep(feature="age", **sweep)) == words


def test_a_smooth_model_passes():
    m = flip_rate(linear([1.0, 0.0]), draw(3000), sweep=Sweep(feature=0, absolute=(-0.01, 0.01)))
    assert (m < 0.05).status == "PASS"
    assert evidence(m, Finding) == []


def test_a_sweep_that_moves_few_rows_cannot_pass():
    x = np.zeros((400, 1))
    x[:40, 0] = 1.0
    verdict = flip_rate(linear([1.0], -5.0), x, sweep=Sweep(feature=0, relative=(-0.1, 0.1))) < 0.05
    assert verdict.status == "INVALID"
    assert "90% of the rows" in verdict.reason


def test_groups_are_the_units_of_the_bounds():
    x = np.repeat(draw(40, 1), 10, axis=0)
    sweep = Sweep(feature=0, absolute=(-0.5, 0.5))
    free = flip_rate(linear([1.0]), x, sweep=sweep)
    held = flip_rate(linear([1.0]), as_data(x, groups=np.repeat(np.arange(40), 10)), sweep=sweep)
    assert held.value == free.value
    assert held.upper > free.upper
    assert held.method == "cluster-bootstrap"


# --- evidence


def test_which_rows_flip_first_in_which_direction_and_to_what():
    x = np.array([[-0.05], [0.15], [-0.35], [4.0]])
    data = as_data(x, ids=["near", "next", "third", "far"])
    m = flip_rate(linear([1.0]), data, sweep=Sweep(feature=0, absolute=(-0.4, 0.4), points=9))
    (rows,) = evidence(m, Rows)
    assert rows.ids == ("near", "next", "third")
    assert rows.values == pytest.approx((0.1, -0.2, 0.4))
    facts = {item.name: item.value for item in evidence(m, Fact)}
    assert (facts["rows that an increase flips"], facts["rows that a decrease flips"]) == (2, 1)
    assert facts["commonest flips"] == "0 → 1 (2), 1 → 0 (1)"
    (figure,) = evidence(m, Figure)
    assert len(figure.columns[0].values) == 8
    assert [column.name for column in figure.columns] == ["x", "y", "lower", "upper"]


# --- the schema


def steps(sweep, data):
    return list(sweep_steps(sweep, data))


def test_values_stay_inside_bounds_and_whole():
    data = as_data(
        np.array([[1.0], [50.0], [120.0]]),
        names=["age"],
        schema={"age": {"kind": "integer", "bounds": (0, 120)}},
    )
    up = steps(Sweep(feature="age", relative=(-0.1, 0.1), points=2), data)[1]
    assert up.x[:, 0].tolist() == [1.0, 55.0, 120.0]
    assert up.moved.tolist() == [False, True, False]


def test_integer_arrays_keep_type_and_limits():
    data = as_data(np.array([[250], [3]], dtype=np.uint8))
    low, high = steps(Sweep(feature=0, absolute=(-10, 10), points=2), data)
    assert low.x.dtype == np.uint8
    assert (low.x[:, 0].tolist(), high.x[:, 0].tolist()) == ([240, 0], [255, 13])


def test_rows_that_would_break_a_relation_stay():
    data = as_data(np.array([[1.0, 5.0], [4.9, 5.0]]), names=["a", "b"], schema={"relations": ["a <= b"]})
    up = steps(Sweep(feature="a", absolute=(0.0, 1.0), points=2), data)[0]
    assert up.x.tolist() == [[2.0, 5.0], [4.9, 5.0]]
    assert up.moved.tolist() == [True, False]


def test_unknown_values_stay_unknown():
    step = steps(Sweep(feature=0, absolute=(0.0, 1.0), points=2), as_data(np.array([[np.nan], [1.0]])))[0]
    assert step.moved.tolist() == [False, True]


def test_categories_groups_and_flags_are_set_to_each_value():
    rng = np.random.default_rng(1)
    x = np.column_stack([np.eye(3)[rng.integers(0, 3, 60)], rng.integers(0, 2, 60)])
    schema = {name: {"one_hot": "city"} for name in "abc"} | {"flag": {"kind": "binary"}}
    data = as_data(x, names=["a", "b", "c", "flag"], schema=schema)
    model = linear([1.0, 0.0, 0.0, 1.0], -0.5)
    assert [step.label for step in steps(Sweep(feature="city"), data)] == ["city = a", "city = b", "city = c"]
    for step in steps(Sweep(feature="city"), data):
        assert data.schema.violations(step.x) == []
    city, flag = (flip_rate(model, data, sweep=Sweep(feature=name)) for name in ("city", "flag"))
    assert city.value == np.mean(x[:, 3] == 0)
    assert flag.value == np.mean(x[:, 0] == 0)
    assert flip_curve(model, data, sweep={"feature": "city"}).grid.tolist() == [0.0, 1.0, 2.0]


# --- the check


def test_the_check_moves_every_mutable_number_by_a_tenth_of_its_deviation():
    x = np.column_stack([draw(200), np.random.default_rng(2).integers(0, 2, 200)])
    schema = {"b": {"immutable": True}, "c": {"kind": "binary"}}
    data = as_data(x, x[:, 0], names=["a", "b", "c"], schema=schema)
    (sweep,) = default_sweeps(data)
    assert sweep.feature == "a"
    assert sweep.absolute == pytest.approx((-0.1 * x[:, 0].std(), 0.1 * x[:, 0].std()))
    (check,) = CHECKS
    subject = Subject(model=linear([1.0, 0.0, 0.0]), task="classification", test=data)
    assert check.run(subject, check.options()).value == flip_rate(subject.model, data, sweep=sweep).value
    steep = Subject(model=as_model(lambda x: 1.5 * x[:, 0], task="regression"), task="regression", test=data)
    assert check.run(steep, check.options()).value == 1.0
    flat = Subject(model=as_model(lambda x: 0.5 * x[:, 0], task="regression"), task="regression", test=data)
    assert check.run(flat, check.options()).value == 0.0
    own = FlipOptions(feature="a", absolute=(-1.0, 1.0), points=3)
    assert (
        check.run(subject, own).value
        == flip_rate(subject.model, data, sweep=Sweep(feature="a", absolute=(-1, 1), points=3)).value
    )


def test_data_without_numbers_have_no_default_sweep():
    data = as_data(np.eye(2)[[0, 1, 0]], names=["a", "b"], schema={name: {"kind": "binary"} for name in "ab"})
    with pytest.raises(InvalidInput, match="no number that may change"):
        default_sweeps(data)


# --- errors


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"relative": (-0.1, 0.1), "absolute": (-1, 1)}, "one of the two"),
        ({"relative": (0.1, -0.1)}, "lowest, highest"),
        ({"relative": (0.1,)}, "lowest, highest"),
        ({"relative": "ab"}, "lowest, highest"),
        ({"relative": 0.1}, "lowest, highest"),
        ({"absolute": (0, np.inf)}, "lowest, highest"),
        ({"absolute": (0, 1), "points": 1}, "points"),
    ],
)
def test_sweeps_that_cannot_be(options, match):
    with pytest.raises(InvalidInput, match=match):
        Sweep(feature="a", **options)


@pytest.mark.parametrize(
    ("sweep", "match"),
    [
        ("age", "would be right"),
        ([], "would be right"),
        ([3], "a Sweep or a dict"),
        ({"relative": (-1, 1)}, "'feature'"),
        ({"feature": "a", "reach": 1}, "reach"),
    ],
)
def test_specifications_that_cannot_be_read(sweep, match):
    with pytest.raises(InvalidInput, match=match):
        read_sweeps(sweep)


SCHEMA = {"b": {"immutable": True}, "c": {"kind": "binary"}}
THREE = as_data(np.column_stack([draw(30), np.tile([0.0, 1.0], 15)]), names=["a", "b", "c"], schema=SCHEMA)


@pytest.mark.parametrize(
    ("sweep", "match"),
    [
        (Sweep(feature="b", absolute=(-1, 1)), "immutable"),
        (Sweep(feature="c", absolute=(-1, 1)), "binary"),
        (Sweep(feature="a"), "relative="),
        (Sweep(feature="z", absolute=(-1, 1)), "'z'"),
    ],
)
def test_features_that_cannot_be_swept(sweep, match):
    with pytest.raises(InvalidInput, match=match):
        flip_rate(linear([1.0, 1.0, 0.0]), THREE, sweep=sweep)


def test_sweeps_that_move_no_row():
    data = as_data(np.arange(20.0)[:, None], names=["n"], schema={"n": {"kind": "integer"}})
    with pytest.raises(InvalidInput, match="moves no row"):
        flip_rate(linear([1.0], -5.0), data, sweep=Sweep(feature="n", absolute=(-0.2, 0.2)))


def test_tolerances():
    sweep = Sweep(feature="a", absolute=(-1, 1))
    model = as_model(lambda x: x[:, 0], task="regression")
    with pytest.raises(InvalidInput, match="tolerance= must say"):
        flip_rate(model, THREE, sweep=sweep)
    for wrong in (-1.0, np.nan, True):
        with pytest.raises(InvalidInput, match="at least 0"):
            flip_rate(model, THREE, sweep=sweep, tolerance=wrong)
    with pytest.raises(InvalidInput, match="is a classifier"):
        flip_rate(linear([1.0, 1.0, 0.0]), THREE, sweep=sweep, tolerance=1.0)


def test_a_curve_is_of_one_sweep():
    with pytest.raises(InvalidInput, match="got 2 sweeps"):
        flip_curve(linear([1.0, 1.0, 0.0]), THREE, sweep=[Sweep(feature="a", absolute=(-1, 1))] * 2)
