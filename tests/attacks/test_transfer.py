import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.apgd import APGD
from robust.attacks.boundary import Boundary
from robust.attacks.fgsm import FGSM
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.linear_exact import LinearExact
from robust.attacks.noise import RandomNoise
from robust.attacks.obedience import obeys
from robust.attacks.pgd import PGD
from robust.attacks.square import Square
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.attacks.tree_attack import TreeAttack
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure
from robust.examples.catalogue import example_path
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.predicting.metering import metered


@pytest.fixture(scope="module")
def example():
    folder = example_path("digits")
    data = load_data(folder / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(300))
    twin = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    return load_model(folder / "int8.onnx", output="logits"), twin, data


def held(attack, model, data):
    new = attack.perturb(model, data)
    assert obeys(new, data.x, data.schema, eps=attack.eps, norm=attack.norm).all()
    return model.forward(new).argmax(axis=1) == data.y


def test_an_int8_build_falls_to_the_gradients_of_its_float_twin(example):
    int8, twin, data = example
    noise = held(RandomNoise(eps=0.1, draws=20), int8, data).mean()
    one = held(Transfer(attack=FGSM(eps=0.1), surrogate=twin), int8, data).mean()
    many = held(Transfer(attack=PGD(eps=0.1), surrogate=twin), int8, data).mean()
    assert many < one - 0.05 < noise - 0.1


def test_patience_makes_rows_that_break_another_model(example):
    # A row that only just breaks the twin holds on the int8 build more often than one with the largest loss.
    int8, twin, data = example
    early = int8.forward(PGD(eps=0.1).perturb(twin, data)).argmax(axis=1) == data.y
    assert held(Transfer(attack=PGD(eps=0.1), surrogate=twin), int8, data).mean() < early.mean() - 0.05


def test_a_transfer_says_what_it_is(example):
    int8, twin, data = example
    attack = Transfer(attack=PGD(eps=0.1, steps=10), surrogate=twin)
    m = robust_accuracy(int8, data, attack=attack)
    assert strength(m).passed
    assert strength(m).bias == "none"
    assert "upper bound" in strength(m).reason
    assert [name for name, _ in m.provenance.models] == [int8.name, twin.name]
    assert (m > 0.9).status == "FAIL"


def strength(m):
    (found,) = [check for check in m.validity if check.name == "strength"]
    return found


def test_a_file_without_a_surrogate_is_attacked_through_its_own_graph(example):
    int8, _, data = example
    m = robust_accuracy(int8, data, eps=0.03)
    assert strength(m).reason.startswith("gradients of the model itself")
    assert (m > 0.9).status == "PASS"
    assert (robust_accuracy(int8, data, eps=0.4, strength="quick") > 0.9).status == "FAIL"


def test_a_forest_is_attacked_through_its_leaves(cancer):
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(10, random_state=0).fit(cancer.x, cancer.y)
    m = robust_accuracy(forest, cancer, eps=0.05)
    assert strength(m).reason.startswith("the model's own weights or trees")
    assert m.value < robust_accuracy(forest, cancer, attack=RandomNoise(eps=0.05)).value


def test_noise_by_name_is_a_pass_that_says_what_it_is(example):
    int8, _, data = example
    m = robust_accuracy(int8, data, attack=RandomNoise(eps=0.03))
    assert strength(m).passed
    assert "weak" in strength(m).reason
    assert (m > 0.9).status == "PASS"
    assert "floor" in next(e.value for e in m.evidence if isinstance(e, Fact) and e.name == "floor")


def test_with_a_surrogate_the_cascade_is_transferred(example):
    int8, twin, data = example
    few = data.rows(np.arange(150))
    m = robust_accuracy(int8, few, eps=0.1, surrogate=twin)
    assert strength(m).passed
    for attack in (RandomNoise(eps=0.1, draws=10), Transfer(attack=PGD(eps=0.1), surrogate=twin)):
        assert m.value <= robust_accuracy(int8, few, attack=attack).value
    assert [name for name, _ in m.provenance.models] == [int8.name, twin.name]
    figure = next(e for e in m.evidence if isinstance(e, Figure))
    assert figure.columns[0].values == (
        *("clean", "noise floor", "FGSM, transferred", "PGD, transferred"),
        *("APGD margin, transferred", "APGD targeted, transferred", "Substitute", "Square", "HopSkipJump"),
    )
    (meaning,) = [e.value for e in m.evidence if isinstance(e, Fact) and e.name == "what a pass means"]
    assert f"surrogate={twin.name!r}" in meaning
    assert "Model(" not in meaning


def test_a_model_with_gradients_needs_no_surrogate(digits, digits_model):
    few = digits.rows(np.arange(50))
    alone = robust_accuracy(digits_model, few, eps=0.05)
    assert robust_accuracy(digits_model, few, eps=0.05, surrogate=digits_model).value == alone.value


def test_to_itself_a_transfer_is_the_attack(digits, digits_model):
    few = digits.rows(np.arange(100))
    itself = held(Transfer(attack=FGSM(eps=0.1), surrogate=digits_model), digits_model, few)
    assert (itself == held(FGSM(eps=0.1), digits_model, few)).all()


def test_budget_and_norm_are_the_attacks(digits_model):
    attack = Transfer(attack=PGD(norm="l2"), surrogate=digits_model)
    assert attack.eps is None
    assert attack.at(0.5).eps == 0.5
    assert attack.norm == "l2"
    assert not attack.gradients


def test_errors(digits, digits_model):
    with pytest.raises(InvalidInput, match="attack got 'pgd'"):
        Transfer(attack="pgd", surrogate=digits_model)
    with pytest.raises(InvalidInput, match="attack got Transfer"):
        Transfer(attack=Transfer(attack=FGSM(), surrogate=digits_model), surrogate=digits_model)
    with pytest.raises(InvalidInput, match=r"surrogate got a model beside attack=FGSM"):
        robust_accuracy(digits_model, digits, attack=FGSM(eps=0.1), surrogate=digits_model)
    blind = as_model(digits_model.forward, output="logits", name="blind")
    with pytest.raises(InvalidInput, match="gives no gradients"):
        robust_accuracy(blind, digits, eps=0.1, surrogate=blind)


@pytest.mark.parametrize("attack", [PGD(), FGSM(), APGD(steps=10)], ids=["PGD", "FGSM", "APGD"])
def test_a_curve_is_one_search_judged_by_the_model(example, attack):
    int8, twin, data = example
    few, grid = data.rows(np.arange(150)), [0.02, 0.05, 0.1, 0.15]
    transfer = Transfer(attack=attack, surrogate=twin)
    with metered() as meter:
        swept = transfer.sweep(aim(int8, few), grid, seed=0)
    single = [held(transfer.at(eps), int8, few).mean() for eps in grid]
    assert (swept.survived[1:].mean(axis=1) <= np.array(single) + 0.02).all()
    assert (np.diff(swept.survived.astype(int), axis=0) <= 0).all()
    steps = {"FGSM": 1, "PGD": 4 * 12 + 4, "APGD": 4 * 11}[type(attack).__name__]
    assert meter.backward_rows <= steps * len(few)


def test_a_curve_up_foreign_slopes_is_not_taken_for_one_up_its_own(example):
    _, twin, data = example
    few = data.rows(np.arange(60))
    own = robustness_curve(twin, few, PGD(), eps=[0.1]).values
    wrong = as_model(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), output="logits")
    foreign = robustness_curve(twin, few, Transfer(attack=PGD(), surrogate=wrong), eps=[0.1])
    assert foreign.values > own
    assert np.array_equal(robustness_curve(twin, few, PGD(), eps=[0.1]).values, own)
    assert "second opinion" in {check.name for check in foreign.points[0].validity if not check.passed}


@pytest.mark.parametrize("attack", [TreeAttack(), Square(queries=50), LinearExact()], ids=repr)
def test_a_curve_of_an_attack_without_slopes_is_that_of_its_points(attack):
    # Weights, trees and scores are the twin's, too. It learned the opposite: on the model itself each finds far more.
    rng = np.random.default_rng(0)
    x = rng.random((150, 4))
    y = (x.sum(axis=1) > 2).astype(int)
    data = as_data(x, y, schema={"bounds": (0, 1)})
    twins = {
        TreeAttack: DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, 1 - y),
        Square: LogisticRegression().fit(x, 1 - y),
        LinearExact: LogisticRegression().fit(x, 1 - y),
    }
    forest = RandomForestClassifier(5, random_state=0).fit(x, y)
    model = LogisticRegression(C=100).fit(x, y) if isinstance(attack, LinearExact) else forest
    transfer = Transfer(attack=attack, surrogate=as_model(twins[type(attack)]))
    curve = robustness_curve(model, data, transfer, eps=[0.05, 0.2])
    points = [robust_accuracy(model, data, attack=transfer.at(eps)).row_values for eps in (0.05, 0.2)]
    for point, rows in zip(curve, points, strict=True):
        assert np.mean(point.row_values != rows) < 0.05
    own = robustness_curve(model, data, attack, eps=[0.05, 0.2])
    assert own.values[1] < curve.values[1] - 0.1


def test_a_file_is_a_surrogate(example):
    int8, _, data = example
    folder = example_path("digits")
    file = load_model(folder / "float.onnx", output="logits")
    some = data.rows(np.arange(100))
    plain = robust_accuracy(int8, some, attack=PGD(eps=0.1)).value
    assert abs(robust_accuracy(int8, some, attack=Transfer(attack=PGD(eps=0.1), surrogate=file)).value - plain) < 0.1
    labels = as_model(lambda x: int8.forward(x).argmax(axis=1), name="labels")
    m = robust_accuracy(labels, some, eps=0.1, strength="quick", surrogate=file)
    assert m.value < plain + 0.1
    assert [name for name, _ in m.provenance.models] == ["labels", file.name]
    assert robustness_curve(labels, some, Transfer(attack=PGD(), surrogate=file), eps=[0.1]).values[0] < plain + 0.1


@pytest.mark.parametrize("walk", [HopSkipJump(eps=0.2, steps=5), Boundary(eps=0.2, steps=50)], ids=repr)
def test_a_walk_by_labels_is_handed_over(walk):
    rng = np.random.default_rng(0)
    x = rng.random((120, 4))
    y = (x.sum(axis=1) > 2).astype(int)
    data = as_data(x, y, schema={"bounds": (0, 1)})
    model, twin = (as_model(LogisticRegression(C=c).fit(x, y)) for c in (100.0, 50.0))
    own = robust_accuracy(model, data, attack=walk).value
    assert own < 0.5
    # On the twin alike, up to rows that stop short of the model's own boundary.
    assert robust_accuracy(twin, data, attack=Transfer(attack=walk, surrogate=twin)).value < own + 0.1
    assert robust_accuracy(model, data, attack=Transfer(attack=walk, surrogate=twin)).value < 0.9
