"""Models that are loaded when they are first called, and when what is known of them may not be believed."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from robust.auditing.deferring import deferred_model
from robust.auditing.host import describe_host
from robust.auditing.keeping import Store
from robust.models.base import Model
from robust.models.loading import load_model

HOST = describe_host()


class Loader:
    """Loads a model, and counts."""

    def __init__(self, path, **options):
        self.path, self.options, self.calls = path, options, 0

    def __call__(self) -> Model:
        self.calls += 1
        return load_model(self.path, **self.options)


def linear(path, weights, *, outside=False):
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2]),
        helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 2]),
    ]
    tensor = numpy_helper.from_array(np.asarray(weights, np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["out"])], "g", values[:1], values[1:], [tensor])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if outside:
        external_data_helper.convert_model_to_external_data(made, location="weights.bin", size_threshold=0)
    onnx.save(made, str(path))


def deferred(loader, store, *, options=(), factory=None):
    return deferred_model(str(loader.path), loader, options=options, factory=factory, store=store, host=HOST)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "kept")


def test_the_second_time_it_is_loaded_when_it_is_called(tmp_path, store):
    linear(tmp_path / "m.onnx", np.eye(2))
    loader = Loader(tmp_path / "m.onnx", output="logits")
    first = deferred(loader, store)
    assert loader.calls == 1
    again = deferred(loader, store)
    assert loader.calls == 1
    for field in ("name", "framework", "task", "output", "classes", "batch_size", "fixed_batch", "columns"):
        assert getattr(again, field) == getattr(first, field), field
    assert (again.identity(), again.weights()) == (first.identity(), first.weights())
    assert loader.calls == 1
    x = np.array([[1.0, 2.0]], dtype=np.float32)
    np.testing.assert_array_equal(again.forward(x), first.forward(x))
    again.forward(x)
    assert loader.calls == 2


def test_another_file_other_options_or_no_store_load_at_once(tmp_path, store):
    linear(tmp_path / "m.onnx", np.eye(2))
    loader = Loader(tmp_path / "m.onnx")
    before = deferred(loader, store)
    deferred(loader, store, options=("logits",))
    assert loader.calls == 2
    deferred(loader, Store(None))
    assert loader.calls == 3
    linear(tmp_path / "m.onnx", 2 * np.eye(2))
    after = deferred(loader, store)
    assert loader.calls == 4
    assert after.identity() != before.identity()


def test_weights_in_another_file_are_never_taken_from_memory(tmp_path, store):
    linear(tmp_path / "m.onnx", np.eye(2), outside=True)
    assert (tmp_path / "weights.bin").is_file()
    loader = Loader(tmp_path / "m.onnx")
    before = deferred(loader, store)
    kept = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "weights.bin").unlink()
    linear(tmp_path / "m.onnx", 3 * np.eye(2), outside=True)
    assert (tmp_path / "m.onnx").read_bytes() == kept  # only the other file has changed
    after = deferred(loader, store)
    assert after.identity() != before.identity()
    assert loader.calls == 2


def test_a_users_factory_is_asked_every_time(tmp_path, store):
    # Its code may import or read anything: what is known of one run says nothing about the next.
    linear(tmp_path / "m.onnx", np.eye(2))
    loader = Loader(tmp_path / "m.onnx")
    for calls in (1, 2):
        deferred(loader, store, factory="my_factory_module:make")
        assert loader.calls == calls


def test_this_packages_own_factory_is_remembered(tmp_path, store):
    # The key holds the hash of all of this package's code.
    linear(tmp_path / "m.onnx", np.eye(2))
    loader = Loader(tmp_path / "m.onnx")
    for _ in range(2):
        deferred(loader, store, factory="robust.examples.digits_torch:small_cnn")
    assert loader.calls == 1


def test_a_model_without_a_hash_is_not_remembered(tmp_path, store):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    made = []

    def load():
        made.append(1)
        return Model(name="m", framework="callable", forward=len)

    for _ in range(2):
        deferred_model(str(path), load, options=(), factory=None, store=store, host=HOST)
    assert len(made) == 2
