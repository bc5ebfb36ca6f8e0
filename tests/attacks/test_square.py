from dataclasses import replace

import numpy as np
import pytest

from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.square import Square
from robust.attacks.square_blocks import grid_of, shares
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered

NORMS = ["linf", "l2", "l1"]


def test_one_feature_has_two_places_to_go(linear):
    model = linear(np.array([[0.0], [1.0]]))
    data = as_data(np.array([[-0.5], [0.5], [-2.0]]), [0, 1, 0])
    assert held(Square(eps=1.0, queries=20), model, data).tolist() == [False, False, True]


def held(attack, model, data, **options):
    return model.forward(attack.perturb(model, data, **options)).argmax(axis=1) == data.y


@pytest.mark.parametrize(("norm", "factor"), [("linf", 0.95), ("l2", 0.65), ("l1", 0.6)])
@pytest.mark.parametrize("shape", [(12,), (2, 4, 4), (4, 5)])
def test_linear_models_break_within_a_factor_of_the_optimum(linear, norm, factor, shape):
    rng = np.random.default_rng(len(shape))
    d = int(np.prod(shape))
    slope, x = rng.normal(size=d), rng.normal(size=(25, *shape))
    model = linear(np.vstack([np.zeros(d), slope]), [0.0, rng.normal()])
    scores = model.forward(x)
    dual = {"linf": np.abs(slope).sum(), "l2": np.linalg.norm(slope), "l1": np.abs(slope).max()}[norm]
    exact = np.abs(scores[:, 1] - scores[:, 0]) / dual
    eps = float(np.median(exact))
    stays = held(Square(eps=eps, norm=norm, queries=500), model, as_data(x, scores.argmax(axis=1)))
    assert stays[exact > 1.0001 * eps].all()
    assert not stays[exact < factor * eps].any()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(3, 9, 6), (9, 6, 3), (7, 4), (40, 2), (11,), (2, 3, 2, 2)])
def test_rows_of_any_shape(linear, shape, norm):
    rng = np.random.default_rng(0)
    d = int(np.prod(shape))
    x = rng.uniform(0, 1, (20, *shape)).astype(np.float32)
    weights = rng.normal(size=(3, d))
    model = linear(weights, -weights @ np.full(d, 0.5))
    data = as_data(x, model.forward(x).argmax(axis=1), schema={"bounds": (0, 1)})
    eps = 0.2 * {"linf": 1.0, "l2": d**0.5, "l1": d}[norm]
    attack = Square(eps=eps, norm=norm, queries=150)
    found = attack.perturb(model, data)
    assert found.dtype == x.dtype
    assert obeys(found, x, data.schema, eps=eps, norm=norm).all()
    assert (model.forward(found).argmax(axis=1) != data.y).mean() > 0.3


def test_where_the_channels_are():
    assert grid_of((3, 32, 20)) == ((3, 32, 20), False)
    assert grid_of((32, 20, 3)) == ((3, 32, 20), True)
    assert grid_of((3, 4, 3)) == ((3, 4, 3), False)
    assert grid_of((2, 3, 2, 2)) == ((1, 1, 24), False)


def test_the_schedule_is_the_papers():
    # p/2 after 10 of 10,000 queries, … p/512 after 8,000
    at = np.array([0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001])
    assert (0.8 / shares(at, 10_000, 0.8)).tolist() == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


@pytest.mark.parametrize("norm", NORMS)
def test_far_stronger_than_noise(digits, digits_model, norm):
    eps = {"linf": 0.1, "l2": 0.8, "l1": 3.0}[norm]
    data = digits.rows(np.arange(50))
    noise = held(RandomNoise(eps=eps, norm=norm, draws=100), digits_model, data).mean()
    assert held(Square(eps=eps, norm=norm, queries=200), digits_model, data).mean() < noise - 0.2


@pytest.mark.parametrize("norm", NORMS)
def test_decisions_do_not_depend_on_batches_order_or_neighbours(digits, digits_net, norm):
    attack = Square(eps={"linf": 0.2, "l2": 1.2, "l1": 4.0}[norm], norm=norm, queries=20)
    found = {
        size: held(attack, as_model(digits_net, output="logits", batch_size=size), digits.rows(np.arange(20)), seed=3)
        for size in (1, 64)
    }
    assert (found[1] == found[64]).all()
    assert 0 < found[64].mean() < 1
    order = np.random.default_rng(0).permutation(20)[:12]
    model = as_model(digits_net, output="logits", batch_size=64)
    assert (held(attack, model, digits.rows(order), seed=3) == found[64][order]).all()


def test_broken_rows_leave_and_others_fill_the_batch(digits, digits_net):
    model = as_model(digits_net, output="logits", batch_size=64)
    sizes, forward = [], model.forward

    def watched(x):
        sizes.append(len(x))
        return forward(x)

    with metered() as meter:
        Square(eps=0.3, queries=100).perturb(replace(model, forward=watched), digits)
    assert meter.forward_rows < 50 * len(digits)
    assert np.mean(np.array(sizes) > 32) > 0.3


def test_rows_that_are_wrong_from_the_start_stay(linear):
    model = linear(np.eye(3))
    data = as_data(np.eye(3)[[0, 1]], [1, 2])
    assert (Square(eps=0.5).perturb(model, data) == data.x).all()


def test_no_budget_no_move(linear):
    model = linear(np.eye(2))
    data = as_data(np.eye(2), [0, 1], schema={"x0": {"immutable": True}, "x1": {"immutable": True}}, names=["x0", "x1"])
    assert (Square(eps=5.0, queries=5).perturb(model, data) == data.x).all()


def test_probabilities_that_round_to_one_still_lead_somewhere():
    # Scores of 1 and 1e-30 differ from 1 and 1e-20 in their logarithm alone.
    def forward(x):
        z = 60.0 * (x.sum(axis=1) - 6.0)
        p = np.where(z < -30, np.exp(np.minimum(z, 0)), 1 / (1 + np.exp(-np.clip(z, -30, 700))))
        return np.column_stack([1 - p, p])

    x = np.full((4, 10), 0.2)
    model = as_model(forward, output="probabilities", task="classification")
    data = as_data(x, np.zeros(4, dtype=int), schema={"bounds": (0, 1)})
    assert forward(x)[:, 0].tolist() == [1.0] * 4
    assert not held(Square(eps=0.6, queries=200), model, data).any()


def test_kinds_of_features_and_missing_values():
    rng = np.random.default_rng(0)
    hue = np.eye(3)[rng.integers(0, 3, 60)]
    x = np.column_stack([rng.uniform(0, 1, 60), rng.integers(0, 9, 60), hue, rng.normal(size=60)])
    x[::7, 0] = np.nan
    names = ["a", "n", "r", "g", "b", "fixed"]
    schema = {
        "n": {"kind": "integer", "bounds": (0, 8)},
        **{name: {"one_hot": "hue"} for name in "rgb"},
        "fixed": {"immutable": True},
    }
    weights = np.array([[0, 0, 0, 0, 0, 0], [1, 0.3, 2, 0, -2, 1]])
    model = as_model(lambda x: np.nan_to_num(x) @ weights.T - [0, 1.7], output="logits")
    data = as_data(x, (model.forward(x)).argmax(axis=1), names=names, schema=schema)
    for norm in NORMS:
        found = Square(eps=2.0, norm=norm, queries=60).perturb(model, data)
        assert (np.isnan(found) == np.isnan(x)).all()
        assert (found[:, 5] == x[:, 5]).all()
        assert np.isin(found[:, 1], range(9)).all()
        assert (np.sort(found[:, 2:5], axis=1) == [0, 0, 1]).all()
        assert (found[:, 2:5] != x[:, 2:5]).any()
        assert (model.forward(found).argmax(axis=1) != data.y).mean() > 0.3


def test_hyper_parameters():
    with pytest.raises(InvalidInput, match="share got 1.5"):
        Square(share=1.5)
    with pytest.raises(InvalidInput, match="queries got 0"):
        Square(queries=0)
