"""Weight storage read from graphs that are built here, node by node, and from the bundled int8 build."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, quantize_dynamic, quantize_static

from robust.examples.catalogue import example_path
from robust.models.base import Model
from robust.models.loading import load_model
from robust.quantization.coverage import coverage_by_layer, quantized_coverage
from robust.quantization.coverage_onnx import initialiser_coverage, onnx_layers


def graph(nodes, tensors):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "out")]
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], initialisers)
    return helper.make_model(made).SerializeToString()


WIDE, NARROW = np.ones((4, 3), np.float32), np.ones((4, 3), np.int8)
SCALE, ZERO = np.float32(0.1), np.int8(0)


def node(kind, *inputs, out="out"):
    return helper.make_node(kind, list(inputs), [out])


@pytest.mark.parametrize(
    ("nodes", "tensors", "share"),
    [
        ([node("MatMul", "x", "w")], {"w": WIDE}, 0.0),
        ([node("DequantizeLinear", "w", "s", out="d"), node("MatMul", "x", "d")], {"w": NARROW, "s": SCALE}, 1.0),
        (
            [
                node("DequantizeLinear", "w", "s", out="d"),
                node("Transpose", "d", out="t"),
                node("Gemm", "x", "t", "b"),
            ],
            {"w": NARROW, "s": SCALE, "b": np.ones(3, np.float32)},
            1.0,  # the bias stays wide by design
        ),
        (
            # A float weight that is rounded on the way: kernels fold it into integers when they load it.
            [
                node("QuantizeLinear", "w", "s", "z", out="q"),
                node("DequantizeLinear", "q", "s", "z", out="d"),
                node("MatMul", "x", "d"),
            ],
            {"w": WIDE, "s": SCALE, "z": ZERO},
            1.0,
        ),
        (
            [node("MatMul", "x", "w", out="h"), node("DequantizeLinear", "v", "s", out="d"), node("MatMul", "h", "d")],
            {"w": np.ones((3, 3), np.float32), "v": np.ones((3, 9), np.int8), "s": SCALE},
            0.75,
        ),
        ([node("MatMulInteger", "x", "w")], {"w": NARROW}, 1.0),
        # One tensor used twice counts once.
        ([node("MatMul", "x", "w", out="h"), node("MatMul", "h", "w")], {"w": np.ones((3, 3), np.float32)}, 0.0),
        ([node("Relu", "x")], {}, None),
        ([node("MatMul", "x", "x")], {}, None),
    ],
)
def test_share_of_narrow_weights(nodes, tensors, share):
    assert initialiser_coverage(graph(nodes, tensors)) == share


def test_a_chain_that_never_ends_in_a_stored_tensor():
    nodes = [node("Transpose", "x", out="t"), node("MatMul", "x", "t")]
    assert initialiser_coverage(graph(nodes, {})) is None


FLOATS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
CODES = np.arange(12, dtype=np.int8).reshape(4, 3)
COLUMN = np.ones((4, 1), np.float32)
FLAT_CODES = {"q": CODES.reshape(-1), "to": np.array([4, 3])}
UP = node("Cast", "q", out="c")
HEAD = [node("DequantizeLinear", "v", "s", out="vd"), node("MatMul", "h", "vd")]


@pytest.mark.parametrize(
    ("nodes", "tensors", "share"),
    [
        # A float weight through a mask, a mean, two halves, a residual: float, whatever is beside it.
        ([node("Mul", "w", "m", out="d")], {"m": (FLOATS > 0).astype(np.float32)}, 0.5),
        ([node("Sub", "w", "one", out="c"), node("Mul", "c", "s", out="d")], {"one": np.float32(1)}, 0.5),
        ([node("Concat", "a", "b", out="d")], {"a": FLOATS[:2], "b": FLOATS[2:]}, 0.5),
        ([node("DequantizeLinear", "q", "s", out="c"), node("Add", "c", "w", out="d")], {"q": CODES}, 0.5),
        (
            [UP, node("Mul", "c", "z", out="e"), node("Add", "e", "w", out="d")],
            {"q": CODES},
            0.5,
        ),
        # Flat ones that become matrices, as initializers and as constants.
        ([node("Reshape", "flat", "to", out="d")], {"flat": FLOATS.reshape(-1), "to": np.array([4, 3])}, 0.5),
        ([node("DequantizeLinear", "q", "s", out="c"), node("Reshape", "c", "to", out="d")], FLAT_CODES, 1.0),
        # Whole numbers that are made floating ones and scaled by hand.
        ([UP, node("Mul", "c", "s", out="d")], {"q": CODES}, 1.0),
        (
            [node("Cast", "q", out="c"), node("Mul", "c", "col", out="d")],
            {"q": CODES, "col": np.ones((4, 1), np.float32)},
            1.0,
        ),
        # Neighbours in a graph are no weights.
        ([node("Cast", "q", out="d")], {"q": np.eye(4, 3, dtype=np.uint8)}, 1.0),
    ],
)
def test_a_factor_is_made_of_what_it_is_made_of(nodes, tensors, share):
    nodes = [helper.make_node(n.op_type, n.input, n.output, axis=0) if n.op_type == "Concat" else n for n in nodes]
    nodes = [helper.make_node(n.op_type, n.input, n.output, to=1) if n.op_type == "Cast" else n for n in nodes]
    tensors = {"w": FLOATS, "s": SCALE, "z": np.float32(0), "v": np.arange(12, dtype=np.int8).reshape(3, 4), **tensors}
    assert initialiser_coverage(graph([*nodes, node("MatMul", "x", "d", out="h"), *HEAD], tensors)) == share


def blocked(array, scales, block):
    """A MatMul by codes that have a scale for each block of rows."""
    unpack = helper.make_node("DequantizeLinear", ["q", "s"], ["d"], axis=0, block_size=block)
    return layers([unpack, node("MatMul", "x", "d")], {"q": array, "s": scales})["MatMul_1"]


@pytest.mark.parametrize(("kind", "block", "bits"), [("f4", 1, 40), ("f4", 2, 24), ("f2", 2, 16), ("f4", 8, 8)])
def test_scales_of_blocks_are_a_part_of_each_weight(kind, block, bits):
    """By hand: 8 bits and those of a scale, which 1, 2 or 8 weights share; from 16 bits on it is a float build."""
    layer = blocked(np.ones((16, 3), np.int8), np.full((16 // block, 3), 0.1, kind), block)
    assert (layer.bits, layer.quantized) == (bits, 48 if bits == 8 else 0)


@pytest.mark.parametrize("rows", [2, 1])
def test_scales_of_channels_come_out_of_the_sum(rows):
    """A float for each two weights, or for each, but the products are those of integers."""
    unpack = helper.make_node("DequantizeLinear", ["q", "s"], ["d"], axis=1)
    tensors = {"q": CODES[:rows], "s": np.full(3, 0.1, np.float32)}
    (layer,) = layers([unpack, node("MatMul", "x", "d")], tensors).values()
    assert (layer.bits, layer.quantized) == (8, 3 * rows)


HIGH = [helper.make_node("Cast", ["hi"], ["h"], to=1), node("Mul", "h", "256", out="up")]
LOW = [helper.make_node("Cast", ["lo"], ["l"], to=1)]


@pytest.mark.parametrize("shape", [(4, 3), (12,), (12, 1)])
def test_two_bytes_of_a_number_are_a_number_of_two_bytes(shape):
    nodes = [*HIGH, *LOW, node("Add", "up", "l", out="sum"), node("Reshape", "sum", "to", out="d")]
    tensors = {"hi": CODES.reshape(shape), "lo": CODES[::-1].reshape(shape), "256": np.float32(256)}
    (layer,) = layers([*nodes, node("MatMul", "x", "d")], {**tensors, "to": np.array([4, 3])}).values()
    assert (layer.bits, layer.quantized) == (16, 0)


def test_two_halves_of_a_matrix_are_no_wider_than_each():
    both = helper.make_node("Concat", ["hi", "lo"], ["q"], axis=0)
    nodes = [both, node("DequantizeLinear", "q", "s", out="d"), node("MatMul", "x", "d")]
    (layer,) = layers(nodes, {"hi": CODES, "lo": CODES, "s": SCALE}).values()
    assert (layer.weights, layer.bits, layer.quantized) == (24, 8, 24)


@pytest.mark.parametrize("zero", [np.float32(0), np.zeros((1, 3), np.float32)])
def test_a_multiple_of_zero_does_not_count(zero):
    nodes = [
        node("DequantizeLinear", "v", "s", out="d"),
        node("MatMul", "x", "d", out="q"),
        node("Mul", "q", "z", out="n"),
    ]
    nodes += [node("MatMul", "x", "w", out="h"), node("Add", "h", "n")]
    tensors = {"w": WIDE, "v": CODES, "s": SCALE}
    assert initialiser_coverage(graph(nodes, {**tensors, "z": zero})) == 0.0
    assert initialiser_coverage(graph(nodes, {**tensors, "z": zero + np.float32(1)})) == 0.5


@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.bool_])
def test_a_mask_is_no_weight(kind):
    """By hand: 4 · 3 weights of 8 bits, as without it."""
    nodes = [node("DequantizeLinear", "q", "s", out="c"), helper.make_node("Cast", ["mask"], ["m"], to=1)]
    tensors = {"q": CODES, "s": SCALE, "mask": (FLOATS > 0).astype(kind)}
    (layer,) = layers([*nodes, node("Mul", "c", "m", out="d"), node("MatMul", "x", "d")], tensors).values()
    assert (layer.weights, layer.quantized, layer.bits) == (12, 12, 8)


@pytest.mark.parametrize("between", ["Mul", "Sub"])
def test_products_and_distances_that_are_written_number_by_number(between):
    nodes = [node("Unsqueeze", "x", "axes", out="pairs"), node(between, "pairs", "w", out="p")]
    nodes += [node("Mul", "p", "p", out="pp"), node("ReduceSum", "pp", "axes", out="h"), *HEAD]
    tensors = {"w": FLOATS.T, "v": CODES.reshape(3, 4), "s": SCALE, "axes": np.array([1])}
    assert initialiser_coverage(graph(nodes, tensors)) == 0.5
    gain = [node("Mul", "x", "w", out="h"), *HEAD]
    assert initialiser_coverage(graph(gain, tensors)) == 1.0  # a gain of each number is no weight


def test_a_constant_of_a_list_of_numbers():
    listed = helper.make_node("Constant", [], ["flat"], value_floats=FLOATS.reshape(-1).tolist())
    nodes = [listed, node("Reshape", "flat", "to", out="d"), node("MatMul", "x", "d", out="h"), *HEAD]
    tensors = {"to": np.array([4, 3]), "s": SCALE, "v": CODES.reshape(3, 4)}
    assert initialiser_coverage(graph(nodes, tensors)) == 0.5


def test_a_weight_that_is_rounded_by_hand_is_unknown():
    nodes = [node("Mul", "w", "s", out="c"), node("Round", "c", out="r"), node("Mul", "r", "s", out="d")]
    (layer,) = onnx_layers(graph([*nodes, node("MatMul", "x", "d")], {"w": FLOATS, "s": SCALE}))
    assert (layer.weights, layer.quantized) == (12, None)


def test_what_nothing_reads_does_not_count():
    unread = [node("DequantizeLinear", "v", "s", out="d"), node("MatMul", "x", "d", out="unread")]
    tensors = {"w": WIDE, "v": np.ones((4, 90), np.int8), "s": SCALE}
    assert initialiser_coverage(graph([node("MatMul", "x", "w"), *unread], tensors)) == 0.0


def test_the_bundled_builds():
    folder = example_path("digits")
    # All convolution weights and the last layer: nothing wide is left.
    assert quantized_coverage(load_model(folder / "int8.onnx")) == pytest.approx(1.0, abs=0.05)
    assert quantized_coverage(load_model(folder / "float.onnx")) == 0.0


def test_what_cannot_be_read_is_unknown():
    model = Model(name="m", framework="onnx", forward=lambda x: x)
    assert quantized_coverage(model) is None
    assert quantized_coverage(Model(name="m", framework="torch", forward=lambda x: x)) is None


# --- layer by layer --------------------------------------------------------------------------------------------------


def layers(nodes, tensors):
    return {layer.name: layer for layer in onnx_layers(graph(nodes, tensors))}


def test_weights_alone_quantized_are_no_integer_products():
    nodes = [node("DequantizeLinear", "fc.weight", "s", out="d"), node("MatMul", "x", "d")]
    (layer,) = layers(nodes, {"fc.weight": NARROW, "s": SCALE}).values()
    assert (layer.name, layer.weights, layer.quantized, layer.bits, layer.integer) == ("fc", 12, 12, 8, False)


def test_both_factors_out_of_integers():
    nodes = [
        node("QuantizeLinear", "x", "s", "z", out="xq"),
        node("DequantizeLinear", "xq", "s", "z", out="xd"),
        node("Reshape", "xd", "shape", out="flat"),
        node("DequantizeLinear", "fc.weight", "s", out="d"),
        node("Gemm", "flat", "d", "fc.bias"),
    ]
    tensors = {"fc.weight": NARROW, "s": SCALE, "z": ZERO, "fc.bias": np.ones(3, np.float32), "shape": np.array([1, 4])}
    (layer,) = layers(nodes, tensors).values()
    assert layer.integer
    assert not layer.simulated


def test_what_is_rounded_on_its_way_is_simulated():
    nodes = [
        node("QuantizeLinear", "fc.weight", "s", "z", out="q"),
        node("DequantizeLinear", "q", "s", "z", out="d"),
        node("MatMul", "x", "d"),
    ]
    (layer,) = layers(nodes, {"fc.weight": WIDE, "s": SCALE, "z": ZERO}).values()
    assert (layer.bits, layer.simulated) == (8, True)


@pytest.mark.parametrize(("kind", "width"), [(np.int16, 16), (np.uint16, 16), (np.uint8, 8)])
def test_a_weight_that_is_rounded_on_its_way_has_the_bits_of_the_zero_point(kind, width):
    nodes = [
        node("QuantizeLinear", "fc.weight", "s", "z", out="q"),
        node("DequantizeLinear", "q", "s", "z", out="d"),
        node("MatMul", "x", "d"),
    ]
    (layer,) = layers(nodes, {"fc.weight": WIDE, "s": SCALE, "z": kind(0)}).values()
    assert (layer.bits, layer.quantized) == (width, 12 if width == 8 else 0)


def test_a_table_of_small_integers_that_nobody_unpacks_is_no_weight():
    table = {"t": NARROW, "s": SCALE}
    assert layers([node("Gather", "t", "x")], table) == {}
    (layer,) = layers([node("Gather", "t", "x", out="g"), node("DequantizeLinear", "g", "s")], table).values()
    assert (layer.weights, layer.quantized) == (12, 12)


def test_products_of_two_activations_have_no_weights():
    (layer,) = layers([node("MatMul", "x", "x")], {}).values()
    assert (layer.weights, layer.bits, layer.integer) == (0, None, False)


def test_sixteen_bits_are_no_quantization():
    (layer,) = layers([node("MatMul", "x", "fc.weight")], {"fc.weight": WIDE.astype(np.float16)}).values()
    assert (layer.bits, layer.quantized) == (16, 0)


def test_packed_weights_count_by_their_numbers_and_not_by_their_bytes():
    packed = helper.make_node(
        "MatMulNBits", ["x", "fc.weight_Q4", "s"], ["out"], domain="com.microsoft", K=32, N=6, bits=4, block_size=16
    )
    (layer,) = layers([packed], {"fc.weight_Q4": np.ones((6, 2, 8), np.uint8), "s": np.ones(12, np.float32)}).values()
    assert (layer.name, layer.weights, layer.quantized, layer.bits, layer.integer) == ("fc", 192, 192, 4, False)


def test_embeddings_are_weights_that_nothing_multiplies():
    found = layers([node("Gather", "words.weight", "x")], {"words.weight": WIDE})
    assert (found["words"].weights, found["words"].integer) == (12, False)
    assert layers([node("Gather", "shape", "x")], {"shape": np.array([[1, 2]])}) == {}


def test_weights_inside_a_branch():
    inner = helper.make_graph(
        [node("MatMul", "x", "fc.weight", out="o")],
        "then",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
    )
    branch = helper.make_node("If", ["c"], ["out"], then_branch=inner, else_branch=inner)
    assert layers([branch], {"c": np.array(True), "fc.weight": WIDE})["fc"].weights == 12


# --- what onnxruntime's quantizers make ------------------------------------------------------------------------------


class Feed:
    def __init__(self, x):
        self._batches = iter([{"image": x}])

    def get_next(self):
        return next(self._batches, None)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder, source = tmp_path_factory.mktemp("built"), example_path("digits")
    x = np.load(source / "train.npz")["x"][:64]
    quantize_static(source / "float.onnx", folder / "qoperator.onnx", Feed(x), quant_format=QuantFormat.QOperator)
    quantize_dynamic(source / "float.onnx", folder / "dynamic.onnx")
    quantize_static(source / "float.onnx", folder / "part.onnx", Feed(x), nodes_to_exclude=["node_Conv_39"])
    return folder


@pytest.mark.parametrize(
    ("name", "weights", "macc"),
    [("qoperator.onnx", 1.0, 1.0), ("dynamic.onnx", 1.0, 1.0), ("part.onnx", 1424 / 6032, 10496 / 84224)],
)
def test_shares_of_real_builds(built, name, weights, macc):
    """By hand: 144 + 4608 + 1280 weights and 9216 + 73728 + 1280 products; the middle layer is left out of one."""
    found = coverage_by_layer(load_model(built / name))
    assert (found.weights, found.macc, found.reason) == (pytest.approx(weights), pytest.approx(macc), "")
    assert [layer.name for layer in found.layers] == ["0", "4", "9"]
    assert ("in float: 4" in str(found)) == (name == "part.onnx")
