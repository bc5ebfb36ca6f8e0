"""Several candidates against one reference: asked once, each by itself or all at once, never compared in silence."""

import functools

import numpy as np
import pytest

from robust import load_data, load_model, percent
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.noise import RandomNoise
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation
from robust.quantization.several_candidates import Degradations

RNG = np.random.default_rng(0)
N = 400
Y = np.arange(N) % 4
X = RNG.normal(size=(N, 4)) + 2.5 * np.eye(4)[Y]


def build(noise, name="m"):
    return as_model(lambda x: x + noise * np.sin(1e3 * x), output="logits", name=name)


def several(**options):
    return degradation(build(0.0), {"fine": build(0.1), "coarse": build(2.0)}, as_data(X, Y), **options)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "log_loss"])
def test_each_is_what_it_is_alone(metric):
    found = several(metric=metric, seed=3)
    assert isinstance(found, Degradations)
    assert list(found) == ["fine", "coarse"]
    assert len(found) == 2
    for name, noise in (("fine", 0.1), ("coarse", 2.0)):
        alone = degradation(build(0.0), build(noise), as_data(X, Y), metric=metric, seed=3)
        assert isinstance(found[name], Measurement)
        assert (found[name].value, found[name].lower, found[name].upper) == (alone.value, alone.lower, alone.upper)
        assert found[name].evidence == alone.evidence
        assert found[name].provenance.cost.forward_rows == alone.provenance.cost.forward_rows == 2 * N
    with pytest.raises(KeyError, match="'int4' is no candidate; there are 'fine', 'coarse'"):
        found["int4"]


def test_the_reference_is_asked_once():
    calls = []

    def forward(x):
        calls.append(len(x))
        return x

    reference = as_model(forward, output="logits")
    degradation(reference, build(0.1), as_data(X, Y))
    once = sum(calls)
    calls.clear()
    found = degradation(reference, {str(i): build(0.1 * i) for i in range(5)}, as_data(X, Y))
    assert sum(calls) == once
    found.simultaneous()
    assert sum(calls) == once
    calls.clear()
    attack = functools.partial(robust_accuracy, attack=RandomNoise(eps=0.1, draws=5))
    degradation(reference, build(0.1), as_data(X, Y), metric=attack)
    once = sum(calls)
    calls.clear()
    degradation(reference, {str(i): build(0.1 * i) for i in range(3)}, as_data(X, Y), metric=attack)
    assert sum(calls) == once


def test_simultaneous_bounds_are_those_of_bonferronis_level():
    found = several().simultaneous()
    assert found.level == 0.975
    for name, noise in (("fine", 0.1), ("coarse", 2.0)):
        alone = degradation(build(0.0), build(noise), as_data(X, Y), level=0.975)
        assert (found[name].lower, found[name].upper, found[name].level) == (alone.lower, alone.upper, 0.975)
        assert found[name].upper > several()[name].upper


def test_to_compare_them_all_with_one_number_is_refused_by_name():
    found = several()
    for compare in (
        lambda: found < percent(1),
        lambda: found <= percent(1),
        lambda: found > percent(1),
        lambda: found == 0.0,
        lambda: found != 0.0,
        lambda: bool(found),
        lambda: percent(1) > found,
        lambda: np.float64(0.01) > found,
    ):
        with pytest.raises(TypeError, match=r"assert each, e\.g\. degradations\['fine'\] < percent\(1\)"):
            compare()
    assert {(m < percent(1)).status for m in found.values()} == {"INCONCLUSIVE", "FAIL"}
    assert found == found
    with pytest.raises(TypeError):
        found.measured["fine"] = None


def test_the_table_of_the_digits_example():
    folder = example_path("digits")
    data = load_data(folder / "test.npz")
    float_model = load_model(folder / "float.onnx")
    table = str(degradation(float_model, {"int8": load_model(folder / "int8.onnx"), "same": float_model}, data))
    head, int8, same, reference, note = table.splitlines()
    assert head.split() == [
        *("candidate", "value", "degradation", "lower", "upper", "right->wrong", "wrong->right"),
        *("weights", "MACC", "ROM"),
    ]
    assert int8.split()[0] == "int8"
    assert int8.endswith("100 %  100 %   7,054 B")
    assert same.endswith("0 %    0 %  24,376 B")
    assert reference.split()[:2] == ["(reference)", "0.9930"]
    assert note == "degradation in share, positive is worse; each bound one-sided at 95 %, n=719"
    assert "PASS" not in table


def test_what_cannot_be_read_is_a_dash():
    row = several().table().splitlines()[1]
    assert row.split()[-3:] == ["-", "-", "-"]
    y = RNG.normal(size=50)
    old, new = (as_model(lambda x, j=j: x[:, j], task="regression") for j in (0, 1))
    row = degradation(old, {"b": new}, (np.c_[y, y + 0.1], y + 0.3), metric="rmse").table().splitlines()[1]
    assert row.split()[-5:] == ["-"] * 5


@pytest.mark.parametrize("candidates", [{}, {1: build(0.1)}])
def test_candidates_have_names(candidates):
    with pytest.raises(InvalidInput, match="at least one, by name, would be right"):
        degradation(build(0.0), candidates, as_data(X, Y))


def test_a_candidate_that_does_not_fit_is_named():
    wide = as_model(lambda x: np.c_[x, x[:, 0]], output="logits", name="wide")
    with pytest.raises(InvalidInput, match="know different classes: m .* wide"):
        degradation(build(0.0), {"fine": build(0.1), "wide": wide}, as_data(X, Y))


def test_the_type_checker_is_told_which_it_is():
    import typing

    from robust.quantization import degradation_paired

    told = typing.get_overloads(degradation_paired.degradation)
    assert [typing.get_type_hints(one)["return"] for one in told] == [Degradations, Measurement]
