"""What all minimal-norm attacks share: budgets, sweeps, batches, schema, missing values, surrogates."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.ddn import DDN
from robust.attacks.deepfool import DeepFool
from robust.attacks.fmn import FMN
from robust.attacks.minimal_linear import LinearStep
from robust.attacks.minimal_norm import norm_space, verified
from robust.attacks.minimal_sizes import sizes_of
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model

ATTACKS = [
    DDN(steps=8),
    FMN(norm="linf", steps=8),
    FMN(norm="l2", steps=8),
    FMN(norm="l1", steps=8),
    DeepFool(steps=10),
]


def moved(new, old, norm):
    gap = new.reshape(len(new), -1).astype(float) - old.reshape(len(old), -1)
    return np.linalg.norm(gap, ord={"linf": np.inf, "l2": 2, "l1": 1}[norm], axis=1)


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_neither_batches_nor_neighbours_nor_order_matter(digits, digits_net, attack):
    few = digits.rows(np.arange(40))
    found = {}
    for size in (1, 32, 64):
        rows = few if size > 1 else few.rows(np.arange(5))
        found[size] = attack.perturb(as_model(digits_net, output="logits", batch_size=size), rows)
    sizes = {size: moved(new, few.x[: len(new)], attack.norm) for size, new in found.items()}
    assert sizes[32] == pytest.approx(sizes[64], rel=1e-4)
    assert sizes[1] == pytest.approx(sizes[64][:5], rel=1e-4)
    back = np.random.default_rng(0).permutation(40)
    mixed = attack.perturb(as_model(digits_net, output="logits", batch_size=64), few.rows(back))
    assert moved(mixed, few.x[back], attack.norm) == pytest.approx(sizes[64][back], rel=1e-4)


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_found_rows_are_wrong_inside_the_bounds_and_rows_wrong_before_stay(digits, digits_model, attack):
    flipped = as_data(digits.x, np.where(np.arange(200) < 20, (digits.y + 1) % 10, digits.y), schema={"bounds": (0, 1)})
    new = attack.perturb(digits_model, flipped)
    assert new.dtype == np.float32
    assert new.min() >= 0
    assert new.max() <= 1
    assert (new[:20] == flipped.x[:20]).all()
    assert (digits_model.forward(new).argmax(axis=1) != flipped.y).all()


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_a_budget_keeps_the_rows_within_it(digits, digits_model, attack):
    free = moved(attack.perturb(digits_model, digits), digits.x, attack.norm)
    eps = float(np.median(free))
    new = attack.at(eps).perturb(digits_model, digits)
    assert (moved(new, digits.x, attack.norm) <= eps * (1 + 1e-6)).all()
    wrong = digits_model.forward(new).argmax(axis=1) != digits.y
    assert wrong.mean() == pytest.approx(0.5, abs=0.06)
    m = robust_accuracy(digits_model, digits, attack=attack.at(eps))
    assert m.value == pytest.approx(np.mean(~wrong))
    assert [check.name for check in m.validity if not check.passed and check.bias != "none"] == []


def test_a_whole_curve_from_one_search(digits, digits_model):
    from robust.predicting.metering import metered

    grid = [0.2, 0.5, 0.8, 1.5]
    with metered() as one:
        target = aim(digits_model, digits)
        survived = DDN().sweep(target, grid, seed=0).survived
    free = DDN().perturb(digits_model, digits)
    norms = moved(free, digits.x, "l2")
    assert survived[1:].mean(axis=1).tolist() == [float(np.mean(norms > eps)) for eps in grid]
    assert one.backward_rows <= 19 * len(digits)
    curve = robustness_curve(digits_model, digits, DDN(), eps=grid)
    assert curve.values.tolist() == survived[1:].mean(axis=1).tolist()
    assert np.all(
        curve.values <= robustness_curve(digits_model, digits, PGD(norm="l2", steps=20), eps=grid).values + 0.02
    )


@pytest.fixture(scope="module")
def table():
    """A table with an integer, a one-hot group, an immutable column and a bound, and a network on it."""
    rng = np.random.default_rng(0)
    n = 150
    city = rng.integers(0, 3, n)
    x = np.column_stack([rng.integers(18, 80, n), rng.uniform(0, 5, n), np.eye(3)[city], rng.normal(size=n)])
    y = (0.05 * x[:, 0] + x[:, 1] + 2 * (city == 1) + x[:, 5] > 5.5).astype(int)
    names = ["age", "dose", "a", "b", "c", "sex"]
    schema = {
        "age": {"kind": "integer", "bounds": (18, 90)},
        "dose": {"bounds": (0, 5)},
        **{name: {"one_hot": "city"} for name in "abc"},
        "sex": {"immutable": True},
    }
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2)).double()
    inputs, labels = torch.tensor(x), torch.tensor(y)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
    return as_model(net.eval(), output="logits"), as_data(x, y, names=names, schema=schema)


@pytest.mark.parametrize("attack", [*ATTACKS, LinearStep(), LinearStep(norm="l1")], ids=repr)
def test_schema_is_obeyed(table, attack):
    model, data = table
    new = attack.perturb(model, data)
    right = model.forward(data.x).argmax(axis=1) == data.y
    broken = right & (model.forward(new).argmax(axis=1) != data.y)
    stiff = isinstance(attack, (DeepFool, LinearStep))  # no way around whole steps that fall short
    assert broken.sum() > (0.2 if stiff else 0.5) * right.sum()
    # Written apart from the attacks: what the words of the schema mean.
    assert (new[:, 0] == np.round(new[:, 0])).all()
    assert ((new[:, 0] >= 18) & (new[:, 0] <= 90)).all()
    assert ((new[:, 1] >= 0) & (new[:, 1] <= 5)).all()
    assert np.isin(new[:, 2:5], (0, 1)).all()
    assert (new[:, 2:5].sum(axis=1) == 1).all()
    assert (new[:, 5] == data.x[:, 5]).all()
    assert (new[~broken] == data.x[~broken]).all()


def test_units_by_name_weigh_the_features(linear):
    # To 0 along w = (1, 1): with units (1, 10), the second feature is ten times as cheap.
    model, x = linear([[0.0, 0.0], [1.0, 1.0]]), np.array([[-3.0, -3.0]])
    data = as_data(x, [0], names=["a", "b"])
    attack = FMN(norm="l2", eps={"a": 1, "b": 10})
    target = aim(model, data)
    space = norm_space(attack, target)
    new, broken = verified(attack, target, space, seed=0)
    assert broken.all()
    assert sizes_of(space, x, new)[0] == pytest.approx(6 / np.sqrt(101), rel=0.005)
    assert (new - x)[0] == pytest.approx(6 / 101 * np.array([1, 100]), rel=0.02)
    alone = FMN(norm="linf", eps={"b": 1})
    new, _ = verified(alone, target, norm_space(alone, target), seed=0)
    assert new[0, 0] == -3.0
    assert new[0, 1] == pytest.approx(3.0, rel=0.005)


@pytest.mark.parametrize("attack", [*ATTACKS, LinearStep()], ids=repr)
def test_missing_values_stay_and_the_rest_moves(attack):
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])

    def forward(x):
        return np.nan_to_num(x) @ weights.T

    model = as_model(
        forward, gradients=lambda x, flow: (forward(x), flow(forward(x)) @ weights), output="logits", name="gaps"
    )
    x = np.array([[1.0, np.nan, 1.0], [2.0, 1.0, np.nan], [-1.0, -1.0, np.nan]])
    data = as_data(x, [1, 1, 0])
    new = attack.perturb(model, data)
    assert (np.isnan(new) == np.isnan(x)).all()
    assert (model.forward(new).argmax(axis=1) != data.y).all()
    dual = {"linf": [3, 3, 3], "l2": np.sqrt([5, 5, 5]), "l1": [2, 2, 2]}[attack.norm]
    assert moved(np.nan_to_num(new), np.nan_to_num(x), attack.norm) == pytest.approx(
        np.array([3, 4, 3]) / dual, rel=0.01
    )


@pytest.mark.parametrize("attack", [*ATTACKS, LinearStep()], ids=repr)
def test_a_row_on_the_boundary_needs_next_to_nothing(linear, attack):
    # Equal scores count as the first class: the smallest move to the other side breaks the row.
    model, x = linear([[0.0, 0.0], [1.0, 1.0]]), np.array([[1.0, -1.0], [0.0, 0.0]])
    data = as_data(x, [0, 0])
    new = attack.perturb(model, data)
    assert (model.forward(new).argmax(axis=1) == 1).all()
    assert (moved(new, x, attack.norm) < 1e-6).all()


def test_a_surrogate_hands_over_rows_at_the_end_of_the_budget(digits, digits_model):
    blind = as_model(digits_model.forward, output="logits", name="no gradients")
    attack = Transfer(attack=DDN(eps=1.5, steps=8), surrogate=digits_model)
    new = attack.perturb(blind, digits)
    assert moved(new, digits.x, "l2") == pytest.approx(np.full(200, 1.5), rel=1e-3)
    assert np.mean(blind.forward(new).argmax(axis=1) != digits.y) > 0.6


def test_rows_that_nobody_can_break_stay(linear):
    model = linear([[1.0, 0.0], [0.0, 0.0]], [5.0, 0.0])
    x = np.array([[0.0, 0.3], [1.0, 0.5]])
    data = as_data(x, [0, 0], schema={"bounds": (0, 1)})
    for attack in ATTACKS:
        assert (attack.perturb(model, data) == x).all()
        assert (attack.at(0.5).perturb(model, data)[:, 1] == x[:, 1]).all()


def test_errors(digits):
    with pytest.raises(InvalidInput, match="steps got 0"):
        DDN(steps=0)
    with pytest.raises(InvalidInput, match=r"gamma got 1\.5"):
        DDN(gamma=1.5)
    with pytest.raises(InvalidInput, match="gamma got -1"):
        FMN(gamma=-1)
    with pytest.raises(InvalidInput, match="norm got 'l3'"):
        FMN(norm="l3")
    with pytest.raises(InvalidInput, match="candidates got 0"):
        DeepFool(candidates=0)
    with pytest.raises(InvalidInput, match="overshoot got 0"):
        DeepFool(overshoot=0)
    with pytest.raises(InvalidInput, match="template"):
        robust_accuracy(LogisticRegression().fit(digits.x.reshape(200, -1), digits.y), digits, attack=DDN())
    blind = as_model(lambda x: np.zeros((len(x), 10)), output="logits", name="blind")
    with pytest.raises(InvalidInput, match="gives no gradients"):
        DDN().perturb(blind, digits)


def test_repr_is_the_constructor_call():
    for attack in ATTACKS:
        assert eval(repr(attack), {"DDN": DDN, "FMN": FMN, "DeepFool": DeepFool}) == attack
