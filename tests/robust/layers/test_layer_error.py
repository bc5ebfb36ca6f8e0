"""The public comparison: what it says of honest builds, of each form of quantization, and of bad input."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput, ModelFault
from robust.examples.catalogue import example_path
from robust.layers.layer_error import CHECKS, LayerOptions, layer_errors
from robust.models.conversion import as_model
from robust.models.loading import load_model

NAMES = ["0 (Conv)", "node_max_pool2d (MaxPool)", "4 (Conv)", "node_max_pool2d_1 (MaxPool)", "9 (Gemm)"]


def by_layer(found):
    return {row.layer: row for row in found.rows}


def test_float_against_float_is_exact_everywhere(digits, x):
    found = layer_errors(digits / "float.onnx", digits / "float.onnx", x)
    assert [row.label for row in found.rows] == NAMES
    assert all(row.sqnr == row.own_sqnr == math.inf and row.cosine == 1 for row in found.rows)
    assert all(row.max_error == row.mean_error == row.bias == row.own_max_error == 0 for row in found.rows)
    assert [row.weight_sqnr for row in found.rows if row.weight_sqnr is not None] == [math.inf] * 3
    assert all(check.passed for check in found.validity)
    assert [check.name for check in found.validity] == [
        "float against float",
        "answers of the reference",
        "answers of the candidate",
        "one network",
        "layers compared",
    ]
    assert found.exact
    assert found.output.label == "9 (Gemm)"
    assert found.unmatched == ()
    assert found.findings == ("no layer of 5 adds more than rounding: none is quantized",)
    # Rows that were not seen may differ: 64 equal ones prove little.
    assert found.sqnr.value == math.inf > found.sqnr.lower
    assert (found.sqnr > 20).status == "INCONCLUSIVE"


def test_an_int8_build_by_hand(digits, x):
    found = layer_errors(digits / "float.onnx", digits / "int8.onnx", x)
    assert [row.label for row in found.rows] == ["(input) (Input)", *NAMES]
    assert all(row.matched_by == "tensor name" for row in found.rows[1:])
    # The logits, from the two models' own outputs: nothing here knows of layers.
    r, q = (as_model(digits / name).forward(x) for name in ("float.onnx", "int8.onnx"))
    last = found.rows[-1]
    assert last.sqnr == pytest.approx(10 * math.log10((r**2).sum() / ((r - q) ** 2).sum()), abs=1e-5)
    assert last.max_error == pytest.approx(np.abs(r - q).max(), rel=1e-5)
    assert last.mean_error == pytest.approx(np.abs(r - q).mean(), rel=1e-5)
    assert last.bias == pytest.approx((q - r).mean(), rel=1e-4)
    assert last.cosine == pytest.approx((r * q).sum() / np.sqrt((r**2).sum() * (q**2).sum()), abs=1e-9)
    # What merely takes a maximum of integers adds nothing; what it loses on the way came before.
    rows = by_layer(found)
    assert rows["node_max_pool2d"].own_sqnr == math.inf > rows["node_max_pool2d"].sqnr
    assert rows["4"].before == rows["node_max_pool2d"].sqnr
    assert rows["4"].loss == pytest.approx(rows["node_max_pool2d"].sqnr - rows["4"].sqnr)
    assert rows["0"].before == rows["(input)"].sqnr
    assert rows["4"].shape == (32, 4, 4)


def test_the_gate_and_the_words(digits, x):
    found = layer_errors(digits / "float.onnx", digits / "int8.onnx", x)
    assert found.sqnr > 20
    assert (found.sqnr > 60).status == "FAIL"
    lowest = min(found.rows, key=lambda row: row.sqnr)
    assert found.sqnr.value == pytest.approx(lowest.sqnr, abs=1e-9)
    assert found.own_sqnr.value == pytest.approx(found.worst.own_sqnr, abs=1e-9)
    assert found.sqnr.lower < found.sqnr.value < found.sqnr.upper
    assert (found.sqnr.unit, found.sqnr.higher_is_better, found.sqnr.n) == ("dB", True, 64)
    assert (found.reference_passes, found.candidate_passes) == (2, 1)
    assert found.provenance.cost.forward_rows == 3 * 64
    assert found.findings[0].startswith("4 (Conv) loses ")
    assert "dB at the point after it" in found.findings[0]
    assert "<- worst" in found.table()
    assert str(found) == found.table()
    assert repr(found).startswith("LayerErrors(6 points, worst: 4 (Conv) ")
    bars = found.figure
    assert bars.kind == "bar"
    assert list(bars.columns[0].values) == ["(input)", "0 (Conv)", "MaxPool 1", "4 (Conv)", "MaxPool 2", "9 (Gemm)"]
    assert any(getattr(item, "kind", "") == "bar" for item in found.sqnr.evidence)
    assert pickle.loads(pickle.dumps(found)).table() == found.table()


def test_the_bound_is_about_the_rows_and_shrinks_with_them(digits):
    x = np.load(digits / "test.npz")["x"]
    few = layer_errors(digits / "float.onnx", digits / "int8.onnx", x, rows=32).sqnr
    many = layer_errors(digits / "float.onnx", digits / "int8.onnx", x, rows=None).sqnr
    assert (few.n, many.n) == (32, len(x))
    assert many.upper - many.lower < few.upper - few.lower
    assert few.lower <= many.value <= few.upper
    low, high = many.sizing.at(4 * many.n)
    assert many.lower < low < many.value < high < many.upper


def test_batches_and_row_order_change_nothing(digits, x):
    once = layer_errors(digits / "float.onnx", digits / "int8.onnx", x)
    small = as_model(digits / "float.onnx", batch_size=7)
    again = layer_errors(small, digits / "int8.onnx", x[::-1])
    for one, other in zip(once.rows, again.rows, strict=True):
        assert other.sqnr == pytest.approx(one.sqnr, abs=1e-4)
        assert other.max_error == pytest.approx(one.max_error, rel=1e-4)


def test_rows_that_depend_on_each_other_have_wider_bounds(digits, x):
    groups = np.repeat(np.arange(8), 8)
    alone = layer_errors(digits / "float.onnx", digits / "int8.onnx", x).sqnr
    bound = layer_errors(digits / "float.onnx", digits / "int8.onnx", as_data(x, groups=groups)).sqnr
    assert bound.value == pytest.approx(alone.value)
    assert alone.method == "log-ratio-t"
    assert bound.method == "cluster-bootstrap"
    assert bound.lower < alone.lower


def test_operator_form_has_the_values_of_qdq(digits, x, nets, tmp_path):
    model, train = onnx.load(digits / "float.onnx"), np.load(digits / "train.npz")["x"]
    found = {}
    for form in ("qdq", "qoperator"):
        path = nets.saved(nets.quantized(model, train, tmp_path, form=form, activations="uint8"), tmp_path)
        found[form] = by_layer(layer_errors(digits / "float.onnx", path, x))
    assert list(found["qdq"]) == list(found["qoperator"])
    for name, row in found["qdq"].items():
        other = found["qoperator"][name]
        assert other.sqnr == pytest.approx(row.sqnr, abs=0.1), name  # a step of integers here and there
        assert other.weight_sqnr == row.weight_sqnr or other.weight_sqnr == pytest.approx(row.weight_sqnr, abs=1e-9)
    # In operator form the convolution's tensor keeps the name that it had before its activation (`getitem`), and is
    # compared with what comes after it: there is no such layer as one of a few decibels.
    assert found["qoperator"]["0"].sqnr > 30


def test_dynamic_quantization(digits, x, nets, tmp_path):
    content = nets.quantized(onnx.load(digits / "float.onnx"), None, tmp_path, form="dynamic")
    found = layer_errors(digits / "float.onnx", nets.saved(content, tmp_path), x)
    assert [row.label for row in found.rows] == NAMES
    rows = by_layer(found)
    assert all(30 < rows[name].weight_sqnr < 60 for name in "049")
    assert all(30 < rows[name].own_sqnr < 60 for name in "049")
    assert all(check.passed for check in found.validity)


def test_symmetric_activations_keep_their_relu_and_are_compared_after_it(digits, x, nets, tmp_path):
    # Their zero point is not at the end of their range, so that no activation is merged into a quantizer.
    train = np.load(digits / "train.npz")["x"]
    content = nets.quantized(onnx.load(digits / "float.onnx"), train, tmp_path, symmetric=True)
    kinds = [node.op_type for node in onnx.load_model_from_string(content).graph.node]
    assert kinds.count("Relu") == 2
    found = layer_errors(digits / "float.onnx", nets.saved(content, tmp_path), x)
    assert [row.label for row in found.rows] == ["(input) (Input)", *NAMES]
    assert [row.point for row in found.rows if row.layer in "04"] == ["relu", "relu_1"]
    assert by_layer(found)["4"].own_sqnr > 30


def test_unsigned_weights_have_their_true_ratio(digits, x, nets, tmp_path):
    # Differences of integers taken in uint8 wrap around, and report −8 dB and less.
    train = np.load(digits / "train.npz")["x"]
    content = nets.quantized(
        onnx.load(digits / "float.onnx"), train, tmp_path, activations="uint8", weights="uint8", per_channel=False
    )
    rows = by_layer(layer_errors(digits / "float.onnx", nets.saved(content, tmp_path), x))
    built, plain = onnx.load_model_from_string(content), onnx.load(digits / "float.onnx")
    for name in "049":
        w = numpy_helper.to_array(nets.initialiser(plain, f"{name}.weight")).astype(float)
        q, scale, zero = (
            numpy_helper.to_array(nets.initialiser(built, f"{name}.weight_{part}")).astype(float)
            for part in ("quantized", "scale", "zero_point")
        )
        assert q.max() > 128 > q.min()
        noise = ((w - (q - zero) * scale) ** 2).sum()
        assert rows[name].weight_sqnr == pytest.approx(10 * math.log10((w**2).sum() / noise), abs=1e-9)
        assert rows[name].weight_sqnr > 40


def test_a_normalisation_that_one_model_alone_has_folded(nets, tmp_path):
    model = nets.cnn(3)
    content = nets.quantized(model, nets.rows_of(model, 1), tmp_path)
    assert "BatchNormalization" not in {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    float_file, int8_file = nets.saved(model, tmp_path, "f.onnx"), nets.saved(content, tmp_path, "q.onnx")
    rows = by_layer(layer_errors(float_file, int8_file, nets.rows_of(model, 2)))
    assert rows["body.0"].point == "body.0_bn" or rows["body.0"].point.endswith("_relu")
    assert rows["body.0"].sqnr > 25
    assert rows["body.0"].weight_sqnr > 35
    assert {"sum_out", "both"} <= {row.point.replace("sum_relu", "sum_out") for row in rows.values()}
    # And the other way round.
    back = by_layer(layer_errors(int8_file, float_file, nets.rows_of(model, 2)))
    assert back["body.0"].weight_sqnr == pytest.approx(rows["body.0"].weight_sqnr, abs=0.1)


def test_sums_and_concatenations_are_layers_of_their_own(nets, tmp_path):
    model = nets.cnn(5)
    content = nets.quantized(model, nets.rows_of(model, 1), tmp_path)
    found = layer_errors(nets.saved(model, tmp_path, "f.onnx"), nets.saved(content, tmp_path), nets.rows_of(model, 2))
    rows = by_layer(found)
    assert [row.kind for row in found.rows] == [
        *("Input", "Conv", "Conv", "Conv", "Add", "Concat", "MaxPool", "Conv", "Gemm", "Gemm")
    ]
    total = rows["node_sum_out"]
    assert total.before == min(rows["body.2"].sqnr, rows["stem"].sqnr)
    # One quantizer after the stem serves the next convolution and the sum: a fault in it is the stem's, and told so.
    assert rows["stem"].readers == ("body.0 (Conv)", "node_sum_out (Add)")
    assert rows["head.0"].readers == ("head.2 (Gemm)",)
    broken = onnx.load_model_from_string(content)
    scale = numpy_helper.to_array(nets.initialiser(broken, "stem_relu_scale"))
    nets.replaced(broken, "stem_relu_scale", 0.6 * scale)
    worst = layer_errors(
        nets.saved(model, tmp_path, "f.onnx"), nets.saved(broken, tmp_path, "b.onnx"), nets.rows_of(model, 2)
    )
    assert worst.worst.layer == "stem"
    assert "whose quantizer body.0 (Conv) and node_sum_out (Add) share" in worst.findings[0]
    assert all(check.passed for check in found.validity)


def integers_at_both_ends(content):
    """A QDQ build that takes and gives int8, as devices want it."""
    model = onnx.load_model_from_string(content)
    graph = model.graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "image")
    last = next(node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] == "logits")
    graph.input[0].name, graph.output[0].name = first.output[0], last.input[0]
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.INT8
    graph.node.remove(first)
    graph.node.remove(last)
    return model.SerializeToString()


def test_a_build_that_takes_and_gives_integers(digits, x, nets, tmp_path):
    path = nets.saved(integers_at_both_ends((digits / "int8.onnx").read_bytes()), tmp_path)
    found = layer_errors(digits / "float.onnx", path, x)
    wanted = layer_errors(digits / "float.onnx", digits / "int8.onnx", x)
    assert [row.label for row in found.rows] == [row.label for row in wanted.rows]
    for one, other in zip(found.rows, wanted.rows, strict=True):
        assert one.sqnr == pytest.approx(other.sqnr, abs=1e-3)
        assert one.own_sqnr == pytest.approx(other.own_sqnr, abs=1e-3)


def test_another_net_is_told(nets, tmp_path):
    model, other = nets.mlp(1, 5), nets.mlp(1, 5)
    rng = np.random.default_rng(0)
    for tensor in other.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(rng.permutation(values.ravel()).reshape(values.shape), tensor.name))
    found = layer_errors(
        nets.saved(model, tmp_path, "a.onnx"), nets.saved(other, tmp_path, "b.onnx"), nets.rows_of(model, 1)
    )
    (check,) = [check for check in found.validity if not check.passed]
    assert check.name == "one network"
    assert "not builds of one network" in check.reason
    assert check.reason in found.findings
    assert (found.sqnr > -50).status == "INVALID"


def test_another_architecture_is_refused_or_listed(nets, digits, tmp_path):
    five, six = nets.mlp(1, 5), nets.mlp(1, 6)
    found = layer_errors(
        nets.saved(five, tmp_path, "5.onnx"), nets.saved(six, tmp_path, "6.onnx"), nets.rows_of(five, 1)
    )
    assert found.unmatched
    assert all(one.reason for one in found.unmatched)
    assert not found.exact
    assert found.rows[-1].label == "(output) (Output)" == found.output.label
    assert found.sqnr.value <= found.output.sqnr
    assert "could not be compared" in " ".join(found.findings)
    other = nets.Graph((12,), 3)
    hidden = other.relu(other.gemm("x", "dense", 12, 9))
    path = nets.saved(other.model(other.gemm(hidden, "last", 9, 5), 5), tmp_path, "other.onnx")
    with pytest.raises(
        InvalidInput, match=r"no layer of 5\.onnx is found in other\.onnx \(layers\.0 \(Gemm\) of the ref"
    ):
        layer_errors(tmp_path / "5.onnx", path, nets.rows_of(five, 1))


def test_rows_of_another_shape_are_refused(digits, x):
    with pytest.raises(InvalidInput, match=r"float\.onnx: the model takes rows of shape \(1, 8, 8\)"):
        layer_errors(digits / "float.onnx", digits / "int8.onnx", x.reshape(len(x), 64))


def test_several_inputs_are_refused(digits, x, nets, tmp_path):
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "ab"]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "two", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with pytest.raises(InvalidInput, match="takes 2 inputs"):
        layer_errors(nets.saved(model, tmp_path), digits / "int8.onnx", x)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rows": 0}, "rows got 0"), ({"level": 0.4}, "level got 0.4"), ({"seed": -1}, "seed got -1")],
)
def test_options_are_checked(digits, x, options, message):
    with pytest.raises(InvalidInput, match=message):
        layer_errors(digits / "float.onnx", digits / "int8.onnx", x, **options)


def test_models_that_hide_their_layers_are_refused(digits, x):
    import onnxruntime
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(x.reshape(len(x), -1), np.arange(len(x)) % 2)
    session = onnxruntime.InferenceSession(str(digits / "int8.onnx"), providers=["CPUExecutionProvider"])
    for model, message in (
        (lambda rows: rows, r"\(callable\) does not show its layers"),
        (fitted, r"\(sklearn\) does not show its layers"),
        (session, "a live session does not show its layers: pass the path"),
    ):
        with pytest.raises(InvalidInput, match=message):
            layer_errors(digits / "float.onnx", model, x)


def test_a_reference_in_operator_form_is_refused(digits, x, nets, tmp_path):
    train = np.load(digits / "train.npz")["x"]
    content = nets.quantized(onnx.load(digits / "float.onnx"), train, tmp_path, form="qoperator", activations="uint8")
    with pytest.raises(InvalidInput, match="hands on integers .* give the float build as reference"):
        layer_errors(nets.saved(content, tmp_path), digits / "int8.onnx", x)


def test_two_int8_builds_compare(digits, x):
    found = layer_errors(digits / "int8.onnx", digits / "int8.onnx", x)
    assert all(row.sqnr == math.inf for row in found.rows)
    assert all(row.own_sqnr > 30 for row in found.rows)


def test_layers_that_hold_nan_are_listed(nets, tmp_path):
    model = nets.mlp(2, 5)
    x = nets.rows_of(model, 1)
    path = nets.saved(model, tmp_path)
    broken = nets.mlp(2, 5)
    values = numpy_helper.to_array(nets.initialiser(broken, "layers.3.bias")).copy()
    values[0] = np.nan
    nets.replaced(broken, "layers.3.bias", values)
    with pytest.raises((InvalidInput, ModelFault)):
        layer_errors(nets.saved(broken, tmp_path, "all.onnx"), path, x * np.nan)
    found = layer_errors(path, nets.saved(broken, tmp_path, "b.onnx"), x)
    assert {one.layer for one in found.unmatched} >= {"layers.4 (Gemm)"}
    assert "NaN or infinity" in found.unmatched[-1].reason
    assert found.output is None
    assert not found.validity[-1].passed
    told = "the outputs could not be compared: not compared are of the reference layers.3 (Gemm)"
    assert found.validity[-1].reason.startswith(told)
    assert (found.sqnr > -50).status == "INVALID"


def without_names(model, fault=None):
    """The same function under other names, its hidden units in another order, so that weights tell no layer either.

    Of its layers only the first is found.
    """
    other = onnx.ModelProto()
    other.CopyFrom(model)
    first = other.graph.node[0].output[0]
    kept = {first, "x", *(value.name for value in other.graph.output), *other.graph.node[0].input}
    kept |= set(other.graph.node[1].output)
    for node in other.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = name if name in kept else f"z_{name}"
        node.name = f"z_{node.name}" if node.output[0] not in kept else node.name
    for tensor in other.graph.initializer:
        values = numpy_helper.to_array(tensor)
        old = tensor.name
        if old == fault:
            values = values + np.float32(0.2)
        layer, _, part = old.removeprefix("layers.").partition(".")
        if 0 < int(layer) < 4:
            values = values[::-1]
        if part == "weight" and int(layer) > 1:
            values = values[:, ::-1]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), old if old in kept else f"z_{old}"))
    last = other.graph.node[-1]
    last.output[0], named = "given", last.output[0]
    other.graph.node.append(onnx.helper.make_node("Identity", ["given"], [named], name="z_last"))
    return other


@pytest.mark.parametrize("fault", ["layers.1.weight", "layers.4.weight", "layers.4.bias"])
def test_no_fault_hides_in_layers_that_are_not_compared(nets, tmp_path, fault):
    model = nets.mlp(1, 5)
    x = nets.rows_of(model, 1)
    plain = nets.saved(model, tmp_path, "f.onnx")
    honest = layer_errors(plain, nets.saved(without_names(model), tmp_path, "h.onnx"), x)
    assert [row.label for row in honest.rows] == ["layers.0 (Gemm)", "(output) (Output)"]
    assert honest.output.sqnr > 120  # but for the order of sums
    assert not honest.exact
    assert "none is quantized" not in " ".join(honest.findings)
    found = layer_errors(plain, nets.saved(without_names(model, fault), tmp_path, "b.onnx"), x)
    r, q = (as_model(tmp_path / name).forward(x) for name in ("f.onnx", "b.onnx"))
    true = 10 * math.log10((r**2).sum() / ((r - q) ** 2).sum())
    assert found.sqnr.value == pytest.approx(true, abs=1e-4)
    assert found.own_sqnr.value == pytest.approx(true, abs=1e-4)  # the layer before is exact
    assert found.worst is found.output
    assert (found.sqnr > true + 10).status == "FAIL"
    assert (found.sqnr > true - 10).status == "INVALID"
    (check,) = [check for check in found.validity if not check.passed]
    assert check.name == "layers compared"
    assert check.reason.startswith(f"the outputs differ ({true:.1f} dB) though every layer that was compared is exact")
    assert "layers.4 (Gemm)" in check.reason
    assert "1 of 5 layers compared" in found.table().splitlines()[0]
    assert any("what follows the compared layers, adds the most noise" in one for one in found.findings)


def test_less_than_half_of_the_multiply_accumulates_is_too_little(nets, tmp_path):
    model = nets.mlp(1, 5)
    x = nets.rows_of(model, 1)
    plain = nets.saved(model, tmp_path, "f.onnx")
    built = onnx.load_model_from_string(nets.quantized(model, x, tmp_path))
    other = without_names(model)
    # The first layer, which is found, has an error too: it could be thought to be all.
    nets.replaced(other, "layers.0.weight", np.float32(1.01) * numpy_helper.to_array(model.graph.initializer[0]))
    found = layer_errors(plain, nets.saved(other, tmp_path, "b.onnx"), x)
    sizes = [numpy_helper.to_array(nets.initialiser(model, f"layers.{i}.weight")).size for i in range(5)]
    (check,) = [check for check in found.validity if not check.passed]
    share = 100 * sizes[0] / sum(sizes)
    assert check.reason.startswith(f"{share:.0f} % of the multiply-accumulates of the reference lie in compared layers")
    whole = layer_errors(plain, nets.saved(built, tmp_path, "q.onnx"), x)
    assert whole.validity[-1].reason == ("the outputs were compared, and layers with 100 % of the multiply-accumulates")


def test_a_fixed_batch(nets, tmp_path):
    model = nets.mlp(4, 5)
    x = nets.rows_of(model, 1, 13)
    free = nets.saved(model, tmp_path, "free.onnx")
    content = nets.quantized(model, nets.rows_of(model, 2), tmp_path)
    wanted = layer_errors(free, nets.saved(content, tmp_path, "q.onnx"), x)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    found = layer_errors(nets.saved(model, tmp_path, "four.onnx"), tmp_path / "q.onnx", x)
    assert [row.sqnr for row in found.rows] == pytest.approx([row.sqnr for row in wanted.rows], abs=1e-4)


def test_the_check_of_the_catalogue(digits, x):
    from robust.check import Subject

    (check,) = CHECKS
    assert (check.code, check.name, check.inputs) == ("QNT003", "layer_sqnr", ("layer pair",))
    models = {name: as_model(digits / f"{name}.onnx") for name in ("float", "int8")}
    subject = Subject(
        model=models["int8"], reference=models["float"], task="classification", test=as_data(x, np.zeros(len(x), int))
    )
    together, own = (check.run(subject, LayerOptions(rows=32, own=own)) for own in (False, True))
    assert (together.name, own.name) == ("layer SQNR", "own SQNR of a layer")
    assert own.value >= together.value
    same = Subject(model=models["float"], reference=models["float"], task="classification", test=subject.test)
    with pytest.raises(InvalidInput, match="every layer of float.onnx gives exactly what the reference's gives"):
        check.run(same, LayerOptions())


def test_the_page_prints_what_its_example_prints():
    """Layers, their order and the sentences; the decimals hang on the processor."""
    folder = example_path("digits")
    rows = load_data(folder / "test.npz")
    found = layer_errors(load_model(folder / "float.onnx"), load_model(folder / "int8.onnx"), rows)
    page = (Path(__file__).parents[3] / "docs" / "layers.md").read_text(encoding="utf-8")
    (printed,) = [block for block in page.split("```text\n")[1:] if block.startswith("layer ")][:1]
    lines = [*found.table().splitlines(), *found.findings]

    def words(line):
        return re.sub(r"-?\d+\.\d+", "#", " ".join(line.split()))

    assert [words(line) for line in printed.split("```")[0].strip().splitlines()] == [words(line) for line in lines]
