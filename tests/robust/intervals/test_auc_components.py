import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from robust.errors import InvalidInput
from robust.intervals.auc_components import auc_components


def draw(seed, n=120, classes=4, ties=True):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    scores = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[y]
    scores = np.round(scores, 1) if ties else scores
    # scikit-learn wants rows that sum to one; the ranks of a column do not care for positive numbers.
    scores = np.exp(scores)
    return y, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_scikit_learn(seed):
    y, scores = draw(seed)
    ours = auc_components(y, scores).value
    assert ours == pytest.approx(roc_auc_score(y, scores, multi_class="ovr", average="macro"), abs=1e-12)
    binary = (y == 1).astype(int)
    column = np.round(scores[:, 1], 1)
    assert auc_components(binary, column).value == pytest.approx(roc_auc_score(binary, column), abs=1e-12)


def test_two_complementary_columns_are_one_column():
    y, scores = draw(0)
    binary, share = (y == 0).astype(int), scores[:, 0]
    two = auc_components(binary, np.stack([1 - share, share], axis=1))
    one = auc_components(binary, share)
    assert two.value == pytest.approx(one.value, abs=1e-12)
    assert two.influence == pytest.approx(one.influence, abs=1e-9)
    assert two.effect == pytest.approx(one.effect)


def test_components_by_hand():
    # Positives 0.35 and 0.8 lie above 1/2 and all of the negatives 0.1 and 0.4: the area is 3/4; n/m is 2.
    parts = auc_components(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert parts.influence.tolist() == [0.5, -0.5, -0.5, 0.5]
    assert parts.unbiased == pytest.approx(np.sqrt(2) * parts.influence)
    assert parts.effect == 2.0


@pytest.mark.parametrize("classes", [2, 4])
def test_influence_predicts_the_area_under_other_weights(classes):
    y, scores = draw(3, n=200, classes=classes, ties=False)
    parts = auc_components(y, scores)
    assert parts.influence.mean() == pytest.approx(0.0, abs=1e-12)
    # Repeating each row a hundred times and one row once more is a small step towards that row.
    for row in (0, 7, 111):
        repeated = np.repeat(np.arange(200), np.where(np.arange(200) == row, 101, 100))
        step = auc_components(y[repeated], scores[repeated]).value - parts.value
        assert step == pytest.approx(parts.influence[row] / 20_001, rel=0.02, abs=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_no_change_of_few_rows_has_more_than_the_effect(classes):
    rng = np.random.default_rng(5)
    y, scores = draw(4, n=60, classes=classes)
    before = auc_components(y, scores)
    largest = 0.0
    for _ in range(600):
        moved = rng.choice(60, size=int(rng.integers(1, 6)), replace=False)
        changed = scores.copy()
        changed[moved] = rng.choice([-9.0, 0.5, 9.0], size=(moved.size, classes))
        change = abs(auc_components(y, changed).value - before.value)
        assert change <= before.effect * moved.size / 60 + 1e-12
        largest = max(largest, change)
    assert largest > 0.05


def test_a_class_of_one_row_has_no_spread_to_show():
    parts = auc_components(np.array([1, 0, 0, 0]), np.array([0.6, 0.1, 0.7, 0.3]))
    assert np.isinf(parts.unbiased[0])
    assert np.isfinite(parts.unbiased[1:]).all()


@pytest.mark.parametrize(
    ("y", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], r"y got no row of class \[0\]"),
        ([0, 0], [0.1, 0.2], r"y got no row of class \[1\]"),
        ([0, 1, 1], np.zeros((3, 3)), r"y got no row of class \[2\]"),
        ([0, 2], [0.1, 0.2], "y got label 2; classes 0 .. 1"),
        ([0, 0.5], [0.1, 0.2], "y got label 0.5"),
        ([0, -1], [0.1, 0.2], "y got label -1"),
        ([0, float("nan")], [0.1, 0.2], "NaN; classes"),
        (["a", "b"], [0.1, 0.2], "y got dtype <U1"),
        ([0, 1, 1], [0.1, 0.2], r"y got shape \(3,\) for 2 rows"),
        ([0, 1], [0.1, float("nan")], "scores got a NaN"),
        ([0, 1], [0.1, float("inf")], "scores got a NaN, an infinity"),
        ([0, 1], [[0.1], [0.2]], r"scores got shape \(2, 1\)"),
        ([], [], r"scores got shape \(0,\)"),
    ],
)
def test_bad_input(y, scores, message):
    with pytest.raises(InvalidInput, match=message):
        auc_components(np.array(y), np.array(scores))


def test_small_moves_beside_a_large_one_in_a_class_do_not_count():
    # Fifty negatives, ten positives above them all: one falls below all, another below one, the rest stay.
    y = np.repeat([0, 1], [50, 10])
    old = np.arange(60.0)
    new = old.copy()
    new[50], new[51] = -1.0, 48.5
    moving = auc_components(y, old).moving(auc_components(y, new))
    assert np.flatnonzero(moving[50:]).tolist() == [0]
    # Each negative now ranks above one positive, the last above two: moves of a tenth and a fifth, both of a size.
    assert moving[:50].all()
    assert not auc_components(y, old).moving(auc_components(y, old)).any()
