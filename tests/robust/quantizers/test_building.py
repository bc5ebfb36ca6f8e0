import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.linear_model import LogisticRegression

from robust.costing.whole_model import cost
from robust.data.loading import load_data
from robust.errors import InvalidInput, MissingExtra
from robust.examples.catalogue import example_path
from robust.models.loading import load_model
from robust.predicting.predictions import predict
from robust.quantization.coverage import coverage_by_layer
from robust.quantization.degradation_paired import degradation
from robust.quantizers import building, files_onnx
from robust.quantizers.building import quantize

FOLDER = example_path("digits")
FLOAT = FOLDER / "float.onnx"


@pytest.fixture(scope="module")
def train():
    return load_data(FOLDER / "train.npz")


@pytest.fixture(scope="module")
def test():
    return load_data(FOLDER / "test.npz")


def decisions(model, data):
    return predict(model, data).labels


def test_requantizing_the_example_gives_the_decisions_of_the_shipped_file(train, test):
    candidate, shipped = quantize(FLOAT, train), load_model(FOLDER / "int8.onnx")
    np.testing.assert_array_equal(decisions(candidate, test), decisions(shipped, test))
    ours, theirs = (onnx.load_model_from_string(model.content()).graph.initializer for model in (candidate, shipped))
    assert {t.name: t.raw_data for t in ours} == {t.name: t.raw_data for t in theirs}


@pytest.mark.parametrize(
    ("given", "weights", "macc"),
    [
        ({}, 1, 1),
        ({"calibrate": "percentile", "percentile": 99.9}, 1, 1),
        ({"method": "qoperator"}, 1, 1),
        ({"method": "qoperator", "activation_type": "uint8", "weight_type": "uint8"}, 1, 1),
        ({"method": "dynamic"}, 1, 1),
        ({"method": "dynamic", "weight_type": "int8", "per_channel": False}, 1, 1),
        ({"method": "weight-only"}, 1280 / 6032, 0),
        ({"weight_type": "uint8", "activation_type": "uint8"}, 1, 1),
        ({"weight_type": "int4"}, 1, 1),
        ({"keep": ("4",)}, 1424 / 6032, (9216 + 1280) / 84224),
        ({"method": "dynamic", "keep": ("0", "9")}, 4608 / 6032, 73728 / 84224),
    ],
)
def test_each_way_is_measured_by_everything_else(train, test, given, weights, macc):
    candidate = quantize(FLOAT, train, **given)
    found = coverage_by_layer(candidate, data=test)
    assert found.weights == pytest.approx(weights)
    assert found.macc == pytest.approx(macc)
    assert {layer.name for layer in found.layers if layer.weights} == {"0", "4", "9"}
    loss = degradation(FLOAT, candidate, test, quantized=True)
    assert loss < 0.02
    assert 0 < cost(candidate).rom.value < cost(FLOAT).rom.value


def test_rows_of_another_kind_are_a_bad_candidate(train, test):
    loss = degradation(FLOAT, quantize(FLOAT, train.x * np.float32(0.1)), test)
    assert (loss < 0.01).status == "FAIL"


def test_seven_bits_by_default_and_eight_on_demand(train):
    def largest(model):
        stored = {t.name: t for t in onnx.load_model_from_string(model.content()).graph.initializer}
        return np.abs(onnx.numpy_helper.to_array(stored["4.weight_quantized"]).astype(int)).max()

    assert largest(quantize(FLOAT, train)) == 64
    assert largest(quantize(FLOAT, train, reduce_range=False)) == 127


def test_the_file_is_written_and_is_the_candidate(train, tmp_path):
    candidate = quantize(FLOAT, train, out=tmp_path / "deep" / "int8.onnx")
    assert candidate.name == "int8.onnx"
    assert load_model(tmp_path / "deep" / "int8.onnx").identity() == candidate.identity()


def test_what_is_known_of_the_float_model_is_known_of_its_candidate(train):
    labels = tuple("abcdefghij")
    source = load_model(FLOAT, output="logits", classes=labels, batch_size=32)
    candidate = quantize(source, train)
    assert (candidate.task, candidate.output, candidate.classes) == ("classification", "logits", labels)
    assert candidate.batch_size == 32


def test_a_candidate_is_built_once_and_any_change_builds_anew(train, tmp_path, monkeypatch):
    built = []
    build = files_onnx.quantized_file

    def counted(*arguments, **named):
        built.append(named)
        return build(*arguments, **named)

    monkeypatch.setattr(files_onnx, "quantized_file", counted)
    x = np.array(train.x)

    def count(model=FLOAT, rows=x, **given):
        before = len(built)
        quantize(model, rows, cache=tmp_path / "kept", **given)
        return len(built) - before

    assert count() == 1
    assert count() == 0
    assert count(batch=7) == 0  # decides no number
    assert count(rows=(x, train.y)) == 0  # targets are not used
    other = x.copy()
    other[500, 0, 3, 3] += np.float32(1e-3)
    assert count(rows=other) == 1
    assert count(rows=other, method="dynamic") == 1
    assert count(method="dynamic") == 0  # the ranges of rows take no part
    assert count(keep=("9",)) == 1
    assert count(reduce_range=False) == 1
    model = onnx.load(FLOAT)
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "9.bias"]
    bias.raw_data = (np.frombuffer(bias.raw_data, np.float32) + np.float32(0.01)).tobytes()
    onnx.save(model, tmp_path / "other.onnx")
    assert count(model=tmp_path / "other.onnx") == 1


def test_rows_of_another_shape_are_refused_also_when_the_candidate_is_known(train):
    quantize(FLOAT, train, method="dynamic")
    with pytest.raises(InvalidInput, match=r"takes rows of shape \(1, 8, 8\).*got rows of shape \(1, 8, 9\)"):
        quantize(FLOAT, np.random.default_rng(0).random((50, 1, 8, 9)), method="dynamic")


def test_methods_without_ranges_need_no_rows():
    assert quantize(FLOAT, None, method="dynamic").content()
    with pytest.raises(InvalidInput, match="takes ranges from calibration rows: give some training rows"):
        quantize(FLOAT, None)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: FOLDER / "int8.onnx", "is quantized already"),
        (lambda: LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]), "scikit-learn estimator.*convert it to ONNX"),
        (lambda: lambda x: x[:, 0, 0, 0], "is a callable, which does not show its graph"),
        (lambda: onnxruntime.InferenceSession(FLOAT), "is a live session, which does not show its graph"),
    ],
)
def test_models_that_cannot_be_quantized(train, model, match):
    with pytest.raises(InvalidInput, match=match):
        quantize(model(), train)


def test_several_inputs_are_refused(train, tmp_path):
    model = onnx.load(FLOAT)
    model.graph.input.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["n"]))
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(InvalidInput, match=r"takes 2 inputs \(image .*, z .*export a wrapper that takes one"):
        quantize(tmp_path / "two.onnx", train)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"out": "int8.bin"}, "must end in .onnx"),
        ({"keep": ("conv9",)}, "keep names 'conv9'.*its layers with weights are 0, 4, 9"),
        ({"method": "torchao"}, "for live torch modules, got float.onnx"),
        ({"method": "torchao", "out": "a.onnx"}, "leave out= out"),
        ({"batch": 0}, "batch must be a whole number"),
    ],
)
def test_options_that_do_not_fit(train, given, match):
    with pytest.raises(InvalidInput, match=match):
        quantize(FLOAT, train, **given)


def test_a_folder_that_cannot_be_written_to_is_named(train, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InvalidInput, match="taken.*cannot be written"):
        quantize(FLOAT, train, out=tmp_path / "taken" / "int8.onnx")


def test_what_is_not_installed_is_named_by_its_extra(train, monkeypatch):
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"robust-gates\[onnx\]"):
        quantize(FLOAT, train)


def test_the_table_of_a_bag_of_embeddings_counts():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.EmbeddingBag(50, 16), torch.nn.Linear(16, 4)).eval()
    words = np.random.default_rng(0).integers(0, 50, size=(64, 5))
    found = coverage_by_layer(quantize(net, words, method="qoperator"))
    assert [(layer.name, layer.weights, layer.quantized) for layer in found.layers] == [("0", 800, 800), ("1", 64, 64)]


def leaks(measured):
    return [one.text for one in measured.evidence if getattr(one, "text", "").startswith("leakage")]


def test_a_loss_on_the_calibration_rows_is_told_to_be_one(train, test, tmp_path):
    """Also where the candidate comes from the cache, and where some rows alone are shared; not after a file."""
    first, again = (quantize(FLOAT, test, cache=tmp_path) for _ in range(2))
    for candidate in (first, again):
        (told,) = leaks(degradation(FLOAT, candidate, test, quantized=True))
        assert told.startswith(f"leakage: 719 of 719 rows of {test.name} are among the calibration rows of ")
        assert "(100 %)" in told
    (told,) = leaks(degradation(FLOAT, first, test.rows(np.arange(200)), quantized=True))
    assert told.startswith("leakage: 200 of 200 rows")
    some = quantize(FLOAT, test.rows(np.arange(150)))
    (told,) = leaks(degradation(FLOAT, {"some": some}, test)["some"])
    assert told.startswith("leakage: 150 of 719 rows")
    assert "(20.9 %)" in told
    honest = degradation(FLOAT, quantize(FLOAT, train), test)
    assert leaks(honest) == leaks(degradation(FLOAT, quantize(FLOAT, test, method="dynamic"), test)) == []
    quantize(FLOAT, test, out=tmp_path / "written.onnx")
    assert leaks(degradation(FLOAT, load_model(tmp_path / "written.onnx"), test)) == []
