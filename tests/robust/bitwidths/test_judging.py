"""Answers beside those of the float model: paired as `degradation` pairs them, with its self-check."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from robust.bitwidths import judging
from robust.bitwidths.judging import open_judge
from robust.bitwidths.settings import Bits, uniform
from robust.bitwidths.simulation import simulate
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Flips, Values
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.settings import Settings, using
from robust.quantization.degradation_paired import degradation


@pytest.mark.parametrize("metric", ["accuracy", "f1", "log_loss", "auc", "brier"])
def test_the_same_numbers_as_degradation(metric, nets):
    judge = open_judge(simulate(nets.onnx, nets.train), nets.test, metric=metric, level=0.95, seed=3)
    setting = uniform(["0", "4", "9"], Bits(weights=3, activations=4), per_channel=True)
    ours = judge.change(judge.reference, judge.answer(setting), name="x")
    theirs = degradation(nets.onnx, judge.simulation.at(setting), nets.test, metric=metric, seed=3)
    assert (ours.value, ours.lower, ours.upper) == (theirs.value, theirs.lower, theirs.upper)
    assert (ours.unit, ours.method, ours.higher_is_better) == (theirs.unit, theirs.method, False)
    assert [e for e in ours.evidence if isinstance(e, Flips)] == [e for e in theirs.evidence if isinstance(e, Flips)]


def test_the_float_model_is_asked_once(nets):
    with using(Settings()):
        simulation = simulate(nets.onnx, nets.train)
        with metered() as meter:
            judge = open_judge(simulation, nets.test, metric="accuracy", level=0.95, seed=0)
            assert meter.forward_rows == 719 + 2 * 64
            answers = [judge.answer(uniform(["4"], Bits(weights=bits), per_channel=True)) for bits in (8, 4, 2)]
            changes = [judge.change(judge.reference, answer, name="x") for answer in answers]
            judge.change(answers[0], answers[2], name="x")
            assert meter.forward_rows == 719 + 2 * 64 + 3 * 719
    assert changes[0].provenance.cost.forward_rows == 719
    assert Fact(name="bytes", value=24_376 - 4608 * 4 + 4608 + 32 * 4) in changes[0].evidence
    (values,) = [item for item in changes[1].evidence if isinstance(item, Values)]
    assert values.names == ("float", "weights 4 bits")


def test_the_control_is_asked_for_once_a_simulation(nets):
    with using(Settings()):
        simulation = simulate(nets.onnx, nets.train)
        one = open_judge(simulation, nets.validation, metric="accuracy", level=0.95, seed=0)
        with metered() as meter:
            other = open_judge(simulation, nets.test, metric="accuracy", level=0.95, seed=0)
    assert meter.forward_rows == 719
    assert other.control is one.control


def test_noise_and_sqnr_by_hand():
    net = nn.Linear(2, 2, bias=False)
    net.weight.data = torch.tensor([[30.0, 10.0], [10.0, 30.0]])
    x = np.array([[1.0, 0.0], [0.0, 1.0]] * 20, dtype=np.float32)
    judge = open_judge(
        simulate(as_model(net), as_data(x)), as_data(x, np.tile([0, 1], 20)), metric="accuracy", level=0.95, seed=0
    )
    # 2 bits: 10 becomes 0, so that half of the outputs are off by 10; around their mean of 20 they are ±10.
    answer = judge.answer(uniform(["Linear"], Bits(weights=2), per_channel=True))
    assert answer.noise == pytest.approx(50 / 100)
    assert answer.sqnr == pytest.approx(10 * math.log10(2))
    assert judge.answer(uniform(["Linear"], Bits(), per_channel=True)).sqnr == math.inf


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_the_control_gives_float_back(name, nets):
    judge = open_judge(simulate(getattr(nets, name), nets.train), nets.test, metric="accuracy", level=0.95, seed=0)
    assert judge.control.passed
    assert "at 24 bits the simulation gives the float answers back" in judge.control.reason


def test_the_control_holds_where_percentiles_cut_off(nets):
    simulation = simulate(nets.torch, nets.train, calibrate="percentile", percentile=80.0)
    assert open_judge(simulation, nets.test, metric="accuracy", level=0.95, seed=0).control.passed


def test_a_broken_simulation_decides_nothing(nets, monkeypatch):
    simulation = simulate(nets.torch, nets.train)
    layer = simulation.layers[1]
    wrong = tuple(1.5 * weight.values for weight in layer.weights)
    simulation._rounded[layer.name, judging._CONTROL, True] = wrong
    judge = open_judge(simulation, nets.test, metric="accuracy", level=0.95, seed=0)
    m = judge.change(judge.reference, judge.answer(uniform(["4"], Bits(weights=8), per_channel=True)), name="x")
    verdict = m < 0.01
    assert verdict.status == "INVALID"
    assert "does not give the float answers back" in str(verdict)


def test_outliers_do_not_make_a_simulation_invalid():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    net[0].weight.data[0, 0] = 3e4
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    judge = open_judge(
        simulate(as_model(net, output="logits"), as_data(x)),
        as_data(x, np.arange(200) % 3),
        metric="accuracy",
        level=0.95,
        seed=0,
    )
    assert judge.control.passed


def test_regression_and_its_relative_unit():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).eval()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    with torch.no_grad():
        y = net(torch.from_numpy(x)).numpy().ravel() + rng.normal(size=300, scale=0.1)
    judge = open_judge(
        simulate(as_model(net, output="values"), as_data(x)), as_data(x, y), metric="rmse", level=0.9, seed=0
    )
    m = judge.change(judge.reference, judge.answer(uniform(["0", "2"], Bits(weights=3), per_channel=True)), name="x")
    assert m.unit == "relative"
    assert m.lower > 0


def test_coarse_outputs_mean_what_the_float_models_do(nets):
    """At 2 bits logits may happen to look like something else: what the float model's are is kept."""
    judge = open_judge(simulate(nets.onnx, nets.train), nets.test, metric="log_loss", level=0.95, seed=0)
    told = judge.answer(uniform(["0", "4", "9"], Bits(weights=2, activations=2), per_channel=False))
    assert told.scored.predictions.kind == judge.reference.scored.predictions.kind == "logits"


def test_a_callable_metric_is_told_another_way(nets):
    with pytest.raises(InvalidInput, match=r"a metric's name would be right \(for a callable: degradation\(model"):
        open_judge(simulate(nets.onnx, nets.train), nets.test, metric=len, level=0.95, seed=0)
