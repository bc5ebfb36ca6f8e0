"""Threshold tables as csv."""

import csv
import io

import numpy as np
import pytest

from robust.measures.score_thresholds import threshold_table
from robust.measures.threshold_lines import threshold_csv

RNG = np.random.default_rng(0)
TABLE = threshold_table(RNG.random(300) < 0.4, RNG.normal(size=300) * 10.0 ** RNG.integers(-300, 300, 300))


def test_the_header_is_exact_and_numbers_come_back():
    text = threshold_csv(TABLE)
    assert text.splitlines()[0] == "threshold,tpr,fpr,precision,recall,f1"
    assert text.endswith("\n")
    assert "inf" not in text
    assert "nan" not in text
    found = np.array(list(csv.reader(io.StringIO(text)))[1:], dtype=float)
    for j, name in enumerate(("threshold", "tpr", "fpr", "precision", "recall", "f1")):
        np.testing.assert_array_equal(found[:, j], getattr(TABLE, name))


@pytest.mark.parametrize("most", [2, 10, 301, 1000])
def test_fewer_lines_keep_both_ends(most):
    lines = threshold_csv(TABLE).splitlines()
    few = threshold_csv(TABLE, most=most).splitlines()
    assert len(few) == 1 + min(most, 301)
    assert (few[1], few[-1]) == (lines[1], lines[-1])
    assert set(few) <= set(lines)
