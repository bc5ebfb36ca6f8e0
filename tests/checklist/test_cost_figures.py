"""E24 and E25: what a model costs, layer by layer."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper

from robust import KiB, cost, latency, load_model
from robust.costing.device import cycles_per_macc, device_share
from robust.evidence import Figure


@pytest.fixture
def network(save_onnx, folder):
    """8×8 image, convolution of 4 filters of 3×3 without padding, ReLU, dense layer to 10, float."""
    rng = np.random.default_rng(0)
    weights = {
        "k": rng.normal(size=(4, 1, 3, 3)).astype("f4"),
        "kb": np.zeros(4, "f4"),
        "w": rng.normal(size=(144, 10)).astype("f4"),
        "b": np.zeros(10, "f4"),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k", "kb"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], name="dense"),
    ]
    real = TensorProto.FLOAT
    return save_onnx(folder / "net.onnx", nodes, [("x", real, [1, 1, 8, 8])], [("y", real, [1, 10])], weights)


#: By hand: 36 places × 4 filters × 9 weights; 144 × 10.
CONV, DENSE = 36 * 4 * 9, 144 * 10


def test_E24_macc_by_hand_layer_by_layer(network, run):
    found = cost(network)
    assert int(found.macc) == CONV + DENSE
    assert {layer.kind: layer.macc for layer in found.layers if layer.macc} == {"Conv": CONV, "Gemm": DENSE}
    code, text = run("cost", network, "--macc", CONV + DENSE)
    assert code == 0
    assert f"MACC        {CONV + DENSE:,} a sample" in text
    assert "there is no theoretical relation between them and the time or energy of a run" in text
    assert run("cost", network, "--macc", CONV + DENSE - 1)[0] == 1


def test_E24_macc_does_not_depend_on_the_format(classifier, folder):
    full, int8 = classifier(folder / "a.onnx"), classifier(folder / "b.onnx", integer="int8")
    assert int(cost(full).macc) == int(cost(int8).macc) == 24


def test_E24_time_of_a_run_and_of_each_layer_and_cycles(network):
    found = latency(load_model(network, output="logits"), np.zeros((1, 1, 8, 8), np.float32), runs=10)
    assert found.n == 10
    assert 0 < found.lower <= found.value <= found.upper
    (figure,) = [item for item in found.evidence if isinstance(item, Figure) and item.title == "Time by layer"]
    # The runtime renames some layers, and adds some: their kinds stay.
    assert {name.rpartition("(")[2].rstrip(")") for name in figure.columns[0].values} >= {"Conv", "Gemm"}
    # The published run: 35062 cycles in 0.351 ms at 100 MHz, 8.74 cycles a MACC.
    assert cycles_per_macc(35062 / 8.74, 35062 / 100e6, 100e6) == pytest.approx(8.74)
    assert cycles_per_macc(1_000_000, 0.09, 100e6) == pytest.approx(9)


def test_E25_rom_and_ram_by_hand(network, run):
    found = cost(network)
    assert int(found.rom) == 4 * (36 + 4 + 1440 + 10)
    # The ReLU writes over its input: the image and the convolution's output are the most that lives at once.
    assert int(found.ram) == 4 * (64 + 144)
    assert int(found.ram_without_io) == 4 * 144
    assert found.rom < 6 * KiB
    assert not found.rom < 5 * KiB
    text = run("cost", network)[1]
    assert "832 bytes (0.8 KiB) with inputs and outputs" in text
    assert "576 bytes (0.6 KiB) without them" in text


def test_E25_integers_are_counted_at_their_stored_width(save_onnx, folder):
    weights = {"q": np.ones((6, 4), np.int8), "s": np.float32(0.1), "z": np.int8(0)}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    real = TensorProto.FLOAT
    found = cost(save_onnx(folder / "q.onnx", nodes, [("x", real, [1, 6])], [("y", real, [1, 4])], weights))
    assert int(found.rom) == 24 + 4 + 1
    assert int(found.macc) == 24
    assert int(found.ram) == 4 * (6 + 4)  # dequantized weights are no activation


def test_E25_shares_of_a_device(network, run, folder):
    found = cost(network)
    shares = device_share(found.rom, found.ram, flash_bytes=59600, ram_bytes=8320)
    assert (shares.flash.value, shares.ram.value) == pytest.approx((0.1, 0.1))
    code, text = run("cost", network, "--flash", "5KiB", "--ram", "1KiB", "--json")
    budgets = {item["name"]: item["status"] for item in json.loads(text)["budgets"]}
    assert (code, budgets) == (1, {"rom": "FAIL", "ram": "PASS"})
