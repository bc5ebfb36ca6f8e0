"""A scale that is wider than the values need is named, whether or not its layer stands out; an honest one is not."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from robust.data.loading import load_data
from robust.evidence import Finding
from robust.examples.catalogue import example_path
from robust.layers.layer_error import layer_errors
from robust.layers.point_sums import PointSums
from robust.layers.wide_ranges import Codes, Filled, wide_ranges
from robust.quantizers.building import quantize

DIGITS = example_path("digits")
#: Where a fault in each scale of the digits model belongs: its layer, and the tensor that it quantizes.
SCALES = {
    "image_scale": ("(input)", "image"),
    "relu_scale": ("0", "relu"),
    "relu_1_scale": ("4", "relu_1"),
    "logits_scale": ("9", "logits"),
}
CODES = Codes(name="t", low=0.0, high=25.5, step=0.1)
SIGNED = Codes(name="t", low=-12.8, high=12.7, step=0.1)


def told(found):
    return [text for text in found.findings if "times wider than its values need" in text]


def held(values, codes=CODES, label="0 (Conv)"):
    """A point that held these values, one a row."""
    sums = PointSums(len(values))
    column = np.asarray(values, dtype=float)[:, None]
    sums.add(slice(0, len(values)), column, column)
    return Filled(label=label, codes=codes, sums=sums)


def scaled(name, factor, folder):
    """The digits model with one scale changed for all that read it, as another range at calibration makes it."""
    model = onnx.load(DIGITS / "int8.onnx")
    (scale,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    scale.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(scale) * factor).astype(np.float32), name))
    onnx.save(model, folder / "scaled.onnx")
    return folder / "scaled.onnx"


@pytest.mark.parametrize("factor", [0.5, 0.6, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("name", SCALES)
def test_a_wrong_range_is_ranked_first_or_named(name, factor, tmp_path):
    layer, tensor = SCALES[name]
    found = layer_errors(DIGITS / "float.onnx", scaled(name, factor, tmp_path), load_data(DIGITS / "test.npz"))
    if factor < 1:
        assert found.worst.layer == layer
        assert told(found) == []  # what follows holds less than it should, but its range is right
    else:
        (text,) = told(found)
        assert text.startswith(f"{tensor} at {layer}")
        assert float(text.partition(" times wider")[0].rpartition(" ")[2]) == pytest.approx(factor, rel=0.08)
        assert Finding(text=text) in found.own_sqnr.evidence


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"calibrate": "entropy"},
        {"calibrate": "percentile", "percentile": 99.9},
        {"method": "qoperator"},
        {"method": "qoperator", "activation_type": "uint8", "weight_type": "uint8"},
        {"activation_type": "int16"},
        {"method": "dynamic"},
    ],
)
def test_an_honest_build_is_not_accused(options):
    train, test = (load_data(DIGITS / f"{name}.npz") for name in ("train", "test"))
    candidate = quantize(DIGITS / "float.onnx", train, **options)
    for rows in (16, 64, 256):
        assert told(layer_errors(DIGITS / "float.onnx", candidate, test, rows=rows)) == []


def test_one_outlier_among_the_calibration_rows_is_told():
    rows = np.load(DIGITS / "train.npz")["x"]
    candidate = quantize(DIGITS / "float.onnx", np.concatenate([rows, 3 * rows[:1]]))
    first = told(layer_errors(DIGITS / "float.onnx", candidate, load_data(DIGITS / "test.npz")))[0]
    assert first.startswith("image at (input): its scale is 2.8 times wider")
    assert "36 % of its codes" in first


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_random_nets_are_not_accused(form, symmetric, seed, nets, tmp_path):
    """Calibrated on 1000 rows and looked at on few others: ranges of normal numbers are wider by their tails alone."""
    model = nets.cnn(seed)
    rows = nets.rows_of(model, seed, n=1000)
    content = nets.quantized(model, rows, tmp_path, form=form, symmetric=symmetric)
    plain, build = nets.saved(model, tmp_path), nets.saved(content, tmp_path, "build.onnx")
    for n in (64, 256):
        assert told(layer_errors(plain, build, nets.rows_of(model, seed + 100, n=n))) == []


def test_by_hand():
    """Values reach 5 of 25.5: 5.1 times, 19.6 % or 20 to two digits, log2 5.1 = 2.35 bits."""
    (found,) = wide_ranges([held([5.0] * 20)])
    assert found.text.startswith("t at 0 (Conv): its scale is 5.1 times wider than its values need: on 20 rows")
    assert "20 % of its codes, which loses 2.4 bits" in found.text


def test_of_symmetric_codes_the_fuller_half_counts():
    """After a ReLU half of them are never used, which no range could mend."""
    assert wide_ranges([held([12.0] * 200, SIGNED)]) == ()
    assert len(wide_ranges([held([9.0] * 200, SIGNED)])) == 1
    assert wide_ranges([held([9.0] * 127, SIGNED)]) == ()  # of few rows half of them must be unused


def test_a_scale_that_several_points_share_is_as_wide_as_the_fullest_needs():
    assert wide_ranges([held([5.0] * 20), held([25.0] * 20, label="pool (MaxPool)")]) == ()


def test_a_tail_that_would_fill_the_range_is_not_told():
    """Exponential values grow by 0.7 with each doubling of the rows, so that more rows reach the end."""
    values = np.random.default_rng(0).exponential(size=64)
    scale = 12.0 / values.max()
    assert wide_ranges([held(values * scale)]) == ()
    assert len(wide_ranges([held(np.minimum(values * scale, 6.0))])) == 1


def test_few_rows_and_dead_layers_tell_nothing():
    assert wide_ranges([held([5.0] * 15)]) == wide_ranges([held([0.0] * 20)]) == ()
