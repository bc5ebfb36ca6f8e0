import numpy as np
import pytest

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.transfer import Transfer
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model


def test_closed_form_on_a_threshold(linear):
    # Rows 0.1, 0.2 … 1.0 away from the threshold: at eps e, those farther than e are left.
    model, data = linear([[0.0], [1.0]]), as_data(np.arange(1, 11)[:, None] / 10, np.ones(10, dtype=int))
    grid = [0.0, 0.15, 0.35, 0.75, 2.0]
    for attack in (FGSM(), PGD(), FGSM(norm="l2"), PGD(norm="l2"), Transfer(attack=PGD(), surrogate=model)):
        curve = robustness_curve(model, data, attack, eps=grid)
        assert curve.values.tolist() == pytest.approx([1.0, 0.9, 0.7, 0.3, 0.0])
        assert curve.eps.tolist() == grid


@pytest.mark.parametrize("attack", [RandomNoise(draws=5), FGSM(), PGD(steps=5)], ids=repr)
def test_falls_and_agrees_with_single_measurements(digits, digits_model, attack):
    few, grid = digits.rows(np.arange(150)), [0.03, 0.06, 0.1, 0.2]
    curve = robustness_curve(digits_model, few, attack, eps=grid)
    assert (np.diff(curve.values) <= 0).all()
    for point, eps in zip(curve, grid, strict=True):
        alone = robust_accuracy(digits_model, few, attack=attack.at(eps))
        assert point.value == pytest.approx(alone.value, abs=0.04)
        assert point.n == alone.n
        assert point.lower <= point.value <= point.upper


def test_points_can_be_gated(digits, digits_model):
    curve = robustness_curve(digits_model, digits, FGSM(), eps=[0.001, 0.3])
    assert curve[0] > 0.9
    assert (curve[1] > 0.9).status == "FAIL"


def test_the_same_for_any_batch_size(digits, digits_net):
    values = [
        robustness_curve(as_model(digits_net, output="logits", batch_size=size), digits, attack, eps=[0.05, 0.1]).values
        for size in (7, 256)
        for attack in (FGSM(), RandomNoise(draws=3))
    ]
    assert (values[0] == values[2]).all()
    assert (values[1] == values[3]).all()


def test_errors(linear):
    model, data = linear([[0.0], [1.0]]), as_data(np.ones((2, 1)), [1, 1])
    with pytest.raises(InvalidInput, match="budget of its own"):
        robustness_curve(model, data, FGSM(eps=1), eps=[1])
    with pytest.raises(InvalidInput, match=r"increasing budgets"):
        robustness_curve(model, data, FGSM(), eps=[0.2, 0.1])
    for eps in ("0.1", {"x0": 0.1}):
        with pytest.raises(InvalidInput, match=r"eps got .*0\.1.*; a list of increasing budgets"):
            robustness_curve(model, data, FGSM(), eps=eps)
    with pytest.raises(InvalidInput, match="list of increasing budgets"):
        robustness_curve(model, data, FGSM(), eps=[])
    with pytest.raises(InvalidInput, match="list of increasing budgets"):
        robustness_curve(model, data, FGSM(), eps=0.1)
    with pytest.raises(InvalidInput, match="one number for all features"):
        robustness_curve(model, data, FGSM(), eps=[{"x0": 0.1}])
    with pytest.raises(InvalidInput, match="eps got -1"):
        robustness_curve(model, data, FGSM(), eps=[-1])
    with pytest.raises(InvalidInput, match="attack got 'fgsm'"):
        robustness_curve(model, data, "fgsm", eps=[1])
    with pytest.raises(InvalidInput, match="gives no gradients"):
        robustness_curve(as_model(lambda x: x, output="logits"), data, FGSM(), eps=[1])
