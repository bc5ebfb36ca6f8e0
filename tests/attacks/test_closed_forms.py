"""Linear models, whose exact distance to the nearest mistake is known: 1.01 times it breaks every row, 0.99 none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.apgd import APGD
from robust.attacks.bim import BIM
from robust.attacks.fgsm import FGSM
from robust.attacks.pgd import PGD
from robust.data.live import as_data

NORMS = st.sampled_from(["linf", "l2", "l1"])
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


def broken(attack, model, data):
    return model.forward(attack.perturb(model, data)).argmax(axis=1) != data.y


def distances(model, weights, x, norm):
    """min over j of (z_y − z_j)/‖w_y − w_j‖ in the dual norm."""
    z = model.forward(x)
    y = z.argmax(axis=1)
    best = np.full(len(x), np.inf)
    for j in range(len(weights)):
        apart = np.linalg.norm(weights[y] - weights[j], ord=DUAL[norm], axis=1)
        gap = z[np.arange(len(x)), y] - z[:, j]
        best = np.where(y == j, best, np.minimum(best, gap / np.where(y == j, 1.0, apart)))
    return y, best


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    norm=NORMS,
    attack=st.sampled_from(
        [
            FGSM(),
            PGD(steps=5),
            PGD(steps=5, momentum=1.0),
            BIM(steps=5),
            APGD(steps=10),
            APGD(steps=10, loss="dlr"),
            APGD(steps=10, loss="margin"),
            APGD(steps=10, loss="targeted"),
        ]
    ),
)
def test_two_classes(linear, seed, norm, attack):
    rng = np.random.default_rng(seed)
    weights, x = rng.normal(size=(2, 6)), rng.normal(size=(8, 6))
    model = linear(weights, rng.normal(size=2))
    y, exact = distances(model, weights, x, norm)
    attack = type(attack)(**{name: getattr(attack, name) for name in attack.__slots__} | {"norm": norm})
    for i in range(len(x)):
        row = as_data(x[i : i + 1], y[i : i + 1])
        assert broken(attack.at(1.01 * exact[i]), model, row).all()
        assert not broken(attack.at(0.99 * exact[i]), model, row).any()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), norm=NORMS, classes=st.integers(3, 6))
def test_many_classes_by_aiming_at_each(linear, seed, norm, classes):
    rng = np.random.default_rng(seed)
    weights, x = rng.normal(size=(classes, 6)), rng.normal(size=(6, 6))
    model = linear(weights, rng.normal(size=classes))
    y, exact = distances(model, weights, x, norm)
    attack = APGD(norm=norm, steps=20, loss="targeted")
    for i in range(len(x)):
        row = as_data(x[i : i + 1], y[i : i + 1])
        assert broken(attack.at(1.01 * exact[i]), model, row).all()
        assert not broken(attack.at(0.99 * exact[i]), model, row).any()


@pytest.mark.parametrize(("strength", "missed"), [("quick", 0.02), ("standard", 0.0)])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_cascade_on_many_classes_of_few_features(linear, norm, strength, missed):
    """In the plane most of seven classes are no neighbours: the next best score is seldom the nearest class."""
    wrong, valid = 0, True
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weights, x = rng.normal(size=(7, 2)), rng.normal(size=(60, 2))
        model = linear(weights, rng.normal(size=7))
        y, exact = distances(model, weights, x, norm)
        eps = float(np.quantile(exact, 0.6)) * 1.0001
        measured = robust_accuracy(model, as_data(x, y), eps=eps, norm=norm, strength=strength)
        assert measured.value >= np.mean(exact > eps)
        wrong += round((measured.value - np.mean(exact > eps)) * len(x))
        valid &= (measured > 0.01).status == "PASS"
    assert wrong <= missed * 6 * 60
    assert valid


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_inside_bounds_in_l1(linear, seed):
    # The least Σ|δ| that brings w·(x + δ) + b to 0 inside [0, 1] is a linear programme.
    rng = np.random.default_rng(seed)
    weights, x = rng.normal(size=6), rng.uniform(0, 1, (1, 6))
    reach = np.sum(np.where(weights > 0, weights * (1 - x[0]), -weights * x[0]))
    gap = 0.6 * reach
    model = linear(np.vstack([np.zeros(6), weights]), [0.0, -(x[0] @ weights) - gap])
    best = linprog(
        np.ones(12),
        A_eq=np.hstack([weights, -weights])[None],
        b_eq=[gap],
        bounds=[*((0, 1 - a) for a in x[0]), *((0, a) for a in x[0])],
    )
    data = as_data(x, [0], schema={"bounds": (0, 1)})
    for attack in (FGSM(norm="l1"), PGD(norm="l1", steps=5), APGD(norm="l1", steps=10)):
        assert broken(attack.at(1.01 * best.fun), model, data).all()
        assert not broken(attack.at(0.99 * best.fun), model, data).any()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_curve_has_its_step_where_the_closed_form_says(linear, norm):
    rng = np.random.default_rng(3)
    weights, x = rng.normal(size=(2, 6)), rng.normal(size=(40, 6))
    model = linear(weights)
    y, exact = distances(model, weights, x, norm)
    from robust.attacks.target import aim

    grid = np.quantile(exact, [0.1, 0.3, 0.5, 0.7, 0.9]).tolist()
    for attack in (PGD(norm=norm), BIM(norm=norm), APGD(norm=norm, steps=10)):
        survived = attack.sweep(aim(model, as_data(x, y)), grid, seed=0).survived
        for k, eps in enumerate(grid):
            assert survived[k + 1][exact > 1.01 * eps].all()
            assert not survived[k + 1][exact < 0.99 * eps].any()
