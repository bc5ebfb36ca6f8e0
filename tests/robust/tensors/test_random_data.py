import numpy as np
import pytest
from scipy import stats

from robust.errors import InvalidInput
from robust.tensors.quantizing import dequantize
from robust.tensors.random_data import random_inputs
from robust.tensors.spec import Quantization, TensorSpec

FLOAT = TensorSpec(name="x", shape=(1, 1, 99), dtype="float32")


def spec(dtype, quantization=None, shape=(50,)):
    return TensorSpec(name="x", shape=shape, dtype=dtype, quantization=quantization)


def test_the_lines_of_the_log():
    found = random_inputs([FLOAT], rows=20, low=-10, high=5)
    assert found.notes == (
        "generating random data, size=20, seed=42, range=(-10.0, 5.0)",
        "No output/reference samples are provided",
    )
    assert random_inputs([FLOAT]).notes[0] == "generating random data, size=10, seed=42, range=default"
    assert found.outputs is None


def test_default_is_ten_rows_in_zero_one():
    (x,) = random_inputs([FLOAT]).inputs
    assert (x.shape, x.dtype) == ((10, 1, 1, 99), np.float32)
    assert x.min() >= 0
    assert x.max() < 1
    assert stats.kstest(x.ravel(), "uniform").pvalue > 0.01


def test_a_range_is_uniform_on_it():
    (x,) = random_inputs([FLOAT], rows=50, low=-10, high=5).inputs
    assert stats.kstest(x.ravel(), stats.uniform(-10, 15).cdf).pvalue > 0.01


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_short_integers_take_their_whole_type(dtype):
    q = Quantization(scale=0.1, zero_point=3, dtype=dtype)
    (x,) = random_inputs([spec(dtype, q)], rows=400).inputs
    low, high = q.range
    counts = np.bincount(x.ravel().astype(int) - low, minlength=256)
    assert (x.min(), x.max(), x.dtype) == (low, high, dtype)
    assert stats.chisquare(counts).pvalue > 0.01
    np.testing.assert_array_equal(x, random_inputs([spec(dtype)], rows=400).inputs[0])


def test_a_range_of_a_quantized_input_is_in_real_numbers():
    q = Quantization(scale=0.5, zero_point=-8, dtype="int8")
    (x,) = random_inputs([spec("int8", q)], rows=100, low=-2, high=3).inputs
    real = dequantize(x, q)
    assert (real.min(), real.max()) == (-2.0, 3.0)
    assert sorted(set(real.ravel().tolist())) == [i / 2 for i in range(-4, 7)]


def test_a_range_of_other_integers_is_half_open():
    (x,) = random_inputs([spec("int64")], rows=100, low=0, high=7).inputs
    assert sorted(set(x.ravel().tolist())) == list(range(7))
    (x,) = random_inputs([spec("int32")], rows=100, low=-1.5, high=1.5).inputs
    assert sorted(set(x.ravel().tolist())) == [-1, 0, 1]
    (x,) = random_inputs([spec("uint8")], rows=500, low=0, high=256).inputs
    assert (x.min(), x.max()) == (0, 255)


def test_booleans_are_both():
    (x,) = random_inputs([spec("bool")]).inputs
    assert x.dtype == bool
    assert 0.3 < x.mean() < 0.7


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float32", (3,)), ("int8", (3,)), ("uint8", (1,)), ("uint16", (5,)), ("bool", (3, 1))]
)
def test_first_rows_do_not_depend_on_how_many_follow(dtype, shape):
    few, many = (random_inputs([spec(dtype, shape=shape)] * 2, rows=n).inputs for n in (3, 200))
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:3])


def test_seeds_and_inputs_differ_and_repeat():
    first, second = random_inputs([FLOAT, FLOAT]).inputs
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, random_inputs([FLOAT], seed=43).inputs[0])
    np.testing.assert_array_equal(first, random_inputs([FLOAT]).inputs[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_upper_end_is_never_reached(dtype):
    high = float(np.nextafter(np.array(1, dtype=dtype), np.array(2, dtype=dtype)))
    (x,) = random_inputs([spec(dtype)], rows=200, low=1.0, high=high).inputs
    assert (x.dtype, set(x.ravel().tolist())) == (dtype, {1.0})


def test_free_sizes_are_one_and_told():
    found = random_inputs([spec("float32", shape=(None, 4))])
    assert found.inputs[0].shape == (10, 1, 4)
    assert "free sizes of input 'x' are taken as 1: (any, 4) -> (1, 4)" in found.notes


@pytest.mark.parametrize("specs", [None, ()])
def test_unknown_inputs_cannot_be_drawn(specs):
    with pytest.raises(InvalidInput, match="random data need shapes"):
        random_inputs(specs)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint32"])
def test_codes_need_a_range(dtype):
    with pytest.raises(InvalidInput, match=f"'x' takes {dtype}: which of these integers mean something"):
        random_inputs([spec(dtype)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows must be a whole number of at least 1, got 0"),
        ({"rows": 2.5}, "rows must be"),
        ({"rows": True}, "rows must be"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"low": 0}, "two finite numbers, got high=None"),
        ({"high": 1}, "two finite numbers, got low=None"),
        ({"low": 1, "high": 1}, "goes from low to high"),
        ({"low": float("nan"), "high": 1}, "got low=nan"),
        ({"low": 0, "high": float("inf")}, "got high=inf"),
        ({"low": -1e308, "high": 1e308}, "float32 cannot hold"),
        ({"low": 1.0, "high": 1.0 + 1e-12}, "float32 cannot hold a range"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InvalidInput, match=message):
        random_inputs([FLOAT], **options)


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.8), (0, 1000), (-5, 3)])
def test_a_range_outside_a_type_is_refused(low, high):
    with pytest.raises(InvalidInput, match=r"'x' takes uint8: .* one inside 0 … 255"):
        random_inputs([spec("uint8")], low=low, high=high)
