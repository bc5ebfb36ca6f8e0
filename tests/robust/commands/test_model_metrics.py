"""`robust metrics`: what it prints, what it leaves behind, and what it refuses."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from robust.commands.model_metrics import measure_file, metrics_command
from robust.errors import InvalidInput, UntrustedFile

#: Bytes that the program may take for itself.
ROOM = 300 * 2**20
WEIGHTS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def linear(path, *, noise=0.0, k=3, softmax=True):
    """A softmax over a linear layer, or the layer alone."""
    w = WEIGHTS[:, :k] + noise * np.random.default_rng(1).normal(size=(5, k)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "W"], ["z" if softmax else "p"])]
    nodes += [helper.make_node("Softmax", ["z"], ["p"], axis=1)] if softmax else []
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", k])],
        [numpy_helper.from_array(w.astype(np.float32), "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)
    return str(path)


def table(path, n=200, seed=0, k=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    y = (x @ WEIGHTS[:, :k] + rng.gumbel(size=(n, k))).argmax(axis=1)
    site = rng.integers(0, 3, n)
    lines = ["a,b,c,d,e,site,label"]
    lines += [",".join([*(repr(float(v)) for v in row), f"s{s}", str(t)]) for row, s, t in zip(x, site, y, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def files(folder):
    return linear(folder / "m.onnx"), table(folder / "test.csv")


def run(*args):
    # The command gives its exit code back; the group of commands is what ends the process.
    return CliRunner().invoke(metrics_command, [str(arg) for arg in args], standalone_mode=False)


COMMON = ("--target", "label", "--unused", "site", "--output", "probabilities")


def test_the_folder_and_the_text(files, folder):
    model, data = files
    done = run(model, "--data", data, *COMMON)
    assert done.exception is None, done.output
    assert done.return_value == 0
    assert "macro avg" in done.output
    assert "accuracy 0." in done.output
    assert "error_groups" in done.output
    assert "not written: nearest_training_rows.csv (no training rows were given)" in done.output
    assert "written: testing (" in done.output
    assert (folder / "testing" / "confusion_matrix_test.png").is_file()
    assert (folder / "testing" / "error_samples" / "error_001.csv").is_file()


def test_json_is_the_summary(files, folder):
    model, data = files
    done = run(model, "--data", data, *COMMON, "--out", "o", "--json")
    assert done.exception is None, done.output
    assert json.loads(done.output) == json.loads((folder / "o" / "test_results.json").read_text(encoding="utf-8"))


def test_a_configuration_float_training_and_validation_rows(files, folder):
    model, data = files
    other = linear(folder / "f.onnx", noise=0.01)
    train, validation = table(folder / "train.csv", seed=1), table(folder / "v.csv", seed=2)
    (folder / "c.yaml").write_text("testing: {analysis: {roc_curve: False}, compare_results: True}")
    options = ("--train", train, "--validation", validation, "--positive", "1", "--float", other, "--testing", "c.yaml")
    done = run(model, "--data", data, *COMMON, *options)
    assert done.exception is None, done.output
    assert "Float32 Model:" in done.output
    assert "operating point" in done.output
    assert "nearest training rows" in done.output
    assert not (folder / "testing" / "fpr_tpr_thresholds.csv").exists()


def test_a_configuration_that_is_not_enabled_measures_nothing(files, folder):
    model, data = files
    (folder / "c.toml").write_text("[testing]\nenable = false\n")
    done = run(model, "--data", data, *COMMON, "--testing", "c.toml")
    assert done.exception is None, done.output
    assert "not enabled" in done.output
    assert not (folder / "testing").exists()


def test_regression_and_anomalies(folder):
    model = linear(folder / "r.onnx", k=1, softmax=False)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5)).astype(np.float32)
    np.savez(folder / "r.npz", x=x, y=(x @ WEIGHTS[:, 0] + rng.normal(size=100)).astype(np.float32))
    done = run(model, "--data", "r.npz", "--task", "regression")
    assert done.exception is None, done.output
    assert done.output.startswith("Mean Squared Error (MSE): ")
    assert "not written" not in done.output
    done = run(model, "--data", "r.npz", "--task", "regression", "--train", "r.npz")
    assert done.exception is None, done.output
    assert (
        "not written: nearest_training_rows.csv (training rows are for the mistakes of a classifier, and this is a "
        "regression model)" in done.output
    )
    np.savez(folder / "n.npz", x=x)
    np.savez(folder / "t.npz", x=np.r_[x[:50] * 1.01, x[:20] + 9], y=np.r_[np.zeros(50), np.ones(20)].astype(int))
    done = run(model, "--data", "t.npz", "--normal", "n.npz", "--anomalous", "1", "--task", "regression")
    assert done.exception is None, done.output
    assert "Recommended threshold:" in done.output


def test_text_from_data_cannot_reach_the_terminal(folder):
    model = linear(folder / "m.onnx")
    path = folder / "t.csv"
    text = table(path) and path.read_text()
    path.write_text(text.replace("s0", "\x1b[31mred"))
    done = run(model, "--data", path, *COMMON)
    assert done.exception is None, done.output
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reference": "m.onnx"}, "are the same file"),
        ({"positive": "1"}, "--positive is the class of a threshold"),
        ({"anomalous": ("1",)}, "--anomalous is for anomaly detectors"),
        ({"normal": "n.npz", "validation": "v.csv"}, "--float and --validation are for classifiers"),
        ({"task": "regression", "validation": "v.csv"}, "--task says that MODEL is a regression model"),
        ({"float_factory": "a:b"}, "--float-factory builds the model of --float"),
        ({"classes": "a,,b"}, "labels with commas between"),
        ({"data": "no.csv"}, "no.csv"),
        ({"testing_path": "no.yaml"}, "cannot be read"),
        ({"level": 0.4}, "level got 0.4"),
        ({"target": None}, r"takes rows of shape \(5\)"),
    ],
)
def test_bad_options_are_refused(files, options, match):
    model, data = files
    known = {"data": data, "target": "label", "unused": ("site",), "output": "probabilities"}
    with pytest.raises(InvalidInput, match=match):
        measure_file("m.onnx" if model else "", **known | options)


def test_a_slice_that_the_model_was_not_trained_on_must_be_unused_too(files, folder):
    m, rows = files
    with pytest.raises(InvalidInput, match=r"--slices only parts the rows by 'site'.*--unused site keeps it"):
        measure_file(m, data=rows, target="label", out=folder / "t", slices=("site",))
    assert measure_file(m, data=rows, target="label", out=folder / "t", slices=("site",), unused=("site",)).files
    with pytest.raises(InvalidInput) as told:
        measure_file(m, data=rows, target="label", out=folder / "t")
    assert "--slices" not in str(told.value)


def test_a_pickle_needs_trust(folder, files):
    (folder / "m.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UntrustedFile, match="can run code"):
        measure_file("m.pkl", data=files[1], target="label")


# Everything is imported and called once on a few rows before the limit is set: what is measured is the data.
LIMITED = """
import resource, time
from robust.commands.model_metrics import measure_file
measure_file("m.onnx", data="few.npz", output="probabilities")
time.sleep(2)  # what draws pictures gives its memory back a little later
used = 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1])
resource.setrlimit(resource.RLIMIT_DATA, (used + {room}, used + {room}))
try:
    bytearray({rows})
    raise SystemExit("the limit does not bite: all rows fit into memory")
except MemoryError:
    pass
print(len(measure_file("m.onnx", data="big.npz", output="probabilities").files))
"""


@pytest.mark.slow
def test_rows_larger_than_the_memory_allowed_are_streamed(folder):
    """600 MB of rows; the process may take 300 MB beyond what its libraries take. Read-only maps do not count."""
    width, n = 1500, 100_000
    w = np.zeros((width, 3), np.float32)
    w[:5] = WEIGHTS
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(w, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, folder / "m.onnx")
    x = np.random.default_rng(0).standard_normal((n, width), dtype=np.float32)
    y = (x[:, :5] @ WEIGHTS).argmax(axis=1)
    y[::50] = (y[::50] + 1) % 3
    np.savez(folder / "big.npz", x=x, y=y)
    np.savez(folder / "few.npz", x=x[:200], y=y[:200])
    size = x.nbytes
    assert size > 1.9 * ROOM
    del x
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED.format(room=ROOM, rows=size)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 20
