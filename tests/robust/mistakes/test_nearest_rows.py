"""Nearest training rows: equal to all distances worked out, on numbers, missing values and categories."""

import csv
import io

import numpy as np
import pytest
from scipy import stats

import robust.data.large
from robust import InvalidInput, as_data, as_model
from robust.mistakes.nearest_rows import nearest_training_rows
from robust.mistakes.row_distances import row_scale


def zero(x):
    return np.zeros(len(x), int)


def brute(points, rows, k):
    spread = rows.std(axis=0)
    gaps = (points[:, None] - rows[None]) / np.where(spread == 0, 1, spread)
    distances = np.sqrt((gaps**2).mean(axis=2))
    at = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return at, np.take_along_axis(distances, at, axis=1)


@pytest.mark.parametrize("block", [4 * 2**20, 64])
def test_neighbours_are_those_of_all_distances(monkeypatch, block):
    monkeypatch.setattr(robust.data.large, "BLOCK_BYTES", block)
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(12, 3)) * [1, 100, 0.01], rng.normal(size=(50, 3)) * [1, 100, 0.01]
    labels = rng.integers(0, 3, 50)
    found = nearest_training_rows(zero, (x, np.full(12, 2)), as_data(z, labels, ids=np.arange(100, 150)), k=4)
    at, distances = brute(x, z, 4)
    for i, mistake in enumerate(sorted(found.mistakes, key=lambda mistake: mistake.id)):
        assert [near.id for near in mistake.neighbours] == (at[i] + 100).tolist()
        np.testing.assert_allclose([near.distance for near in mistake.neighbours], distances[i])
        assert mistake.agreeing == int((labels[at[i]] == 0).sum())


def test_images_and_constant_pixels():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(30, 1, 4, 4))
    z[:, :, 0] = 5.0
    found = nearest_training_rows(zero, (z[:3].copy(), [1, 1, 1]), (z, np.arange(30) % 2), k=1)
    assert [mistake.neighbours[0].id for mistake in found.mistakes] == [0, 1, 2]
    assert all(mistake.neighbours[0].distance == 0 for mistake in found.mistakes)


def test_the_same_inputs_under_the_predicted_label_are_said():
    z = np.array([[0.0], [1.0], [2.0]])
    found = nearest_training_rows(zero, (np.array([[1.0]]), [1]), (z, [1, 0, 1]), k=2)
    assert found.mistakes[0].contradicted
    assert found.mistakes[0].sentence.endswith("the same inputs are among the training rows under that label")
    other = nearest_training_rows(zero, (np.array([[0.0]]), [1]), (z, [1, 0, 1]), k=1)
    assert not other.mistakes[0].contradicted


def test_the_summary_counts_all_kinds():
    z, labels = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]]), [0, 0, 0, 1, 1, 1]
    found = nearest_training_rows(zero, (np.array([[0.0], [5.0], [9.0]]), [1, 1, 1]), (z, labels), k=2)
    assert "of 3 mistakes 1 have 2 of 2" in found.sentence
    assert "1 have some, 1 have none" in found.sentence
    lines = list(csv.reader(io.StringIO(found.csv)))
    assert lines[0] == ["row", "true", "predicted", "rank", "neighbour", "label", "distance"]
    assert lines[1] == ["0", "1", "0", "1", "0", "0", "0.0"]
    assert len(lines) == 7


def test_categories_count_one_where_they_differ_and_missing_values_the_mean():
    train = as_data(np.array([["a", "1"], ["b", "1"]], dtype=object), [0, 1], names=["kind", "n"])
    test = as_data(np.array([["b", "1"]], dtype=object), [1], names=["kind", "n"], schema=train.schema)
    found = nearest_training_rows(zero, test, train, k=2)
    # n is text too: both features are categories, one of two differs.
    assert [near.id for near in found.mistakes[0].neighbours] == [1, 0]
    np.testing.assert_allclose([near.distance for near in found.mistakes[0].neighbours], [0.0, np.sqrt(0.5)])
    scale = row_scale(as_data(np.array([[1.0], [np.nan], [3.0]])))
    assert (scale.centre.tolist(), scale.spread.tolist()) == ([2.0], [1.0])
    assert scale.applied(np.array([[np.nan], [4.0]])).tolist() == [[0.0], [2.0]]
    assert any("1 missing" in note for note in scale.notes)


def test_moments_of_blocks_are_those_of_all_rows(monkeypatch):
    monkeypatch.setattr(robust.data.large, "BLOCK_BYTES", 100)
    x = np.random.default_rng(0).normal(size=(57, 2)) * 3 + [1e6, -4]
    scale = row_scale(as_data(x))
    np.testing.assert_allclose(scale.centre, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale.spread, x.std(axis=0), rtol=1e-9)


def test_only_the_most_confident_mistakes_are_looked_up():
    found = nearest_training_rows(zero, (np.zeros((9, 1)), [1] * 9), (np.zeros((3, 1)), [0, 1, 1]), k=1, most=4)
    assert (len(found.mistakes), found.total) == (4, 9)
    assert "the 4 most confident of 9 mistakes" in found.notes
    none = nearest_training_rows(zero, (np.zeros((2, 1)), [0, 0]), (np.zeros((3, 1)), [0, 1, 1]), k=1)
    assert none.sentence == "there are no mistakes"


@pytest.mark.parametrize(
    ("train", "options", "match"),
    [
        ((np.zeros((3, 2)), [0, 1, 1]), {}, "the same would be right"),
        ((np.zeros((3, 1)), [0, 1, 1]), {"k": 4}, "k got 4 for 3 training rows"),
        ((np.zeros((3, 1)), [0, 1, 1]), {"k": 0}, "k got 0"),
        ((np.zeros((3, 1)), [0, 1, 1]), {"most": 0}, "most got 0"),
        (np.zeros((3, 1)), {}, "has no targets"),
    ],
)
def test_bad_input_is_refused(train, options, match):
    with pytest.raises(InvalidInput, match=match):
        nearest_training_rows(zero, (np.zeros((2, 1)), [0, 1]), train, **options)


def test_labels_that_the_model_does_not_know_are_refused():
    model = as_model(zero, classes=(0, 1))
    with pytest.raises(InvalidInput, match=r"labels that .* does not know: \[7\]"):
        nearest_training_rows(model, (np.zeros((2, 1)), [0, 1]), (np.zeros((3, 1)), [0, 1, 7]), k=1)


def test_the_share_by_hand_and_its_evidence():
    z, labels = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]]), [0, 0, 0, 1, 1, 1]
    found = nearest_training_rows(zero, (np.array([[0.05], [5.0], [9.05], [20.0]]), [1, 1, 1, 0]), (z, labels), k=2)
    assert (found.value, found.n, found.higher_is_better) == (pytest.approx(1 / 3), 3, None)
    # Clopper and Pearson for 1 of 3: quantiles of Beta(1, 3) and Beta(2, 2).
    assert (found.lower, found.upper) == pytest.approx((stats.beta.ppf(0.05, 1, 3), stats.beta.ppf(0.95, 2, 2)))
    finding, rows, *facts, figure = found.evidence
    assert finding.text.startswith("1 of 3 mistakes has the same inputs among the training rows")
    assert (rows.ids, rows.total) == ((0,), 1)
    assert [fact.name for fact in facts[:2]] == ["near row 0, 1 taken for 0", "near row 1, 1 taken for 0"]
    assert "(label 0, " in facts[0].value
    assert (figure.kind, figure.columns[0].values, figure.columns[1].values) == ("bar", ("0", "1", "2"), (1, 1, 1))
    assert found.validity[0].passed is False  # row 1 is a training row
    assert (found < 0.9).status == (found > 0.01).status == "INVALID"


def test_other_rows_than_those_of_training_may_be_judged():
    rng = np.random.default_rng(0)
    z, x = rng.normal(size=(200, 2)), rng.normal(size=(100, 2))
    found = nearest_training_rows(zero, (x, np.ones(100, int)), (z, np.zeros(200, int)), k=3)
    assert found.validity[0].passed
    assert found > 0.9  # a model that learnt its mistakes from the training rows


def test_without_mistakes_nothing_is_proved():
    found = nearest_training_rows(zero, (np.ones((5, 1)), [0] * 5), (np.zeros((3, 1)), [0, 1, 1]), k=1)
    assert (found.value, found.lower, found.upper) == (0.0, 0.0, 1.0)
    assert (found < 0.5).status == "INCONCLUSIVE"


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(2)
    z, labels = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    x, y = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    turn = rng.permutation(40)
    one, other = (nearest_training_rows(zero, (x[o], y[o]), (z, labels)) for o in (np.arange(40), turn))
    assert (one.value, one.lower, one.upper) == (other.value, other.lower, other.upper)


def test_text_coded_differently_is_refused():
    train = as_data(np.array([["a"], ["b"]]), [0, 1], names=["kind"])
    test = as_data(np.array([["b"], ["c"]]), [0, 1], names=["kind"])
    with pytest.raises(InvalidInput, match="coded differently"):
        nearest_training_rows(zero, test, train, k=1)
