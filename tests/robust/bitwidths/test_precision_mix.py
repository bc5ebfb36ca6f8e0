"""Mixed precision: chosen on validation rows alone, judged on others, planted layers kept at more bits."""

import itertools
import math

import numpy as np
import pytest
from torch import nn

from robust.bitwidths import precision_mix
from robust.bitwidths.judging import open_judge
from robust.bitwidths.precision_mix import mixed_precision
from robust.bitwidths.precision_search import ParetoPoint, choose, search, setting_of
from robust.bitwidths.settings import Bits
from robust.bitwidths.simulated_model import simulate_bits
from robust.bitwidths.simulation import simulate
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Fact, Finding
from robust.limits import percent
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation
from robust.report.charts import still


@pytest.fixture(scope="module")
def mix(nets):
    return mixed_precision(nets.onnx, nets.train, nets.validation, nets.test, limit=percent(1))


def test_the_choice_on_digits(mix):
    assert mix.degradation < percent(1)
    assert mix.size < 0.25 * mix.float_size
    assert mix.float_size == 24_376


def test_the_loss_is_that_of_the_choice_on_the_test_rows(nets):
    mix = mixed_precision(nets.onnx, nets.train, nets.validation, nets.test, budget="3kB")
    candidate = simulate_bits(nets.onnx, nets.train, weights=mix.choice, activations=8)
    theirs = degradation(nets.onnx, candidate, nets.test)
    assert (mix.degradation.value, mix.degradation.upper) == (theirs.value, theirs.upper)
    assert mix.size <= 3000
    for kept in mix.kept:
        narrower = {**mix.choice, kept.layer: kept.instead}
        other = simulate_bits(nets.onnx, nets.train, weights=narrower, activations=8)
        assert kept.recovered.value == pytest.approx(degradation(candidate, other, nets.test).value)
        assert mix.choice[kept.layer] > kept.instead == min(mix.choice.values())
    assert mix.findings[0].endswith("on other rows than those it was chosen on")
    assert "instead of 24.4 kB, degradation" in mix.findings[0]
    assert Finding(text=mix.findings[0]) in mix.degradation.evidence


def test_the_search_sees_the_validation_rows_alone(nets, monkeypatch):
    """Whatever the test rows say, the choice is the same."""
    said = {"limit": 0.03, "widths": (8, 4, 3)}
    one = mixed_precision(nets.onnx, nets.train, nets.validation, nets.test, **said)
    wrong = Dataset(name="wrong", x=nets.test.x, y=(nets.test.y + 1) % 10, ids=nets.test.ids, schema=nets.test.schema)
    other = mixed_precision(nets.onnx, nets.train, nets.validation, wrong, **said)
    assert dict(one.choice) == dict(other.choice)
    seen = []
    inner = precision_mix.search
    monkeypatch.setattr(
        precision_mix, "search", lambda judge, *rest, **more: seen.append(judge.data) or inner(judge, *rest, **more)
    )
    mixed_precision(nets.onnx, nets.train, nets.validation, nets.test, **said)
    assert [data.fingerprint for data in seen] == [nets.validation.fingerprint]


def test_pareto_points(mix):
    sizes = [point.size for point in mix.pareto]
    assert sizes == sorted(sizes)
    front = [point.degradation.value for point in mix.pareto if point.optimal]
    assert all(a > b for a, b in itertools.pairwise(front))
    assert {8, 6, 4, 3, 2} <= {
        next(iter(set(p.choice.values()))) for p in mix.pareto if len(set(p.choice.values())) == 1
    }
    assert len({tuple(point.choice.items()) for point in mix.pareto}) == len(mix.pareto)
    assert {point.degradation.n for point in mix.pareto} == {300}
    assert mix.degradation.n == 719
    assert mix.figure.title == "Pareto: size against degradation"
    assert still(mix.figure)
    assert mix.table().count("chosen") == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_sensitive_layer_is_kept_at_more_bits(seed, nets):
    """An outlier behind a dead unit takes the resolution of one layer, and changes no answer of the float model."""
    net = nets.mlp(seed)
    layers = [part for part in net if isinstance(part, nn.Linear)]
    place = 1 + seed % 3
    layers[place - 1].bias.data[3] = -1e4
    layers[place].weight.data[:, 3] = 12.0
    name = next(name for name, part in net.named_children() if part is layers[place])
    x, y = nets.own_rows(net, 2400, (12,), seed)
    mix = mixed_precision(
        as_model(net, output="logits"),
        x[:200],
        (x[200:1200], y[200:1200]),
        (x[1200:], y[1200:]),
        limit=0.12,
        widths=(10, 8, 6, 5, 4),
    )
    assert mix.choice[name] > max(bits for other, bits in mix.choice.items() if other != name)
    kept = next(item for item in mix.kept if item.layer == name)
    assert kept.recovered.lower > 0
    assert (mix.degradation < 0.15).status == "PASS"


def test_a_layer_can_stay_in_float(nets):
    net = nets.mlp(2)
    net[0].bias.data[3] = -1e4
    net[2].weight.data[:, 3] = 1e5
    x, y = nets.own_rows(net, 1200, (12,))
    mix = mixed_precision(
        as_model(net, output="logits"),
        x[:200],
        (x[200:700], y[200:700]),
        (x[700:], y[700:]),
        widths=(32, 8),
        limit=0.1,
        activations=None,
    )
    assert mix.choice["2"] == 32
    assert {bits for name, bits in mix.choice.items() if name != "2"} == {8}
    assert mix.findings[0].startswith("2 in float, others at 8 bits: ")


def test_rows_that_are_shared_are_refused(nets):
    with pytest.raises(
        InvalidInput, match="719 of 719 test rows of test.npz are among the validation rows of test.npz"
    ):
        mixed_precision(nets.onnx, nets.train, nets.test, nets.test)
    some = nets.test.rows(np.arange(300))
    with pytest.raises(InvalidInput, match="300 of 719 test rows of test.npz are among the validation rows"):
        mixed_precision(nets.onnx, nets.train, some, nets.test)


def test_calibration_rows_among_the_test_rows_are_told(nets):
    mix = mixed_precision(nets.onnx, nets.test, nets.validation, nets.test, widths=(8, 4))
    assert any("leakage: 719 of 719 rows" in text for text in mix.findings)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"limit": 0.1, "budget": 9}, "limit and budget are two ways to choose"),
        ({"budget": 100}, "budget got 100 bytes; the smallest setting takes 3496"),
        ({"budget": "much"}, "would be right"),
        ({"limit": math.nan}, "limit got nan; a finite number"),
        ({"by": "luck"}, "by got 'luck'; 'value' or 'upper'"),
        ({"activations": 1}, "activations got 1"),
        ({"widths": (32,)}, "widths got"),
    ],
)
def test_bad_options(said, match, nets):
    with pytest.raises(InvalidInput, match=match):
        mixed_precision(nets.onnx, nets.train, nets.validation, nets.test, **{"widths": (8, 4), **said})


def point(size, value, upper):
    lost = Measurement(name="d", value=value, lower=value - 0.01, upper=upper, n=100, method="m")
    return ParetoPoint(choice={"a": size}, size=size, degradation=lost, optimal=True)


def test_the_rules_by_hand():
    tried = (point(10, 0.05, 0.08), point(20, 0.005, 0.03), point(30, 0.02, 0.021), point(40, 0.0, 0.009))
    assert choose(tried, limit=0.01, budget=None, by="upper")[0].size == 40
    assert choose(tried, limit=0.01, budget=None, by="value")[0].size == 20
    assert choose(tried, limit=0.025, budget=None, by="upper")[0].size == 30
    assert choose(tried, limit=None, budget=35, by="upper")[0].size == 30
    assert choose(tried, limit=None, budget=35, by="value")[0].size == 20
    least, rule = choose(tried, limit=0.001, budget=None, by="upper")
    assert least.size == 40
    assert "no setting has it below 0.001: the rows are too few to prove more" in rule


def test_the_search_tries_few_settings(nets):
    simulation = simulate(nets.onnx, nets.train)
    judge = open_judge(simulation, nets.validation, metric="accuracy", level=0.95, seed=0)
    tried = search(judge, (8, 4, 2), 8, per_channel=True)
    assert len(tried) <= 1 + 3 * 2 + 1
    assert all(set(item.choice) == {"0", "4", "9"} for item in tried)


def test_settings_of_choices():
    assert setting_of({"a": 4, "b": 32}, 8, per_channel=True).layers == {
        "a": Bits(weights=4, activations=8),
        "b": Bits(weights=None, activations=8),
    }
    assert setting_of({"a": 4, "b": 32}, "same", per_channel=True).layers == {
        "a": Bits(weights=4, activations=4),
        "b": Bits(),
    }


def test_what_was_chosen_on_is_told(mix):
    (fact,) = [item for item in mix.degradation.evidence if isinstance(item, Fact) and item.name == "chosen"]
    assert "on validation.npz (300 rows)" in fact.value
    assert mix.degradation.validity[-1].name == "chosen on other rows"


def test_small_layers_can_share_their_bits(nets):
    simulation = simulate(nets.onnx, nets.train)
    judge = open_judge(simulation, nets.validation, metric="accuracy", level=0.95, seed=0)
    tried = search(judge, (8, 4, 2), 8, per_channel=True, separately=2)
    assert all(item.choice["0"] == item.choice["9"] for item in tried)
    assert any(item.choice["4"] != item.choice["0"] for item in tried)
    assert all(list(item.choice) == ["0", "4", "9"] for item in tried)
    (one,) = {len(set(p.choice.values())) for p in search(judge, (8, 4), 8, per_channel=True, separately=1)}
    assert one == 1
    with pytest.raises(InvalidInput, match="separately got 0"):
        mixed_precision(nets.onnx, nets.train, nets.validation, nets.test, separately=0)
