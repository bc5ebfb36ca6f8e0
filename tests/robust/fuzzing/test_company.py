"""Batch invariance: rounding of the host is none of a model's faults, however small the answer beside it."""

import numpy as np
import pytest

from robust import as_data, as_model
from robust.fuzzing import fuzz
from robust.fuzzing.company import answer_gaps

UNIT = np.random.default_rng(0).random((40, 8)).astype(np.float32)
FAR = UNIT + np.float32(4e6)
WEIGHTS = np.array([1.31, -0.73, 0.37, -0.91, 0.53, -1.17, 0.89, -0.29], dtype=np.float32)


def ordered(x):
    """A sum of large numbers that nearly cancel; alone, it runs from the other end."""
    terms = x * WEIGHTS
    return np.add.accumulate(terms if len(x) > 1 else terms[:, ::-1], axis=1)[:, -1]


def test_another_order_of_summation_is_rounding():
    rows = as_data(FAR)
    alone = np.concatenate([ordered(row[None]) for row in FAR])
    assert np.abs(ordered(FAR) - alone).max() > 0.05 * np.ptp(ordered(FAR))
    found = fuzz(ordered, rows, n=4000, levels=["inside", "edges"])
    assert (found.failures == 0).status == "PASS", found
    assert found.noise > 0.01


def test_an_answer_that_hangs_on_the_size_of_the_batch_is_not():
    found = fuzz(lambda x: x.sum(axis=1) * (1.0 + 0.2 * (len(x) == 1)), as_data(UNIT), n=600, levels=["inside"])
    assert {(example.property, example.kind) for example in found.examples} == {("batch invariance", "alone")}
    assert all(len(example.rows) == 2 for example in found.examples)


def test_a_label_that_flips_with_the_size_counts_below_five_percent():
    def scores(x):
        margin = 0.02 * (1 if len(x) > 1 else -1) + 0 * x[:, 0]
        return np.stack([margin + x[:, 1], -margin + x[:, 1]], axis=1)

    found = fuzz(as_model(scores, output="logits"), as_data(UNIT), n=300, levels=["inside"])
    assert {example.kind for example in found.examples} == {"alone"}
    assert "another label" in found.examples[0].words
    smooth = fuzz(as_model(scores, task="regression"), as_data(UNIT), n=300, levels=["inside"])
    assert (smooth.failures == 0).status == "PASS"
    assert 0.01 < smooth.noise < 0.05


def test_gaps_of_what_is_no_number():
    one = np.array([[np.nan, 1.0], [np.inf, 1.0], [np.inf, 1.0], [np.nan, 1.0], [1.0, 2.0]])
    other = np.array([[np.nan, 1.0], [np.inf, 1.5], [-np.inf, 1.0], [0.0, 1.0], [1.25, 2.0]])
    assert answer_gaps(one, other).tolist() == [0.0, 0.5, np.inf, np.inf, 0.25]


@pytest.mark.parametrize("leak", ["first", "last", "the one before"])
def test_what_leaks_from_one_row_to_the_others_is_seen(leak):
    def forward(x):
        own = x @ WEIGHTS
        if len(x) < 2:
            return own
        other = own[0] if leak == "first" else own[-1] if leak == "last" else np.roll(own, 1)
        return own + np.float32(0.01) * other

    found = fuzz(forward, as_data(UNIT), n=600, levels=["inside"])
    assert (found.failures == 0).status == "FAIL"
    assert "neighbours" in {example.kind for example in found.examples}
