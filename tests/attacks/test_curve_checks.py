import numpy as np
import pytest

from robust.attacks.curve_checks import CHECKS, AreaOptions
from robust.auditing.discovery import discover
from robust.check import Subject
from robust.data.live import as_data
from robust.errors import Inapplicable
from robust.evidence import Figure
from robust.models.conversion import as_model


def run(subject, **options):
    return CHECKS[0].run(subject, AreaOptions(**options))


def attack_of(m):
    return dict(m.provenance.options)["attack"]


def test_the_audit_finds_it():
    assert "ATK002" in [check.code for check in discover()]


def test_by_default_eight_even_steps_by_the_strongest_single_attack(digits, digits_model):
    m = run(Subject(model=digits_model, task="classification", test=digits.rows(np.arange(60))))
    assert dict(m.provenance.options)["eps"] == "[0.0075, 0.015, 0.0225, 0.03, 0.0375, 0.045, 0.0525, 0.06]"
    assert attack_of(m).startswith("PGD(")
    assert any(isinstance(item, Figure) for item in m.evidence)
    assert m > 0.3
    assert (m > 0.999).status == "FAIL"


def test_attacks_by_name_and_from_a_surrogate(digits, digits_model):
    few = digits.rows(np.arange(40))
    blind = as_model(digits_model.forward, output="logits", name="blind")
    seen = Subject(model=digits_model, task="classification", test=few)
    twinned = Subject(model=blind, task="classification", test=few, surrogate=digits_model)
    grid = (0.05, 0.1)
    areas = {name: run(seen, attack=name, eps=grid).value for name in ("pgd", "fgsm", "noise")}
    assert areas["pgd"] <= areas["fgsm"] <= areas["noise"]
    borrowed = run(twinned, eps=grid)
    assert attack_of(borrowed).startswith("Transfer(")
    assert borrowed.value == pytest.approx(areas["pgd"], abs=0.05)
    assert "norm='l2'" in attack_of(run(seen, attack="fgsm", norm="l2", eps=grid))


def test_models_without_gradients_are_asked_what_they_allow(digits, digits_model):
    from sklearn.tree import DecisionTreeClassifier

    few = digits.rows(np.arange(20))
    blind = Subject(
        model=as_model(digits_model.forward, output="logits", name="blind"), task="classification", test=few
    )
    assert attack_of(run(blind, eps=(0.05,))).startswith("Square(")
    x = np.random.default_rng(0).uniform(size=(40, 2))
    y = (x[:, 0] > 0.5).astype(int)
    tree = as_model(DecisionTreeClassifier(random_state=0).fit(x, y))
    m = run(Subject(model=tree, task="classification", test=as_data(x, y, schema={"bounds": (0, 1)})), eps=(0.1, 0.2))
    assert attack_of(m).startswith("TreeAttack(")


def test_features_of_different_ranges_need_budgets():
    x = np.random.default_rng(0).normal(size=(30, 2)) * [1, 100]
    y = (x[:, 0] > 0).astype(int)
    model = as_model(lambda v: (v[:, 0] > 0).astype(int), name="sign")
    subject = Subject(model=model, task="classification", test=as_data(x, y))
    with pytest.raises(Inapplicable, match="needs eps, a list of budgets"):
        run(subject)
    assert run(subject, eps=(0.1, 0.5), attack="noise").value < 1.0
    still = as_data(x, y, schema={"x0": {"immutable": True}, "x1": {"immutable": True}})
    with pytest.raises(Inapplicable, match="a feature that may move"):
        run(Subject(model=model, task="classification", test=still))
