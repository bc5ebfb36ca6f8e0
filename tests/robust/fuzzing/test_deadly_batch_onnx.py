"""An empty batch that ends the process: found in a child, a failure like others, and the fuzz goes on."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from robust import as_data, as_model, load_data, load_model
from robust.check import Subject
from robust.examples.catalogue import example_path
from robust.fuzzing import deadly_batch_onnx, fuzz, replay
from robust.fuzzing.checks import CHECKS, FuzzFailuresOptions

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
h = onnx.helper

SEEN = np.random.default_rng(0).random((60, 4)).astype(np.float32)
DATA = as_data(SEEN, np.arange(60) % 3, schema={"bounds": (0, 1)})
DIES = pytest.mark.skipif(not hasattr(os, "fork"), reason="deaths by signals are Unix's")


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    """A GRU with any batch size, on which onnxruntime aborts where the batch is empty."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(1, 9, size)).astype(np.float32) for name, size in (("w", 4), ("r", 3))}
    floats = onnx.TensorProto.FLOAT
    graph = h.make_graph(
        [
            h.make_node("Unsqueeze", ["x", "first"], ["series"]),
            h.make_node("GRU", ["series", "w", "r"], ["", "state"], hidden_size=3),
            h.make_node("Squeeze", ["state", "first"], ["out"]),
        ],
        "net",
        [h.make_tensor_value_info("x", floats, ["n", 4])],
        [h.make_tensor_value_info("out", floats, ["n", 3])],
        [onnx.numpy_helper.from_array(a, name) for name, a in {**arrays, "first": np.array([0])}.items()],
    )
    path = tmp_path_factory.mktemp("gru") / "gru.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), path)
    told = {"path": sys.path, "file": str(path), "input": "x", "output": "out", "shape": [0, 4], "dtype": "float32"}
    program = [sys.executable, "-P", str(deadly_batch_onnx._PROGRAM), json.dumps(told)]
    if subprocess.run(program, capture_output=True, check=False).returncode >= 0:
        pytest.skip("this onnxruntime answers or refuses an empty batch")
    return path


@pytest.fixture
def children(monkeypatch):
    """How each child process ended."""
    ended = []

    def run(*words, **options):
        ended.append(real(*words, **options))
        return ended[-1]

    real = subprocess.run
    monkeypatch.setattr(deadly_batch_onnx.subprocess, "run", run)
    return ended


@DIES
def test_a_batch_that_kills_the_process_is_a_failure_that_is_saved_and_replayed(recurrent, tmp_path, children):
    model = load_model(recurrent, output="logits")
    found = fuzz(model, DATA, n=400, save=tmp_path)
    assert found.failures.value == 1
    assert len(children) == 1
    (example,) = found.examples
    assert (example.property, example.level, example.rows.shape) == ("no exception", "outside", (0, 4))
    assert "an empty batch kills the process (signal 6, SIGABRT)" in str(example)
    again = replay(example.path, model)
    assert again.fails
    assert again.same_model
    assert len(children) == 2
    assert not replay(example.path, lambda x: x[:, :3]).fails


@DIES
@pytest.mark.parametrize("how", ["a session of a file", "a session of bytes", "tensors beside the file"])
def test_it_is_found_however_the_model_was_loaded(how, recurrent, tmp_path):
    if how == "a session of a file":
        model = as_model(onnxruntime.InferenceSession(str(recurrent)), output="logits")
    elif how == "a session of bytes":
        model = as_model(onnxruntime.InferenceSession(recurrent.read_bytes()), output="logits")
    else:
        path = tmp_path / "apart.onnx"
        onnx.save(
            onnx.load(recurrent), path, save_as_external_data=True, location="apart.bin", size_threshold=100,
            convert_attribute=False,
        )  # fmt: skip
        assert (tmp_path / "apart.bin").is_file()
        model = load_model(path, output="logits")
    found = fuzz(model, DATA, n=40, levels=["outside"])
    assert [example.kind for example in found.examples] == ["killed"]


@DIES
def test_the_audits_check_goes_on(recurrent):
    model = load_model(recurrent, output="logits", task="classification")
    subject = Subject(model=model, task="classification", test=DATA)
    found = CHECKS[0].run(subject, FuzzFailuresOptions(n=300))
    assert found.value == 1
    assert (found == 0).status == "FAIL"
    assert any("kills the process" in str(item) for item in found.evidence)


def test_an_ordinary_file_costs_one_child(children):
    folder = example_path("digits")
    data = load_data(folder / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(50))
    found = fuzz(load_model(folder / "float.onnx", output="logits"), data, n=200)
    assert found.failures.value == 0
    assert [child.returncode for child in children] == [0]
    fuzz(load_model(folder / "float.onnx", output="logits"), data, n=200, levels=["inside"])
    fuzz(lambda x: x.sum(axis=1), DATA, n=100)
    assert len(children) == 1


@pytest.mark.parametrize("code", [1, -9, -15, -2, 3])
def test_what_others_ended_is_no_fault_of_the_model(code, monkeypatch):
    folder = example_path("digits")
    monkeypatch.setattr(
        deadly_batch_onnx.subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, returncode=code)
    )
    model = load_model(folder / "float.onnx", output="logits")
    empty = deadly_batch_onnx.EmptyBatch(model=model, adapter=model.forward.__self__)
    empty(np.zeros((0, 1, 8, 8), dtype=np.float32))
    assert empty.asked
    assert empty.died is None


def test_a_child_that_takes_too_long_has_not_died(monkeypatch, tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(deadly_batch_onnx, "_PROGRAM", slow)
    model = load_model(example_path("digits") / "float.onnx", output="logits")
    empty = deadly_batch_onnx.EmptyBatch(model=model, adapter=model.forward.__self__, seconds=0.2)
    empty(np.zeros((0, 1, 8, 8), dtype=np.float32))
    assert empty.asked
    assert empty.died is None


def test_the_child_imports_nothing_of_this_package():
    folder = example_path("digits")
    told = {
        "path": sys.path, "file": str(folder / "float.onnx"), "input": "x", "output": "y", "shape": [0], "dtype": "int8"
    }  # fmt: skip
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['it', {json.dumps(json.dumps(told))}]\n"
        "try:\n"
        f"    runpy.run_path({str(deadly_batch_onnx._PROGRAM)!r}, run_name='__main__')\n"
        "except Exception as error:\n"
        "    print([name in sys.modules for name in ('onnxruntime', 'robust', 'torch')])\n"
    )
    said = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[True, False, False]"
