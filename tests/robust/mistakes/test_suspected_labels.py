"""Suspected labels: the confident joint by hand, and planted noise that must be found."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_predict

from robust import InvalidInput, as_data, as_model
from robust.evidence import Finding
from robust.mistakes.confident_joint import confident_joint, normalized_margin
from robust.mistakes.suspected_labels import label_errors

SCORES = as_model(lambda x: x, output="probabilities", task="classification")


@pytest.fixture(scope="module")
def planted():
    """Digits with 5 % of the labels changed, and probabilities from models that did not see the rows."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    noisy = y.copy()
    changed = rng.choice(len(y), size=len(y) // 20, replace=False)
    noisy[changed] = (y[changed] + rng.integers(1, 10, len(changed))) % 10
    model = ExtraTreesClassifier(100, random_state=0)
    return cross_val_predict(model, x, noisy, cv=5, method="predict_proba"), noisy, set(changed.tolist())


def test_planted_label_errors_are_found(planted):
    p, noisy, changed = planted
    found = label_errors(SCORES, (p, noisy))
    suspected = {row.id for row in found.suspects}
    recall, precision = len(suspected & changed) / len(changed), len(suspected & changed) / len(suspected)
    assert recall > 0.5
    assert precision > 0.95
    assert found.noise == pytest.approx(len(changed) / len(noisy), abs=0.015)
    assert found.value == len(suspected) / len(noisy)
    margins = [row.margin for row in found.suspects]
    assert margins == sorted(margins)
    assert max(margins) < 0


def test_nearly_all_are_found_where_classes_lie_apart():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 400)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    x = centres[y] + rng.normal(size=(1200, 2))
    p = np.exp(-((x[:, None] - centres) ** 2).sum(axis=2) / 2)
    p /= p.sum(axis=1, keepdims=True)
    noisy, changed = y.copy(), rng.choice(1200, 120, replace=False)
    noisy[changed] = (y[changed] + 1) % 3
    found = label_errors(SCORES, (p, noisy))
    suspected, planted = {row.id for row in found.suspects}, set(changed.tolist())
    assert len(suspected & planted) / 120 > 0.97
    assert len(suspected & planted) / len(suspected) > 0.97
    assert found.noise == pytest.approx(0.1, abs=0.005)
    assert {(row.label, row.suggested) for row in found.suspects} <= {("1", "0"), ("2", "1"), ("0", "2"), ("2", "0")}


def test_clean_labels_are_hardly_suspected(planted):
    p, _, _ = planted
    _, y = load_digits(return_X_y=True)
    assert label_errors(SCORES, (p, y)).value < 0.03


def test_the_confident_joint_by_hand():
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.95, 0.05], [0.55, 0.45]])
    labels = np.array([0, 0, 1, 1, 1, 0])
    found = confident_joint(labels, p)
    # t_0 = (0.9 + 0.7 + 0.55)/3, t_1 = (0.8 + 0.6 + 0.05)/3.
    np.testing.assert_allclose(found.thresholds, [2.15 / 3, 1.45 / 3])
    assert found.guess.tolist() == [0, -1, 1, 1, 0, -1]
    assert found.counts.tolist() == [[1, 0], [1, 2]]
    np.testing.assert_allclose(found.joint, [[0.5, 0.0], [1 / 6, 1 / 3]])
    assert found.noise == pytest.approx(1 / 6)
    assert found.joint.sum() == pytest.approx(1.0)


def test_where_two_classes_reach_their_thresholds_the_more_probable_is_the_guess():
    p = np.array([[0.5, 0.5, 0.0], [0.1, 0.3, 0.6], [0.35, 0.45, 0.2]])
    assert confident_joint(np.array([0, 1, 2]), p).guess.tolist() == [0, 2, 1]


def test_a_class_without_rows_takes_the_mean_of_the_other_thresholds():
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.4, 0.5]])
    found = confident_joint(np.array([0, 1]), p)
    assert found.thresholds.tolist() == pytest.approx([0.2, 0.4, 0.3])
    assert found.guess.tolist() == [2, 2]
    np.testing.assert_allclose(found.joint.sum(), 1.0)


def test_a_class_without_rows_lets_no_limit_pass():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    p = np.full((300, 3), 0.02)
    p[np.arange(300), y] = 0.96
    p[:12] = [0.01, 0.01, 0.98]  # labelled 0 or 1, and certainly of the class that nobody is labelled with
    found = label_errors(SCORES, (p, y))
    assert {row.suggested for row in found.suspects} == {"2"}
    assert len(found.suspects) == 12
    (check,) = [check for check in found.validity if check.name == "labelled rows of each class"]
    assert "12 rows are most probably 2, which no row is labelled" in check.reason
    assert (found < 0.5).status == "INVALID"
    assert (found < 0.01).status == "FAIL"
    calm = label_errors(SCORES, (p[12:], y[12:]))  # nothing looks like it
    assert (calm < 0.5).status == "PASS"
    whole = label_errors(SCORES, (p, np.where(np.arange(300) < 12, 2, y)))
    assert [check.name for check in whole.validity] == ["labels not seen in training"]


def test_labels_that_all_agree_are_counted_in_plain_words():
    p = np.tile([[0.9, 0.1], [0.1, 0.9]], (60, 1))
    (check,) = label_errors(SCORES, (p, np.arange(120) % 2)).validity
    assert check.reason.startswith("all rows of data are predicted as labelled")


def test_margins():
    p = np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
    np.testing.assert_allclose(normalized_margin(np.array([1, 0]), p), [0.5, -0.1])


def test_relabelled_classes_give_the_same_suspects(planted):
    p, noisy, _ = planted
    order = np.random.default_rng(1).permutation(10)
    back = np.argsort(order)
    first, again = label_errors(SCORES, (p, noisy)), label_errors(SCORES, (p[:, order], back[noisy]))
    assert {row.id for row in first.suspects} == {row.id for row in again.suspects}


def test_rows_of_the_training_set_fail_a_self_check(planted):
    p, noisy, _ = planted
    seen = label_errors(SCORES, (p, noisy), train=(p[:300], noisy[:300]))
    (check,) = seen.validity
    assert not check.passed
    assert "301 of 1797 rows" in check.reason  # two rows have the same scores
    assert (seen < 0.5).status == "INVALID"  # too few suspects could have made it pass
    fresh = label_errors(SCORES, (p, noisy), train=(p[:300] / 2, noisy[:300]))
    assert fresh.validity[0].passed


def test_a_model_that_agrees_with_all_labels_is_warned_of():
    p = np.tile([[0.9, 0.1], [0.1, 0.9]], (60, 1))
    found = label_errors(SCORES, (p, np.tile([0, 1], 60)))
    assert not found.validity[0].passed
    assert found.validity[0].bias == "none"
    assert found.value == 0.0
    assert not [item for item in found.evidence if isinstance(item, Finding)]


def test_labels_alone_and_several_labels_are_refused():
    with pytest.raises(InvalidInput, match="gives labels only"):
        label_errors(lambda x: np.zeros(len(x), int), (np.zeros((4, 1)), [0, 0, 1, 1]))
    model = as_model(lambda x: x, task="multilabel", output="probabilities")
    with pytest.raises(InvalidInput, match="needs one class a row"):
        label_errors(model, as_data(np.full((4, 2), 0.5), np.ones((4, 2), int)))
