"""The digits network in every build and width: one table, in which two bits fail and eight bits pass."""

import numpy as np
import pytest

from robust import percent
from robust.bitwidths.simulated_model import simulate_bits
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.loading import load_model
from robust.quantization.coverage import coverage_by_layer
from robust.quantization.degradation_paired import degradation
from robust.quantizers.building import quantize

FOLDER = example_path("digits")
UNSEEN = ["position", "ink"]


@pytest.fixture(scope="module")
def reference():
    return load_model(FOLDER / "float.onnx")


@pytest.fixture(scope="module")
def candidates(reference):
    train = load_data(FOLDER / "train.npz", unused=UNSEEN)
    built = {name: quantize(reference, train, calibrate=name) for name in ("minmax", "entropy", "percentile")}
    built["dynamic"] = quantize(reference, train, method="dynamic")
    for bits in (6, 4, 3, 2):
        built[f"{bits} bits"] = simulate_bits(reference, train, weights=bits, activations=bits)
    return built


@pytest.fixture(scope="module")
def found(reference, candidates):
    return degradation(reference, candidates, load_data(FOLDER / "test.npz", unused=UNSEEN), quantized=True)


def test_eight_bits_pass_and_two_fail(found):
    statuses = {name: (m < percent(1)).status for name, m in found.items()}
    assert {statuses[name] for name in ("minmax", "entropy", "percentile", "dynamic", "6 bits")} == {"PASS"}
    assert statuses["2 bits"] == "FAIL"
    assert found["2 bits"].value > 0.3


def test_fewer_bits_lose_more(found):
    values = [found[f"{bits} bits"].value for bits in (6, 4, 3, 2)]
    assert values == sorted(values)


def test_the_table_has_loss_bounds_flips_coverage_and_size(found, candidates):
    head, *lines = found.table().splitlines()
    for column in ("degradation", "lower", "upper", "right->wrong", "wrong->right", "weights", "MACC", "ROM"):
        assert column in head
    assert [line.split("  ")[0] for line in lines[:-2]] == list(candidates)
    assert all(line.count("100 %") == 2 and line.endswith(" B") for line in lines[:-2])
    assert "24,376 B" in lines[-2]
    assert " -  " not in "".join(lines[:-2])


def test_a_simulated_build_holds_what_it_would_hold(candidates):
    coverage = coverage_by_layer(candidates["4 bits"])
    assert (coverage.weights, coverage.macc, coverage.simulated) == (1.0, 1.0, True)
    assert [(layer.name, layer.bits, layer.macc) for layer in coverage.layers] == [
        ("0", 4, 9216),
        ("4", 4, 73728),
        ("9", 4, 1280),
    ]
    # 6,032 weights of half a byte, 58 scales and as many biases of 4 bytes, and the 16 bytes of a Reshape's shape.
    assert candidates["4 bits"].held.rom == 3016 + 4 * 58 + 4 * 58 + 16
    assert "rounded to 8 bits or fewer in floating point" in str(coverage)


def test_rounding_the_weights_alone_leaves_no_integer_products(reference):
    rows = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 1, 8, 8)
    coverage = coverage_by_layer(simulate_bits(reference, rows, weights={"4": 8}, activations=None))
    assert (coverage.weights, coverage.macc) == (pytest.approx(4608 / 6032), 0.0)
