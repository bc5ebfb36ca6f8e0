"""How a sentence names the values of a column."""

import pytest

from robust.mistakes.group_rates import GroupRate
from robust.mistakes.group_words import spread_sentence


def rates(errors, n=9, proved=()):
    total, others = sum(errors), n * (len(errors) - 1)
    return [
        GroupRate(
            value=str(i),
            n=n,
            errors=e,
            rate=e / n,
            lower=0.0,
            upper=1.0,
            share=e / total,
            excess=e / n - (total - e) / others,
            excess_lower=0.01 if i in proved else -1.0,
            excess_upper=1.0,
        )
        for i, e in enumerate(errors)
    ]


def test_values_without_an_excess_are_not_named():
    errors = [27, 26, 1, 1, 0, 0, 0, 0, 0, 0]
    text = spread_sentence("recording", rates(errors, n=80, proved=(0, 1)), 1e-4)
    assert text.startswith("53 of 55 errors (96%) come from recordings 0 and 1 (2 of 10 values, 20% of the rows)")
    assert spread_sentence("recording", rates(errors, n=80), 1e-4) == text  # nothing proved: those above the rest
    assert spread_sentence("recording", rates([27, 26, 0, 0], n=80, proved=(0,)), 0.01).startswith("27 of 53 errors")


def test_a_p_value_that_is_only_bounded_is_told_so():
    assert "p ≤ 0.0001 if" in spread_sentence("day", rates([6, 0, 0], proved=(0,)), 1e-4, sign="≤")
    assert "p = 0.0001 if" in spread_sentence("day", rates([6, 0, 0], proved=(0,)), 1e-4)


def test_one_error():
    assert spread_sentence("day", rates([1, 0, 0]), 0.5).startswith("the only error comes from day 0 ")


@pytest.mark.parametrize(
    ("by", "several"),
    [
        ("recording", "recordings"),
        ("battery", "batteries"),
        ("day", "days"),
        ("box", "boxes"),
        ("class", "classes"),
        ("batch", "batches"),
        ("ID", "ID"),
        ("site 2", "site 2"),
        ("étagè", "étagè"),
        ("y", "ys"),
    ],
)
def test_several_values_have_a_plural_and_one_has_none(by, several):
    assert f"all 12 errors come from {several} 0 and 1 (2 of 5" in spread_sentence(by, rates([6, 6, 0, 0, 0]), 0.001)
    assert f"all 6 errors come from {by} 0 (1 of 5" in spread_sentence(by, rates([6, 0, 0, 0, 0]), 0.001)
