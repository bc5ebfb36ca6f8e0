import copy

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from robust.attacks.base import unit_space
from robust.attacks.boundary import Boundary
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.near_points import lengths
from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.target import aim
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered

NORMS = ["linf", "l2", "l1"]
BOTH = [HopSkipJump(steps=10, draws=30), Boundary(steps=150)]


def distances(attack, model, data, seed=0):
    """The nearest adversarial point of each row that the walk found."""
    target = aim(model, data)
    return attack.walk(target, unit_space(attack, target, [1.0]), seed=seed, enough=0.0).best


def labels_of(slope, bias):
    return as_model(lambda x: (x.reshape(len(x), -1) @ slope + bias > 0).astype(int), name="labels")


def asked(model, x):
    return model.forward(x).ravel().astype(int)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("attack", "factor"),
    [
        (HopSkipJump(steps=20, draws=60), {"linf": 1.35, "l2": 1.1, "l1": 4.0}),
        (Boundary(steps=400), {"linf": 1.6, "l2": 1.5, "l1": 4.0}),
    ],
    ids=["hop skip jump", "boundary"],
)
def test_distance_to_a_hyperplane_from_labels_alone(attack, factor, norm):
    rng = np.random.default_rng(2)
    slope, bias = rng.normal(size=8), 0.3
    x = rng.normal(size=(30, 8))
    model = labels_of(slope, bias)
    dual = {"linf": np.abs(slope).sum(), "l2": np.linalg.norm(slope), "l1": np.abs(slope).max()}[norm]
    exact = np.abs(x @ slope + bias) / dual
    attack = type(attack)(norm=norm, **({"steps": 20, "draws": 60} if "draws" in repr(attack) else {"steps": 400}))
    found = distances(attack, model, as_data(x, asked(model, x)))
    assert (found >= exact * (1 - 1e-9)).all()
    assert np.median(found / exact) < factor[norm]


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("attack", BOTH, ids=["hop skip jump", "boundary"])
def test_distances_do_not_depend_on_the_batch(digits, digits_net, attack, norm):
    # A peer normalises its estimate over the whole batch: its median rises from 0.24 to 0.46 with batches of 64.
    data = digits.rows(np.arange(6))
    attack = HopSkipJump(norm=norm, steps=2, draws=5) if "draws" in repr(attack) else Boundary(norm=norm, steps=10)
    found = {size: distances(attack, as_model(digits_net, output="logits", batch_size=size), data) for size in (1, 64)}
    assert (found[1] == found[64]).all()
    assert np.isfinite(found[64]).all()
    order = np.random.default_rng(0).permutation(6)
    mixed = distances(attack, as_model(digits_net, output="logits", batch_size=64), data.rows(order))
    assert (mixed == found[64][order]).all()


def test_no_farther_than_the_peer_for_as_many_answers(foolbox, digits_net, digits):
    net = copy.deepcopy(digits_net)
    data = digits.rows(np.arange(10))
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.HopSkipJumpAttack(steps=8, initial_gradient_eval_steps=50, max_gradient_eval_steps=1000)
    x, y = torch.from_numpy(data.x.copy()), torch.from_numpy(data.y.copy())
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the peer draws from the global generators
    theirs = []
    for i in range(10):  # one by one: its best case
        _, found, hit = attack(peer, x[i : i + 1], y[i : i + 1], epsilons=None)
        theirs.append(float((found - x[i : i + 1]).norm()) if bool(hit) else np.inf)
    mine = distances(HopSkipJump(norm="l2", steps=8, draws=50), as_model(net, output="logits"), data)
    assert np.exp(np.mean(np.log(mine / np.array(theirs)))) <= 1.05


@pytest.mark.parametrize("attack", BOTH, ids=["hop skip jump", "boundary"])
def test_a_model_that_never_changes_its_mind_ends_at_once(attack):
    model = as_model(lambda x: np.zeros(len(x), dtype=int), name="constant", classes=[0, 1])
    data = as_data(np.random.default_rng(0).normal(size=(10, 3)), np.zeros(10, dtype=int))
    with metered() as meter:
        found = attack.at(1.0).perturb(model, data)
    assert (found == data.x).all()
    assert meter.forward_rows < 10 * 40


@pytest.mark.parametrize("attack", BOTH, ids=["hop skip jump", "boundary"])
def test_a_point_at_which_the_model_answers_nan_is_adversarial(attack):
    def forward(x):
        scores = np.column_stack([x[:, 0], 1 - x[:, 0]])
        scores[np.abs(x[:, 0] - 0.5) < 0.1] = np.nan
        return scores

    data = as_data(np.array([[0.0], [1.0], [1.9]]), [1, 0, 0], schema={"bounds": (0, 5)})
    with metered() as meter:
        found = attack.at(0.45).perturb(as_model(forward, output="logits", name="odd"), data)
    assert 0.4 < found[0, 0] <= 0.45
    (remark,) = meter.remarks.values()
    assert "NaN" in remark
    assert "odd" in remark


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", BOTH, ids=["hop skip jump", "boundary"])
def test_kinds_of_features_and_missing_values(attack, norm):
    rng = np.random.default_rng(0)
    hue = np.eye(3)[rng.integers(0, 3, 80)]
    x = np.column_stack([rng.normal(size=80), rng.integers(0, 9, 80), hue, rng.normal(size=80)])
    y = (x[:, 0] + 0.4 * x[:, 1] + 1.5 * x[:, 2] + 0.5 * x[:, 5] > 2).astype(int)
    forest = RandomForestClassifier(5, random_state=0).fit(x, y)
    model = as_model(lambda x: forest.predict(np.nan_to_num(x)), name="forest")
    x[::9, 0] = np.nan
    schema = {
        "n": {"kind": "integer", "bounds": (0, 8)},
        **{name: {"one_hot": "hue"} for name in "rgb"},
        "fixed": {"immutable": True},
    }
    data = as_data(x, asked(model, x), names=["a", "n", "r", "g", "b", "fixed"], schema=schema)
    small = type(attack)(eps=1.5, norm=norm, steps=4 if "draws" in repr(attack) else 40)
    found = small.perturb(model, data)
    assert (np.isnan(found) == np.isnan(x)).all()
    assert (found[:, 5] == x[:, 5]).all()
    assert np.isin(found[:, 1], range(9)).all()
    assert (np.sort(found[:, 2:5], axis=1) == [0, 0, 1]).all()
    assert obeys(found, x, data.schema, eps=1.5, norm=norm).all()
    broken = asked(model, found) != data.y
    noise = asked(model, RandomNoise(eps=1.5, norm=norm, draws=20).perturb(model, data)) != data.y
    assert broken.mean() >= noise.mean() - 0.05
    assert broken.mean() > 0.2


def test_one_walk_serves_a_whole_curve_and_a_budget_ends_it_early(digits, digits_model):
    data = digits.rows(np.arange(20))
    attack = HopSkipJump(norm="l2", steps=4, draws=20)
    target = aim(digits_model, data)
    grid = [0.3, 0.8, 3.0]
    with metered() as whole:
        swept = attack.sweep(target, grid, seed=0)
    assert (np.diff(swept.survived.sum(axis=1)) <= 0).all()
    assert swept.survived[3].sum() < swept.survived[1].sum()
    with metered() as early:
        found = attack.at(3.0).perturb(digits_model, data)
    assert early.forward_rows < whole.forward_rows / 2
    held = digits_model.forward(found).argmax(axis=1) == data.y
    assert (held == swept.survived[3]).all()
    far = lengths(found.reshape(20, -1), target.x, unit_space(attack, target, grid))
    assert far.max() <= 3.0


def test_far_rows_are_brought_as_near_as_the_budget_allows():
    model = labels_of(np.ones(2), 0.0)
    data = as_data(np.array([[-5.0, -5.0], [5.0, 5.0]]), [0, 1])
    found = HopSkipJump(eps=1.0, norm="l2", steps=3).perturb(model, data)
    np.testing.assert_allclose(np.linalg.norm(found - data.x, axis=1), 1.0, atol=1e-6)
    assert (asked(model, found) == data.y).all()


def test_hyper_parameters():
    with pytest.raises(InvalidInput, match="steps got 0"):
        HopSkipJump(steps=0)
    with pytest.raises(InvalidInput, match="steps got 1.5"):
        Boundary(steps=1.5)
    assert not Boundary().gradients
    assert not HopSkipJump().gradients
