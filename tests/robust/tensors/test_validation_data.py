import numpy as np

from robust.tensors.spec import Quantization, TensorSpec
from robust.tensors.validation_data import ValidationData, describe

Q = Quantization(scale=0.10196070, zero_point=0, dtype="uint8")


def test_the_line_of_a_quantized_tensor():
    array = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    spec = TensorSpec(name="Reshape_1", shape=(2,), dtype="uint8", quantization=Q)
    assert describe(array, spec) == (
        "(2, 2)/uint8, min/max=[0, 255], mean/std=[127.500, 127.500], scale=0.10196070 zp=0, Reshape_1"
    )


def test_floating_references_of_a_quantized_output_have_no_scale():
    spec = TensorSpec(name="nl", shape=(2,), dtype="uint8", quantization=Q)
    line = describe(np.array([[0.0, 1.0]], dtype=np.float32), spec)
    assert line == "(1, 2)/float32, min/max=[0.000, 1.000], mean/std=[0.500, 0.500], nl"


def test_integers_do_not_wrap_around_in_the_mean():
    spec = TensorSpec(name="x", shape=(1,), dtype="int8")
    array = np.full((1000, 1), 127, dtype=np.int8)
    assert "mean/std=[127.000, 0.000]" in describe(array, spec)


def test_wide_codes_are_whole():
    spec = TensorSpec(name="ids", shape=(1,), dtype="int64")
    assert "min/max=[-3, 9007199254740993]" in describe(np.array([[-3], [2**53 + 1]]), spec)


def test_bool_and_no_rows():
    assert "min/max=[0, 1]" in describe(np.array([[True], [False]]), TensorSpec(name="m", shape=(1,), dtype="bool"))
    assert describe(np.zeros((0, 1)), TensorSpec(name="m", shape=(1,), dtype="float64")) == "(0, 1)/float64, m"


def test_rows():
    assert ValidationData(inputs=(np.zeros((3, 2)),), outputs=None, notes=()).rows == 3
