"""Direction-specific confusion."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from robust.evidence import Finding, Slices
from robust.measures.confusions import _two_sided, asymmetries, confusion_figure, holm


def findings(counts, **options):
    names = tuple("abcdefgh")[: len(counts)]
    return [part.text for part in asymmetries(counts, names, level=0.95, **options) if isinstance(part, Finding)]


def test_p_values_are_exact():
    rng = np.random.default_rng(0)
    hits, others = rng.integers(0, 30, 40), rng.integers(1, 30, 40)
    trials = hits + others
    for h, n, p in zip(hits, trials, _two_sided(hits, trials, np.full(40, 0.5)), strict=True):
        assert p == pytest.approx(binomtest(int(h), int(n), 0.5).pvalue)
    less, more = (binomtest(3, 10, 0.6, alternative=side).pvalue for side in ("less", "greater"))
    assert _two_sided(np.array([3]), np.array([10]), np.array([0.6]))[0] == pytest.approx(2 * min(less, more))


def test_holm_is_statsmodels():
    p = np.random.default_rng(1).random(20) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_a_planted_direction_is_found_and_named():
    counts = np.array([[80, 20, 0], [1, 99, 0], [3, 3, 94]])
    (text,) = findings(counts)
    assert text.startswith("a is taken for b 20 times (0.2 of its rows), b for a 1 times (0.01)")
    assert findings(counts[::-1, ::-1])[0].startswith("c is taken for b 20 times")


def test_sizes_of_classes_are_no_direction():
    # A tenth of 1000 and of 100 rows: ten to one, and no asymmetry.
    assert findings(np.array([[900, 100], [10, 90]])) == []
    assert findings(np.array([[900, 100], [100, 900]])) == []


def test_rows_that_depend_on_each_other_are_not_tested():
    counts = np.array([[80, 20], [0, 100]])
    assert findings(counts) != []
    assert findings(counts, independent=False) == []
    (table,) = asymmetries(counts, ("a", "b"), level=0.95, independent=False)
    assert isinstance(table, Slices)
    assert (table.slices[0].value, table.slices[0].n) == (1.0, 20)


def test_false_findings_are_rare():
    rng, found = np.random.default_rng(2), 0
    for _ in range(400):
        counts = np.diag([200] * 4) + rng.poisson(6, (4, 4)) * (1 - np.eye(4, dtype=int))
        found += bool(findings(counts))
    assert found <= 28  # 5 % of 400, and two standard deviations


def test_no_mistakes_no_table():
    assert asymmetries(np.diag([5, 5]), ("a", "b"), level=0.95) == ()


def test_a_figure_shows_the_classes_with_the_most_mistakes():
    counts = np.diag(np.arange(30)) + 0
    counts[29, 3] = 7
    figure = confusion_figure(counts, tuple(str(c) for c in range(30)))
    columns = {series.name: series.values for series in figure.columns}
    assert len(columns["value"]) == 400
    assert {"29", "3"} <= set(columns["x"])
    assert columns["value"][list(zip(columns["x"], columns["y"], strict=True)).index(("3", "29"))] == 7
    assert figure.note == "the 20 classes with the most mistakes of 30"
