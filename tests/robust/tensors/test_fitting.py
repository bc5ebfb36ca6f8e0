import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.tensors.fitting import fit_shape, fit_tensors, fit_type
from robust.tensors.spec import Quantization, TensorSpec

Q = Quantization(scale=0.5, zero_point=-1, dtype="int8")
INT8 = TensorSpec(name="image", shape=(2, 1), dtype="int8", quantization=Q)
BARE = TensorSpec(name="image", shape=(2, 1), dtype="int8")
FLOAT = TensorSpec(name="image", shape=(2, 1), dtype="float32")
CODES = TensorSpec(name="ids", shape=(2,), dtype="int64")


def test_reshaped_rows_keep_their_order_and_are_told():
    array = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    (found,), notes = fit_tensors([array], [FLOAT])
    assert found.shape == (3, 2, 1)
    np.testing.assert_array_equal(found.ravel(), array.ravel())
    assert notes == ("samples are reshaped: (3, 2) -> (3, 2, 1)",)


def test_what_fits_is_the_very_array():
    array = np.zeros((3, 2, 1), dtype=np.float32)
    (found,), notes = fit_tensors([array], [FLOAT])
    assert found is array
    assert notes == ()


def test_one_free_size_is_inferred():
    spec = TensorSpec(name="signal", shape=(None, 3), dtype="float32")
    found, note = fit_shape(np.zeros((2, 12)), spec, part="input")
    assert found.shape == (2, 4, 3)
    assert note == "samples are reshaped: (2, 12) -> (2, 4, 3)"
    with pytest.raises(InvalidInput, match=r"'signal' takes rows of shape \(any, 3\).*13 numbers a row"):
        fit_shape(np.zeros((2, 13)), spec, part="input")
    two = TensorSpec(name="signal", shape=(None, None), dtype="float32")
    with pytest.raises(InvalidInput, match=r"rows of shape \(any, any\)"):
        fit_shape(np.zeros((2, 4)), two, part="input")


def test_a_scalar_a_row_is_reshaped_to_no_axes():
    found, _ = fit_shape(np.zeros((4, 1)), TensorSpec(name="s", shape=(), dtype="float32"), part="output")
    assert found.shape == (4,)


@pytest.mark.parametrize("shape", [(), (0, 2), (3, 0)])
def test_arrays_without_rows_are_refused(shape):
    with pytest.raises(InvalidInput, match="one row a sample"):
        fit_shape(np.zeros(shape), FLOAT, part="input")


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_class_numbers_as_references_are_named(shape):
    scores = TensorSpec(name="scores", shape=(1, 10), dtype="float32")
    with pytest.raises(InvalidInput, match=r"class numbers are not understood .* one-hot rows"):
        fit_shape(np.zeros(shape), scores, part="output")


def test_floats_are_quantized_by_the_inputs_scale_and_told():
    (found,), notes = fit_tensors([np.array([[[0.25], [99.0]]])], [INT8])
    np.testing.assert_array_equal(found, np.array([[[-1], [127]]], dtype=np.int8))
    assert notes == (
        "input 'image': float64 data are quantized with s=0.500000 zp=-1"
        "; 1 of 2 numbers lie beyond -63.5 … 64, all that it can hold: clipped",
    )


@pytest.mark.parametrize("spec", [INT8, BARE, FLOAT])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
@pytest.mark.parametrize("part", ["input", "output"])
def test_short_integers_of_another_type_are_refused(spec, dtype, part):
    with pytest.raises(InvalidInput, match=f"{part} 'image' is {spec.dtype}, got {dtype}, which is not converted"):
        fit_type(np.zeros((1, 2, 1), dtype=dtype), spec, part=part)


def test_floats_for_integers_of_unknown_scale_are_refused():
    with pytest.raises(InvalidInput, match="scale and zero point are not known"):
        fit_type(np.zeros((1, 2, 1)), BARE)


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "uint64"])
def test_whole_numbers_become_floats_that_hold_them(dtype):
    found, note = fit_type(np.array([[[0], [1]]], dtype=dtype), FLOAT)
    assert found.dtype == np.float32
    assert found.ravel().tolist() == [0.0, 1.0]
    assert note == f"input 'image': {dtype} data are converted to float32"


@pytest.mark.parametrize(
    ("array", "spec"),
    [
        (np.array([[2**24 + 1, 0]]), FLOAT),
        (np.array([[0.5, 1.0]]), CODES),
        (np.array([[1e30, 1.0]]), CODES),
        (np.array([[2**63, 1]], dtype=np.uint64), CODES),
        (np.array([[-1, 1]]), TensorSpec(name="ids", shape=(2,), dtype="uint64")),
        (np.array([[2, 1]]), TensorSpec(name="ids", shape=(2,), dtype="bool")),
    ],
)
def test_conversions_that_lose_something_are_refused(array, spec):
    with pytest.raises(InvalidInput, match=r"does not hold the .* numbers in row 0 .* exactly"):
        fit_type(array, spec)


def test_whole_floats_are_codes():
    found, _ = fit_type(np.array([[3.0, 2.0]], dtype=np.float32), CODES)
    assert found.dtype == np.int64


def test_a_narrower_float_must_hold_the_numbers():
    half = TensorSpec(name="x", shape=(1,), dtype="float16")
    found, note = fit_type(np.array([[0.1]]), half)
    assert (found.dtype, note) == (np.float16, None)
    with pytest.raises(InvalidInput, match="cannot hold the numbers in row 1"):
        fit_type(np.array([[1.0], [1e5]]), half)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("spec", [INT8, FLOAT, CODES])
def test_nan_and_infinity_are_refused(bad, spec):
    with pytest.raises(InvalidInput, match="NaN or infinity in row 1"):
        fit_type(np.array([[1.0, 1.0], [1.0, bad]]), spec)


def test_text_is_refused():
    with pytest.raises(InvalidInput, match="got <U1"):
        fit_type(np.array([["a"]]), FLOAT)


def test_references_keep_floats_where_the_output_is_integer():
    floats = np.array([[[0.2], [0.8]]])
    found, note = fit_type(floats, INT8, part="output")
    assert found is floats
    assert note is None
    one_hot, note = fit_type(np.array([[[0], [1]]]), INT8, part="output")
    assert one_hot.dtype == np.float64
    assert "int64 data are converted to float64" in note


def test_other_byte_orders_are_read():
    found, _ = fit_type(np.array([[[1.5], [2]]], dtype=">f4"), FLOAT)
    assert found.dtype.isnative
    assert found.ravel().tolist() == [1.5, 2.0]


def test_counts_and_rows_must_agree():
    x = np.zeros((3, 2, 1), dtype=np.float32)
    with pytest.raises(InvalidInput, match=r"got 2 input arrays for 1 inputs \('image'\)"):
        fit_tensors([x, x], [FLOAT])
    with pytest.raises(InvalidInput, match=r"different numbers of rows: 'image' has 3, 'ids' has 2"):
        fit_tensors([x, np.zeros((2, 2), dtype=np.int64)], [FLOAT, CODES])


def test_numbers_beyond_what_the_integers_hold_are_counted():
    spec = TensorSpec(
        name="x", shape=(3,), dtype="int8", quantization=Quantization(scale=0.02, zero_point=0, dtype="int8")
    )
    typed, note = fit_type(np.array([[10.0, 0.5, -29.0]], dtype=np.float32), spec)
    assert typed.tolist() == [[127, 25, -128]]
    assert note.endswith("; 2 of 3 numbers lie beyond -2.56 … 2.54, all that it can hold: clipped")
    assert "beyond" not in fit_type(np.array([[1.0, 0.5, -2.0]], dtype=np.float32), spec)[1]
