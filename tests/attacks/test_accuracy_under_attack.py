import numpy as np
import pytest
from scipy.stats import beta

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Rows, Values
from robust.models.conversion import as_model


def fact(m, name):
    return next(e.value for e in m.evidence if isinstance(e, Fact) and e.name == name)


def line(linear, distances, wrong=0):
    """A threshold at 0 and rows at given distances from it, the first `wrong` of them on the wrong side."""
    x = np.array(distances, dtype=float)[:, None]
    y = np.ones(len(x), dtype=int)
    y[:wrong] = 0
    return linear([[0.0], [1.0]]), as_data(x, y, ids=np.arange(100, 100 + len(x)))


@pytest.mark.parametrize("attack", [FGSM(eps=1), PGD(eps=1), FGSM(eps=1, norm="l2"), PGD(eps=1, norm="l2")])
def test_rows_within_eps_of_the_threshold_fall(linear, attack):
    model, data = line(linear, [0.5, 0.1, 0.9, 0.95, 1.1, 3.0, 4.0, 5.0], wrong=1)
    m = robust_accuracy(model, data, attack=attack)
    assert m.value == 4 / 8
    assert m.lower == pytest.approx(beta.ppf(0.05, 4, 5))
    assert m.upper == pytest.approx(beta.ppf(0.95, 5, 4))
    assert m.method == "clopper-pearson"
    assert m.n == 8
    assert m.higher_is_better


def test_evidence(linear):
    model, data = line(linear, [0.5, 0.1, 0.9, 0.95, 1.1, 3.0, 4.0, 5.0], wrong=1)
    m = robust_accuracy(model, data, eps=1)
    found = {type(e): e for e in m.evidence}
    assert found[Values] == Values(metric="accuracy", reference=7 / 8, candidate=4 / 8, names=("clean", "under attack"))
    assert set(found[Rows].ids) == {101, 102, 103}
    assert found[Rows].total == 3
    assert fact(m, "attack success rate") == pytest.approx(3 / 7)
    assert "no attack of strength 'standard'" in fact(m, "what a pass means")
    assert fact(m, "rows broken by FGSM") == 3
    assert fact(m, "rows broken by PGD") == 0
    assert m.provenance.cost.backward_rows > 0
    assert fact(m, "backward passes a row") == pytest.approx(m.provenance.cost.backward_rows / 8, abs=0.01)
    assert found[Figure].columns[0].values == ("clean", "noise floor", "FGSM", "PGD", "APGD margin", "APGD targeted")
    assert found[Figure].columns[1].values[0] == 7 / 8
    assert found[Figure].columns[1].values[-1] == m.value
    assert "87.5% to 50.0%" in found[Finding].text


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (FGSM(eps=1.23456), "changes within ±1.23 of every feature take"),
        (FGSM(eps=1.23456, norm="l2"), "changes within an l2 norm of 1.23 take"),
        (FGSM(eps={"x0": 1.23456, "x2": 5}), "changes within ±1.23 of x0 take"),
        (
            FGSM(eps=dict.fromkeys(["x0", "x1", "x3", "x4"], 2)),
            "within ±2 of x0, ±2 of x1, ±2 of x3 and budgets of 1 more",
        ),
        (FGSM(eps={"x0": 2, "x1": 1}, norm="l2"), "within ±2 of x0, ±1 of x1 (l2: all together)"),
    ],
    ids=repr,
)
def test_the_finding_names_features_that_may_move(linear, attack, words):
    data = as_data(np.full((4, 5), 0.1), np.ones(4, dtype=int), schema={"x2": {"immutable": True}})
    m = robust_accuracy(linear([[0.0] * 5, [1.0] * 5]), data, attack=attack)
    assert words in next(e for e in m.evidence if isinstance(e, Finding)).text


def test_the_cascade_is_no_weaker_than_its_parts(digits, digits_model):
    together = robust_accuracy(digits_model, digits, eps=0.08).value
    for attack in (RandomNoise(eps=0.08, draws=10), FGSM(eps=0.08), PGD(eps=0.08)):
        assert together <= robust_accuracy(digits_model, digits, attack=attack).value


def test_noise_alone_is_called_a_floor(digits, digits_model):
    m = robust_accuracy(digits_model, digits, attack=RandomNoise(eps=0.05, draws=3))
    assert "floor" in fact(m, "floor")
    assert all(check.name != "stronger than noise" for check in m.validity)


def test_no_row_right_is_zero_and_no_error(linear):
    model, data = line(linear, [1.0, 2.0], wrong=2)
    m = robust_accuracy(model, data, eps=0.1)
    assert m.value == 0
    assert "not measurable" in fact(m, "attack success rate")


def test_a_black_box_needs_no_gradients(cancer):
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(10, random_state=0).fit(cancer.x, cancer.y)
    m = robust_accuracy(forest, cancer, eps=0.3)
    assert 0.5 < m.value < 1
    assert m.provenance.cost.backward_rows == 0


def test_rows_that_depend_on_each_other_get_wider_bounds(linear):
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 20)
    x = np.where(rng.random(20) < 0.3, 0.5, 2.0)[group][:, None]
    model, y = linear([[0.0], [1.0]]), np.ones(400, dtype=int)
    alone = robust_accuracy(model, as_data(x, y), attack=FGSM(eps=1.0))
    grouped = robust_accuracy(model, as_data(x, y, groups=group), attack=FGSM(eps=1.0))
    assert alone.value == grouped.value
    assert grouped.upper - grouped.lower > 2 * (alone.upper - alone.lower)


def test_the_same_for_any_row_order_and_batch_size(digits, digits_net):
    back = np.random.default_rng(0).permutation(len(digits))
    values = {
        robust_accuracy(as_model(digits_net, output="logits", batch_size=size), data, eps=0.08).value
        for size, data in ((256, digits), (37, digits), (64, digits.rows(back)))
    }
    assert len(values) == 1


def test_plain_arrays_and_estimators_are_taken(cancer):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(cancer.x, cancer.y)
    m = robust_accuracy(model, (cancer.x, cancer.y), eps=0.1)
    # The closed form: a row holds if its margin exceeds eps times the weights' sum.
    margin = (2 * cancer.y - 1) * model.decision_function(cancer.x)
    assert m.value == pytest.approx(np.mean(margin > 0.1 * np.abs(model.coef_).sum()), abs=1e-12)


def test_errors(linear):
    model, data = line(linear, [1.0, 2.0])
    for given in ({}, {"attack": FGSM(eps=1), "eps": 1}):
        with pytest.raises(InvalidInput, match="either an attack with a budget or eps"):
            robust_accuracy(model, data, **given)
    with pytest.raises(InvalidInput, match=r"FGSM.*is a template"):
        robust_accuracy(model, data, attack=FGSM())
    with pytest.raises(InvalidInput, match="attack got 'pgd'"):
        robust_accuracy(model, data, attack="pgd")
    with pytest.raises(InvalidInput, match=r"norm got 'l2'.*has its own"):
        robust_accuracy(model, data, attack=FGSM(eps=1), norm="l2")
    with pytest.raises(InvalidInput, match="norm got 'l3'"):
        robust_accuracy(model, data, eps=1, norm="l3")
    with pytest.raises(InvalidInput, match="gives no gradients"):
        robust_accuracy(as_model(lambda x: x, output="logits"), data, attack=PGD(eps=1))
    with pytest.raises(InvalidInput, match="needs a classifier"):
        robust_accuracy(as_model(lambda x: x[:, 0], task="regression"), data, eps=1)
    with pytest.raises(InvalidInput, match="level"):
        robust_accuracy(model, data, eps=1, level=0.3)
    with pytest.raises(InvalidInput, match="no targets"):
        robust_accuracy(model, as_data(data.x), eps=1)
