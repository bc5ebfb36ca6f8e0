"""Layers of ONNX graphs: where they end in each form of quantization, their weights, what they read."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from robust.errors import InvalidInput
from robust.layers.blocks_onnx import blocks_of, source_of
from robust.layers.flow_onnx import read_flow
from robust.layers.layer_error import layer_errors


def blocks(content):
    return {block.name: block for block in blocks_of(read_flow(content, "net"))}


def test_a_float_graph(nets):
    model = nets.cnn(1)
    found = blocks(model.SerializeToString())
    assert [(name, block.end) for name, block in found.items()] == [
        ("stem", "stem_relu"),
        ("body.0", "body.1_relu"),
        ("body.2", "body.2_out"),
        ("node_sum_out", "sum_relu"),
        ("node_both", "both"),
        ("node_pooled", "pooled"),
        ("tail", "tail_relu"),
        ("head.0", "head.0_relu"),
        ("head.2", "head.2_out"),
    ]
    assert found["body.0"].aliases == ("body.1_relu", "body.1_out", "body.0_out")
    assert found["node_sum_out"].feeds == ("body.2_out", "stem_relu")
    assert found["node_sum_out"].activations == ("relu",)
    assert found["head.0"].feeds == ("tail_relu",)  # through a view
    stored = numpy_helper.to_array(nets.initialiser(model, "head.2.weight"))
    np.testing.assert_array_equal(found["head.2"].weight, stored)
    gamma, var = (numpy_helper.to_array(nets.initialiser(model, f"body.1.{part}")) for part in ("gamma", "var"))
    np.testing.assert_allclose(found["body.0"].fold, gamma / np.sqrt(var + 1e-5), rtol=1e-6)


@pytest.mark.parametrize("form", ["qdq", "qoperator", "dynamic"])
def test_all_forms_have_the_same_layers_and_weights(nets, tmp_path, form):
    model = nets.mlp(1, 5)
    activations = "uint8" if form == "qoperator" else "int8"
    content = nets.quantized(model, nets.rows_of(model, 1), tmp_path, form=form, activations=activations)
    plain, built = blocks(model.SerializeToString()), blocks(content)
    assert list(built) == list(plain)
    for name, block in plain.items():
        gap = np.abs(built[name].weight - block.weight).max()
        assert 0 < gap <= np.abs(block.weight).max() / 127, name
        assert block.aliases[-1] in built[name].aliases or block.aliases[0] in built[name].aliases


def test_a_product_of_matrices_and_its_bias_are_one_layer(nets, tmp_path):
    graph = nets.Graph((4, 6), 0)
    graph.store("fc.kernel", graph.rng.normal(size=(6, 5)).astype(np.float32))
    graph.store("fc.bias", graph.rng.normal(size=5).astype(np.float32))
    product = graph.node("MatMul", ["x", "fc.kernel"], "product")
    total = graph.node("Add", [product, "fc.bias"], "total")
    model = graph.model(graph.node("Tanh", [total], "y"), (4, 5))
    (block,) = blocks_of(read_flow(model.SerializeToString(), "net"))
    assert (block.name, block.end, block.activations, block.weight.shape) == ("fc", "y", ("tanh",), (5, 6))


def test_the_quantized_form_belongs_to_a_layer_only_where_all_take_it(nets):
    graph = nets.Graph((6,), 0)
    first = graph.relu(graph.gemm("x", "a", 6, 6))
    graph.store("scale", np.float32(0.1))
    graph.store("zero", np.int8(0))
    packed = graph.node("QuantizeLinear", [first, "scale", "zero"], "packed")
    unpacked = graph.node("DequantizeLinear", [packed, "scale", "zero"], "unpacked")
    second = graph.gemm(unpacked, "b", 6, 6)
    total = graph.node("Add", [second, first], "y")
    flow = read_flow(graph.model(total, 6).SerializeToString(), "net")
    assert source_of(flow, first) == first
    found = {block.name: block for block in blocks_of(flow)}
    assert found["b"].feeds == ("a_relu",)
    # Where nobody takes the float form, the integers are what the layer gives.
    graph.nodes[-1].input[1] = unpacked
    flow = read_flow(graph.model(total, 6).SerializeToString(), "net")
    assert source_of(flow, first) == "packed"


def test_tensors_in_other_files_are_refused(nets, tmp_path):
    path = tmp_path / "big.onnx"
    onnx.save_model(nets.mlp(1, 5), path, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(InvalidInput, match=r"big\.onnx keeps tensors in other files"):
        read_flow(path.read_bytes(), "big.onnx")


@pytest.mark.parametrize("symmetric", [True, False])
def test_weights_packed_in_blocks_of_four_bits(nets, symmetric):
    from onnxruntime import InferenceSession
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    graph = nets.Graph((40,), 0)
    graph.store("fc.weight", graph.rng.normal(size=(40, 7)).astype(np.float32))
    model = graph.model(graph.node("MatMul", ["x", "fc.weight"], "y"), 7)
    quantizer = MatMulNBitsQuantizer(model, block_size=16, is_symmetric=symmetric, accuracy_level=0)
    quantizer.process()
    content = quantizer.model.model.SerializeToString()
    (block,) = blocks_of(read_flow(content, "net"))
    assert (block.name, block.kind, block.family) == ("fc", "MatMulNBits", "linear")
    # What the runtime makes of unit vectors are the weights.
    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"x": np.eye(40, dtype=np.float32)})
    np.testing.assert_allclose(block.weight, rows.T, atol=1e-6)


def test_weights_of_integers_are_those_that_the_runtime_applies(nets, tmp_path):
    from onnxruntime import InferenceSession

    model = nets.mlp(3, 5)
    content = nets.quantized(model, nets.rows_of(model, 1), tmp_path, per_channel=True)
    flow = read_flow(content, "net")
    for block in blocks_of(flow):
        name = f"{block.name}.weight_DequantizeLinear_Output"
        watched = onnx.load_model_from_string(content)
        watched.graph.output.append(onnx.ValueInfoProto(name=name))
        session = InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
        (wanted,) = session.run([name], {"x": nets.rows_of(model, 1, 1)})
        np.testing.assert_allclose(block.weight, wanted, rtol=1e-6, atol=1e-9)


def test_a_second_activation_is_a_layer_of_its_own(nets):
    graph = nets.Graph((6,), 0)
    out = graph.node("Tanh", [graph.relu(graph.gemm("x", "fc", 6, 6))], "y")
    first, second = blocks_of(read_flow(graph.model(out, 6).SerializeToString(), "net"))
    assert (first.end, first.activations, second.kind, second.feeds) == ("fc_relu", ("relu",), "Tanh", ("fc_relu",))


def test_each_output_of_a_layer_that_is_used(nets):
    graph = nets.Graph((4, 3), 0)
    rng = graph.rng
    graph.store("lstm.w", rng.normal(size=(1, 20, 3)).astype(np.float32))
    graph.store("lstm.r", rng.normal(size=(1, 20, 5)).astype(np.float32))
    turned = graph.node("Transpose", ["x"], "turned", perm=[1, 0, 2])
    graph.nodes.append(
        helper.make_node("LSTM", [turned, "lstm.w", "lstm.r"], ["", "last", "cell"], name="lstm", hidden_size=5)
    )
    total = graph.node("Add", ["last", "cell"], "total")
    model = graph.model(graph.node("Transpose", [total], "y", perm=[1, 0, 2]), (1, 5))
    flow = read_flow(model.SerializeToString(), "net")
    found = blocks_of(flow)
    assert [(block.kind, block.end) for block in found] == [("LSTM", "last"), ("LSTM", "cell"), ("Add", "total")]
    assert found[-1].feeds == ("last", "cell")


def test_a_classical_model_has_layers_without_numbers(tmp_path):
    graph = helper.make_graph(
        [
            helper.make_node(
                "LinearClassifier",
                ["x"],
                ["label", "scores"],
                domain="ai.onnx.ml",
                coefficients=[1.0, 0.0, 0.0, 1.0],
                intercepts=[0.0, 0.5],
                classlabels_ints=[0, 1],
                post_transform="SOFTMAX",
            ),
            helper.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
        ],
        "linear",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2])],
        [
            helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ["n"]),
            onnx.ValueInfoProto(name="probabilities"),
        ],
    )
    kinds = helper.make_map_type_proto(
        onnx.TensorProto.INT64, helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [])
    )
    graph.output[1].CopyFrom(helper.make_value_info("probabilities", helper.make_sequence_type_proto(kinds)))
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    path = tmp_path / "linear.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    found = layer_errors(path, path, x)
    assert [row.point for row in found.rows] == ["scores"]
    assert {one.reason.split(" holds")[0] for one in found.unmatched} == {"the reference"}
