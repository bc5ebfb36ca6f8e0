import numpy as np
import pytest

from robust.errors import ModelFault
from robust.models.contract import output_columns


@pytest.mark.parametrize(
    "shape", [(6,), (6, 1), (6, 4), (6, 4, 1, 1), (6, 1, 1, 4), (6, 1, 4), (6, 1, 1, 1), (1, 4, 1)]
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "bool"])
def test_at_most_one_axis_beside_the_rows_makes_columns(shape, dtype):
    given = (np.arange(np.prod(shape)) % 3).astype(dtype).reshape(shape)
    found = output_columns(given, shape[0])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, given.reshape(shape[0], -1))


@pytest.mark.parametrize("shape", [(6, 10, 2), (6, 2, 2, 1), (6, 1, 3, 3), (1, 2, 3)])
def test_more_axes_are_no_classes(shape):
    with pytest.raises(ModelFault, match=rf"of shape \({', '.join(map(str, shape))}\) .*; \({shape[0]}, k\) is needed"):
        output_columns(np.zeros(shape), shape[0])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (np.zeros((5, 2)), r"of shape \(5, 2\) for 6 rows; \(6, k\) with k of at least 1"),
        (np.zeros((6, 0)), r"of shape \(6, 0\)"),
        (1.0, r"of shape \(\) for 6 rows"),
        (np.array(["cat"] * 6), "of type <U3, real numbers are needed"),
        (np.zeros((6, 2), dtype=complex), "of type complex128"),
    ],
)
def test_other_outputs_are_refused(outputs, message):
    with pytest.raises(ModelFault, match=message):
        output_columns(outputs, 6)
