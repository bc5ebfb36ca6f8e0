import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from robust.examples.catalogue import example_path
from robust.examples.digits_data import digits_split
from robust.examples.digits_onnx import float_onnx, int8_onnx
from robust.examples.digits_torch import small_cnn
from robust.examples.train_digits_torch import onnx_logits

FOLDER = example_path("digits")
NAMES = ("float.onnx", "int8.onnx")


@pytest.fixture(scope="module")
def splits():
    return digits_split()


@pytest.fixture(scope="module")
def network():
    built = small_cnn()
    built.load_state_dict(load_file(FOLDER / "net.safetensors"))
    return built.eval()


def initialisers(name):
    return {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(FOLDER / name).graph.initializer}


def operators(name):
    return [node.op_type for node in onnx.load(FOLDER / name).graph.node]


def accuracy(path, images):
    return float(np.mean(onnx_logits(path, images.x).argmax(axis=1) == images.y))


@pytest.mark.parametrize("name", NAMES)
def test_input_and_output_have_names_and_a_free_batch_size(name):
    model = onnx.load(FOLDER / name)
    onnx.checker.check_model(model, full_check=True)
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, logits.name) == ("image", "logits")
    for value, row in ((image, [1, 8, 8]), (logits, [10])):
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param
        assert not batch.HasField("dim_value")
        assert [size.dim_value for size in rest] == row


@pytest.mark.parametrize("name", NAMES)
def test_opset_is_one_that_runtimes_of_the_supported_range_read(name):
    model = onnx.load(FOLDER / name)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert model.ir_version <= 10


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_in_the_file_itself(name):
    model = onnx.load(FOLDER / name, load_external_data=False)
    assert not any(item.external_data for item in model.graph.initializer)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_files_read_at_least_97_percent(name, splits):
    assert accuracy(FOLDER / name, splits[1]) >= 0.97


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_depend_on_its_batch(name, splits):
    x = splits[1].x[:21]
    whole = onnx_logits(FOLDER / name, x)
    for size in (1, 7):
        parts = [onnx_logits(FOLDER / name, x[start : start + size]) for start in range(0, 21, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-6, atol=1e-6)


def test_float_file_agrees_with_the_torch_weights(network, splits):
    with torch.no_grad():
        expected = network(torch.from_numpy(splits[1].x)).numpy()
    np.testing.assert_allclose(onnx_logits(FOLDER / "float.onnx", splits[1].x), expected, rtol=1e-5, atol=1e-5)


def test_batch_normalisation_is_folded_as_in_the_closed_form(network):
    convolution, normalisation = network[0], network[1]
    factor = normalisation.weight / torch.sqrt(normalisation.running_var + normalisation.eps)
    weights = (convolution.weight * factor[:, None, None, None]).detach().numpy()
    assert "BatchNormalization" not in operators("float.onnx")
    (shipped,) = (array for array in initialisers("float.onnx").values() if array.shape == weights.shape)
    np.testing.assert_allclose(shipped, weights, rtol=1e-5, atol=1e-7)


def test_int8_file_is_quantized_and_float_file_is_not():
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(operators("int8.onnx"))
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(operators("float.onnx"))
    weights = [array for array in initialisers("int8.onnx").values() if array.ndim > 1]
    assert sorted(array.shape for array in weights) == [(10, 128), (16, 1, 3, 3), (32, 16, 3, 3)]
    assert all(array.dtype == np.int8 for array in weights)


def test_int8_weights_have_one_scale_a_channel_and_keep_to_seven_bits():
    arrays = initialisers("int8.onnx")
    for name, quantized in arrays.items():
        if name.endswith("_quantized") and quantized.ndim > 1:
            scale = arrays[name.removesuffix("_quantized") + "_scale"]
            assert scale.shape == (len(quantized),)
            assert len(np.unique(scale)) > 1
            assert np.abs(quantized.astype(int)).max() <= 64


def test_int8_weights_are_the_float_weights_to_half_a_step():
    quantized, exact = initialisers("int8.onnx"), initialisers("float.onnx")
    shape = (32, 16, 3, 3)
    (name,) = (key for key, array in quantized.items() if array.shape == shape)
    (weights,) = (array for array in exact.values() if array.shape == shape)
    scale = quantized[name.removesuffix("_quantized") + "_scale"][:, None, None, None]
    assert np.max(np.abs(quantized[name] * scale - weights) / scale) <= 0.5 + 1e-3


def test_input_scale_is_the_range_of_the_training_images():
    assert initialisers("int8.onnx")["image_scale"] == pytest.approx(1 / 255)


def test_requantizing_on_the_training_rows_gives_the_shipped_weights_and_decisions(splits, tmp_path):
    train, _, test = splits
    rebuilt = int8_onnx(onnx.load(FOLDER / "float.onnx"), train.x)
    onnx.save(rebuilt, tmp_path / "int8.onnx")
    again = {item.name: onnx.numpy_helper.to_array(item) for item in rebuilt.graph.initializer}
    for name, array in initialisers("int8.onnx").items():
        if array.dtype == np.int8:
            np.testing.assert_array_equal(again[name], array)
    shipped, logits = onnx_logits(FOLDER / "int8.onnx", test.x), onnx_logits(tmp_path / "int8.onnx", test.x)
    np.testing.assert_array_equal(logits.argmax(axis=1), shipped.argmax(axis=1))


def test_calibration_on_the_wrong_images_is_seen(splits, tmp_path):
    train, _, test = splits
    onnx.save(int8_onnx(onnx.load(FOLDER / "float.onnx"), train.x * np.float32(0.1)), tmp_path / "dark.onnx")
    assert accuracy(tmp_path / "dark.onnx", test) < accuracy(FOLDER / "int8.onnx", test) - 0.05


@pytest.mark.slow
def test_export_of_other_weights_gives_their_logits(splits, tmp_path):
    torch.manual_seed(1)
    other = small_cnn().eval()
    onnx.save(float_onnx(other), tmp_path / "other.onnx")
    with torch.no_grad():
        expected = other(torch.from_numpy(splits[1].x[:50])).numpy()
    np.testing.assert_allclose(onnx_logits(tmp_path / "other.onnx", splits[1].x[:50]), expected, rtol=1e-5, atol=1e-5)
