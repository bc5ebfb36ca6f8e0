"""A fault in one layer's scale or zero point is found in that layer, and not in those that suffer from it."""

import math

import onnx
import pytest
from onnx import numpy_helper

from robust.layers.layer_error import layer_errors


def guilty(float_model, kind, name, entry="x"):
    """Point of the float graph where a fault shows first: the layer with the weight, or the one that makes the tensor.

    What only hands numbers on, such as Flatten, is a part of the layer that follows it.
    """
    makers = {output: node for node in float_model.graph.node for output in node.output}
    readers = {source: node for node in float_model.graph.node for source in node.input}
    if kind == "weight":
        name = readers[name.removeprefix("ConvBnFusion_W_")].output[0]
    if name == entry:
        return "(input)"
    if makers[name].op_type in ("Flatten", "Reshape"):
        name = readers[name].output[0]
    while name in readers and readers[name].op_type in ("Relu", "BatchNormalization"):
        name = readers[name].output[0]
    return name


def assert_found(float_model, found, kind, name, entry="x"):
    wanted = guilty(float_model, kind, name, entry)
    assert found.worst.point == wanted, (kind, name, [(row.label, row.own_sqnr) for row in found.ranking])
    assert found.ranking[1].own_sqnr > found.worst.own_sqnr + 1  # dB: no tie


@pytest.mark.parametrize("seed", range(20))
def test_digits(digits, x, nets, tmp_path, seed):
    content, kind, name = nets.planted((digits / "int8.onnx").read_bytes(), seed)
    found = layer_errors(digits / "float.onnx", nets.saved(content, tmp_path), x)
    assert_found(onnx.load(digits / "float.onnx"), found, kind, name, entry="image")


@pytest.fixture(scope="module")
def deep(nets, tmp_path_factory):
    """Float and int8 builds of perceptrons of five to eight layers, and of a net with a sum and a concatenation."""
    built = {}

    def build(seed):
        if seed not in built:
            folder = tmp_path_factory.mktemp("deep")
            model = nets.cnn(seed) if seed % 2 else nets.mlp(seed, depth=5 + seed % 4)
            content = nets.quantized(model, nets.rows_of(model, seed, 256), folder)
            built[seed] = model, content, nets.saved(model, folder, "float.onnx")
        return built[seed]

    return build


@pytest.mark.parametrize("seed", range(20))
def test_deeper_nets(deep, nets, tmp_path, seed):
    model, honest, path = deep(seed % 8)
    content, kind, name = nets.planted(honest, seed)
    found = layer_errors(path, nets.saved(content, tmp_path), nets.rows_of(model, 100 + seed))
    assert_found(model, found, kind, name)


def test_successors_suffer_but_are_not_blamed(digits, x, nets, tmp_path):
    model = onnx.load(digits / "int8.onnx")
    scale = numpy_helper.to_array(nets.initialiser(model, "0.weight_scale"))
    nets.replaced(model, "0.weight_scale", 2 * scale)
    model_file = nets.saved(model, tmp_path)
    honest = layer_errors(digits / "float.onnx", digits / "int8.onnx", x)
    found = layer_errors(digits / "float.onnx", model_file, x)
    before, after = ({row.layer: row for row in one.rows} for one in (honest, found))
    # The accumulated error is bad from there on; its own is bad in that layer alone, but for what saturates.
    assert after["0"].sqnr < 10
    assert after["4"].sqnr < 10 < 30 < before["4"].sqnr
    assert found.worst.layer == "0"
    assert after["4"].own_sqnr > after["0"].own_sqnr + 10
    # Of weights that are twice too large the ratio is that of 1 to 1, give or take what they had before.
    assert after["0"].weight_sqnr == pytest.approx(0.0, abs=0.1)
    assert after["4"].weight_sqnr == before["4"].weight_sqnr
    assert "0 (Conv)" in found.findings[0]
    assert "which is most of it" in found.findings[0]


@pytest.mark.parametrize("factor", [4, 16])
def test_a_coarser_grid_costs_as_many_decibels_as_it_is_coarser(digits, x, nets, tmp_path, factor):
    # Scale and zero point both stay consistent: nothing is wrong but the width of a step, so that noise grows with it.
    model = onnx.load(digits / "int8.onnx")
    nets.replaced(model, "logits_scale", numpy_helper.to_array(nets.initialiser(model, "logits_scale")) * factor)
    found = layer_errors(digits / "float.onnx", nets.saved(model, tmp_path), x).rows[-1]
    fine = layer_errors(digits / "float.onnx", digits / "int8.onnx", x).rows[-1]
    coarse = 10 * math.log10(10 ** (-fine.own_sqnr / 10) * factor**2)
    # Part of the noise is the weights', which stays; the zero point keeps the grid where it was.
    assert -coarse - 1 < found.own_sqnr < fine.own_sqnr - 20 * math.log10(factor) + 8
