import numpy as np
import pytest

from robust.attacks import checks
from robust.attacks.checks import CHECKS, MinimalPerturbationOptions, RobustAccuracyOptions, default_eps
from robust.auditing.discovery import discover
from robust.check import Subject
from robust.data.live import as_data
from robust.errors import Inapplicable, InvalidInput
from robust.models.conversion import as_model


def run(subject, **options):
    return CHECKS[0].run(subject, RobustAccuracyOptions(**options))


def test_the_audit_finds_it():
    assert "ATK001" in [check.code for check in discover()]


def test_default_budget_is_in_the_data_s_own_units():
    x = np.array([[0.0, 10.0, 1.0], [1.0, 20.0, np.nan], [0.5, 30.0, 3.0]])
    eps = default_eps(as_data(x, schema={"x0": {"bounds": (0, 1)}}))
    assert eps == pytest.approx({"x0": 0.03, "x1": 0.1 * np.std([10, 20, 30]), "x2": 0.1}, rel=1e-2)


def test_features_that_may_not_move_have_no_part_in_the_default_budget():
    x = np.array([[0.0, 10.0, 1.0], [1.0, 20.0, 0.0], [0.5, 30.0, 0.0], [0.2, 10.0, 1.0]])
    still = {"x1": {"immutable": True}, "x2": {"kind": "categorical"}}
    assert default_eps(as_data(x, schema={"x0": {"bounds": (0, 1)}, **still})) == 0.03
    wide = as_data(np.c_[x, [5.0, 1.0, 0.0, 2.0]], schema={"x0": {"bounds": (0, 1)}, **still})
    assert list(default_eps(wide)) == ["x0", "x3"]
    assert default_eps(as_data(x, schema={"x0": {"immutable": True}, **still})) == 0.0


def test_features_whose_squares_overflow_are_refused():
    with pytest.raises(InvalidInput, match="features of data got numbers of sizes up to 1e\\+200"):
        default_eps(as_data(np.array([[1e200], [-1e200]])))


def test_attacks_by_name(digits, digits_model):
    subject = Subject(model=digits_model, task="classification", test=digits.rows(np.arange(50)))
    values = {name: run(subject, attack=name, eps=0.1, steps=5).value for name in ("pgd", "fgsm", "noise", None)}
    assert values[None] <= values["pgd"] <= values["fgsm"] <= values["noise"]
    options = dict(run(subject, attack="pgd", eps=0.1, norm="l2", steps=3, restarts=2).provenance.options)
    assert "steps=3" in options["attack"]
    assert "restarts=2" in options["attack"]
    assert "'l2'" in options["attack"]


def test_a_candidate_without_gradients_borrows_its_surrogate_s(digits, digits_model):
    blind = as_model(digits_model.forward, output="logits", name="blind")
    few = digits.rows(np.arange(50))
    alone = Subject(model=blind, task="classification", test=few)
    twinned = Subject(model=blind, task="classification", test=few, surrogate=digits_model)
    handed = run(twinned, eps=0.1)
    assert handed.value < run(alone, eps=0.1).value
    assert "Transfer" in dict(handed.provenance.options)["attack"]
    assert "RandomNoise" in dict(run(twinned, attack="noise", eps=0.1).provenance.options)["attack"]


def test_without_gradients_scores_are_asked_and_noise_must_be_named(digits, digits_model):
    blind = as_model(digits_model.forward, output="logits", name="blind")
    some = digits.rows(np.arange(100))
    alone = Subject(model=blind, task="classification", test=some)
    twinned = Subject(model=blind, task="classification", test=some, surrogate=digits_model)
    asked = run(alone, eps=0.01)
    assert (asked > 0.5).status == "PASS"
    assert next(one for one in asked.validity if one.name == "strength").reason.startswith("what the model answers")
    assert "Square(" in dict(asked.provenance.options)["attack"]
    assert (run(alone, attack="noise", eps=0.01) > 0.5).status == "PASS"
    handed = run(twinned, eps=0.01)
    assert (handed > 0.5).status == "PASS"
    rungs = dict(handed.provenance.options)["attack"]
    assert rungs.count("Transfer(attack=FGSM(") == rungs.count("Transfer(attack=PGD(") == 1


def test_the_example_s_gate_passes_and_a_tighter_one_does_not():
    from robust.data.loading import load_data
    from robust.examples.catalogue import example_path
    from robust.models.loading import load_model

    folder = example_path("digits")
    subject = Subject(
        model=load_model(folder / "int8.onnx", output="logits"),
        task="classification",
        test=load_data(folder / "test.npz", schema={"bounds": (0, 1)}),
        surrogate=load_model(
            folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits"
        ),
    )
    m = run(subject, attack="pgd", eps=0.03)
    assert (m > 0.9).status == "PASS"
    assert (m > 0.999).status == "FAIL"


class TestMinimalPerturbation:
    check = next(check for check in CHECKS if check.name == "minimal_perturbation")

    def run(self, model, data, **options):
        subject = Subject(model=model, task="classification", test=data)
        return self.check.run(subject, MinimalPerturbationOptions(**options))

    def test_it_is_the_closed_form_on_a_linear_model(self, linear):
        x = np.random.default_rng(0).normal(size=(101, 1))
        m = self.run(linear([[-1.0], [1.0]]), as_data(x, (x[:, 0] > 0).astype(int)))
        assert m.value == pytest.approx(np.median(np.abs(x)), rel=0.01)

    def test_rows_are_sampled_and_said_to_be(self, linear):
        x = np.random.default_rng(0).normal(size=(101, 1))
        data = as_data(x, (x[:, 0] > 0).astype(int))
        m = self.run(linear([[-1.0], [1.0]]), data, rows=20)
        assert m.n == 20
        assert "20 of 101, evenly spaced" in [getattr(item, "value", None) for item in m.evidence]

    def test_wide_rows_are_fewer(self, linear, monkeypatch):
        monkeypatch.setattr(checks, "_NUMBERS", 80)
        x = np.random.default_rng(0).normal(size=(60, 2))
        model, data = linear([[-1.0, 0.0], [1.0, 0.0]]), as_data(x, (x[:, 0] > 0).astype(int))
        assert self.run(model, data).n == 40
        monkeypatch.setattr(checks, "_NUMBERS", 8)
        assert self.run(model, data).n == 32

    def test_a_model_without_gradients_did_not_run(self):
        still = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
        with pytest.raises(Inapplicable, match="needs a candidate that gives gradients"):
            self.run(still, as_data(np.array([[-1.0], [1.0]]), [0, 1]))
