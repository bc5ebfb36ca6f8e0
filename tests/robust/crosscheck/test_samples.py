"""Samples wherever they come from: random, files, arrays, data sets; with and without ground truth."""

import numpy as np
import pytest

from robust.crosscheck.samples import gather_samples
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.runner_base import Runner
from robust.tensors.spec import Quantization, TensorSpec
from robust.tensors.validation_data import ValidationData

Q = Quantization(scale=0.5, zero_point=0, dtype="int8")


def runner(*inputs):
    return Runner(name="m", framework="callable", forward=lambda arrays: {"y": arrays[0]}, inputs=inputs or None)


def spec(name="x", shape=(2,), dtype="float32", q=None):
    return TensorSpec(name=name, shape=shape, dtype=dtype, quantization=q)


ONE = runner(spec())


def gather(data, outputs=None, model=ONE, other=None, **options):
    known = {"rows": 10, "value_range": None, "seed": 42, "position": None} | options
    return gather_samples(data, outputs, model, other, **known)


def test_random_samples():
    found = gather(None, rows=5)
    assert found.random
    assert found.truth is None
    assert found.inputs[0].shape == (5, 2)
    assert len(found) == 5
    assert 0 <= found.inputs[0].min() <= found.inputs[0].max() < 1
    assert found.fingerprint == gather(None, rows=5).fingerprint != gather(None, rows=5, seed=1).fingerprint


def test_random_integers_take_the_whole_range_of_their_type():
    found = gather(None, model=runner(spec(dtype="int8", q=Q, shape=(4000,))))
    assert (found.inputs[0].min(), found.inputs[0].max()) == (-128, 127)


def test_what_the_first_model_does_not_tell_the_other_may():
    assert gather(None, model=runner(), other=ONE).inputs[0].shape == (10, 2)
    with pytest.raises(InvalidInput, match="neither model says"):
        gather(None, model=runner(), other=runner())


def test_channels_are_drawn_where_the_candidate_has_them():
    found = gather(None, model=runner(spec(shape=(3, 8, 9))), position="channels_last")
    assert found.inputs[0].shape == (10, 8, 9, 3)
    assert found.specs[0].shape == (8, 9, 3)


def test_a_list_of_arrays_is_one_an_input():
    two = runner(spec("a"), spec("b", shape=(3,), dtype="int8", q=Q))
    found = gather([np.zeros((4, 2)), np.zeros((4, 3), dtype=np.int8)], model=two)
    assert [one.name for one in found.specs] == ["a", "b"]
    assert [one.dtype for one in found.specs] == ["float64", "int8"]
    assert found.specs[1].quantization == Q
    assert not found.random
    # Floating numbers for an integer input stand for themselves.
    assert gather([np.zeros((4, 2)), np.zeros((4, 3))], model=two).specs[1].quantization is None


def test_targets_of_a_data_set():
    data = as_data(np.zeros((3, 2)), [1, 2, 3])
    assert gather(data).truth[0].tolist() == [1, 2, 3]
    assert gather(data).data is data
    assert gather(data).fingerprint == data.fingerprint
    assert gather(data, outputs=[]).truth is None
    assert gather(data, outputs=np.ones(3)).truth[0].tolist() == [1, 1, 1]
    assert gather((np.zeros((3, 2)), [1, 2, 3])).truth[0].tolist() == [1, 2, 3]


def test_validation_data():
    data = ValidationData(inputs=(np.zeros((3, 2)),), outputs=(np.ones((3, 1)),), notes=("told",))
    assert gather(data).truth[0].shape == (3, 1)
    assert gather(data).notes == ("told",)
    assert gather(data, outputs=[]).truth is None


@pytest.mark.parametrize("several", [True, False])
def test_files(tmp_path, several):
    x, y = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32), np.arange(5) % 2
    np.savez(tmp_path / "io.npz", x_test=x, y_test=y)
    path = tmp_path / "io.npz"
    found = gather([path] if several else str(path))
    assert np.array_equal(found.inputs[0], x)
    assert found.truth[0].tolist() == y.tolist()  # labels are read as they are
    assert found.name == "io.npz"
    assert any("loading file" in note for note in found.notes)
    assert gather(path, outputs=[]).truth is None


def test_ground_truth_in_files_of_its_own(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 2), dtype=np.float32))
    np.save(tmp_path / "y.npy", np.arange(3))
    assert gather(tmp_path / "x.npy", outputs=tmp_path / "y.npy").truth[0].tolist() == [0, 1, 2]
    assert gather([tmp_path / "x.npy"], outputs=[str(tmp_path / "y.npy")]).truth[0].tolist() == [0, 1, 2]
    assert gather(tmp_path / "x.npy").truth is None


def test_a_parquet_table_is_a_data_set(tmp_path):
    import pandas as pd

    pd.DataFrame({"a": [0.0, 1.0], "b": [2.0, 3.0]}).to_parquet(tmp_path / "t.parquet")
    assert gather(tmp_path / "t.parquet").data.names == ("a", "b")


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        (None, {"outputs": [np.zeros(3)]}, "random ones have none"),
        ([np.zeros((3, 2))], {"value_range": (0, 1)}, "with data given it has no meaning"),
        ([np.zeros((3, 2))] * 2, {}, "got 2 input arrays for 1 inputs"),
        ([np.array([["a", "b"]])], {}, "numbers, .* are needed"),
        ([np.zeros((3, 2))], {"outputs": 3}, "outputs must be an array"),
        ([np.zeros((3, 2))], {"outputs": ["y.npy"]}, "files go with samples from files"),
        ("x.npy", {"outputs": np.zeros(3)}, "outputs are files too"),
        (["x.txt"], {}, "unknown suffix"),
        ([], {}, "at least one row|no rows|zero rows|shape"),
        ("nowhere.npz", {}, "nowhere.npz"),
    ],
)
def test_bad_samples(data, options, match):
    with pytest.raises(InvalidInput, match=match):
        gather(data, **options)
