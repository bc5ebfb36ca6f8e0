"""The same samples in the types of each model's inputs."""

import numpy as np
import pytest

from robust.crosscheck.feeding import answered, fed
from robust.errors import InvalidInput, ModelFault
from robust.models.runner_base import Runner
from robust.predicting.metering import metered
from robust.tensors.quantizing import dequantize, quantize
from robust.tensors.spec import Quantization, TensorSpec

Q = Quantization(scale=0.5, zero_point=-3, dtype="int8")
OTHER = Quantization(scale=0.25, zero_point=128, dtype="uint8")


def spec(dtype="float32", shape=(2,), q=None, name="x"):
    return TensorSpec(name=name, shape=shape, dtype=dtype, quantization=q)


def runner(*inputs, forward=lambda arrays: {"y": arrays[0]}):
    return Runner(name="m", framework="callable", forward=forward, inputs=inputs or None)


X = np.array([[0.0, 1.0], [2.5, -60.0], [900.0, 0.24]], dtype=np.float32)


def test_floats_are_quantized_with_rounding_and_clipping():
    (array,), notes = fed(runner(spec("int8", q=Q)), [X], [spec()])
    assert array.tolist() == [[-3, -1], [2, -123], [127, -3]]
    assert notes == (
        "input 'x': float32 data are quantized with s=0.500000 zp=-3"
        "; 1 of 6 numbers lie beyond -62.5 … 65, all that it can hold: clipped",
    )


def test_integers_with_a_scale_are_dequantized():
    raw = quantize(X, Q)
    (array,), notes = fed(runner(spec()), [raw], [spec("int8", q=Q)])
    assert array.dtype == np.float32
    assert array == pytest.approx(dequantize(raw, Q))
    assert notes == ("input 'x': int8 data are dequantized with s=0.500000 zp=-3",)


def test_integers_of_another_scale_are_quantized_anew():
    raw = quantize(X[:1], Q)
    (array,), notes = fed(runner(spec("uint8", q=OTHER)), [raw], [spec("int8", q=Q)])
    assert dequantize(array, OTHER) == pytest.approx(dequantize(raw, Q))
    assert len(notes) == 2


def test_equal_integers_pass_untouched():
    raw = quantize(X, Q)
    (array,), notes = fed(runner(spec("int8", q=Q)), [raw], [spec("int8", q=Q)])
    assert array is raw
    assert notes == ()


def test_a_model_that_says_nothing_gets_what_there_is():
    (array,), notes = fed(runner(), [X], [spec()])
    assert array is X
    assert notes == ()


def test_codes_in_floating_samples_are_asked_back():
    codes = quantize(X, Q).astype(np.float32)
    codes[0] = [-110, 90]
    with pytest.raises(
        InvalidInput, match=r"m: input data are float32, but whole numbers .* are these its int8 codes\?"
    ):
        fed(runner(spec("int8", q=Q)), [codes], [spec()])
    narrow = Quantization(scale=0.125, zero_point=0, dtype="int8")
    # The same whole numbers where they are known to be real, and are clipped.
    raw = quantize(np.array([[-60.0, 40.0]]), Q)
    (array,), notes = fed(runner(spec("int8", q=narrow)), [raw], [spec("int8", q=Q)])
    assert array.tolist() == [[-128, 127]]
    assert "2 of 2 numbers lie beyond" in notes[1]


def test_codes_for_a_model_that_says_nothing_are_told_or_refused():
    raw, known = quantize(X, Q), spec("int8", q=Q)
    with metered() as meter:
        fed(runner(), [raw], [known])
        fed(runner(), [X], [spec()])
        fed(runner(), [raw], [spec("int8", q=Quantization(scale=1.0, zero_point=0, dtype="int8"))])
    (finding,) = meter.findings()
    assert "'x' are int8: codes of the other model (s=0.500000 zp=-3); m reads them as they are" in finding.text
    for framework in ("torch", "sklearn"):
        with pytest.raises(
            InvalidInput, match=rf"whereas m \({framework}\) takes real numbers, .* give floating samples"
        ):
            fed(Runner(name="m", framework=framework, forward=lambda arrays: {"y": arrays[0]}), [raw], [known])


@pytest.mark.parametrize(
    ("array", "want", "match"),
    [
        (X.astype(np.uint8), spec("int8", q=Q), "m: input 'x' is int8, got uint8"),
        (X.astype(np.uint8), spec(), "m: input 'x' is float32, got uint8"),
        (X, spec("int8"), "not known"),
        (X, spec(shape=(3,)), "m: input 'x' takes rows of shape"),
        (np.where(X > 800, np.nan, X), spec(), "NaN"),
        (np.zeros((2, 3, 4), dtype=np.float32), spec(shape=(4, 3)), "say inputs_ch_position"),
    ],
)
def test_what_would_be_a_guess_is_refused(array, want, match):
    with pytest.raises(InvalidInput, match=match):
        fed(runner(want), [array], [spec(str(array.dtype), shape=array.shape[1:])])


def test_channels_are_moved():
    array = np.arange(24.0, dtype=np.float32).reshape(1, 2, 3, 4)
    (turned,), _ = fed(runner(spec(shape=(3, 4, 2))), [array], [spec(shape=(2, 3, 4))], channels="channels_last")
    assert np.array_equal(turned, np.moveaxis(array, 1, -1))


def test_answers_are_counted_turned_and_described():
    image = np.arange(24.0).reshape(2, 3, 2, 2)
    with metered() as meter:
        (raw,), (told,) = answered(runner(), [image], channels="channels_last")
    assert meter.forward_rows == 2
    assert raw.shape == (2, 2, 2, 3)
    assert told.shape == (2, 2, 3)
    assert told.dtype == "float64"


def test_answers_without_a_row_a_sample():
    with pytest.raises(ModelFault):
        answered(runner(forward=lambda arrays: {"y": arrays[0][:1]}), [X])
