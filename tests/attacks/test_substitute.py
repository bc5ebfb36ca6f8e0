"""Networks fitted to labels, and what their gradients find on models that have none."""

import copy

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.apgd import APGD
from robust.attacks.fitted_network import FittedNetwork, Learner
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.obedience import obeys
from robust.attacks.substitute import Substitute
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered

EPS = 0.1


@pytest.fixture(scope="module")
def net(fit, digits):
    return fit(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), digits.x, digits.y)


@pytest.fixture(scope="module")
def few(digits):
    return digits.rows(np.arange(100))


def answered(net, how):
    """A function that tells labels, or one-hot scores, and hides all else."""

    def forward(x):
        with torch.no_grad():
            labels = net(torch.tensor(np.asarray(x, dtype=np.float32))).argmax(dim=1).numpy()
        return labels if how == "labels" else np.eye(10)[labels]

    return as_model(forward, name=how, **({} if how == "labels" else {"output": "probabilities"}))


@pytest.mark.parametrize("how", ["labels", "one-hot"])
def test_labels_alone_hide_little(net, few, how):
    model = answered(net, how)
    seen = robust_accuracy(as_model(net, output="logits"), few, attack=APGD(eps=EPS, loss="margin", restarts=3)).value
    found = robust_accuracy(model, few, attack=Substitute(eps=EPS)).value
    walked = robust_accuracy(model, few, attack=HopSkipJump(eps=EPS, steps=10)).value
    assert seen <= found <= seen + 0.15
    assert robust_accuracy(model, few, eps=EPS).value <= min(found, walked)
    assert robust_accuracy(model, few, eps=EPS, strength="thorough").value <= seen + 0.08


def test_a_walk_that_misses_what_a_substitute_finds_is_no_pass(net, few):
    m = robust_accuracy(answered(net, "labels"), few, attack=HopSkipJump(eps=EPS, steps=1))
    assert "second opinion" in {check.name for check in m.validity if not check.passed}
    assert (m > m.value - 0.2).status == "INVALID"


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_half_space(norm):
    rng = np.random.default_rng(0)
    slope, x = rng.normal(size=6), rng.random((150, 6))
    labels = (x @ slope > 0.5 * slope.sum()).astype(int)
    model = as_model(lambda rows: (rows @ slope > 0.5 * slope.sum()).astype(int))
    data = as_data(x, labels)
    dual = {"linf": np.abs(slope).sum(), "l2": np.linalg.norm(slope), "l1": np.abs(slope).max()}[norm]
    distance = np.abs((x - 0.5) @ slope) / dual
    eps = float(np.median(distance))
    m = robust_accuracy(model, data, attack=Substitute(eps=eps, norm=norm))
    assert 0.5 <= m.value <= 0.56  # half of the rows lie nearer, each of which can be broken


def test_calls_of_another_size_and_order_change_nothing(net, few):
    model, attack = answered(net, "labels"), Substitute(eps=EPS, queries=40)
    rows = attack.perturb(model, few)
    single = copy.copy(model)
    object.__setattr__(single, "batch_size", 7)
    assert np.array_equal(rows, attack.perturb(single, few))
    order = np.random.default_rng(0).permutation(len(few))
    assert np.array_equal(rows[order], attack.perturb(model, few.rows(order)))
    assert not np.array_equal(rows, attack.perturb(model, few, seed=1))


def test_schema_and_budget_are_kept():
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.integers(0, 9, 200), rng.random((200, 2)), np.eye(3)[rng.integers(0, 3, 200)]])
    schema = {
        "count": {"kind": "integer", "bounds": (0, 8)},
        "share": {"bounds": (0, 1)},
        "fixed": {"immutable": True},
        **{name: {"one_hot": "colour"} for name in ("red", "green", "blue")},
    }
    names = ["count", "share", "fixed", "red", "green", "blue"]
    rule = np.array([0.2, 1.0, 2.0, 0.5, -0.5, 0.0])
    model = as_model(lambda rows: (rows @ rule > 2.3).astype(int), task="classification")
    data = as_data(x, (x @ rule > 2.3).astype(int), names=names, schema=schema)
    eps = {"count": 1, "share": 0.2, "fixed": 1, "red": 1, "green": 1, "blue": 1}
    rows = Substitute(eps=eps).perturb(model, data)
    assert obeys(rows, data.x, data.schema, eps=eps, norm="linf").all()
    assert (rows[:, 2] == x[:, 2]).all()
    assert (rows[:, 3:].sum(axis=1) == 1).all()
    broken = model.forward(rows) != data.y
    assert broken.sum() > 20
    assert set(np.flatnonzero((rows != x).any(axis=0))) >= {0, 1}


def test_missing_values_stay_and_one_class_teaches_nothing():
    rng = np.random.default_rng(2)
    x = rng.random((60, 2))
    x[::3, 0] = np.nan
    model = as_model(lambda rows: (np.nan_to_num(rows).sum(axis=1) > 0.8).astype(int), task="classification")
    rows = Substitute(eps=0.3).perturb(model, as_data(x, model.forward(x)))
    assert np.array_equal(rows[::3], x[::3], equal_nan=True)
    assert (model.forward(rows) != model.forward(x)).any()
    same = as_model(lambda rows: np.zeros(len(rows), dtype=int), task="classification", classes=(0, 1))
    whole = as_data(x[1::3], np.zeros(20, dtype=int))
    assert robust_accuracy(same, whole, attack=Substitute(eps=0.3)).value == 1.0


def test_of_many_rows_a_sample_teaches(monkeypatch):
    monkeypatch.setattr("robust.attacks.substitute._POINTS", 1 << 10)
    rng = np.random.default_rng(3)
    x = rng.random((400, 4))
    model = as_model(lambda rows: (rows.sum(axis=1) > 2).astype(int), task="classification")
    with metered() as meter:
        rows = Substitute(eps=0.2).perturb(model, as_data(x, model.forward(x)))
    near = np.abs(x.sum(axis=1) - 2) < 0.8
    assert (model.forward(rows) != model.forward(x))[near].mean() > 0.9
    # At most 1024 points drawn, the rows themselves three times at most, and each row after each of eight lessons.
    assert meter.forward_rows <= 3 * 400 + 1024 + 8 * 400
    assert meter.backward_rows == 0


def test_gradients_of_the_network():
    rng = np.random.default_rng(4)
    parts = [rng.normal(size=shape) for shape in ((3, 5), 5, (5, 4), 4)]
    network = FittedNetwork(centre=rng.normal(size=3), scale=np.array([0.5, 1, 2]), first=parts[:2], last=parts[2:])
    model, x = network.model((3, 1)), rng.normal(size=(6, 3, 1))
    pick = rng.normal(size=(6, 4))
    outputs, gradient = model.gradients(x, lambda values: pick)
    assert np.allclose(outputs, model.forward(x))
    step = 1e-6
    for j in range(3):
        moved = x.copy()
        moved[:, j] += step
        rise = ((model.forward(moved) - outputs) * pick).sum(axis=1) / step
        assert np.allclose(rise, gradient[:, j, 0], atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_network_is_what_scikit_learn_fits(classes):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 2))
    y = (x[:, 0] > 0).astype(int) + (classes - 2) * (x[:, 1] > 0)
    learner = Learner(x, classes, seed=0)
    learner.add(x, y)
    logits = learner.learn(30).model((2,)).forward(x)
    peer = MLPClassifier((64,), random_state=0)
    # Of 300 points 17 passes are 25 steps of 200 points; 13 passes are 20 steps, which is a call.
    for some in [13] * 30 + [12] * 10:
        scaled = np.tile((x - x.mean(axis=0)) / x.std(axis=0), (some, 1))
        peer.partial_fit(scaled, np.tile(y, some), classes=np.arange(classes))
    told = peer.predict_proba((x - x.mean(axis=0)) / x.std(axis=0))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.allclose(shares / shares.sum(axis=1, keepdims=True), told, atol=1e-6)
    assert (logits.argmax(axis=1) == y).mean() > 0.9


@pytest.mark.parametrize("options", [{"queries": 0}, {"steps": 1.5}, {"norm": "l7"}, {"eps": -1}])
def test_bad_options(options):
    with pytest.raises(InvalidInput):
        Substitute(**options)
