"""Thresholds chosen on validation rows: by hand, by search, limits, errors."""

import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.conversion import as_model
from robust.operating.choosing import choose_threshold

NET = as_model(lambda x: x[:, 0], name="net", output="probabilities")
X = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])[:, None]
Y = np.array([0, 0, 1, 0, 1, 0, 1, 1])


def drawn(n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    return np.clip(0.5 + 0.25 * (y - 0.5) + 0.2 * rng.normal(size=n), 0, 1).round(2)[:, None], y


@pytest.mark.parametrize(
    ("options", "threshold"),
    [
        ({}, 0.3),  # 4 of 4 and 2 alarms: f1 8/10; at 0.6: 3 and 1, 6/8
        ({"maximize": "youden"}, 0.3),  # 1 − 1/2; 0.6: 3/4 − 1/4 and 0.8: 1/2 − 0 are no better
        ({"max_fpr": 0.25}, 0.6),
        ({"max_fpr": 0.0}, 0.8),
        ({"max_fpr": 0.25, "maximize": "tpr"}, 0.6),
        ({"min_tpr": 0.75}, 0.3),
        ({"min_tpr": 0.75, "maximize": "specificity"}, 0.6),
        ({"min_tpr": 0.0, "maximize": "specificity"}, 0.8),
        ({"max_fpr": 0.5, "min_tpr": 1.0}, 0.3),
    ],
)
def test_by_hand(options, threshold):
    point = choose_threshold(NET, (X, Y), **options)
    assert point.threshold == threshold
    detected = X[:, 0] >= threshold
    assert point.tpr == detected[Y == 1].mean()
    assert point.fpr == detected[Y == 0].mean()
    assert point.precision == Y[detected].mean()
    assert (point.positive, point.model) == (1, "net")


def test_of_thresholds_with_the_same_tpr_the_one_with_fewest_alarms():
    x, y = np.array([[0.3], [0.4], [0.5], [0.8], [0.9]]), np.array([0, 0, 0, 1, 1])
    assert choose_threshold(NET, (x, y), maximize="tpr", max_fpr=1.0).threshold == 0.8


@pytest.mark.parametrize("aim", ["f1", "youden", "tpr", "specificity"])
@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_does_better(aim, seed):
    x, y = drawn(seed=seed)
    limits = {"max_fpr": 0.2, "min_tpr": 0.3}
    point = choose_threshold(NET, (x, y), maximize=aim, **limits)

    def merit(threshold):
        detected = x[:, 0] >= threshold
        tpr, fpr = detected[y == 1].mean(), detected[y == 0].mean()
        if fpr > 0.2 or tpr < 0.3:
            return -np.inf
        hits = (detected & (y == 1)).sum()
        return {
            "f1": 2 * hits / (detected.sum() + y.sum()),
            "youden": tpr - fpr,
            "tpr": tpr,
            "specificity": 1 - fpr,
        }[aim]

    best = max(merit(threshold) for threshold in [*x[:, 0], 1.5])
    assert merit(point.threshold) == pytest.approx(best, abs=1e-12)
    assert merit(point.threshold) > -np.inf


def test_row_order_does_not_matter_and_the_rule_is_said():
    x, y = drawn()
    order = np.random.default_rng(1).permutation(len(y))
    one, other = choose_threshold(NET, (x, y), max_fpr=0.1), choose_threshold(NET, (x[order], y[order]), max_fpr=0.1)
    assert one.threshold == other.threshold
    assert one.rule == "largest f1, fpr ≤ 0.1"
    assert "score of 1 >= " in repr(one)


def test_any_class_of_several_and_labels_of_a_multi_label_model():
    rng = np.random.default_rng(0)
    y = np.array(["cat", "dog", "emu"])[rng.integers(0, 3, 90)]
    logits = rng.normal(size=(90, 3)) + 2 * (y[:, None] == np.array(["cat", "dog", "emu"]))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    net = as_model(lambda x: x, name="net", output="probabilities", classes=["cat", "dog", "emu"])
    point = choose_threshold(net, (p, y), positive="dog")
    assert point.f1 == pytest.approx(choose_threshold(NET, (p[:, 1:2], (y == "dog").astype(int))).f1)
    several = as_model(lambda x: x, name="net", task="multilabel", output="probabilities", classes=["a", "b", "c"])
    matrix = (rng.random((90, 3)) < 0.5).astype(int)
    assert choose_threshold(several, (p, matrix), positive="b").positive == "b"
    with pytest.raises(InvalidInput, match=r"net has 3 classes \['a', 'b', 'c'\]: name the one .* positive='c'"):
        choose_threshold(several, (p, matrix))
    with pytest.raises(InvalidInput, match=r"positive got 'gnu'; one of the classes \['cat', 'dog', 'emu'\] of net"):
        choose_threshold(net, (p, y), positive="gnu")
    with pytest.raises(InvalidInput, match="name the one that is detected"):
        choose_threshold(net, (p, y))


def test_the_point_knows_its_rows():
    x, y = drawn()
    x = x + np.random.default_rng(3).random(x.shape) * 1e-3
    data = as_data(x, y, name="val")
    wide = as_model(lambda x: np.clip(x[:, 0], 0, 1), name="net", output="probabilities")
    point = choose_threshold(wide, data)
    assert (point.validation, point.fingerprint) == ("val", data.fingerprint)
    assert point.overlap(data) == len(data)
    assert point.overlap(as_data(x + 1.0)) == 0
    assert point.overlap(as_data(np.vstack([x + 1.0, x[:2]]))) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_fpr": 0.2, "min_tpr": 0.9}, r"no threshold has fpr <= 0.2 and tpr >= 0.9 .* the least fpr is 0.5"),
        ({"max_fpr": 1.5}, "max_fpr got 1.5; a share from 0 to 1"),
        ({"min_tpr": -0.1}, "min_tpr got -0.1; a share"),
        ({"min_tpr": "high"}, "min_tpr got 'high'; a share"),
        ({"max_fpr": np.nan}, "a share|finite"),
        ({"max_fpr": True}, "max_fpr got True; a share"),
        ({"maximize": "accuracy"}, "maximize got 'accuracy'; one of f1, youden, tpr, specificity"),
        ({"maximize": "tpr"}, "maximize='tpr' alone is reached by an empty rule: say max_fpr="),
        ({"maximize": "specificity"}, "say min_tpr="),
        ({"positive": 7}, r"positive got 7; one of the classes \[0, 1\] of net"),
        ({"positive": True}, "positive got True"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        choose_threshold(NET, (X, Y), **options)


def test_rows_and_models_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="data has no rows of class 1: a threshold on the score of 1 needs"):
        choose_threshold(NET, (X, np.zeros(8, int)))
    with pytest.raises(InvalidInput, match="data has no rows of another class"):
        choose_threshold(NET, (X, np.ones(8, int)))
    with pytest.raises(InvalidInput, match="gives labels only"):
        choose_threshold(lambda x: (x[:, 0] > 0.5).astype(int), (X, Y))
    with pytest.raises(InvalidInput, match="net is a regression model; a threshold on a class score"):
        choose_threshold(as_model(lambda x: x, name="net", task="regression"), (X, Y))
    with pytest.raises(InvalidInput, match="has no targets"):
        choose_threshold(NET, X)
    with pytest.raises(ModelFault, match="NaN or infinity"):
        choose_threshold(as_model(lambda x: x[:, 0] * np.nan, output="probabilities"), (X, Y))
