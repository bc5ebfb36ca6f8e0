"""A curve of a model whose answers are random, of budgets in other units, and of a run that was interrupted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.cache import ArrayCache
from robust.predicting.settings import Settings, using

X = np.linspace(0.5, 3.0, 40)[:, None] * np.where(np.arange(40) % 2, 1.0, -1.0)[:, None]
Y = (X[:, 0] > 0).astype(int)


class Coin:
    """Logits (-x, x) with noise of this size."""

    def __init__(self, size):
        self.size, self.rng = size, np.random.default_rng(0)

    def forward(self, x):
        return np.hstack([-x, x]) + self.size * self.rng.normal(size=(len(x), 2))

    def gradients(self, x, cotangent):
        outputs = self.forward(x)
        flow = cotangent(outputs)
        return outputs, flow[:, 1:] - flow[:, :1]


def coin(size):
    made = Coin(size)
    return as_model(made.forward, gradients=made.gradients, output="logits", name="coin")


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=3), RandomNoise(draws=10)], ids=repr)
def test_no_point_of_a_random_model_passes(attack):
    curve = robustness_curve(coin(0.05), (X, Y), attack, eps=[0.01, 1.0, 4.0])
    assert curve.values[0] == 1.0
    for point in curve:
        check = next(check for check in point.validity if check.name == "randomness")
        assert not check.passed
        assert check.bias == "raises"
    assert (curve.points[0] > 0.2).status == "INVALID"
    # What is broken again and again is a real failure.
    if attack.gradients:
        assert (curve.points[2] > 0.5).status == "FAIL"


def test_points_of_a_model_that_repeats_say_so():
    curve = robustness_curve(coin(0.0), (X, Y), FGSM(), eps=[0.1, 1.0])
    assert all(check.passed for point in curve for check in point.validity if check.name == "randomness")


def test_budgets_in_other_units_are_pointed_out():
    curve = robustness_curve(coin(0.0), as_data(X, Y, schema={"bounds": (-3, 3)}), FGSM(), eps=[0.0, 0.1, 25.0])
    told = [[check.passed for check in point.validity if check.name == "units"] for point in curve]
    assert told == [[], [True], [False]]


@pytest.mark.parametrize("attack", [PGD(steps=5), FGSM(), RandomNoise(draws=20)], ids=repr)
def test_an_interrupted_curve_goes_on_where_it_was(attack, tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    x = np.random.default_rng(0).uniform(-1, 1, size=(700, 2)).astype(np.float32)
    with torch.no_grad():
        data = as_data(x, net(torch.tensor(x)).argmax(dim=1).numpy(), schema={"bounds": (-1, 1)})
    model = as_model(net, output="logits", batch_size=64, name="net")
    counts = {"calls": 0, "stop": -1}

    def counted(function):
        def call(*given):
            counts["calls"] += 1
            if counts["calls"] == counts["stop"]:
                raise KeyboardInterrupt
            return function(*given)

        return call

    watched = replace(model, forward=counted(model.forward), gradients=counted(model.gradients))

    def run(folder=None):
        with using(Settings(cache=ArrayCache(folder=folder))):
            return robustness_curve(watched, data, attack, eps=[0.01, 0.05, 0.2])

    reference, whole = run(), counts["calls"]
    counts.update(calls=0, stop=int(0.8 * whole))
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path)
    assert caught.value.__notes__[0].startswith(f"kept in {tmp_path}: finished rows, ")
    counts.update(calls=0, stop=-1)
    again = run(tmp_path)
    assert counts["calls"] < 0.7 * whole
    np.testing.assert_array_equal(again.values, reference.values)
    for one, other in zip(again, reference, strict=True):
        np.testing.assert_array_equal(one.row_values, other.row_values)
        assert one.validity == other.validity
