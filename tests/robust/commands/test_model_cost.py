"""`robust cost` as users run it: table, JSON, budgets and exit codes."""

import json
import re
import sys

import numpy as np
import onnx
import pytest
import skops.io
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from torch import nn

from robust.commands.model_cost import cost_command
from robust.errors import InvalidInput, UntrustedFile
from robust.examples.catalogue import example_path


def run(*words):
    """Exit code and text, as the command line has them."""
    result = CliRunner().invoke(cost_command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


@pytest.fixture
def linear(tmp_path):
    """6 inputs, 4 outputs, one layer called fc: 24 MACC, 112 bytes of ROM, 40 of RAM."""
    weights = {"fc.weight": np.zeros((4, 6), np.float32), "fc.bias": np.zeros(4, np.float32)}
    node = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], transB=1)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_the_table(linear):
    code, text = run(linear)
    assert code == 0
    rows = [line.split() for line in text.splitlines()]
    assert ["fc", "Gemm", "24", "28", "112", "16"] in rows
    assert "MACC        24 a sample" in text
    assert "ROM         112 bytes (0.1 KiB)" in text
    assert "RAM         40 bytes (0.0 KiB) with inputs and outputs (fullest in fc)" in text
    assert "no theoretical relation" in text


def test_json_is_the_same_as_the_kept_file(linear, tmp_path):
    code, text = run(linear, "--json", "--out", tmp_path / "out", "--flash", "1KiB")
    found = json.loads(text)
    assert code == found["exit_code"] == 0
    assert json.loads((tmp_path / "out" / "cost.json").read_text()) == found
    assert {key: found[key] for key in ("model", "macc", "parameters", "rom", "ram", "ram_without_io", "peak_at")} == {
        "model": "net.onnx",
        "macc": 24,
        "parameters": 28,
        "rom": 112,
        "ram": 40,
        "ram_without_io": 0,
        "peak_at": "fc",
    }
    assert found["layers"] == [{"name": "fc", "kind": "Gemm", "macc": 24, "parameters": 28, "rom": 112, "output": 16}]
    assert found["budgets"] == [{"name": "rom", "limit": 1024.0, "status": "PASS"}]
    assert (found["uncounted"], found["latency"]) == ([], None)


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        (["--flash", "112"], 0),
        (["--flash", "111"], 1),
        (["--ram", "40B", "--flash", "1KiB"], 0),
        (["--ram", "39", "--flash", "1KiB"], 1),
        (["--macc", "24"], 0),
        (["--macc", "2.3e1"], 1),
    ],
)
def test_budgets_decide_the_exit_code(linear, budget, code):
    found, text = run(linear, *budget)
    assert found == code
    assert ("FAIL" in text) == (code == 1)


def test_a_budget_on_what_was_not_counted_is_open(tmp_path, linear):
    model = onnx.load(linear)
    model.graph.node[0].op_type, model.graph.node[0].domain = "Secret", "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, tmp_path / "odd.onnx")
    code, text = run(tmp_path / "odd.onnx", "--macc", "1e9")
    assert code == 4
    assert "MACC        not counted\n" in text
    assert "uncounted   fc (com.example.Secret): operators of com.example are not known" in text
    # A failure that is certain weighs more than one that cannot be judged.
    assert run(tmp_path / "odd.onnx", "--macc", "1e9", "--flash", "1")[0] == 1


def test_latency(linear, tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 6)), y=np.zeros(3))
    code, text = run(linear, "--data", tmp_path / "rows.npz", "--target", "y", "--latency", "--runs", 6, "--json")
    found = json.loads(text)["latency"]
    assert code == 0
    assert 0 < found["lower"] <= found["seconds"] <= found["upper"]
    assert found["calls"] == 6
    _, text = run(linear, "--data", tmp_path / "rows.npz", "--target", "y", "--latency", "--runs", 4)
    assert ".. inf s, 4 calls, this host)" in text


def test_a_shape_beside_rows_to_time(linear, tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 6)))
    code, text = run(linear, "--data", tmp_path / "rows.npz", "--input-shape", "6", "--latency", "--runs", 3)
    assert code == 0
    assert "latency " in text


@pytest.mark.parametrize("keys", [("x", "h"), ("m_inputs_1", "m_inputs_2"), ("c_inputs_1", "c_inputs_2")])
def test_latency_of_several_inputs(tmp_path, keys):
    nodes = [helper.make_node("Add", ["x", "h"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 6]) for name in "xhy"]
    graph = helper.make_graph(nodes, "g", values[:2], values[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "a.onnx")
    np.savez(tmp_path / "rows.npz", **{key: np.ones((3, 6), np.float32) for key in keys})
    words = [tmp_path / "a.onnx", "--data", tmp_path / "rows.npz", "--latency", "--runs", 5]
    code, text = run(*words)
    assert code == 0
    assert "latency " in text
    assert "layer time  " in text
    with pytest.raises(InvalidInput, match="--target is for models of one input, and a.onnx takes 2"):
        run(*words, "--target", "y")


def test_latency_gives_the_time_of_each_layer(linear, tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 6)))
    words = [linear, "--data", tmp_path / "rows.npz", "--latency", "--runs", 6]
    (layer,) = [row for row in json.loads(run(*words, "--json")[1])["latency"]["layers"] if "Gemm" in row["name"]]
    assert 0 <= layer["quartiles"][0] <= layer["median"] <= layer["quartiles"][1] < 1
    lines = [line for line in run(*words)[1].splitlines() if line.startswith("layer time  ")]
    (line,) = [line for line in lines if "Gemm" in line]
    assert re.match(r"layer time  [\d.e-]+ s \(quartiles [\d.e-]+ \.\. [\d.e-]+ s\) ", line)
    skops.io.dump(LogisticRegression().fit(np.eye(6), [0, 1] * 3), tmp_path / "fitted.skops")
    text = run(tmp_path / "fitted.skops", *words[1:])[1]  # it does not tell
    assert "latency " in text
    assert "layer time" not in text


def test_other_formats(tmp_path, monkeypatch):
    x, y = np.eye(4), [0, 1, 0, 1]
    skops.io.dump(LogisticRegression().fit(x, y), tmp_path / "fitted.skops")
    assert json.loads(run(tmp_path / "fitted.skops", "--json")[1])["macc"] == 4
    net = nn.Sequential(nn.Linear(6, 4))
    program = torch.export.export(net, (torch.zeros(2, 6),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, tmp_path / "net.pt2")
    assert json.loads(run(tmp_path / "net.pt2", "--json")[1])["macc"] == 24
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "costing_factory_for_tests.py").write_text(
        "from torch import nn\ndef build(): return nn.Sequential(nn.Linear(6, 4))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = ["weights.pt", "--factory", "costing_factory_for_tests:build", "--input-shape", "6", "--json"]
    assert json.loads(run(*words)[1])["macc"] == 24


def test_the_bundled_int8_model():
    code, text = run(example_path("digits") / "int8.onnx", "--flash", "8KiB", "--ram", "2KiB")
    assert code == 0
    assert text.count("PASS") == 2


def test_shapes_of_several_inputs(tmp_path):
    nodes = [helper.make_node("MatMul", ["a", "b"], ["y"])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, None]) for name in "ab"]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "m.onnx")
    _, text = run(tmp_path / "m.onnx", "--input-shape", "3,4", "--input-shape", "4x5", "--json")
    assert json.loads(text)["macc"] == 60


def test_time_in_front_is_told_and_a_whole_call_counted(tmp_path):
    weights = {"w": np.zeros((1, 20, 3), np.float32), "r": np.zeros((1, 20, 5), np.float32)}
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5, name="rnn")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", 1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 1, 1, 5])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    path = tmp_path / "rnn.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    with pytest.raises(InvalidInput, match=r"rnn.onnx: the free axis 0 \('T'\) of input 'x' cannot be the batch"):
        run(path)
    code, text = run(path, "--input-shape", "7,1,3", "--macc", "1120")
    assert code == 0
    assert "MACC        1,120 a call" in text
    assert "note        no axis was taken for the batch, MACC are those of a whole call" in text
    assert run(path, "--input-shape", "7,1,3", "--macc", "1119")[0] == 1
    found = json.loads(run(path, "--input-shape", "7,1,3", "--json")[1])
    assert (found["macc"], found["whole_call"], found["rows"]) == (1120, True, 1)


def test_the_batch_is_told(linear):
    text = run(linear)[1]
    assert "note        taken for the batch, of 1 row: axis 0 ('n') of input 'x'" in text
    assert "a sample" in text
    text = run(linear, "--input-shape", "3,6")[1]
    assert "RAM         120 bytes (0.1 KiB) with inputs and outputs for a batch of 3 rows" in text


def test_names_from_a_file_cannot_steer_a_terminal(tmp_path, linear):
    model = onnx.load(linear)
    model.graph.node[0].name = "[bold]x\x1b[31m\u202e"
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace(".", "")
    model.graph.node[0].input[1:] = ["fcweight", "fcbias"]
    onnx.save(model, tmp_path / "net.onnx")
    _, text = run(tmp_path / "net.onnx")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]x\\x1b[31m" in "".join(text.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--flash", "lots"], "'lots' is no size of memory"),
        (["--input-shape", "1,a"], "--input-shape got '1,a'; sizes such as 1,28,28"),
        (["--input-shape", "7"], r"takes rows of shape \(6\), got \(7,\)"),
        (["--macc", "many"], "--macc got 'many'; a number such as 1e6"),
        (["--macc", "nan"], "finite number"),
        (["--latency"], "--latency needs rows to run: give --data"),
        (["--data", "x.npz", "--input-shape", "6"], "both say what a row is: leave one of them out"),
        (["--target", "y"], "--target is a column of --data"),
    ],
)
def test_misfits_are_refused(linear, words, message):
    with pytest.raises(InvalidInput, match=message):
        run(linear, *words)


def test_files_that_cannot_be_read_are_refused(tmp_path, linear):
    with pytest.raises(InvalidInput, match="does not exist"):
        run(tmp_path / "nowhere.onnx")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(UntrustedFile, match="--trust"):
        run(tmp_path / "module.pt", "--input-shape", "2")
    assert run(tmp_path / "module.pt", "--input-shape", "2", "--trust")[0] == 0
    (tmp_path / "taken").write_text("")
    with pytest.raises(InvalidInput, match="output folder .* cannot be written to"):
        run(linear, "--out", tmp_path / "taken" / "deeper")
