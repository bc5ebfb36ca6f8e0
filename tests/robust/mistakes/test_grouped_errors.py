"""Mistakes by column: what is found, what is proved, and that the bounds hold."""

import numpy as np
import pytest
from scipy.stats import beta, hypergeom

from robust import InvalidInput, as_data, percent
from robust.evidence import Fact, Figure, Finding, Slices
from robust.mistakes.grouped_errors import error_groups
from robust.mistakes.metadata_columns import parted_columns


def always_right(x):
    return np.zeros(len(x), int)


def judged(wrong, **parts):
    """Rows of which the given ones are wrong, under a model that says 0."""
    wrong = np.asarray(wrong)
    return as_data(np.zeros((len(wrong), 1)), wrong.astype(int), **parts)


def recordings():
    """Thirty recordings of ten rows; all 12 mistakes in numbers 7 and 8."""
    number = np.repeat(np.arange(30), 10)
    wrong = np.zeros(300, bool)
    wrong[70:77] = wrong[80:85] = True
    return wrong, number


def test_all_errors_from_two_recordings_are_a_finding():
    wrong, number = recordings()
    found = error_groups(always_right, judged(wrong, unused={"recording": number}))
    (text,) = [item.text for item in found.evidence if isinstance(item, Finding)]
    assert text.startswith("all 12 errors come from recordings 7 and 8 (2 of 30 values, 7% of the rows)")
    (column,) = found.columns
    assert [group.value for group in column.groups[:2]] == ["7", "8"]
    # Two of 30 values with 7 and 5 of 12: 30 times twice the chance that a value has 7 or more of them.
    assert column.p == pytest.approx(60 * hypergeom.sf(6, 300, 12, 10))
    assert column.at_most
    assert "p ≤ 1.3e-07" in text
    assert found.value == pytest.approx(7 / 10 - 5 / 290)
    assert found > percent(10)  # proved, although 30 recordings were looked at
    assert {type(item) for item in found.evidence} == {Finding, Slices, Fact, Figure}


def test_declared_groups_are_named_and_judged_as_they_are():
    wrong, number = recordings()
    found = error_groups(always_right, judged(wrong, groups=number))
    assert found.columns[0].by == "group"
    assert found.columns[0].sentence.startswith("all 12 errors come from groups 7 and 8")
    assert found.method == "clopper-pearson-differences"


def test_the_numbers_of_one_column_by_hand():
    wrong = np.array([True] * 3 + [False] * 7 + [True] + [False] * 29)
    site = np.repeat(["a", "b"], [10, 30])
    found = error_groups(always_right, judged(wrong, slices={"site": site}))
    first, second = found.columns[0].groups
    assert (first.value, first.n, first.errors, first.rate, first.share) == ("a", 10, 3, 0.3, 0.75)
    assert first.excess == pytest.approx(0.3 - 1 / 30)
    assert second.excess == pytest.approx(-first.excess)
    # Bounds of the rates hold for both values at once: 97.5 % each.
    assert first.lower == pytest.approx(beta.ppf(0.025, 3, 8))
    assert first.upper == pytest.approx(beta.ppf(0.975, 4, 7))
    # The excess: two exact bounds at 1 − 0.05/(2·2) below, at 1 − 0.05/2 above.
    assert found.lower == pytest.approx(max(beta.ppf(0.0125, 3, 8) - beta.ppf(0.9875, 2, 29), 0))
    assert found.upper == pytest.approx(beta.ppf(0.975, 4, 7) - beta.ppf(0.025, 1, 30))
    assert found.sizing.at(40) == pytest.approx((found.lower, found.upper))


def test_several_columns_are_adjusted_for_their_number_and_the_least_even_comes_first():
    rng = np.random.default_rng(0)
    wrong = np.repeat([True, False], [12, 288])
    data = judged(wrong, slices={"noise": rng.integers(0, 4, 300), "site": np.repeat(["a", "b"], [40, 260])})
    found = error_groups(always_right, data)
    assert [column.by for column in found.columns] == ["site", "noise"]
    assert found.columns[0].p_adjusted == pytest.approx(2 * found.columns[0].p)
    assert sum(isinstance(item, Finding) for item in found.evidence) == 1


def test_numbers_are_cut_at_quartiles_and_rare_values_pooled():
    n = 200
    data = judged(
        np.zeros(n, bool),
        slices={
            "ink": np.linspace(0, 1, n),
            "device": ["x"] * 90 + ["y"] * 100 + [f"z{i}" for i in range(10)],
            "position": np.arange(n)[::-1],
            "name": [f"row {i}" for i in range(n)],
            "alike": ["same"] * n,
        },
    )
    columns, facts = parted_columns(data, None, least=5)
    assert [(column.by, len(column.names), column.sizes.tolist()) for column in columns] == [
        ("ink", 4, [50, 50, 50, 50]),
        ("device", 3, [90, 100, 10]),
        ("position", 4, [50, 50, 50, 50]),
    ]
    assert columns[1].names[-1] == "(10 rare values)"
    assert [fact.name for fact in facts] == ["not grouped by name", "not grouped by alike"]


def test_missing_numbers_are_a_value_of_their_own():
    ink = np.r_[np.linspace(0, 1, 80), np.full(20, np.nan)]
    (column,), _ = parted_columns(judged(np.zeros(100, bool), unused={"ink": ink}), None, least=5)
    assert column.names[-1] == "missing"
    assert column.sizes.tolist() == [20, 20, 20, 20, 20]


def test_features_and_time_are_grouped_by_when_asked():
    x = np.column_stack([np.arange(400.0), np.repeat([0.0, 1.0], 200)])
    data = as_data(x, np.repeat([0, 1], 200), names=["a", "half"], order=np.arange(400))
    found = error_groups(always_right, data, by=["half", "order"])
    assert {column.by for column in found.columns} == {"half", "order"}
    assert max(column.groups[0].rate for column in found.columns) == 1.0
    assert found.method == "bootstrap-differences"


def test_no_mistakes_prove_a_small_excess():
    found = error_groups(always_right, judged(np.zeros(400, bool), slices={"site": np.repeat(["a", "b"], 200)}))
    assert (found.value, found.lower) == (0.0, 0.0)
    assert found.upper == pytest.approx(beta.ppf(0.975, 1, 200))
    assert found.columns[0].sentence == ""
    assert not [item for item in found.evidence if isinstance(item, Finding)]


def test_values_do_not_depend_on_the_order_of_rows():
    wrong, number = recordings()
    order = np.random.default_rng(0).permutation(300)
    first = error_groups(always_right, judged(wrong, unused={"recording": number}))
    again = error_groups(always_right, judged(wrong[order], unused={"recording": number[order]}))
    assert (first.value, first.lower, first.upper) == (again.value, again.lower, again.upper)
    assert first.columns == again.columns


def coverage(runs, seed=0):
    """How often the bounds hold for the largest true excess, of four sites with rates of their own."""
    rng, low, high = np.random.default_rng(seed), 0, 0
    rates, sizes = np.array([0.05, 0.05, 0.1, 0.2]), np.array([60, 90, 30, 40])
    site = np.repeat(list("abcd"), sizes)
    rest = (rates @ sizes - rates * sizes) / (sizes.sum() - sizes)
    truth = float((rates - rest).max())
    for _ in range(runs):
        wrong = rng.random(sizes.sum()) < np.repeat(rates, sizes)
        if not wrong.any():
            wrong[0] = True
        found = error_groups(always_right, judged(wrong, slices={"site": site}))
        low += found.lower <= truth
        high += found.upper >= truth
    return low, high


def test_the_bounds_hold_on_a_fixed_sample():
    low, high = coverage(60)
    assert min(low, high) >= 52  # Binomial(60, 0.95) is below 52 with a chance of 0.007


@pytest.mark.slow
def test_the_bounds_hold():
    low, high = coverage(1500, seed=1)
    assert min(low, high) >= 0.935 * 1500


@pytest.mark.parametrize(
    ("parts", "options", "match"),
    [
        ({}, {}, "no column to group mistakes by: give slices="),
        ({"slices": {"site": ["a"] * 20}}, {}, "no column with two values of 5 rows or more"),
        ({"slices": {"site": ["a", "b"] * 10}}, {"by": "sight"}, "mistakes cannot be grouped by 'sight'"),
        ({"slices": {"site": ["a", "b"] * 10}}, {"by": []}, "by got no name"),
        ({"slices": {"site": ["a", "b"] * 10}}, {"least": 0}, "least got 0"),
        ({"slices": {"site": ["a", "b"] * 10}}, {"level": 1.0}, "level got 1.0"),
        ({"slices": {"site": ["a", "b"] * 10}}, {"seed": -1}, "seed got -1"),
    ],
)
def test_bad_input_is_refused(parts, options, match):
    with pytest.raises(InvalidInput, match=match):
        error_groups(always_right, judged(np.arange(20) == 3, **parts), **options)


def test_rows_in_order_have_bounds_of_the_highest_rates_alone():
    device = np.arange(280) % 14
    wrong = (device == 3) & (np.arange(280) % 4 == 1)
    found = error_groups(always_right, judged(wrong, unused={"device": device}, order=np.arange(280)))
    assert found.method == "bootstrap-differences"
    assert found.columns[0].groups[0].value == "3"
    assert found.columns[0].groups[0].lower > 0
    assert [group.upper for group in found.columns[0].groups[12:]] == [1.0, 1.0]
    assert found.upper == 1.0


@pytest.mark.parametrize("known", [{}, {"groups": True}])
def test_one_bad_value_is_found_among_six_hundred_columns(known):
    rng = np.random.default_rng(0)
    number = np.arange(400) % 4
    wrong = (number == 2) & (rng.random(400) < 0.9)
    columns = {f"c{i}": rng.integers(0, 4, 400).astype(str) for i in range(599)}
    if known:  # groups that have each value: their rows are dealt anew
        known = {"groups": np.arange(400) // 40}
        columns = dict(list(columns.items())[:19])
    data = judged(wrong, slices=columns | {"site": number.astype(str)}, **known)
    found = error_groups(always_right, data, by=[*columns, "site"])
    texts = [item.text for item in found.evidence if isinstance(item, Finding)]
    assert len(texts) == 1
    assert "come from site 2" in texts[0]
    assert "p ≤ " in texts[0]
