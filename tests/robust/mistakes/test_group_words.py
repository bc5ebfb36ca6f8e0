"""How a sentence names the values of a column."""

import pytest

from robust.mistakes.group_rates import GroupRate
from robust.mistakes.group_words import spread_sentence


def rates(errors):
    own = {"lower": 0.0, "upper": 1.0, "excess": 0.0, "excess_lower": 0.0, "excess_upper": 1.0}
    return [
        GroupRate(value=str(i), n=9, errors=e, rate=e / 9, share=e / sum(errors), **own) for i, e in enumerate(errors)
    ]


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
