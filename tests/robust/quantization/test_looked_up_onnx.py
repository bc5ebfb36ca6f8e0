"""Weights that a file looks up in a stored table, at stored places: as wide as places and table together."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.quantization.coverage_onnx import onnx_layers
from robust.quantization.looked_up_onnx import looked_up

RNG = np.random.default_rng(0)
W = RNG.normal(size=(32, 16)).astype(np.float32)
PALETTE = np.linspace(-1, 1, 16, dtype=np.float32)
CODES = RNG.integers(0, 16, W.shape)
PLACES = np.argwhere(np.ones(W.shape, bool)).reshape(*W.shape, 2)


def layers(nodes, tensors):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None]) for name in ("x", "out")]
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], initialisers)
    return onnx_layers(
        helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString()
    )


def product(kind, table, places, **settings):
    """The layer of x · table[places], whatever type the places are stored in."""
    nodes = [
        helper.make_node(kind, ["table", "to"], ["w"], **settings),
        helper.make_node("MatMul", ["x", "w"], ["out"]),
    ]
    if places.dtype == np.uint8:
        nodes.insert(0, helper.make_node("Cast", ["places"], ["to"], to=TensorProto.INT64))
    (one,) = layers(nodes, {"table": table, "to" if places.dtype != np.uint8 else "places": places})
    return one.weights, one.quantized, one.bits


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_a_palette_is_a_few_bits_a_weight_whatever_type_its_places_have(kind):
    """By hand: 4 bits, and 16 · 32 bits of the palette for 512 weights: one bit more."""
    assert product("Gather", PALETTE, CODES.astype(kind)) == (512, 512, 4)


@pytest.mark.parametrize(
    ("how", "table", "places", "settings"),
    [
        ("Gather", W.reshape(-1), np.arange(512).reshape(W.shape), {}),
        ("Gather", W.reshape(-1)[:256], np.arange(256, dtype=np.uint8).reshape(16, 16), {}),
        ("Gather", W, np.arange(32), {}),
        ("GatherElements", W, np.repeat(np.arange(32)[:, None], 16, 1), {"axis": 0}),
        ("GatherND", W, PLACES, {}),
    ],
)
def test_a_table_as_large_as_the_weights_is_the_weights(how, table, places, settings):
    """The numbers come one by one: their places say nothing."""
    assert product(how, table, places, **settings) == (table.size, 0, 32)


def test_places_in_any_order_take_bits_beside_the_table():
    """By hand: 9 bits tell 512 numbers apart, and the table has 32 for each."""
    assert product("Gather", W.reshape(-1), RNG.permutation(512).reshape(W.shape)) == (512, 0, 41)


def test_a_palette_for_a_few_weights_is_as_wide_as_floats():
    """By hand: 4 bits, and 16 · 32 bits for 32 weights: 20 in all."""
    assert product("Gather", PALETTE, CODES[:2]) == (32, 0, 20)


def test_a_table_of_codes_stays_narrow():
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["table"]),
        helper.make_node("Gather", ["table", "to"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["out"]),
    ]
    tensors = {"q": RNG.integers(-9, 9, W.shape, dtype=np.int8), "s": np.float32(0.1), "to": np.arange(32)}
    (one,) = layers(nodes, tensors)
    assert (one.weights, one.quantized, one.bits) == (512, 512, 8)


def test_two_layers_that_share_a_palette_count_both():
    nodes = [
        helper.make_node("Gather", ["table", "a"], ["u"]),
        helper.make_node("Gather", ["table", "b"], ["v"]),
        helper.make_node("MatMul", ["x", "u"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["out"]),
    ]
    found = layers(nodes, {"table": PALETTE, "a": CODES, "b": CODES.T})
    assert [(one.weights, one.quantized) for one in found] == [(512, 512)] * 2


def test_what_cannot_be_read_is_unknown():
    """Places that an operator works out are no places that a file shows."""
    nodes = [
        helper.make_node("Abs", ["places"], ["to"]),
        helper.make_node("Gather", ["table", "to"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["out"]),
    ]
    (one,) = layers(nodes, {"table": W, "places": np.arange(32)})
    assert one.quantized is None


def test_places_outside_the_table_are_not_read():
    stored = {"t": numpy_helper.from_array(PALETTE), "i": numpy_helper.from_array(np.array([16]))}
    assert looked_up(helper.make_node("Gather", ["t", "i"], ["w"]), stored, {}) is None


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
@pytest.mark.parametrize(("rows", "told"), [(512, (32768, 32768, 3)), (128, (8192, 8192, 6)), (20, (1280, 0, 28))])
def test_a_table_of_vectors_counts_the_numbers_of_the_product(rows, told, kind):
    """By hand: 256 vectors of 4 numbers, (8 · n / 4 + 256 · 4 · 32) / n bits for n = 64 · rows numbers."""
    places = RNG.integers(0, 256, rows * 16).astype(kind)
    nodes = [
        helper.make_node("Cast", ["places"], ["to"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "to"], ["v"]),
        helper.make_node("Reshape", ["v", "shape"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["out"]),
    ]
    table = RNG.normal(size=(256, 4)).astype(np.float32)
    (one,) = layers(nodes, {"table": table, "places": places, "shape": np.array([64, rows])})
    assert (one.weights, one.quantized, one.bits) == told
