import re

import pytest

from robust.errors import InvalidInput
from robust.tensors.spec import Quantization, TensorSpec, shown


@pytest.mark.parametrize(
    ("dtype", "ends"),
    [("int8", (-128, 127)), ("uint8", (0, 255)), ("int16", (-32768, 32767)), ("uint16", (0, 65535))],
)
def test_range_of_each_type(dtype, ends):
    assert Quantization(scale=1.0, zero_point=0, dtype=dtype).range == ends


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_is_finite_and_above_zero(scale):
    with pytest.raises(InvalidInput, match="finite and above 0"):
        Quantization(scale=scale, zero_point=0, dtype="int8")


@pytest.mark.parametrize(("zero", "dtype"), [(128, "int8"), (-1, "uint8"), (-129, "int8"), (65536, "uint16")])
def test_a_zero_point_is_one_of_the_types_integers(zero, dtype):
    with pytest.raises(InvalidInput, match=f"zero point of {dtype}"):
        Quantization(scale=1.0, zero_point=zero, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int4", ""])
def test_other_types_are_not_quantized(dtype):
    with pytest.raises(InvalidInput, match="int8, uint8, int16, uint16"):
        Quantization(scale=1.0, zero_point=0, dtype=dtype)


def test_items_of_a_row():
    assert TensorSpec(name="x", shape=(2, 3), dtype="float32").items == 6
    assert TensorSpec(name="x", shape=(), dtype="float32").items == 1
    assert TensorSpec(name="x", shape=(2, None), dtype="float32").items is None


@pytest.mark.parametrize(
    ("shape", "fits"), [((2, 3), True), ((2, 9), True), ((3, 3), False), ((2,), False), ((2, 3, 1), False)]
)
def test_a_free_size_fits_any(shape, fits):
    assert TensorSpec(name="x", shape=(2, None), dtype="float32").fits(shape) is fits


@pytest.mark.parametrize("dtype", ["str", "object", "complex64", "no type", "datetime64[ns]"])
def test_a_tensor_holds_numbers(dtype):
    with pytest.raises(InvalidInput, match=f"'x': a tensor holds numbers, got the type {re.escape(repr(dtype))}"):
        TensorSpec(name="x", shape=(2,), dtype=dtype)


def test_sizes_and_types_must_agree():
    with pytest.raises(InvalidInput, match="must not be negative"):
        TensorSpec(name="x", shape=(-1,), dtype="int8")
    with pytest.raises(InvalidInput, match="'x' is int8, its scale and zero point are of uint8"):
        TensorSpec(
            name="x", shape=(1,), dtype="int8", quantization=Quantization(scale=1.0, zero_point=0, dtype="uint8")
        )


def test_shapes_as_messages_write_them():
    assert [shown(shape) for shape in ((), (3,), (None, 3))] == ["()", "(3,)", "(any, 3)"]
