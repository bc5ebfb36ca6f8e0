"""`robust fuzz` as users run it: the table, saved failures, replay and exit codes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from robust.commands.fuzz_model import fuzz_command
from robust.errors import InvalidInput
from robust.examples.catalogue import example_path

FOLDER = example_path("digits")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def broken(tmp_path):
    """A network whose logits overflow where a pixel is bright, as an ONNX file; and rows for it."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    weights = np.zeros((4, 2), dtype=np.float32)
    weights[1, 0] = 200.0
    graph = h.make_graph(
        [h.make_node("MatMul", ["x", "w"], ["z"]), h.make_node("Exp", ["z"], ["y"])],
        "net",
        [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])],
        [h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 2])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).random((30, 4)).astype(np.float32) * 0.4)
    return tmp_path / "net.onnx", tmp_path / "rows.npz"


def run(*words):
    """Exit code and text, as the command line has them."""
    result = CliRunner().invoke(fuzz_command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_an_honest_network_passes():
    code, text = run(FOLDER / "float.onnx", FOLDER / "test.npz", "--n", 2000, "--bounds", 0, 1)
    assert code == 0
    assert text.splitlines()[0].split() == [
        "level",
        "rows",
        "batches",
        "refused",
        "failed",
        "property",
        "that",
        "failed",
    ]
    assert "1,000 random inputs, none failed" in text
    assert "failures: 0 == 0 [PASS: exact" in text.splitlines()[-1]


def test_a_broken_one_fails_is_saved_and_replayed(broken, tmp_path):
    model, data = broken
    code, text = run(model, data, "--n", 1000, "--bounds", 0, 1, "--out", "found", "--task", "regression")
    assert code == 1
    assert "finite outputs, inside (infinite)" in text
    assert "1 row: x1 = 1" in text
    assert "FAIL" in text.splitlines()[-1]
    told = json.loads((tmp_path / "found" / "fuzz.json").read_text())
    assert told["status"] == "FAIL"
    saved = told["examples"][0]["file"]
    code, text = run(model, "--replay", saved, "--task", "regression")
    assert (code, "still fails (the same model)" in text) == (1, True)
    with pytest.raises(InvalidInput, match="leave out --n, --bounds"):
        run(model, "--replay", saved, "--n", 100, "--bounds", 0, 1)
    code, text = run(FOLDER / "float.onnx", "--replay", saved, "--json")
    assert code == json.loads(text)["exit_code"]


def test_json_and_levels(broken):
    model, data = broken
    code, text = run(model, data, "--n", 300, "--levels", "outside", "--json", "--task", "regression", "--seed", 3)
    told = json.loads(text)
    assert code == told["exit_code"]
    assert list(told["levels"]) == ["outside"]
    assert told["seed"] == 3


def test_a_level_that_was_not_run_leaves_it_open():
    code, text = run(FOLDER / "float.onnx", FOLDER / "test.npz", "--n", 1, "--bounds", 0, 1)
    assert code == 4
    assert "INVALID" in text


def test_ctrl_c_shows_what_was_finished(monkeypatch):
    from robust.fuzzing.campaign import Campaign

    kept = Campaign._count
    calls = [0]

    def count(self, *arguments):
        kept(self, *arguments)
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Campaign, "_count", count)
    code, text = run(FOLDER / "float.onnx", FOLDER / "test.npz", "--n", 20000, "--bounds", 0, 1)
    assert code == 130
    assert "interrupted; finished batches count" in text


@pytest.mark.parametrize("words", [[], ["rows.npz", "--replay", "x.npz"]])
def test_rows_or_a_saved_failure(words):
    with pytest.raises(InvalidInput, match="give DATA, .* or --replay FILE"):
        run(FOLDER / "float.onnx", *words)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written to"):
        run(FOLDER / "float.onnx", FOLDER / "test.npz", "--n", 100, "--out", tmp_path / "file" / "x", "--bounds", 0, 1)
