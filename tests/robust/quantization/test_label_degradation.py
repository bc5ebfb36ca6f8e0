"""Degradation of models that give several labels a row."""

import numpy as np
import pytest
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Flips, Slices
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import CHECKS, degradation

K = 4


def drawn(n=500, noise=0.7, seed=0, share=0.4):
    """Logits of a model and of a noisier one side by side, as rows, and the labels."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, K)) < share).astype(int)
    y[0], y[1] = 1, 0
    first = rng.normal(size=(n, K)) + 2 * (2 * y - 1)
    return np.hstack([first, first + noise * rng.normal(size=(n, K))]), y


def net(start, name, **options):
    return as_model(
        lambda x: 1 / (1 + np.exp(-x[:, start : start + K])),
        name=name,
        task="multilabel",
        output="probabilities",
        **options,
    )


OLD, NEW = net(0, "old"), net(K, "new")
ORACLES = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0.5),
    "f1": lambda y, p: sk.f1_score(y, p >= 0.5, average="macro"),
    "precision": lambda y, p: sk.precision_score(y, p >= 0.5, average="macro"),
    "recall": lambda y, p: sk.recall_score(y, p >= 0.5, average="macro"),
    "auc": lambda y, p: sk.roc_auc_score(y, p),
    "brier": lambda y, p: -np.mean([sk.brier_score_loss(y[:, j], p[:, j]) for j in range(K)]),
    "log_loss": lambda y, p: -np.mean([sk.log_loss(y[:, j], p[:, j], labels=[0, 1]) for j in range(K)]),
}


@pytest.mark.parametrize("given", ["rows", "groups", "order"])
@pytest.mark.parametrize("metric", ORACLES)
def test_the_change_is_scikit_learns(metric, given):
    x, y = drawn()
    given = {"rows": {}, "groups": {"groups": np.arange(500) // 5}, "order": {"order": np.arange(500)}}[given]
    first, second = (1 / (1 + np.exp(-part)) for part in (x[:, :K], x[:, K:]))
    found = degradation(OLD, NEW, as_data(x, y, **given), metric=metric, relative=False)
    wanted = ORACLES[metric](y, first) - ORACLES[metric](y, second)
    assert found.value == pytest.approx(wanted, abs=1e-12)
    assert found.lower < found.value < found.upper
    back = degradation(NEW, OLD, as_data(x, y, **given), metric=metric, relative=False)
    assert back.value == pytest.approx(-wanted, abs=1e-12)


def test_rows_that_are_right_in_all_labels_are_paired():
    x, y = drawn()
    before, after = (((part >= 0) == y).all(axis=1) for part in (x[:, :K], x[:, K:]))
    found = degradation(OLD, NEW, (x, y))
    (flips,) = (part for part in found.evidence if isinstance(part, Flips))
    assert (flips.right_to_wrong, flips.wrong_to_right) == (int((before & ~after).sum()), int((~before & after).sum()))
    assert found.method == "tango-corrected"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "log_loss", "brier"])
def test_a_broken_label_fails(metric):
    x, y = drawn(1500)
    x[:, K + 2] = np.random.default_rng(3).normal(size=1500)
    assert (degradation(OLD, NEW, (x, y), metric=metric, relative=False) < 0.01).status == "FAIL"


@pytest.mark.parametrize("metric", ["f1", "auc"])
def test_a_rare_label_that_few_rows_show_proves_little(metric):
    """Nine rows have it: that none of them moved says nothing about how many would."""
    x, y = drawn(2000, noise=0.0)
    y[:, 3] = 0
    y[:9, 3] = 1
    x[:, [3, K + 3]] = (4.0 * y[:, 3] - 2 + np.random.default_rng(0).normal(size=2000))[:, None]
    x[:, K : K + 3] += 0.2 * np.random.default_rng(1).normal(size=(2000, 3))
    found = degradation(OLD, NEW, (x, y), metric=metric)
    assert abs(found.value) < 0.02
    assert (found < 0.02).status == "INCONCLUSIVE"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "log_loss", "brier"])
def test_agreement_on_few_rows_proves_little(metric):
    x, y = drawn(60, noise=0.0)
    assert (degradation(OLD, NEW, (x, y), metric=metric, relative=False) < 0.01).status == "INCONCLUSIVE"


@pytest.mark.parametrize("metric", ORACLES)
def test_order_of_rows_and_labels_does_not_matter(metric):
    x, y = drawn(200)
    rng = np.random.default_rng(2)
    rows, labels = rng.permutation(200), rng.permutation(K)
    one, other = degradation(OLD, NEW, (x, y), metric=metric), degradation(OLD, NEW, (x[rows], y[rows]), metric=metric)
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), rel=1e-6)
    moved = np.hstack([x[:, labels], x[:, K + labels]])
    other = degradation(OLD, NEW, (moved, y[:, labels]), metric=metric)
    # Resamples are drawn along the rows in the order of their content, which the first label leads.
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), abs=0.004)


def test_two_labels_are_two():
    """Not the second of two classes."""
    x, y = drawn(400)
    first, second = x[:, :2], x[:, K : K + 2]
    models = [as_model(lambda x, s=s: x[:, s : s + 2], task="multilabel", output="logits") for s in (0, 2)]
    found = degradation(*models, (np.hstack([first, second]), y[:, :2]), metric="auc")
    assert found.value == pytest.approx(sk.roc_auc_score(y[:, :2], first) - sk.roc_auc_score(y[:, :2], second))


def test_slices_are_shown():
    x, y = drawn()
    site = np.array(["a", "b"])[np.arange(500) % 2]
    found = degradation(OLD, NEW, as_data(x, y, slices={"site": site}))
    (table,) = (part for part in found.evidence if isinstance(part, Slices))
    assert (table.by, {part.name for part in table.slices}) == ("site", {"site=a", "site=b"})


def test_labels_in_another_order_are_no_pair():
    x, y = drawn()
    named = [net(s, n, classes=c) for s, n, c in ((0, "old", list("abcd")), (K, "new", list("abdc")))]
    with pytest.raises(InvalidInput, match=r"name different labels: old \['a', 'b', 'c', 'd'\], new \['a', 'b'"):
        degradation(*named, (x, y))
    single = as_model(lambda x: np.exp(x[:, :K]) / np.exp(x[:, :K]).sum(axis=1, keepdims=True), output="probabilities")
    with pytest.raises(InvalidInput, match="one-hot"):
        degradation(OLD, single, (x, y))


def test_the_audit_runs_it():
    (check,) = CHECKS
    assert "multilabel" in check.needs
