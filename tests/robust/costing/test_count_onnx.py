"""Counts of ONNX files: fixtures by hand, float against int8, and what cannot be counted."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from robust.costing.count_onnx import count_onnx
from robust.costing.graph_onnx import Constant, bits
from robust.errors import InvalidInput


def counted(content, *shapes, values=None):
    return count_onnx(content, row_shapes=shapes or None, values=values)


def macc(tally):
    return sum(layer.macc or 0 for layer in tally.layers)


def by_name(tally):
    return {layer.name: layer for layer in tally.layers}


def single(files, node, inputs, output, weights=None, **options):
    """A file of one node (or several) with inputs by name and shape."""
    nodes = node if isinstance(node, list) else [node]
    given = [files.value(name, shape, options.pop(f"kind_{name}", TensorProto.FLOAT)) for name, shape in inputs.items()]
    kind = options.pop("out_kind", TensorProto.FLOAT)
    return files.model(nodes, given, [files.value("y", output, kind)], weights, **options)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


# --- the convolutional network, float and int8 ----------------------------------------------------------------


def test_the_float_file_by_hand(float_file):
    tally = counted(float_file)
    layers = by_name(tally)
    assert {name: layers[name].macc for name in ("conv1", "conv2", "fc")} == {
        "conv1": 4608,
        "conv2": 73728,
        "fc": 2560,
    }
    # Normalisation is folded into the convolutions: 80 + 1,168 + 2,570 parameters of 4 bytes.
    assert (macc(tally), tally.parameters, tally.rom) == (80896, 3818, 4 * 3818)
    assert (tally.ram.bytes, tally.ram.at) == (4 * (512 + 1024), "conv2")
    assert (tally.uncounted, tally.rows) == ((), 1)


def test_the_int8_file_by_hand(quantized_file):
    tally = counted(quantized_file)
    assert (macc(tally), tally.parameters, tally.uncounted) == (80896, 3818, ())
    weights, biases = 72 + 1152 + 2560, 8 + 16 + 10
    # Weights of 1 byte, biases of 4; for each of 34 channels twice a scale of 4 and a zero point of 1 and of 4; the
    # scale and zero point of the activations once, for all of them share one.
    assert tally.rom == weights + 4 * biases + 34 * (4 + 1) + 34 * (4 + 4) + 5
    assert (tally.ram.bytes, tally.ram.at) == (512 + 1024, "conv2")


def test_the_int8_file_needs_a_quarter_of_the_float_files_memory(float_file, quantized_file):
    # Counted by the letter, dequantized weights and float activations would make it larger than the float file.
    full, narrow = counted(float_file), counted(quantized_file)
    assert narrow.ram.bytes * 4 == full.ram.bytes
    assert narrow.ram_without_io.bytes * 4 == full.ram_without_io.bytes
    letter = 4 * (16 * 64 + 8 * 64 + 1152)
    assert narrow.ram.bytes < letter


def test_layers_add_up_to_the_totals(float_file, quantized_file):
    for content in (float_file, quantized_file):
        tally = counted(content)
        assert sum(layer.rom for layer in tally.layers) == tally.rom
        assert sum(layer.parameters for layer in tally.layers) == tally.parameters


def test_outputs_of_int8_layers_have_their_integer_width(float_file, quantized_file):
    full, narrow = by_name(counted(float_file)), by_name(counted(quantized_file))
    assert [full[name].output for name in ("conv1", "conv2")] == [2048, 4096]
    assert [narrow[name].output for name in ("conv1", "conv2")] == [512, 1024]


def test_a_float_activation_between_int8_parts_stays_float(files):
    node = files.node
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        node("DequantizeLinear", ["a", "s", "z"], ["b"]),
        node("Softmax", ["b"], ["c"]),  # its output is not quantized: it runs in floating point
        node("Exp", ["c"], ["y"]),
    ]
    weights = {"s": np.array(1, np.float32), "z": np.array(0, np.int8)}
    tally = counted(single(files, nodes, {"x": [1, 100]}, [1, 100], weights))
    # Without x and y: 100 integers; these beside 400 bytes of floats; 400 beside 400; and the last 400.
    assert [size for _, size in tally.ram_without_io.live] == [100, 500, 800, 400]


def test_integer_operators_and_dynamic_quantization(files):
    node = files.node
    convolution = node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z", "b"], ["y"], pads=[1, 1, 1, 1])
    weights = {
        "s": np.array(0.1, np.float32),
        "z": np.array(0, np.int8),
        "w": zeros(8, 1, 3, 3, dtype=np.int8),
        "b": zeros(8, dtype=np.int32),
    }
    tally = counted(
        single(
            files,
            convolution,
            {"x": [1, 1, 8, 8]},
            [1, 8, 8, 8],
            weights,
            kind_x=TensorProto.INT8,
            out_kind=TensorProto.INT8,
        )
    )
    assert (macc(tally), tally.parameters, tally.rom) == (4608, 80, 72 + 32 + 5)
    assert tally.ram.bytes == 64 + 512
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        node("MatMulInteger", ["q", "w", "qz"], ["i"]),
        node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "qs"], ["y"]),
    ]
    tally = counted(single(files, nodes, {"x": ["n", 16]}, ["n", 4], {"w": zeros(16, 4, dtype=np.int8)}))
    assert (macc(tally), tally.parameters, tally.rom) == (64, 64, 64)


def test_four_bit_weights_are_packed(files):
    packed = helper.make_tensor("w", TensorProto.INT4, [16, 5], np.zeros(80, np.int8), raw=False)
    nodes = [
        files.node("DequantizeLinear", ["w", "s"], ["f"]),
        files.node("MatMul", ["x", "f"], ["y"]),
    ]
    tally = counted(
        single(files, nodes, {"x": ["n", 16]}, ["n", 5], {"w": packed, "s": np.array(0.1, np.float32)}, opset=21)
    )
    assert (macc(tally), tally.parameters, tally.rom) == (80, 80, 40 + 4)
    assert Constant(kind=TensorProto.UINT4, shape=(3,)).bytes == 2
    blocks = files.node("MatMulNBits", ["x", "w", "s"], ["y"], K=64, N=8, bits=4, block_size=32, domain="com.microsoft")
    weights = {"w": zeros(8, 2, 16, dtype=np.uint8), "s": zeros(16)}
    tally = counted(single(files, blocks, {"x": ["n", 64]}, ["n", 8], weights))
    assert (macc(tally), tally.parameters, tally.rom) == (512, 512, 256 + 64)


@pytest.mark.parametrize(
    ("kind", "width"),
    [("FLOAT", 32), ("DOUBLE", 64), ("FLOAT16", 16), ("BFLOAT16", 16), ("FLOAT8E4M3FN", 8), ("INT8", 8), ("UINT4", 4),
     ("INT2", 2), ("BOOL", 8), ("INT64", 64), ("COMPLEX128", 128), ("STRING", None), ("UNDEFINED", None)],
)  # fmt: skip
def test_widths(kind, width):
    assert bits(TensorProto.DataType.Value(kind)) == width


# --- operators by hand ----------------------------------------------------------------------------------------


def operators(files):
    node, ms, ml = files.node, "com.microsoft", "ai.onnx.ml"
    return {
        "depthwise": (node("Conv", ["x", "w"], ["y"], group=4), {"x": ["n", 4, 9]}, {"w": zeros(4, 1, 3)}, 4 * 7 * 3),
        "transposed": (node("ConvTranspose", ["x", "w"], ["y"]), {"x": ["n", 3, 9]}, {"w": zeros(3, 4, 3)}, 27 * 12),
        "gemm": (node("Gemm", ["x", "w", "b"], ["y"]), {"x": ["n", 6]}, {"w": zeros(6, 5), "b": zeros(5)}, 30),
        "gemm transposed": (node("Gemm", ["x", "w"], ["y"], transB=1), {"x": ["n", 6]}, {"w": zeros(5, 6)}, 30),
        "matmul": (node("MatMul", ["x", "w"], ["y"]), {"x": ["n", 7, 6]}, {"w": zeros(6, 5)}, 210),
        "einsum": (node("Einsum", ["x", "x"], ["y"], equation="bik,bjk->bij"), {"x": ["n", 8, 16]}, {}, 1024),
        "LSTM": (
            node("LSTM", ["x", "w", "r"], ["y"], hidden_size=16),
            {"x": [8, 1, 8]}, {"w": zeros(1, 64, 8), "r": zeros(1, 64, 16)}, 12288,
        ),
        "LSTM with peepholes": (
            node("LSTM", ["x", "w", "r", "", "", "", "", "p"], ["y"], hidden_size=16, direction="bidirectional"),
            {"x": [8, 1, 8]}, {"w": zeros(2, 64, 8), "r": zeros(2, 64, 16), "p": zeros(2, 48)}, 2 * (12288 + 8 * 48),
        ),
        "GRU both ways": (
            node("GRU", ["x", "w", "r"], ["y"], hidden_size=4, direction="bidirectional"),
            {"x": [3, 1, 5]}, {"w": zeros(2, 12, 5), "r": zeros(2, 12, 4)}, 3 * 2 * 12 * 9,
        ),
        "fused": (
            node("FusedConv", ["x", "w"], ["y"], activation="Relu", domain=ms),
            {"x": ["n", 2, 9]}, {"w": zeros(4, 2, 3)}, 4 * 7 * 6,
        ),
        "fused transposed": (
            node("FusedMatMul", ["x", "w"], ["y"], transA=1, domain=ms), {"x": [6, 3]}, {"w": zeros(6, 5)}, 90,
        ),
        "fused, batch moved": (  # the rows of the second factor stand in front of its batch
            node("FusedMatMul", ["x", "w"], ["y"], transB=1, transBatchB=1, domain=ms),
            {"x": ["n", 3, 4, 6]}, {"w": zeros(5, 1, 3, 6)}, 3 * 4 * 5 * 6,
        ),
        "linear regressor": (
            node("LinearRegressor", ["x"], ["y"], coefficients=[1.0] * 6, intercepts=[0.0, 0.0], targets=2, domain=ml),
            {"x": ["n", 3]}, {}, 6,
        ),
        "free": (node("Softmax", ["x"], ["y"]), {"x": ["n", 7]}, {}, 0),
        "free of others": (node("BiasGelu", ["x", "b"], ["y"], domain=ms), {"x": ["n", 7]}, {"b": zeros(7)}, 0),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["depthwise", "transposed", "gemm", "gemm transposed", "matmul", "einsum", "LSTM", "LSTM with peepholes",
     "GRU both ways", "fused", "fused transposed", "fused, batch moved", "linear regressor", "free", "free of others"],
)  # fmt: skip
def test_operators_by_hand(files, name):
    node, inputs, weights, expected = operators(files)[name]
    output = {"fused transposed": [3, 5]}.get(name)
    content = files.model(
        [node],
        [files.value(k, v) for k, v in inputs.items()],
        [onnx.helper.make_tensor_value_info("y", 1, output)],
        weights,
    )
    tally = counted(content)
    assert macc(tally) == expected
    assert tally.uncounted == ()
    stored = sum(array.size for array in weights.values())
    assert tally.parameters == (8 if name == "linear regressor" else stored)


def test_the_standard_attention_by_hand(files):
    nodes = [files.node("Attention", ["q", "k", "v"], ["y"], q_num_heads=4, kv_num_heads=2)]
    inputs = [files.value("q", [1, 8, 16]), files.value("k", [1, 10, 8]), files.value("v", [1, 10, 12])]
    tally = counted(files.model(nodes, inputs, [files.value("y", [1, 8, 24])], opset=23))
    # 4 heads: 8 x 10 scores over 4 numbers, then 8 x 6 values over 10.
    assert macc(tally) == 4 * 8 * 10 * (4 + 6)


def test_constants_are_folded_and_free(files):
    node = files.node
    nodes = [
        node("Transpose", ["w"], ["t"], perm=[1, 0]),
        node("MatMul", ["p", "t"], ["m"]),  # of constants alone: done once, when the file is loaded
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["rows"]),
        node("ConstantOfShape", ["rows"], ["c"]),
        node("MatMul", ["x", "m"], ["z"]),
        node("Add", ["z", "c"], ["y"]),
    ]
    weights = {"w": zeros(5, 6), "p": zeros(6, 6), "zero": np.zeros(1, np.int64)}
    tally = counted(single(files, nodes, {"x": ["n", 6]}, ["n", 5], weights))
    assert (macc(tally), tally.parameters) == (30, 30 + 36)
    assert tally.rom == 4 * 66 + 8
    assert tally.ram.bytes == 4 * (6 + 5)


def test_what_is_a_parameter_and_what_a_constant(files):
    node = files.node
    nodes = [
        node("BatchNormalization", ["x", "g", "b", "m", "v"], ["n"]),
        node("Clip", ["n", "low", "high"], ["c"]),
        node("Mul", ["c", "factor"], ["f"]),
        node("Reshape", ["f", "shape"], ["r"]),
        node("Gather", ["table", "i"], ["e"]),
        node("Add", ["r", "e"], ["y"]),
    ]
    weights = {
        **{name: zeros(4) for name in "gbmv"},
        "low": np.array(0, np.float32), "high": np.array(6, np.float32), "factor": np.array([0.125], np.float32),
        "shape": np.array([-1, 4], np.int64), "table": zeros(10, 4), "i": np.array([3], np.int64),
    }  # fmt: skip
    tally = counted(single(files, nodes, {"x": ["n", 4]}, ["n", 4], weights))
    # Scale and shift of the normalisation, and the table; its statistics, limits and a lone factor were not trained.
    assert tally.parameters == 4 + 4 + 40
    assert tally.rom == 4 * (16 + 2 + 1 + 40) + 8 * 3
    assert macc(tally) == 0


def test_tied_weights_are_stored_once(files):
    nodes = [files.node("MatMul", ["x", "w"], ["a"]), files.node("MatMul", ["a", "w"], ["y"])]
    tally = counted(single(files, nodes, {"x": ["n", 6]}, ["n", 6], {"w": zeros(6, 6)}))
    assert (macc(tally), tally.parameters, tally.rom) == (72, 36, 144)


def test_stored_tensors_that_nothing_reads_are_in_rom_and_told(files):
    node = files.node("MatMul", ["x", "w"], ["y"])
    weights = {"w": zeros(6, 5), "old": zeros(100), "older": zeros(1, dtype=np.int8)}
    tally = counted(single(files, node, {"x": ["n", 6]}, ["n", 5], weights))
    # A runtime that loads the file stores them; nobody trained with them, as far as the file tells.
    assert (macc(tally), tally.parameters, tally.rom) == (30, 30, 4 * 30 + 400 + 1)
    assert by_name(tally)["unread tensors"].rom == 401
    assert tally.notes[1] == (
        "ROM includes 401 bytes of 2 stored tensors that no operator of a run reads, and a converter may drop: "
        "'old' (400 bytes), 'older' (1 byte)"
    )
    (note,) = [
        note
        for note in counted(
            single(files, node, {"x": ["n", 6]}, ["n", 5], weights | {"more": zeros(2), "w2": zeros(3)})
        ).notes
        if note.startswith("ROM")
    ]
    assert note.endswith("'old' (400 bytes), 'w2' (12 bytes), 'more' (8 bytes) and 1 more")


def test_an_output_that_is_a_constant_is_stored(files):
    nodes = [files.node("MatMul", ["x", "w"], ["y"]), files.node("Neg", ["v"], ["k"])]
    outputs = [files.value("y", ["n", 5]), files.value("k", [9])]
    tally = counted(files.model(nodes, [files.value("x", ["n", 6])], outputs, {"w": zeros(6, 5), "v": zeros(9)}))
    assert (macc(tally), tally.rom) == (30, 4 * 30 + 36)


@pytest.mark.parametrize(("start", "trained"), [(zeros(1, 1, 5), 0), (np.full((1, 1, 5), 0.5, np.float32), 5)])
def test_states_to_start_from_are_parameters_only_where_they_were_trained(files, start, trained):
    # An exporter writes down the zeros that the framework starts from; other numbers were learned.
    node = files.node("LSTM", ["x", "w", "r", "", "", "h", "h"], ["y"], hidden_size=5)
    weights = {"w": zeros(1, 20, 3), "r": zeros(1, 20, 5), "h": start}
    tally = counted(single(files, node, {"x": [7, 1, 3]}, [7, 1, 1, 5], weights))
    assert (tally.parameters, tally.rom) == (160 + trained, 4 * 165)
    # The same through operators that are folded away, and in the typed fields of a tensor.
    typed = helper.make_tensor("h", TensorProto.FLOAT, [1], [float(start.flat[0])])
    nodes = [
        files.node("Expand", ["h", "s"], ["e"]),
        files.node(*["LSTM", ["x", "w", "r", "", "", "e"], ["y"]], hidden_size=5),
    ]
    tally = counted(
        single(files, nodes, {"x": [7, 1, 3]}, [7, 1, 1, 5], weights | {"h": typed, "s": np.array([1, 1, 5])})
    )
    assert tally.parameters == 160 + (trained > 0)


def test_old_files_list_weights_as_inputs(files):
    content = files.model(
        [files.node("MatMul", ["x", "w"], ["y"])],
        [files.value("x", ["n", 6]), files.value("w", [6, 5])],
        [files.value("y", ["n", 5])],
        {"w": zeros(6, 5)},
    )
    assert macc(counted(content)) == 30


def test_functions_of_a_file_are_opened(files):
    body = [helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("Relu", ["c"], ["d"])]
    function = helper.make_function("own", "Layer", ["a", "b"], ["d"], body, [helper.make_opsetid("", 18)])
    nodes = [files.node("Layer", ["x", "w"], ["y"], domain="own")]
    content = single(files, nodes, {"x": ["n", 6]}, ["n", 5], {"w": zeros(6, 5)}, functions=[function], domains=["own"])
    tally = counted(content)
    assert (macc(tally), tally.uncounted) == (30, ())


# --- inputs ---------------------------------------------------------------------------------------------------


def test_a_fixed_batch_is_divided_out(files):
    content = single(files, files.node("MatMul", ["x", "w"], ["y"]), {"x": [4, 6]}, [4, 5], {"w": zeros(6, 5)})
    tally = counted(content)
    assert (macc(tally), tally.rows, tally.ram.bytes) == (30, 4, 4 * 4 * 11)


def test_several_inputs_and_outputs(files):
    nodes = [
        files.node("Concat", ["x", "state"], ["both"], axis=1),
        files.node("MatMul", ["both", "w"], ["next"]),
        files.node("MatMul", ["next", "u"], ["y"]),
    ]
    inputs = [files.value("x", ["n", 3]), files.value("state", ["n", 5])]
    outputs = [files.value("y", ["n", 2]), files.value("next", ["n", 5])]
    content = files.model(nodes, inputs, outputs, {"w": zeros(8, 5), "u": zeros(5, 2)})
    tally = counted(content)
    assert macc(tally) == 40 + 10
    # x, state, both: 16 numbers; then both and next: 13; then next and y: 7.
    assert [size for _, size in tally.ram.live] == [64, 52, 28]
    assert counted(content, (3,), (5,)).ram == tally.ram
    with pytest.raises(InvalidInput, match=r"takes 2 inputs \('x', 'state'\), got 1 shape: one each"):
        counted(content, (3,))


def test_free_dimensions_have_to_be_told(files):
    content = single(files, files.node("MatMul", ["x", "w"], ["y"]), {"x": ["n", "time", 6]}, None, {"w": zeros(6, 5)})
    with pytest.raises(InvalidInput, match="dimension 1 'time' of input 'x' is free: give input_shape="):
        counted(content)
    assert macc(counted(content, (7, 6))) == 210
    with pytest.raises(InvalidInput, match=r"input 'x' takes rows of shape \(any, 6\), got \(7, 5\)"):
        counted(content, (7, 5))
    with pytest.raises(InvalidInput, match=r"takes rows of shape \(any, 6\), got \(6,\)"):
        counted(content, (6,))


def test_one_name_is_one_number(files):
    nodes = [files.node("Add", ["x", "m"], ["y"])]
    inputs = [files.value("x", ["n", "t"]), files.value("m", ["n", "t"])]
    content = files.model(nodes, inputs, [files.value("y", ["n", "t"])])
    assert counted(content, (7,), (7,)).ram.bytes == 4 * 21


def test_shapes_that_depend_on_values_are_found_by_a_run(files):
    nodes = [
        files.node("NonZero", ["x"], ["places"]),
        files.node("Cast", ["places"], ["numbers"], to=TensorProto.FLOAT),
        files.node("MatMul", ["w", "numbers"], ["y"]),
    ]
    content = single(files, nodes, {"x": [1, 6]}, None, {"w": zeros(5, 2)})
    row = np.array([[1, 0, 2, 0, 0, 3]], np.float32)
    tally = counted(content, values=[row])
    assert macc(tally) == 5 * 2 * 3
    assert macc(counted(content)) == 0  # a row of zeros has no place that is not zero


# --- names ----------------------------------------------------------------------------------------------------


def test_layers_have_module_names_where_the_exporter_keeps_them(files):
    node = files.node("MatMul", ["x", "val_3"], ["z"], name="node_MatMul_82")
    activation = files.node("Relu", ["z"], ["y"], name="node_relu")
    for part, scopes, classes in (
        (
            node,
            "['', 'block', 'block.att', 'linear']",
            "['M', 'm.Block', 'torch.nn.modules.activation.MultiheadAttention', 'aten.linear.default']",
        ),
        (activation, "['', 'relu']", "['M', 'aten.relu.default']"),
    ):
        for key, text in (("name_scopes", scopes), ("class_hierarchy", classes)):
            entry = part.metadata_props.add()
            entry.key, entry.value = f"pkg.torch.onnx.{key}", text
    layers = counted(single(files, [node, activation], {"x": ["n", 6]}, ["n", 5], {"val_3": zeros(6, 5)})).layers
    assert [(layer.name, layer.kind) for layer in layers] == [
        ("block.att", "MultiheadAttention"),
        ("node_relu", "Relu"),
    ]


def test_layers_of_older_exporters_and_of_none(files):
    nodes = [
        files.node("MatMul", ["x", "onnx::MatMul_9"], ["a"], name="/encoder/fc/MatMul"),
        files.node("Relu", ["a"], ["b"], name="/Relu"),
        files.node("Sigmoid", ["b"], ["y"]),
    ]
    layers = counted(single(files, nodes, {"x": ["n", 6]}, ["n", 5], {"onnx::MatMul_9": zeros(6, 5)})).layers
    assert [layer.name for layer in layers] == ["encoder.fc", "Relu", "Sigmoid_2"]


@pytest.mark.parametrize(
    "text", ["[", "__import__('os').system('false')", "{'a': 1}", "['a'" + ", 'b'" * 9000 + "]", "[" * 5000]
)
def test_hostile_notes_name_nothing(files, text):
    node = files.node("Relu", ["x"], ["y"], name="plain")
    entry = node.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", text
    assert [layer.name for layer in counted(single(files, node, {"x": ["n", 6]}, ["n", 6])).layers] == ["plain"]


# --- what cannot be counted -----------------------------------------------------------------------------------


def branching(files, inner):
    """A file with a branch that is taken if the sum of the row is above 0."""

    def branch(name, nodes):
        return helper.make_graph(nodes, name, [], [files.value(f"{name}_y", None)])

    nodes = [
        files.node("ReduceSum", ["x"], ["total"], keepdims=0),
        files.node("Greater", ["total", "zero"], ["positive"]),
        files.node(
            "If", ["positive"], ["y"], name="choice",
            then_branch=branch("then", [files.node(*inner, ["then_y"])]),
            else_branch=branch("else", [files.node("Identity", ["x"], ["else_y"])]),
        ),
    ]  # fmt: skip
    return single(files, nodes, {"x": ["n", 6]}, ["n", 6], {"zero": np.array(0, np.float32), "w": zeros(6, 6)})


def test_a_branch_with_a_product_is_uncounted_and_its_weights_are_stored(files):
    tally = counted(branching(files, ("MatMul", ["x", "w"])))
    (missed,) = tally.uncounted
    assert (missed.name, missed.kind, missed.affects) == ("choice", "If", ("macc", "ram"))
    assert "which branch" in missed.reason
    assert by_name(tally)["choice"].macc is None
    assert tally.rom == 4 * 37


def test_a_branch_without_a_product_is_counted(files):
    tally = counted(branching(files, ("Relu", ["x"])))
    assert tally.uncounted == ()
    assert macc(tally) == 0


@pytest.mark.parametrize(
    ("operator", "domain", "attributes", "reason"),
    [
        ("Secret", "com.example", {}, "operators of com.example are not known"),
        ("GroupQueryAttention", "com.microsoft", {"num_heads": 1}, "this operator is not known"),
        ("Inverse", "com.microsoft", {}, "this operator is not known"),
        ("Attention", "com.microsoft", {"num_heads": 1}, "its shapes are not known"),
        ("Det", "", {}, "this operator is not known"),
    ],
)
def test_operators_that_are_not_known(files, operator, domain, attributes, reason):
    node = files.node(operator, ["x"], ["y"], name="odd", domain=domain, **attributes)
    tally = counted(single(files, node, {"x": [1, 3, 3]}, [1], domains=["com.example"]))
    assert [(missed.name, missed.reason) for missed in tally.uncounted if "macc" in missed.affects] == [("odd", reason)]


def test_trees_do_not_multiply(files):
    node = files.node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[0, 0, 0], nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[1.0, 2.0],
    )  # fmt: skip
    tally = counted(single(files, node, {"x": ["n", 2]}, ["n", 1]))
    assert tally.uncounted[0].reason == "trees compare and do not multiply"
    assert tally.rom > 0


def test_a_shape_that_nobody_knows_is_uncounted(files):
    # No run can tell either: the operator does not exist.
    nodes = [
        files.node("Secret", ["x"], ["a"], domain="com.example"),
        files.node("MatMul", ["a", "w"], ["y"], name="fc"),
    ]
    content = single(files, nodes, {"x": ["n", 6]}, None, {"w": zeros(6, 5)}, domains=["com.example"])
    found = {(missed.name, missed.affects) for missed in counted(content).uncounted}
    assert ("fc", ("macc",)) in found
    assert ("a", ("ram",)) in found


def test_a_stored_tensor_must_have_its_bytes(files):
    lying = numpy_helper.from_array(zeros(6, 5), "w")
    lying.dims[0] = 60_000
    content = single(files, files.node("MatMul", ["x", "w"], ["y"]), {"x": ["n", 6]}, None, {"w": lying})
    with pytest.raises(InvalidInput, match=r"tensor 'w' has shape \(60000, 5\) and 120 bytes; 1200000 are needed"):
        counted(content)


def test_graphs_out_of_order_are_refused(files):
    circle = [
        files.node("Identity", ["b"], ["a"]),
        files.node("Identity", ["a"], ["b"]),
        files.node("Add", ["x", "a"], ["y"]),
    ]
    with pytest.raises(InvalidInput, match=r"\(Identity\) reads 'b' before it is made"):
        counted(single(files, circle, {"x": ["n", 6]}, ["n", 6]))
    twice = [files.node("Relu", ["x"], ["y"]), files.node("Exp", ["x"], ["y"])]
    with pytest.raises(InvalidInput, match="makes 'y' a second time"):
        counted(single(files, twice, {"x": ["n", 6]}, ["n", 6]))


# --- other ways to store and to quantize ----------------------------------------------------------------------


def test_constants_of_every_form(files):
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(3, np.float32), "values"),
        numpy_helper.from_array(np.array([0, 5, 9]), "places"),
        [10],
    )
    constants = {
        "tensor": {"value": numpy_helper.from_array(zeros(10), "t")},
        "number": {"value_float": 0.5},
        "numbers": {"value_floats": [0.5] * 10},
        "integers": {"value_ints": [1] * 10},
        "sparse": {"sparse_value": sparse},
    }
    nodes = [files.node("Constant", [], [name], **value) for name, value in constants.items()]
    nodes.append(files.node("Cast", ["integers"], ["cast"], to=TensorProto.FLOAT))
    parts = ["x", "tensor", "number", "numbers", "cast", "sparse"]
    nodes.append(files.node("Sum", parts, ["y"]))
    tally = counted(single(files, nodes, {"x": ["n", 10]}, ["n", 10]))
    # 10 floats, 1 float, 10 floats, 10 integers of 8 bytes, 3 floats with their places of 8 bytes.
    assert tally.rom == 40 + 4 + 40 + 80 + 3 * (4 + 8)
    assert tally.ram.bytes == 80


def test_an_int8_residual_holds_integers_alone(files):
    node = files.node
    weights = {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8), "w": zeros(4, 4, 1, dtype=np.int8)}
    nodes = [node("DequantizeLinear", ["w", "s", "z"], ["wf"])]

    def quantized(name):
        nodes.append(node("QuantizeLinear", [name, "s", "z"], [f"{name}q"]))
        nodes.append(node("DequantizeLinear", [f"{name}q", "s", "z"], [f"{name}d"]))
        return f"{name}d"

    first = quantized("x")
    nodes.append(node("Conv", [first, "wf"], ["a"], name="conv"))
    nodes.append(node("Add", [quantized("a"), first], ["b"], name="add"))
    last = quantized("b")
    nodes[-1].output[0] = "y"
    assert last == "bd"
    tally = counted(single(files, nodes, {"x": [1, 4, 25]}, [1, 4, 25], weights))
    # 100 integers in and out of the convolution; the sum is written over one of its terms.
    assert [size for _, size in tally.ram_without_io.live] == [100, 200, 200, 100]
    assert (macc(tally), tally.uncounted) == (400, ())


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (onnx.TensorProto(name="w", data_type=1, dims=[-5]), "no size is below 0"),
        (onnx.TensorProto(name="w", data_type=1, dims=[12], float_data=[0.0] * 5), "5 values; 12 are needed"),
    ],
)
def test_stored_tensors_that_cannot_be_are_refused(files, tensor, message):
    content = onnx.load_model_from_string(single(files, [files.node("Relu", ["x"], ["y"])], {"x": [1, 4]}, [1, 4], {}))
    content.graph.initializer.append(tensor)
    with pytest.raises(InvalidInput, match=message):
        counted(content.SerializeToString())


# --- weights by any road --------------------------------------------------------------------------------------


def roads(files):
    """A product of 6 inputs and 5 outputs whose weights come by another road: bytes of ROM, and the rest of a file."""
    node, integers = files.node, np.zeros((5, 6), np.int8)
    packed = helper.make_tensor("w", TensorProto.INT4, [6, 5], np.zeros(30, np.int8))
    product = node("MatMul", ["x", "t"], ["y"])
    scale = np.array(0.1, np.float32)
    return {
        "turned and reshaped": (
            [node("Transpose", ["w"], ["a"]), node("Reshape", ["a", "s"], ["t"]), product],
            {"w": zeros(2, 15), "s": np.array([6, 5])}, 120 + 16, {},
        ),
        "a constant": ([node("Constant", [], ["t"], value=numpy_helper.from_array(zeros(6, 5))), product], {}, 120, {}),
        "a constant of 8 bits, turned": (
            [
                node("Constant", [], ["q"], value=numpy_helper.from_array(integers)),
                node("DequantizeLinear", ["q", "s"], ["d"]), node("Transpose", ["d"], ["t"]), product,
            ], {"s": scale}, 30 + 4, {},
        ),
        "4 bits in blocks": (
            [node("DequantizeLinear", ["w", "s"], ["t"], axis=0, block_size=3), product],
            {"w": packed, "s": zeros(2, 5)}, 15 + 40, {"opset": 21},
        ),
        "16 bits": ([node("Cast", ["w"], ["t"], to=1), product], {"w": zeros(6, 5, dtype=np.float16)}, 60, {}),
        "opset 7": ([node("MatMul", ["x", "w"], ["y"])], {"w": zeros(6, 5)}, 120, {"opset": 7}),
        "opset 1, shapes in attributes": (
            [node("Reshape", ["x"], ["r"], shape=[0, -1]), node("MatMul", ["r", "w"], ["y"])],
            {"w": zeros(6, 5)}, 120, {"opset": 1},
        ),
        "opset 23": (
            [node("RMSNormalization", ["x", "one"], ["r"]), node("MatMul", ["r", "w"], ["y"])],
            {"w": zeros(6, 5), "one": zeros(1)}, 124, {"opset": 23},
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "road",
    ["turned and reshaped", "a constant", "a constant of 8 bits, turned", "4 bits in blocks", "16 bits", "opset 7",
     "opset 1, shapes in attributes", "opset 23"],
)  # fmt: skip
def test_weights_by_any_road(files, road):
    nodes, weights, rom, options = roads(files)[road]
    tally = counted(single(files, nodes, {"x": ["n", 6]}, ["n", 5], weights, **options))
    assert (macc(tally), tally.parameters - (road == "opset 23"), tally.rom) == (30, 30, rom)
    assert tally.uncounted == ()


def test_axes_of_no_length_cost_nothing(files):
    node = files.node("MatMul", ["x", "w"], ["y"])
    tally = counted(single(files, node, {"x": ["n", 6]}, ["n", 0], {"w": zeros(6, 0)}))
    assert (macc(tally), tally.rom, tally.ram.bytes, tally.uncounted) == (0, 0, 24, ())


def test_scans_with_a_product_are_uncounted(files):
    node, value = files.node, files.value
    body = helper.make_graph(
        [node("MatMul", ["s", "w"], ["t"]), node("Identity", ["t"], ["o"])], "b", [value("s", [1, 5]), value("i", [1])],
        [value("t", [1, 5]), value("o", [1, 5])], [numpy_helper.from_array(zeros(5, 5), "w")],
    )  # fmt: skip
    loop = node("Scan", ["x", "many"], ["last", "y"], body=body, num_scan_inputs=1, name="loop")
    tally = counted(single(files, loop, {"x": ["n", 5]}, None, {"many": zeros(3, 1)}))
    (missed,) = tally.uncounted
    assert (missed.name, missed.kind, missed.affects) == ("loop", "Scan", ("macc", "ram"))
    assert (by_name(tally)["loop"].macc, tally.parameters >= 25) == (None, True)


@pytest.mark.filterwarnings("ignore")
def test_what_the_runtimes_quantizer_and_optimizer_write(tmp_path):
    import logging

    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

    from robust.examples.catalogue import example_path

    class Rows(CalibrationDataReader):
        def __init__(self, name, shape):
            self.rows = iter([{name: np.full(shape, k, np.float32)} for k in (0, 1)])

        def get_next(self):
            return next(self.rows, None)

    logging.disable(logging.WARNING)
    try:
        source = example_path("digits") / "float.onnx"
        expected = counted(source.read_bytes())
        (value,) = onnx.load(source).graph.input
        shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        quantize_static(source, tmp_path / "static.onnx", Rows(value.name, shape), quant_format=QuantFormat.QOperator)
        quantize_dynamic(source, tmp_path / "dynamic.onnx")
    finally:
        logging.disable(logging.NOTSET)
    for level in ("EXTENDED", "ALL"):
        for origin in (source, example_path("digits") / "int8.onnx"):
            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 4
            settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
            settings.optimized_model_filepath = str(tmp_path / f"{origin.stem}-{level}.onnx")
            onnxruntime.InferenceSession(str(origin), settings, providers=["CPUExecutionProvider"])
    for path in tmp_path.glob("*.onnx"):
        tally = counted(path.read_bytes())
        assert tally.parameters == expected.parameters
        # In the blocked layout of one kind of processor, convolutions are not known: listed, and not 0.
        if any("nchwc" in missed.kind for missed in tally.uncounted):
            assert {layer.kind for layer in tally.layers if layer.macc is None} >= {"Conv"}
        else:
            assert (macc(tally), tally.uncounted) == (macc(expected), ())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_files_of_torchs_exporter(convolutional, sequential, tmp_path):
    torch = pytest.importorskip("torch")
    expected = {"conv1": 4608, "conv2": 73728, "fc": 2560}, {"rnn": 12288, "head": 384}
    for module, shape, layers in ((convolutional, (1, 8, 8), expected[0]), (sequential, (8, 8), expected[1])):
        free = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(
            module.eval(), (torch.zeros(2, *shape),), dynamic_shapes=free, dynamo=True, verbose=False
        )
        tally = counted(program.model_proto.SerializeToString())
        assert macc(tally) == {8: 23936, 1: 80896}[shape[0]]
        found = {name: layer.macc for name, layer in by_name(tally).items()}
        assert {name: found[name] for name in layers} == layers
        assert tally.uncounted == ()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_the_runtimes_transformer_optimizer_writes(tmp_path):
    import logging

    torch = pytest.importorskip("torch")
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.transformers import optimizer

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = (torch.nn.Linear(16, 16) for _ in range(4))
            self.up, self.down = torch.nn.Linear(16, 32), torch.nn.Linear(32, 16)
            self.first, self.second = torch.nn.LayerNorm(16), torch.nn.LayerNorm(16)

        def forward(self, x):
            rows, steps, width = x.shape
            q, k, v = (part(x).view(rows, steps, 4, 4).transpose(1, 2) for part in (self.q, self.k, self.v))
            y = (torch.softmax(q @ k.transpose(2, 3) / 2.0, -1) @ v).transpose(1, 2).reshape(rows, steps, width)
            x = self.first(x + self.o(y))
            return self.second(x + self.down(torch.nn.functional.gelu(self.up(x))))

    net, plain, fused, narrow = (
        torch.nn.Sequential(torch.nn.LayerNorm(16), Block(), Block()).eval(),
        *(tmp_path / f"{name}.onnx" for name in ("plain", "fused", "narrow")),
    )
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    logging.disable(logging.WARNING)
    try:
        torch.onnx.export(
            net, (torch.zeros(2, 8, 16),), plain, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes
        )
        found = optimizer.optimize_model(str(plain), model_type="bert", num_heads=4, hidden_size=16, opt_level=0)
        found.save_model_to_file(str(fused))
        quantize_dynamic(fused, narrow, extra_options={"DefaultTensorType": TensorProto.FLOAT})
    finally:
        logging.disable(logging.NOTSET)
    # Two blocks: four projections of 8·16·16, scores and values of 8·8·16, and 8·16·32 up and down.
    by_hand = 2 * (4 * 8 * 16 * 16 + 2 * 8 * 8 * 16 + 2 * 8 * 16 * 32)
    kinds = {}
    for path in (plain, fused, narrow):
        tally = counted(path.read_bytes())
        kinds[path.stem] = {node.op_type for node in onnx.load(path).graph.node}
        assert (macc(tally), tally.uncounted) == (by_hand, ())
    assert kinds["fused"] >= {"Attention", "SkipLayerNormalization", "BiasGelu"}
    assert kinds["narrow"] >= {"QAttention", "MatMulInteger"}
