"""Models whose input is an integer with a scale: float rows are quantized and that is told; codes stay codes."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from robust import accuracy, log_loss
from robust.crosscheck.x_cross import agreement
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.evidence import Finding
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.models.row_types import RowType, row_type
from robust.predicting.input_codes import check_no_codes, check_rows_of_both, clipping_note, conversion_note
from robust.predicting.predictions import predict
from robust.quantization.degradation_paired import degradation
from robust.tensors.quantizing import quantize
from robust.tensors.spec import Quantization

Q = Quantization(scale=0.05, zero_point=3, dtype="int8")
WEIGHTS = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)


def build(path, *, inner=(), kind=TensorProto.FLOAT, q=Q, cast=False):
    """A softmax over a linear layer, behind the operators of `inner` that turn the input into real numbers."""
    scale, zero = numpy_helper.from_array(np.float32(q.scale), "s"), np.array(q.zero_point, dtype=q.dtype)
    names = ["x", *(f"t{i}" for i in range(len(inner)))]
    nodes = [helper.make_node(operator, [names[i], "s", "z"], [names[i + 1]]) for i, operator in enumerate(inner)]
    if cast:
        nodes = [helper.make_node("Cast", ["x"], ["t0"], to=TensorProto.FLOAT)]
    nodes += [helper.make_node("MatMul", [names[-1], "w"], ["l"]), helper.make_node("Softmax", ["l"], ["p"], axis=-1)]
    constants = [numpy_helper.from_array(WEIGHTS, "w"), scale, numpy_helper.from_array(zero, "z")]
    values = [
        helper.make_tensor_value_info(*value) for value in (("x", kind, ["n", 4]), ("p", TensorProto.FLOAT, ["n", 3]))
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return load_model(path, output="probabilities")


@pytest.fixture
def models(tmp_path):
    """The float build, one that quantizes inside, and one that starts with the integers."""
    return (
        build(tmp_path / "float.onnx"),
        build(tmp_path / "inside.onnx", inner=("QuantizeLinear", "DequantizeLinear")),
        build(tmp_path / "int8.onnx", inner=("DequantizeLinear",), kind=TensorProto.INT8),
    )


@pytest.fixture(params=[np.float32, np.float64])
def rows(request):
    rng = np.random.default_rng(9)
    x = (2 * rng.normal(size=(400, 4))).astype(request.param)
    x[:3] = [[0.125, -0.125, 0.025, 0.075]] * 3  # ties, that round to even
    return as_data(x, (x @ WEIGHTS + rng.gumbel(size=(400, 3))).argmax(axis=1))


def told(m):
    return [evidence.text for evidence in m.evidence if isinstance(evidence, Finding)]


def test_float_rows_are_what_a_quantizing_operator_makes_of_them(models, rows):
    _, inside, integers = models
    by_hand = as_data(quantize(rows.x.astype(np.float32), Q), rows.targets)
    expected = predict(inside, as_data(rows.x.astype(np.float32), rows.targets)).outputs
    np.testing.assert_array_equal(predict(integers, by_hand).outputs, expected)
    np.testing.assert_array_equal(predict(integers, as_data(rows.x.astype(np.float32), rows.y)).outputs, expected)
    assert accuracy(integers, rows).value == pytest.approx(accuracy(inside, rows).value, abs=0.01)
    assert abs(degradation(models[0], integers, rows).value) < 0.02
    found = agreement(None, integers, [rows.x])  # both ways agree
    np.testing.assert_array_equal(found.tensors.c_outputs[0], predict(integers, rows).outputs.astype(np.float32))


def test_it_is_told_once_with_how_much_is_clipped(models, rows):
    text = f"{rows.x.dtype} rows are quantized for int8.onnx, which takes int8, with s=0.050000 zp=3"
    beyond = int(((rows.x < -6.575) | (rows.x > 6.225)).sum())
    for measure in (accuracy, log_loss):
        found = told(measure(models[2], rows))
        assert found.count(text) == 1
        assert sum(f"{beyond} of 1600 numbers of {rows.name} lie beyond -6.55 … 6.2" in line for line in found) == 1
    assert told(accuracy(models[0], rows)) == []
    small = as_data(rows.x.clip(-6, 6), rows.targets)
    assert clipping_note(models[2], small) is None
    assert told(accuracy(models[2], small)) == [text]


def test_nothing_is_told_of_codes_and_of_models_that_take_floats(models, rows):
    codes = quantize(rows.x, Q)
    assert conversion_note(models[2], codes) is clipping_note(models[2], as_data(codes, rows.targets)) is None
    assert conversion_note(models[0], rows.x) is conversion_note(as_model(lambda x: x), rows.x) is None


def test_types_of_rows(models):
    assert row_type(models[0]) == RowType(dtype="float32")
    assert row_type(models[2]).codes.words == "s=0.050000 zp=3"
    assert row_type(as_model(lambda x: x)) is None
    sk = as_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    assert row_type(sk) == RowType(dtype="float64")


def test_types_of_rows_of_torch_modules():
    assert row_type(as_model(torch.nn.Linear(4, 3))) == RowType(dtype="float32")
    codes = torch.nn.Sequential(torch.nn.Embedding(9, 2), torch.nn.Flatten(), torch.nn.Linear(8, 3))
    assert row_type(as_model(codes)) == RowType(dtype="int64")


def test_codes_of_one_model_are_no_rows_for_the_other(models, rows, tmp_path):
    full, _, integers = models
    codes = as_data(quantize(rows.x, Q), rows.targets)
    other = Quantization(scale=0.1, zero_point=0, dtype="int8")
    rescaled = build(tmp_path / "other.onnx", inner=("DequantizeLinear",), kind=TensorProto.INT8, q=other)
    sk = as_model(LogisticRegression().fit(rows.x, rows.y))
    match = (
        r"are int8: codes of int8.onnx \(s=0.050000 zp=3\), whereas float.onnx takes float32, .* give the float rows"
    )
    for pair in ((full, integers), (integers, full)):
        with pytest.raises(InvalidInput, match=match):
            check_rows_of_both(*pair, codes)
        check_rows_of_both(*pair, rows)
    with pytest.raises(InvalidInput, match="whereas LogisticRegression takes float64"):
        check_rows_of_both(sk, integers, codes)
    with pytest.raises(InvalidInput, match=r"other.onnx takes int8 \(s=0.100000 zp=0\), for which"):
        check_rows_of_both(rescaled, integers, codes)
    check_rows_of_both(rescaled, integers, rows)
    check_rows_of_both(integers, integers, codes)
    check_rows_of_both(full, full, codes)  # to both they are the numbers that they look like


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint64])
def test_codes_in_wider_integers_are_codes_too(models, rows, kind, tmp_path):
    """Whole numbers of any width reach the int8 input as its codes, and the other model as numbers."""
    full, _, integers = models
    q = replace(Q, zero_point=0, dtype="uint8") if kind is np.uint64 else Q
    if q is not Q:
        integers = build(tmp_path / "u.onnx", inner=("DequantizeLinear",), kind=TensorProto.UINT8, q=q)
    codes = as_data(quantize(rows.x, q).astype(kind), rows.targets)
    predict(integers, codes)  # it takes them
    match = rf"are {np.dtype(kind)}: codes of .*onnx \(s=0.050000 zp=.\), whereas .* takes float.*give the float rows"
    others = [full, as_model(LogisticRegression().fit(rows.x, rows.y))]
    for pair in [(other, integers) for other in others] + [(integers, other) for other in others]:
        with pytest.raises(InvalidInput, match=match):
            check_rows_of_both(*pair, codes)
    assert check_rows_of_both(integers, integers, codes) is None
    assert check_rows_of_both(full, full, codes) is None
    plain = build(tmp_path / "plain.onnx", inner=("Cast",), kind=getattr(TensorProto, q.dtype.upper()), q=q, cast=True)
    assert row_type(plain) == RowType(dtype=q.dtype)
    assert check_rows_of_both(plain, integers, codes) is None  # the very integers, whatever they stand for


def test_other_codes_in_wider_integers_are_refused(models, rows, tmp_path):
    other = Quantization(scale=0.1, zero_point=0, dtype="int8")
    rescaled = build(tmp_path / "other.onnx", inner=("DequantizeLinear",), kind=TensorProto.INT8, q=other)
    codes = as_data(quantize(rows.x, Q).astype(np.int64), rows.targets)
    with pytest.raises(InvalidInput, match=r"other.onnx takes int8 \(s=0.100000 zp=0\), for which"):
        degradation(rescaled, models[2], codes)


def test_a_function_beside_codes_may_read_them_itself_which_is_told(models, rows):
    integers = models[2]
    decoded = as_model(lambda x: models[0].forward(((x - 3.0) * 0.05).astype(np.float32)), output="probabilities")
    for kind in (np.int8, np.int64):
        codes = as_data(quantize(rows.x, Q).astype(kind), rows.y)
        found = degradation(decoded, integers, codes)
        assert found.value == 0.0
        text = f"are {np.dtype(kind)}: codes of int8.onnx (s=0.050000 zp=3); {decoded.name} reads them as they are"
        assert sum(text in line for line in told(found)) == 1
    assert not any("codes" in line for line in told(degradation(decoded, decoded, codes)))


def test_codes_in_a_floating_table_are_asked_back(models, rows, tmp_path):
    """A csv table knows no int8: quantized a second time, codes give other answers without an error."""
    full, _, integers = models
    codes = quantize(rows.x, Q)
    for x in (codes.astype(rows.x.dtype), codes.astype(np.float64)):
        table = as_data(x, rows.y)
        match = (
            r"float.., but whole numbers alone, .* beyond -6.55 … 6.2, .*are these its int8 codes\? Give them as int8"
        )
        with pytest.raises(InvalidInput, match=match):
            accuracy(integers, table)
        with pytest.raises(InvalidInput, match=match):
            degradation(full, integers, table)
        assert accuracy(full, table).n == 400  # to a float model they are numbers
    lines = ["a,b,c,d,y", *(",".join(map(str, [*row, label])) for row, label in zip(codes, rows.y, strict=True))]
    (tmp_path / "codes.csv").write_text("\n".join(lines))
    with pytest.raises(InvalidInput, match=r"the rows of codes.csv are float64, but whole numbers alone"):
        predict(integers, load_data(tmp_path / "codes.csv", target="y"))


@pytest.mark.parametrize("x", [[[0.0, 1, 1, 0]], [[3.0, -6, 5, 6]], [[99.5, 1, 2, 3]], [[300.0, 1, 2, 3]]])
def test_real_numbers_are_no_codes(models, x):
    """Indicators, whole numbers that fit, one that is not whole, and one that int8 cannot hold."""
    check_no_codes(models[2], as_data(np.array(x * 4), np.arange(4) % 3))


def test_int8_rows_of_a_network_of_floats_are_told(models, rows):
    codes = quantize(rows.x, Q)
    text = "are int8, float.onnx takes float32: they are taken as the numbers that they look like"
    for measure in (accuracy, log_loss):
        assert sum(text in line for line in told(measure(models[0], as_data(codes, rows.y)))) == 1
    pixels = (codes.astype(int) + 128).astype(np.uint8)
    for model, x in ((models[0], pixels), (models[2], codes), (models[0], codes.astype(np.int16))):
        assert not any("look like" in line for line in told(accuracy(model, as_data(x, rows.y))))
    table = as_data(codes, rows.y)
    estimator = LogisticRegression(max_iter=1000).fit(rows.x, rows.y)
    assert not any("look like" in line for line in told(accuracy(estimator, table)))


def test_integers_that_are_the_numbers_themselves_are_no_codes(models, tmp_path):
    """Scale 1 and zero point 0, as of pixels: both models read the same numbers."""
    pixels = Quantization(scale=1.0, zero_point=0, dtype="uint8")
    image = build(tmp_path / "pixels.onnx", inner=("DequantizeLinear",), kind=TensorProto.UINT8, q=pixels)
    x = np.random.default_rng(0).integers(0, 256, size=(50, 4)).astype(np.uint8)
    check_rows_of_both(models[0], image, as_data(x, np.zeros(50, dtype=int)))
    np.testing.assert_allclose(image.forward(x), models[0].forward(x), rtol=1e-6)


def test_missing_values_are_named_by_their_place_in_the_data(models, rows):
    x = np.array(rows.x)
    x[301, 2] = np.nan
    small = replace(models[2], batch_size=100)
    with pytest.raises(InvalidInput, match=r"int8.onnx, .*missing values \(NaN\) in row 301 .*, column 'x2'"):
        predict(small, as_data(x, rows.targets))


def test_a_degradation_on_the_codes_of_one_model_is_refused(models, rows):
    full, _, integers = models
    codes = as_data(quantize(rows.x, Q), rows.y)
    with pytest.raises(InvalidInput, match=r"codes of .*int8.onnx.*give the float rows"):
        degradation(full, integers, codes)
    assert degradation(full, integers, rows).n == 400


def test_a_remembered_torch_model_is_not_opened_for_floating_rows(rows):
    """An audit that finds all answers kept must not load the framework to learn that nothing is quantized."""

    class Remembered:
        @property
        def adapter(self):
            raise AssertionError("opened")

        def forward(self, x):
            return x

    model = Model(name="m", framework="torch", forward=Remembered().forward)
    check_no_codes(model, rows)
    assert (clipping_note(model, rows), conversion_note(model, rows.x)) == (None, None)
