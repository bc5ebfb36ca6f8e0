"""Every attack keeps to budget, bounds and schema: checked in exact arithmetic, apart from the package's own check."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.attacks.apgd import APGD
from robust.attacks.bim import BIM
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.pgd import PGD
from robust.attacks.projection import space_of
from robust.data.live import as_data
from robust.data.schema import build_schema

NAMES = ["free", "bounded", "whole", "flag", "fixed", "g0", "g1", "g2", "low", "high"]
SCHEMA = {
    "bounded": {"bounds": (-0.3, 0.7)},
    "whole": {"kind": "integer", "bounds": (-3, 3)},
    "flag": {"kind": "binary"},
    "fixed": {"immutable": True},
    "g0": {"one_hot": "g"},
    "g1": {"one_hot": "g"},
    "g2": {"one_hot": "g"},
    "relations": ["low <= high"],
}


def rows_of(rng, n, dtype):
    scale = 10.0 ** rng.integers(-3, 4)
    x = np.zeros((n, 10))
    x[:, 0] = rng.normal(0, scale, n)
    x[:, 1] = rng.uniform(-0.29, 0.69, n)
    x[:, 2] = rng.integers(-3, 4, n)
    x[:, 3] = rng.integers(0, 2, n)
    x[:, 4] = rng.normal(size=n)
    x[np.arange(n), 5 + rng.integers(0, 3, n)] = 1
    x[:, 8:] = np.sort(rng.normal(size=(n, 2)), axis=1)
    return x.astype(dtype)


def check(new, old, eps, norm):
    """The rules, in fractions."""
    budget = dict.fromkeys(NAMES, eps) if not isinstance(eps, dict) else {n: eps.get(n, 0.0) for n in NAMES}
    budget["fixed"] = 0.0
    for a, b in zip(new.tolist(), old.tolist(), strict=True):
        gaps = [abs(Fraction(p) - Fraction(q)) for p, q in zip(a, b, strict=True)]
        if norm == "linf":
            assert all(gap <= Fraction(budget[name]) for gap, name in zip(gaps, NAMES, strict=True))
        else:
            assert all(gap == 0 for gap, name in zip(gaps, NAMES, strict=True) if budget[name] == 0)
            power = 2 if norm == "l2" else 1
            parts = [(g / Fraction(budget[n])) ** power for g, n in zip(gaps, NAMES, strict=True) if budget[n]]
            assert sum(parts) <= 1
        assert -0.3 <= a[1] <= 0.7
        assert a[2] == int(a[2])
        assert -3 <= a[2] <= 3
        assert a[3] in (0, 1)
        assert sorted(a[5:8]) == [0, 0, 1]
        assert a[8] <= a[9] + 1e-5


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([np.float32, np.float64]),
    norm=st.sampled_from(["linf", "l2", "l1"]),
    eps=st.one_of(
        st.floats(1e-7, 4.0),
        st.dictionaries(st.sampled_from(NAMES), st.floats(1e-7, 4.0), min_size=1),
    ),
    attack=st.sampled_from(
        [
            RandomNoise(draws=3),
            FGSM(),
            BIM(steps=4),
            PGD(steps=4, restarts=2),
            PGD(steps=4, momentum=1.0),
            APGD(steps=5, restarts=2),
            APGD(steps=5, loss="dlr"),
            APGD(steps=5, loss="targeted"),
        ]
    ),
)
def test_no_attack_leaves_its_budget_or_the_schema(linear, seed, dtype, norm, eps, attack):
    rng = np.random.default_rng(seed)
    x = rows_of(rng, 6, dtype)
    model = linear(rng.normal(size=(3, 10)))
    data = as_data(x, model.forward(x).argmax(axis=1), names=NAMES, schema=SCHEMA)
    attack = type(attack)(**{field: getattr(attack, field) for field in attack.__slots__} | {"eps": eps, "norm": norm})
    new = attack.perturb(model, data, seed=seed)
    assert new.dtype == dtype
    assert new.shape == x.shape
    check(new, x, eps, norm)
    assert obeys(new, x, data.schema, eps=eps, norm=norm).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), eps=st.floats(0.3, 300), norm=st.sampled_from(["linf", "l2", "l1"]))
def test_whole_number_types_stay_what_they_are(linear, seed, eps, norm):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (5, 2, 3)).astype(np.uint8)
    model = linear(rng.normal(size=(2, 6)))
    data = as_data(x, model.forward(x).argmax(axis=1))
    for attack in (
        RandomNoise(eps=eps, norm=norm, draws=2),
        FGSM(eps=eps, norm=norm),
        PGD(eps=eps, norm=norm, steps=3),
        APGD(eps=eps, norm=norm, steps=3),
    ):
        new = attack.perturb(model, data)
        assert new.dtype == np.uint8
        gap = np.abs(new.astype(int) - x.astype(int)).reshape(5, -1)
        assert (np.linalg.norm(gap, ord={"linf": np.inf, "l2": 2, "l1": 1}[norm], axis=1) <= eps).all()


@pytest.mark.parametrize(
    "attack", [RandomNoise(eps=1e-6, draws=5), FGSM(eps=1e-6), PGD(eps=1e-6, steps=5), APGD(eps=1e-6, steps=5)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardised_rows_do_not_jump(cancer, cancer_model, attack, dtype):
    data = as_data(cancer.x.astype(dtype), cancer.y)
    new = attack.perturb(cancer_model, data).astype(np.float64)
    moved = np.abs(new - data.x.astype(np.float64))
    assert moved.max() <= 1e-6
    if dtype == np.float64 and not isinstance(attack, RandomNoise):
        assert moved.max() > 0.99e-6


def test_missing_values_stay_missing_and_the_rest_moves(linear):
    x = np.array([[np.nan, 1.0, 0.2], [0.3, 0.2, np.nan]])
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])

    def filled(x):
        return np.nan_to_num(x) @ weights.T

    model = linear(weights)
    model = type(model)(
        name="fills",
        framework="callable",
        forward=filled,
        output="logits",
        gradients=lambda x, cotangent: (filled(x), cotangent(filled(x)) @ weights),
    )
    for attack in (PGD(eps=0.1), PGD(eps=0.1, norm="l2"), APGD(eps=0.1, steps=10), APGD(eps=0.1, norm="l2", steps=10)):
        new = attack.perturb(model, as_data(x, [1, 1]))
        assert (np.isnan(new) == np.isnan(x)).all()
        assert np.nanmin(x - new) > 0.05
    for attack in (PGD(eps=0.1, norm="l1"), APGD(eps=0.1, norm="l1", steps=10)):
        new = attack.perturb(model, as_data(x, [1, 1]))
        assert (np.isnan(new) == np.isnan(x)).all()
        assert np.nansum(x - new, axis=1).min() > 0.099


def test_fine_budgets_are_checked_value_by_value():
    schema = build_schema({"bounds": (0, 1)}, names=["a"], shape=(1,))
    coarse = space_of(schema, np.dtype(np.float32), eps=np.array([0.1]), norm="linf")
    fine = space_of(schema, np.dtype(np.float32), eps=np.array([1e-6]), norm="linf")
    assert coarse.slack is not None
    assert fine.slack is None


def test_bounds_are_rounded_inwards():
    schema = build_schema({"bounds": (0.1, 0.7)}, names=["a"], shape=(1,))
    space = space_of(schema, np.dtype(np.float32), eps=np.array([0.1]), norm="linf")
    assert space.lower[0] >= 0.1
    assert space.upper[0] <= 0.7
    assert np.float32(space.lower[0]) == space.lower[0]
