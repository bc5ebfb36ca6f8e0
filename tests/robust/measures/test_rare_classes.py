"""Figures that weigh classes alike, and their changes, where a rare class does not show what can happen to it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import metrics as sk

from robust import as_model, auc, average_precision, degradation, f1, precision, recall
from robust.data.live import as_data
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.exact import exact
from robust.measures.class_floors import floored_by_class


def binary(column):
    """A model whose probability of class 1 is one of the columns."""
    return as_model(
        lambda x: np.column_stack([1 - x[:, column], x[:, column]]),
        name=f"model {column}",
        task="classification",
        output="probabilities",
        classes=[0, 1],
    )


def labels(column):
    """A model whose label is one of the columns."""
    return as_model(
        lambda x: x[:, column].astype(int), name=f"model {column}", task="classification", classes=[0, 1, 2]
    )


def area(y, scores):
    """Area under the ROC curve of scores without ties."""
    positive, negative = scores[y == 1], np.sort(scores[y == 0])
    return float(np.searchsorted(negative, positive).mean() / len(negative))


def noisy_scores(rng, n):
    """One row in thirty-three positive and one in twenty scored anew, so that only one positive or two differ."""
    y = (rng.random(n) < 0.03).astype(int)
    old = rng.normal(size=n) + 2 * y
    new = np.where(rng.random(n) < 0.05, 3 * rng.normal(size=n), old)
    return y, expit(old), expit(new)


def test_a_change_of_the_auc_does_not_pass_at_its_true_value():
    y, old, new = noisy_scores(np.random.default_rng(0), 400_000)
    truth, passed = area(y, old) - area(y, new), 0
    rng = np.random.default_rng(1)
    for _ in range(60):
        y, old, new = noisy_scores(rng, 1000)
        data = as_data(np.column_stack([old, new]), y)
        passed += (degradation(binary(0), binary(1), data, metric="auc") < truth).status == "PASS"
    assert passed <= 3


def confused(rng, n):
    """Common classes that are often exchanged, and a rare one of which one row in twenty is lost."""
    y = np.where(rng.random(n) < 0.03, 2, rng.integers(0, 2, n))
    old = np.where((y < 2) & (rng.random(n) < 0.04), 1 - y, y)
    new = np.where((y < 2) & (rng.random(n) < 0.03), 1 - old, old)
    return y, old, np.where((y == 2) & (rng.random(n) < 0.05), 0, new)


def macro_f1(y, predicted):
    return np.mean(
        [2 * np.sum((y == c) & (predicted == c)) / np.sum((y == c) * 1 + (predicted == c)) for c in range(3)]
    )


def test_a_change_of_macro_f1_does_not_pass_at_its_true_value():
    y, old, new = confused(np.random.default_rng(0), 400_000)
    truth, passed = macro_f1(y, old) - macro_f1(y, new), 0
    rng = np.random.default_rng(1)
    for _ in range(40):
        y, old, new = confused(rng, 600)
        data = as_data(np.column_stack([old, new]).astype(float), y)
        passed += (degradation(labels(0), labels(1), data, metric="f1") < truth).status == "PASS"
    assert passed <= 2


@pytest.mark.parametrize("dependence", ["groups", "order"])
def test_groups_and_blocks_that_hold_the_class_count(dependence):
    rng = np.random.default_rng(2)
    n = 600
    y = np.zeros(n, dtype=int)
    y[::30] = 1  # twenty positives, none of which differs
    old = rng.normal(size=n) + y
    new = np.where((y == 0) & (rng.random(n) < 0.5), rng.normal(size=n), old)
    units = {"groups": np.arange(n) // 30} if dependence == "groups" else {"order": np.arange(n)}
    data = as_data(np.column_stack([expit(old), expit(new)]), y, **units)
    measured = degradation(binary(0), binary(1), data, metric="auc")
    assert measured.upper - measured.value >= clopper_pearson_bounds(0, 20, 0.95)[1]
    assert f"{'groups' if dependence == 'groups' else 'blocks'} with rows of class 1" in repr(measured.evidence)


def floor_of(differ, y, groups=None, *, effects=(1.0, 1.0), change=True):
    data = as_data(np.zeros((len(y), 1)), y, groups=groups)
    return floored_by_class(
        exact(0.0, len(y)),
        data,
        y,
        differ=differ,
        effects=np.array(effects),
        level=0.95,
        added=(lambda _rows, _column: 0.0) if change else None,
    )


def test_the_floor_by_hand():
    y = np.repeat([0, 1], [180, 20])
    differ = np.arange(200) % 10 == 0  # 18 rows of class 0, 2 of class 1
    found = floor_of(differ, y)
    share = clopper_pearson_bounds(2, 20, 0.95)[1]
    assert (found.lower, found.upper) == pytest.approx((-share, share))
    assert found.notes[-1].startswith("2 of 20 rows of class 1 differ")
    assert floor_of(differ, y, effects=(1.0, 0.25)).upper == pytest.approx(0.25 * share)


def test_the_floor_at_other_numbers_of_rows():
    y = np.repeat([0, 1], [180, 20])
    sizing = floor_of(np.arange(200) % 10 == 0, y).sizing
    assert sizing.at(600)[1] == pytest.approx(clopper_pearson_bounds(6, 60, 0.95)[1])


def test_another_class_may_be_the_worst_at_other_numbers_of_rows():
    y = np.repeat([0, 1], [30, 20])
    differ = np.r_[np.zeros(30, bool), np.ones(8, bool), np.zeros(12, bool)]
    found = floor_of(differ, y)
    assert found.upper == pytest.approx(clopper_pearson_bounds(8, 20, 0.95)[1])
    # With twice the rows 16 of class 1 differ and show their own spread; class 0 still has none that does.
    assert found.sizing.at(100)[1] == pytest.approx(clopper_pearson_bounds(0, 60, 0.95)[1])


def test_the_spread_and_the_doubt_about_a_class_add_in_squares():
    # A change of 0.3, known to 0.04, of which the two rows of class 1 that differ have made 0.05.
    y = np.repeat([0, 1], [180, 20])
    inner = replace(exact(0.3, 200), lower=0.26, upper=0.34)
    found = floored_by_class(
        inner,
        as_data(np.zeros((200, 1)), y),
        y,
        differ=np.arange(200) % 10 == 0,
        effects=np.array([1.0, 1.0]),
        level=0.95,
        added=lambda rows, _column: 0.05 if rows.sum() == 2 else 1.0,
    )
    reach = clopper_pearson_bounds(2, 20, 0.95)[1]
    assert found.upper == pytest.approx(0.3 + np.hypot(0.04, reach - 0.05))
    assert found.lower == pytest.approx(0.3 - np.hypot(0.04, reach + 0.05))


@pytest.mark.parametrize(("metric", "oracle"), [("recall", sk.recall_score), ("f1", sk.f1_score)])
def test_a_change_that_common_classes_show_does_not_hide_a_rare_one(metric, oracle):
    # With the larger of both instead of their squares 21 and 9 % of the upper bounds were below the true change.
    def draw(rng, n):
        y = np.where(rng.random(n) < 0.03, 2, rng.integers(0, 2, n))
        swapped = np.where((y < 2) & (rng.random(n) < 0.15), 1 - y, y)
        return y, np.where((y == 2) & (rng.random(n) < 0.05), 0, swapped)

    y, new = draw(np.random.default_rng(0), 400_000)
    truth, missed = 1 - oracle(y, new, average="macro"), 0
    rng = np.random.default_rng(1)
    for _ in range(60):
        y, new = draw(rng, 600)
        data = as_data(np.column_stack([y, new]).astype(float), y)
        missed += degradation(labels(0), labels(1), data, metric=metric).upper < truth
    assert missed <= 3


def test_what_differing_rows_have_done_is_in_the_value_of_one_model():
    y = np.repeat([0, 1], [180, 20])
    found = floor_of(np.arange(200) % 10 == 0, y, change=False)
    assert found.lower == pytest.approx(-(clopper_pearson_bounds(2, 20, 0.95)[1] - 0.1))


def test_ten_rows_of_each_class_need_no_floor():
    y = np.repeat([0, 1], [180, 20])
    assert floor_of(np.arange(200) % 2 == 0, y).upper == 0.0


def test_the_largest_group_counts_for_all():
    y = np.repeat([0, 1], [160, 40])
    groups = np.r_[np.arange(160), np.repeat(np.arange(20), [21, *[1] * 19])]
    found = floor_of(y == 0, y, groups)
    # 20 groups hold class 1; the largest has 21 of its 40 rows, 10.5 times as many as the mean.
    assert found.upper == pytest.approx(min(clopper_pearson_bounds(0, 20, 0.95)[1] * 10.5, 1.0))


def lost(rng, n):
    """Common classes that are often exchanged, and a rare one of which one row in twenty is taken for another."""
    y = np.where(rng.random(n) < 0.03, 2, rng.integers(0, 2, n))
    wrong = np.where(y == 2, rng.random(n) < 0.05, rng.random(n) < 0.04)
    return y, np.where(wrong, np.where(y == 2, 0, 1 - y), y)


def flooded(rng, n):
    """The same, but it is rows of a common class that are now and then taken for the rare one."""
    y = np.where(rng.random(n) < 0.03, 2, rng.integers(0, 2, n))
    found = np.where((y < 2) & (rng.random(n) < 0.04), 1 - y, y)
    return y, np.where((y == 0) & (rng.random(n) < 0.003), 2, found)


@pytest.mark.parametrize(
    ("measure", "draw", "oracle"),
    [(f1, lost, sk.f1_score), (recall, lost, sk.recall_score), (precision, flooded, sk.precision_score)],
)
def test_a_rare_class_does_not_vouch_for_itself(measure, draw, oracle):
    # Without the floor of each class 22, 39 and 26 % of the lower bounds were above the true value.
    y, found = draw(np.random.default_rng(0), 400_000)
    truth, false = oracle(y, found, average="macro"), 0
    rng = np.random.default_rng(1)
    for _ in range(60):
        y, found = draw(rng, 600)
        false += measure(labels(0), as_data(found[:, None].astype(float), y)).lower > truth
    assert false <= 3


def ranked(rng, n):
    """Scores of three classes; one row in twenty of the rare one is ranked last, the others are told apart fairly."""
    y = np.where(rng.random(n) < 0.03, 2, rng.integers(0, 2, n))
    scores = rng.normal(size=(n, 3))
    scores[np.arange(n), y] += np.where(y == 2, 8.0, 2.5)
    scores[(y == 2) & (rng.random(n) < 0.05), 2] -= 16
    return y, softmax(scores, axis=1)


@pytest.mark.parametrize("measure", [auc, average_precision])
def test_a_rare_class_does_not_vouch_for_its_ranking(measure):
    # Without the floor of each class 46 % of the lower bounds were above the true value.
    y, p = ranked(np.random.default_rng(0), 400_000)
    model = as_model(lambda x: x, name="model", task="classification", output="probabilities", classes=[0, 1, 2])
    truth, false = measure(model, as_data(p, y)).value, 0
    rng = np.random.default_rng(1)
    for _ in range(40):
        y, p = ranked(rng, 600)
        false += measure(model, as_data(p, y)).lower > truth
    assert false <= 2


def test_a_rare_label_does_not_vouch_for_itself():
    def draw(rng, n):
        y = (rng.random((n, 3)) < [0.5, 0.4, 0.03]).astype(int)
        wrong = rng.random((n, 3)) < np.where(y == 1, [0.08, 0.08, 0.05], [0.08, 0.08, 0.0])
        return y, np.where(wrong, 1 - y, y).astype(float)

    y, found = draw(np.random.default_rng(0), 400_000)
    model = as_model(lambda x: x, name="model", task="multilabel", output="probabilities", classes=["a", "b", "c"])
    truth, false = sk.f1_score(y, found, average="macro"), 0
    rng = np.random.default_rng(1)
    for _ in range(40):
        y, found = draw(rng, 600)
        false += f1(model, as_data(found, y)).lower > truth
    assert false <= 2


@pytest.mark.parametrize("dependence", ["groups", "order"])
def test_one_model_with_groups_and_blocks(dependence):
    rng = np.random.default_rng(2)
    n = 600
    y = np.zeros(n, dtype=int)
    y[::30] = 1  # twenty positives, all found
    found = np.where((y == 0) & (rng.random(n) < 0.1), 1, y)
    units = {"groups": np.arange(n) // 30} if dependence == "groups" else {"order": np.arange(n)}
    measured = recall(labels(0), as_data(found[:, None].astype(float), y, **units))
    assert measured.value - measured.lower >= 0.5 * clopper_pearson_bounds(0, 20, 0.95)[1]
    assert f"{'groups' if dependence == 'groups' else 'blocks'} with rows of class 1" in repr(measured.evidence)
