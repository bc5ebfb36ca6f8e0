import logging

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from robust.examples.catalogue import example_path
from robust.quantizers.graphs_onnx import float_graph, prepared
from robust.quantizers.recipe import read_recipe
from robust.quantizers.uncalibrated_onnx import dynamic_model, narrow_weights_model

FLOAT = (example_path("digits") / "float.onnx").read_bytes()


def recipe(method, weight_type=None):
    return read_recipe(
        method=method,
        calibrate="minmax",
        percentile=99.999,
        per_channel=True,
        weight_type=weight_type,
        activation_type=None,
        reduce_range=None,
        keep=(),
    )


@pytest.fixture
def model():
    return prepared(float_graph(FLOAT, "float.onnx"), odd_widths=False)


def kinds(found):
    return [node.op_type for node in found.graph.node]


def stored(found):
    return {tensor.name: tensor for tensor in found.graph.initializer}


@pytest.mark.parametrize(("weight_type", "code"), [("int8", onnx.TensorProto.INT8), ("uint8", onnx.TensorProto.UINT8)])
def test_dynamic_ranges_keep_the_names_of_weights(model, weight_type, code):
    found = dynamic_model(model, recipe("dynamic", weight_type), exclude=[])
    assert kinds(found).count("ConvInteger") == 2
    assert kinds(found).count("MatMulInteger") == 1
    assert {stored(found)[f"{name}.weight_quantized"].data_type for name in "049"} == {code}


def test_excluding_a_gemm_also_excludes_the_product_that_it_becomes(model):
    found = dynamic_model(model, recipe("dynamic"), exclude=["node_linear"])
    assert "MatMulInteger" not in kinds(found)
    assert kinds(found).count("ConvInteger") == 2


@pytest.mark.parametrize(("weight_type", "levels"), [("int4", 16), ("uint4", 16), ("uint8", 256)])
def test_packed_weights_are_the_float_weights_to_half_a_step(model, weight_type, levels):
    want = numpy_helper.to_array(stored(model)["9.weight"])
    found = narrow_weights_model(model, recipe("weight-only", weight_type), exclude=[])
    (node,) = [node for node in found.graph.node if node.op_type == "MatMulNBits"]
    arrays = [numpy_helper.to_array(stored(found)[name]) for name in node.input[1:]]
    packed, scale = arrays[0].astype(int), arrays[1].reshape(10, 4)
    codes = packed if levels == 256 else np.stack([packed & 15, packed >> 4], axis=-1).reshape(10, 4, 32)
    zero = np.full((10, 4), levels // 2)
    if len(arrays) > 2:
        zero = arrays[2].astype(int).reshape(10, -1)
        zero = zero if levels == 256 else np.stack([zero & 15, zero >> 4], axis=-1).reshape(10, 4)
    got = (codes - zero[..., None]) * scale[..., None]
    # At the end of the range, rounding of the zero point costs up to another half step.
    assert np.max(np.abs(got.reshape(10, 128) - want) / np.repeat(np.abs(scale), 32, axis=1)) <= 1.0 + 1e-3


def test_nothing_is_logged_or_configured(model, capsys):
    handlers = list(logging.getLogger().handlers)
    narrow_weights_model(model, recipe("weight-only"), exclude=[])
    assert capsys.readouterr() == ("", "")
    assert list(logging.getLogger().handlers) == handlers
