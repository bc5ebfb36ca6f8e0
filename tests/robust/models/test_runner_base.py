import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.errors import InvalidInput, ModelFault
from robust.models.runner_base import Runner
from robust.tensors.spec import Quantization, TensorSpec

Q = Quantization(scale=0.5, zero_point=1, dtype="uint8")
PIXELS = TensorSpec(name="pixels", shape=(None, 2), dtype="uint8", quantization=Q)


def runner(forward, **changes):
    return Runner(**{"name": "net", "framework": "callable", "forward": forward, **changes})


def plain(arrays):
    return {"sum": arrays[0].reshape(len(arrays[0]), -1).sum(axis=1), "same": arrays[-1]}


@given(rows=st.integers(1, 20), size=st.integers(1, 9), fixed=st.booleans())
@settings(max_examples=60, deadline=None)
def test_outputs_do_not_depend_on_the_batch(rows, size, fixed):
    seen = []

    def forward(arrays):
        seen.append(len(arrays[0]))
        return plain(arrays)

    x = np.random.default_rng(0).normal(size=(rows, 3, 2))
    made = runner(forward, batch_size=size, fixed_batch=size if fixed else None)
    (total, same), specs = made.run([x])
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(total, plain([x])["sum"])
    assert [(spec.name, spec.shape, spec.dtype) for spec in specs] == [
        ("sum", (), "float64"),
        ("same", (3, 2), "float64"),
    ]
    assert set(seen) == {size} if fixed else max(seen) <= size


def test_padding_repeats_the_last_row_and_is_dropped():
    def counted(arrays):
        (x,) = arrays
        assert len(x) == 4
        return {"rank": np.arange(4), "x": x}

    (rank, x), _ = runner(counted, fixed_batch=4).run([np.arange(6.0)[:, None]])
    assert rank.tolist() == [0, 1, 2, 3, 0, 1]
    assert x.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_free_sizes_and_integer_inputs():
    made = runner(plain, inputs=(PIXELS,))
    raw = np.full((3, 7, 2), 200, dtype=np.uint8)
    (total, same), _ = made.run([raw])
    assert same.dtype == np.uint8
    assert total.tolist() == [2800] * 3
    (_, same), _ = made.run([np.full((3, 5, 2), 2.0)])  # 2/0.5 + 1
    assert (same == 5).all()
    with pytest.raises(
        InvalidInput, match=r"net: input 'pixels' takes rows of shape \(any, 2\), got rows of shape \(2, 7\)"
    ):
        made.run([raw.transpose(0, 2, 1)])


def test_scales_of_outputs_go_by_name_and_type():
    told = TensorSpec(name="same", shape=(2,), dtype="uint8", quantization=Q)
    made = runner(lambda arrays: {"same": arrays[0]}, outputs=(told,))
    assert made.run([np.zeros((1, 2), dtype=np.uint8)])[1][0].quantization == Q
    assert made.run([np.zeros((1, 2))])[1][0].quantization is None


def test_without_specs_inputs_are_numbers_of_as_many_rows():
    made = runner(plain)
    with pytest.raises(InvalidInput, match="'input 1' has 2, 'input 2' has 3"):
        made.run([np.zeros((2, 1)), np.zeros((3, 1))])
    with pytest.raises(InvalidInput, match="input 1 has type <U1"):
        made.run([np.array(["a"])])
    with pytest.raises(InvalidInput, match="zero rows"):
        made.run([np.zeros((0, 1))])
    with pytest.raises(InvalidInput, match="zero rows"):
        made.run([np.array(1.0)])


def change(arrays):
    arrays[0][0] = 5
    return plain(arrays)


def fail(arrays):
    raise ValueError("wrong width\nand more")


def leave(arrays):
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (change, "net: it changes its input in place"),
        (fail, "net: it raised ValueError: wrong width on rows 0 to 2"),
        (leave, "net: it raised SystemExit: 0 on rows 0 to 2"),
        (lambda arrays: {}, "net: it gives no outputs"),
        (lambda arrays: {"y": np.array(1.0)}, r"output 'y' has shape \(\) for 3 rows"),
        (
            lambda arrays: {"y": np.zeros((2, 3))},
            r"output 'y' has shape \(2, 3\) for 3 rows: the batch must be its first",
        ),
        (lambda arrays: {"y": np.zeros((3, 0))}, r"output 'y' has shape \(3, 0\): it holds no numbers"),
        (lambda arrays: {"y": np.array(["a"] * 3)}, "output 'y' is of type <U1"),
        (lambda arrays: {"y": np.array([None] * 3)}, "output 'y' is of type object"),
        (lambda arrays: {"ok": np.zeros(3), "y": np.array([0, np.nan, 0])}, "output 'y' is NaN or infinite for row 1"),
        (lambda arrays: {"y": np.array([[0, np.inf], [0, 0], [0, np.inf]])}, "'y' is NaN or infinite for rows 0, 2"),
    ],
)
def test_models_that_break_their_contract(forward, message):
    with pytest.raises(ModelFault, match=message):
        runner(forward).run([np.zeros((3, 2))])


def test_a_broken_row_is_counted_over_all_batches():
    def forward(arrays):
        return {"y": np.where(arrays[0] == 7, np.nan, arrays[0])}

    with pytest.raises(ModelFault, match=re.escape("NaN or infinite for row 7 (counted from 0)")):
        runner(forward, batch_size=3).run([np.arange(10.0)[:, None]])


def test_shapes_that_depend_on_the_rows():
    def forward(arrays):
        return {"y": arrays[0][:, : int(arrays[0].max()) + 1]}

    with pytest.raises(ModelFault, match="output 'y' has different shapes or types for different rows"):
        runner(forward, batch_size=1).run([np.array([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0]])])


def test_a_models_own_refusal_keeps_its_kind():
    def forward(arrays):
        raise InvalidInput("not like this")

    with pytest.raises(InvalidInput, match="net: not like this"):
        runner(forward).run([np.zeros((1, 1))])


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "8"])
def test_batch_sizes(size):
    with pytest.raises(InvalidInput, match="batch_size must be a whole number"):
        runner(plain, batch_size=size)


def test_repr():
    assert repr(runner(plain)) == "Runner('net', callable, inputs=any)"
