"""Gain over the baseline: values, direction, splits that prove nothing, errors."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from robust.baselines.skill import gain
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Values
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation


def ring(n, seed):
    """Inside or outside of a circle: nothing for a straight line."""
    x = np.random.default_rng(seed).normal(size=(n, 2))
    return x, (np.hypot(*x.T) < 1.1).astype(int)


def line(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, x @ [1.0, -2.0] + 0.3 * rng.normal(size=n)


def circle(x):
    return (np.hypot(*x.T) < 1.1).astype(int)


def test_by_hand():
    # On one feature the best line calls everything 0: the baseline is right on 3 of 4, the model on all.
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]] * 30)
    y = np.tile([1, 0, 0, 0], 30)
    train = (x + 0.0, y)
    test = (x[:40] + 0.25, y[:40])
    m = gain(lambda x: (x[:, 0] < -1.5).astype(int), train, test)
    expected = make_pipeline(StandardScaler(), LogisticRegression()).fit(*train).predict(test[0])
    assert m.value == pytest.approx(1 - (expected == y[:40]).mean())
    assert m.higher_is_better is True
    assert m.name == "gain over logistic regression"


def test_a_model_that_sees_more_passes_and_one_that_sees_less_fails():
    train, test = ring(600, 0), ring(600, 1)
    m = gain(circle, train, test)
    assert m.value > 0.2
    assert (m > 0.1).status == "PASS"
    blind = gain(lambda x: 1 - circle(x), train, test)
    assert blind.value < 0
    assert (blind > 0).status == "FAIL"


def test_the_baseline_itself_gains_nothing():
    train, test = ring(600, 0), ring(600, 1)
    same = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(*train)
    m = gain(same, train, test)
    assert m.value == 0
    assert (m > 0).status != "PASS"


@pytest.mark.parametrize("metric", [None, "f1", "log_loss", "auc"])
def test_gain_is_the_mirror_image_of_degradation(metric):
    train, test = ring(400, 0), ring(300, 1)
    model = as_model(DecisionTreeClassifier(max_depth=6, random_state=0).fit(*train))
    baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(*train)
    m = gain(model, train, test, metric=metric, seed=3)
    loss = degradation(baseline, model, test, metric=metric or "accuracy", seed=3)
    assert (m.value, m.lower, m.upper) == pytest.approx((-loss.value, -loss.upper, -loss.lower), rel=1e-6, abs=1e-9)
    (values,) = (part for part in m.evidence if isinstance(part, Values))
    (mirror,) = (part for part in loss.evidence if isinstance(part, Values))
    assert (values.reference, values.candidate) == pytest.approx((mirror.reference, mirror.candidate))


def test_regression_is_relative_to_the_rmse_of_least_squares():
    train, test = line(200, 0), line(200, 1)
    model = as_model(lambda x: x @ [1.0, -1.8], task="regression")
    base = LinearRegression().fit(*train)
    errors = [np.sqrt(np.mean((test[1] - found) ** 2)) for found in (base.predict(test[0]), test[0] @ [1.0, -1.8])]
    m = gain(model, train, test)
    assert m.value == pytest.approx((errors[0] - errors[1]) / errors[0])
    assert m.value < 0
    assert m.unit == "relative"
    assert gain(model, train, test, relative=False).value == pytest.approx(errors[0] - errors[1])
    assert m.name == "gain over linear regression"


def test_the_order_of_test_rows_does_not_matter():
    train, (x, y) = ring(300, 0), ring(200, 1)
    order = np.random.default_rng(0).permutation(200)
    one, other = gain(circle, train, (x, y)), gain(circle, train, (x[order], y[order]))
    assert (one.value, one.lower, one.upper) == (other.value, other.lower, other.upper)


@pytest.mark.parametrize("given", [{"order": np.arange(200)}, {"groups": np.arange(200) // 4}])
def test_dependent_rows(given):
    x, y = ring(200, 1)
    m = gain(circle, ring(300, 0), as_data(x, y, **given))
    assert m.method.endswith("-bootstrap")


def test_a_model_of_labels_that_the_test_rows_lack():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(300, 2)), rng.normal(size=(100, 2))
    y, w = np.digitize(x[:, 0], [-0.5, 0.5]), np.digitize(z[:, 0], [-0.5, 0.5])
    keep = w > 0  # no test row of class 0, and a model that never says it
    m = gain(lambda x: np.digitize(x[:, 0], [-9, 0.5]), (x, y), (z[keep], w[keep]))
    assert m.value == pytest.approx(0, abs=0.1)


def test_facts_count_who_is_right_alone():
    train, test = ring(400, 0), ring(300, 1)
    base = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(*train).predict(test[0]) == test[1]
    facts = {part.name: part.value for part in gain(circle, train, test).evidence if isinstance(part, Fact)}
    assert facts["rows that only the model gets right"] == (~base).sum()
    assert facts["rows that only the baseline gets right"] == 0
    assert facts["exact McNemar p"] == pytest.approx(2.0 ** (1 - (~base).sum()))


# --- text, and splits that prove nothing ----------------------------------------------------------------------


def towns(n, seed, among):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"town": rng.choice(among, n), "size": rng.normal(size=n)})
    return frame, (frame["town"] == "Oslo").astype(int).to_numpy()


def test_text_columns_whose_labels_differ_between_the_splits():
    (a, y), (b, z) = towns(200, 0, ["Bonn", "Oslo", "Rom"]), towns(200, 1, ["Oslo", "Rom", "Ulm"])
    train, test = as_data(a, y), as_data(b, z)
    perfect = as_model(lambda x: (x[:, 0] == test.schema.categories[0][1].index("Oslo")).astype(int))
    m = gain(perfect, train, test)
    assert m.value == 0  # logistic regression is perfect too, if it reads labels and not codes


def test_the_same_rows_are_refused_whatever_they_are_called():
    x, y = ring(100, 0)
    for again in ((x, y), as_data(x.copy(), y, name="other", ids=np.arange(100) + 7)):
        with pytest.raises(InvalidInput, match="train and test are the same rows"):
            gain(circle, (x, y), again)


@pytest.mark.parametrize(
    ("part", "status"), [(slice(0, 300), "INVALID"), (slice(200, 500), "INVALID"), (slice(360, 660), "PASS")]
)
def test_a_test_set_out_of_the_training_rows_cannot_pass(part, status):
    x, y = ring(700, 0)
    test = (x[part], y[part])
    m = gain(circle, (x[:400], y[:400]), test)
    verdict = m > 0.05
    assert verdict.status == status
    if status == "INVALID":
        assert "test rows also stand in train: what the model has memorised counts as a gain" in verdict.reason
    (check,) = (check for check in m.validity if check.name == "separate rows")
    assert check.bias == "raises"


def test_a_bad_gain_on_memorised_rows_is_still_a_fail():
    x, y = ring(700, 0)
    assert (gain(lambda x: 1 - circle(x), (x[:400], y[:400]), (x[:300], y[:300])) > 0).status == "FAIL"


def test_rows_that_features_cannot_tell_apart_are_no_leak():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (800, 3)).astype(float)
    y = (x.sum(axis=1) % 2).astype(int)
    m = gain(lambda x: (x.sum(axis=1) % 2).astype(int), (x[:400], y[:400]), (x[400:], y[400:]))
    assert (m > 0.2).status == "PASS"


def test_what_does_not_fit_is_refused():
    train, test = ring(60, 0), ring(60, 1)
    with pytest.raises(InvalidInput, match="gain over 'forest' is unknown; over='linear'"):
        gain(circle, train, test, over="forest")
    with pytest.raises(InvalidInput, match="no metric is named 'rsme'"):
        gain(circle, train, test, metric="rsme")
    with pytest.raises(InvalidInput, match="same features in the same order"):
        gain(circle, (np.c_[train[0], train[0]], train[1]), test)
    with pytest.raises(InvalidInput, match="has no targets"):
        gain(circle, train[0], test)
    three = np.arange(60) % 3
    with pytest.raises(InvalidInput, match=r"the training rows data have no row of \['2'\], labels of data that a"):
        gain(lambda x: np.digitize(x[:, 0], [-0.5, 0.5]), train, (test[0], three))
    tree = DecisionTreeClassifier().fit(*test)
    for targets, message in (
        (three, r"that Dec.* does not know: \[2\]"),
        (train[0][:, 0], "does not know"),
        (train[0], "one-hot targets have one 1 a row"),
    ):
        with pytest.raises(InvalidInput, match=f"the training rows late: .*{message}"):
            gain(tree, as_data(train[0], targets, name="late"), test)
    with pytest.raises(InvalidInput, match="the training rows late: regression needs numbers as targets"):
        gain(as_model(lambda x: x[:, 0], task="regression"), as_data(train[0], list("ab" * 30), name="late"), test)


def test_labels_may_be_kept_in_other_types():
    (x, y), (z, w) = ring(300, 0), ring(200, 1)
    assert gain(circle, (x, y.astype(float)), (z, w)).value == gain(circle, (x, y), (z, w)).value


def test_a_perfect_baseline_makes_a_relative_gain_invalid():
    x = np.arange(60.0)[:, None]
    model = as_model(lambda x: x[:, 0] + 1.0, task="regression")
    m = gain(model, (x, np.zeros(60)), (x + 0.5, np.zeros(60)))
    assert math.isnan(m.value)
    assert (m > -1.0).status == "INVALID"
