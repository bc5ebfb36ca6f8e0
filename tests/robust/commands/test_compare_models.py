"""`robust compare`: what it prints, what it leaves behind, and its exit codes."""

import json
import sys

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from robust.commands.compare_models import compare, compare_command, repeated
from robust.errors import InvalidInput, UntrustedFile
from robust.models.runner import load_runner
from robust.tensors.validation_files import read_validation


def linear(path, *, noise=0.0, states=False, k=3):
    """A softmax over a linear layer, on request with a state beside it."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(5, k)) + noise * np.random.default_rng(1).normal(size=(5, k))
    nodes = [helper.make_node("MatMul", ["x", "W"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1)]
    inputs, outputs = [("x", TensorProto.FLOAT, ["n", 5])], [("p", TensorProto.FLOAT, ["n", k])]
    if states:
        nodes.append(helper.make_node("Add", ["z", "state"], ["next"]))
        inputs.append(("state", TensorProto.FLOAT, ["n", k]))
        outputs.append(("next", TensorProto.FLOAT, ["n", k]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(w.astype(np.float32), "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def two(folder):
    return linear(folder / "a.onnx"), linear(folder / "b.onnx", noise=1e-4)


@pytest.fixture
def far(folder):
    return linear(folder / "a.onnx"), linear(folder / "c.onnx", noise=1.0)


@pytest.fixture
def stateful(folder):
    return linear(folder / "s.onnx", states=True), linear(folder / "t.onnx", states=True, noise=1e-4)


def run(*args):
    """The command as the program runs it: a code, or an error that it turns into 2."""
    return compare_command.main([str(arg) for arg in args], standalone_mode=False)


def x(n=30, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)


# --- what is said and left behind -----------------------------------------------------------------------------


def test_random_samples(two, capsys):
    assert run(*two) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("X-cross (l2r) #1 error : ")
    assert lines[-1].endswith(" (expected to be < 0.01)")
    assert "generating random data, size=10, seed=42, range=default" in lines
    assert any(line.startswith("Bounds for samples not yet seen, drawn as these were: X-cross l2r") for line in lines)
    assert any(line.split()[:2] == ["X-cross", "#1"] for line in lines)


def test_files(two, folder):
    done = compare(two)
    assert {path.name for path in (folder / "robust-compare").iterdir()} == {
        "network_val_io.npz",
        *(f"network_val_{part}_1.npy" for part in ("m_inputs", "m_outputs", "c_inputs", "c_outputs")),
        *(f"network_{part}_1.csv" for part in ("m_inputs", "m_outputs", "c_inputs", "c_outputs")),
        "network_validate_report.txt",
    }
    assert all(path.is_file() for path in done.files)
    report = (folder / "robust-compare" / "network_validate_report.txt").read_text(encoding="utf-8")
    assert report == done.found.report()
    with np.load(folder / "robust-compare" / "network_val_io.npz") as arrays:
        assert sorted(arrays) == ["c_inputs_1", "c_outputs_1", "m_inputs_1", "m_outputs_1"]
        assert np.array_equal(arrays["m_outputs_1"], load_runner(two[0]).run([arrays["m_inputs_1"]])[0][0])
        assert np.array_equal(arrays["c_outputs_1"], load_runner(two[1]).run([arrays["c_inputs_1"]])[0][0])


def test_the_report_has_its_sections_in_order(two, folder):
    np.savez(folder / "io.npz", x_test=x(), y_test=np.eye(3)[np.arange(30) % 3])
    text = compare(two, inputs=["io.npz"]).found.report()
    titles = [
        "Accuracy report #1 for the candidate model",
        "Accuracy report #1 for the reference model",
        "Cross accuracy report #1 (reference vs candidate)",
        "Evaluation report (summary)",
        "X-cross (l2r) #1 error : ",
    ]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert text.count("\nnotes: - ") == 3
    assert text.count("3 classes (30 samples)") == 3
    assert text.count("30 samples (3 items per sample)") == 3
    assert "computed against the provided ground truth values" in text
    assert "the output of the reference model is used as ground truth/reference value" in text
    assert "Against one-hot rows rmse, mae and l2r are large" in text
    assert text.rstrip().splitlines()[-1].startswith("X-cross (l2r) #1")


def test_out_and_name(two, folder):
    run(*two, "--out", "there/deep", "--name", "net1")
    assert (folder / "there" / "deep" / "net1_val_io.npz").is_file()
    assert (folder / "there" / "deep" / "net1_validate_report.txt").is_file()
    with pytest.raises(InvalidInput, match="name must be a plain file name"):
        run(*two, "--name", "../x")


def test_csv_holds_128_samples_unless_all_are_asked_for(two, folder):
    compare(two, batch=200, out=folder / "few")
    compare(two, batch=200, out=folder / "all", save_csv=True)
    lengths = [
        len(read_validation([folder / place / "network_m_inputs_1.csv"], specs_in=None, specs_out=None).inputs[0])
        for place in ("few", "all")
    ]
    assert lengths == [128, 200]


def test_json(two, capsys):
    assert run(*two, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["version"] == 1
    assert content["close"] is True
    assert content["exit_code"] == 0
    assert content["samples"] == 10
    (row,) = content["rows"]
    assert row["role"] == "X-cross"
    assert row["acc"] == 1.0
    assert len(row["confusion"]) == 3
    assert content["bounds"]["l2r"]["lower"] <= row["l2r"] <= content["bounds"]["l2r"]["upper"]
    assert content["files"][-1].endswith("network_validate_report.txt")


def test_figures_that_do_not_apply_are_null_in_json(stateful, capsys):
    run(*stateful, "--json", "--no-classifier")
    content = json.loads(capsys.readouterr().out)
    assert [row["acc"] for row in content["rows"]] == [None, None]
    assert content["bounds"]["acc"] is None


# --- exit codes -----------------------------------------------------------------------------------------------


def test_exit_codes_follow_the_printed_samples(two, far, capsys):
    assert run(*two) == 0
    assert run(*far) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert float(line.split(" : ")[1].split()[0]) >= 0.01


def test_one_far_output_of_several_is_enough(folder):
    one = linear(folder / "s.onnx", states=True)
    other = linear(folder / "u.onnx", states=True, noise=0.05)
    done = compare([one, other])
    assert done.exit_code == 1
    assert done.text.splitlines()[-2].startswith("X-cross (l2r) #1")
    assert done.text.splitlines()[-1].startswith("X-cross (l2r) #2")


def test_without_a_reference_nothing_is_judged(two, folder, capsys):
    np.savez(folder / "io.npz", x_test=x(), y_test=np.arange(30) % 3)
    for models in (two, two[1:]):
        assert run(*models, "--no-reference", "--inputs", "io.npz") == 0
        out = capsys.readouterr().out
        assert out.splitlines()[-1] == "no reference was run: nothing is judged"
        assert "candidate #1" in out
        assert "X-cross" not in out
    with np.load(folder / "robust-compare" / "network_val_io.npz") as arrays:
        assert sorted(arrays) == ["c_inputs_1", "c_outputs_1"]
    assert run(two[1], "--no-reference") == 0
    assert "nothing was compared" in capsys.readouterr().out


def test_a_copy_of_the_reference_is_refused(two, folder):
    (folder / "copy.onnx").write_bytes((folder / "a.onnx").read_bytes())
    for other in ("a.onnx", "copy.onnx"):
        with pytest.raises(InvalidInput, match="hold the same bytes: nothing would be compared"):
            run("a.onnx", other)
    assert not (folder / "robust-compare").exists()


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ([], "two models are compared"),
        (["a.onnx"], "with --no-reference one is enough"),
        (["a.onnx", "b.onnx", "c.onnx"], "got 3"),
        (["--inputs", "io.npz", "a.onnx", "b.onnx"], "the models come before"),
        (["a.onnx", "b.onnx", "--inputs", "i.npy", "--data", "d.npz"], "one of them would be right"),
        (["a.onnx", "b.onnx", "--outputs", "o.npy"], "ground truth of --inputs"),
        (["a.onnx", "b.onnx", "--target", "y"], "ground truth in --data"),
        (["a.onnx", "b.onnx", "--inputs", "i.npy", "--range", "0", "1"], "--range is the range of random samples"),
        (["a.onnx", "b.onnx", "--range", "1", "0"], "a range goes from low to high"),
        (["a.onnx", "b.onnx", "-b", "0"], "rows must be"),
        (["a.onnx", "b.onnx", "--level", "2"], "level got 2.0"),
        (["a.onnx", "b.onnx", "--seed", "-3"], "seed got -3"),
        (["a.onnx", "missing.onnx"], "missing.onnx"),
        (["a.onnx", "b.onnx", "--inputs", "missing.npz"], "missing.npz"),
        (["a.onnx", "b.onnx", "--inputs", "i.txt"], "unknown suffix .*validation files are"),
    ],
)
def test_bad_use(two, args, match):
    with pytest.raises(InvalidInput, match=match):
        run(*args)


def test_unknown_options_are_usage_errors(two):
    for args in (["--wrong"], ["--inputs"], ["--range", "1"], ["--inputs-ch-position", "nchw"]):
        with pytest.raises(click.UsageError):
            run(*two, *args)


def test_files_that_can_run_code_need_trust(two, folder):
    import pickle

    (folder / "m.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UntrustedFile):
        run(two[0], "m.pkl")


# --- samples --------------------------------------------------------------------------------------------------


def test_range_seed_and_batch(two, capsys):
    assert run(*two, "--range", "-10", "5", "-b", "20", "--seed", "7") == 0
    out = capsys.readouterr().out
    assert "generating random data, size=20, seed=7, range=(-10.0, 5.0)" in out
    assert "I[1]: (20, 5)/float32, min/max=[-" in out


@pytest.mark.parametrize("option", ["--inputs", "-vi"])
def test_several_files_after_one_option(stateful, folder, option, capsys):
    np.savetxt(folder / "frame.csv", x(12), delimiter=",")
    np.save(folder / "state.npy", np.zeros((12, 3), dtype=np.float32))
    frames = load_runner(stateful[0]).run([x(12), np.zeros((12, 3), dtype=np.float32)])[0]
    np.save(folder / "p.npy", frames[0])
    np.save(folder / "next.npy", frames[1])
    files = [option, "frame.csv", "state.npy", "-vo" if option == "-vi" else "--outputs", "p.npy", "next.npy"]
    assert run(*stateful, *files, "--classifier") == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split()[:3] for line in lines if line.startswith(("candidate #", "reference #", "X-cross #"))]
    assert table == [[role, f"#{k}", "100.00%"] for role in ("candidate", "reference", "X-cross") for k in (1, 2)]


def test_what_it_wrote_it_reads(stateful, folder, capsys):
    assert run(*stateful) == 0
    first = capsys.readouterr().out.splitlines()[-2:]
    assert run(*stateful, "--inputs", "robust-compare/network_val_io.npz", "--out", "again") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-2:] == first
    assert "reference #2" in out
    for part in ("m_inputs_2", "c_outputs_1"):
        one, two = (np.load(folder / place / f"network_val_{part}.npy") for place in ("robust-compare", "again"))
        assert np.array_equal(one, two)


def test_data_files_with_targets(two, folder, capsys):
    rows = x(40)
    labels = load_runner(two[0]).run([rows])[0][0].argmax(axis=1)
    np.savez(folder / "test.npz", x=rows, y=labels)
    assert run(*two, "--data", "test.npz") == 0
    out = capsys.readouterr().out
    assert "candidate #1  100.00%" in out
    table = "\n".join(
        [
            ",".join(["a", "b", "c", "d", "e", "label"]),
            *(",".join(map(str, [*row, label])) for row, label in zip(rows.tolist(), labels.tolist(), strict=True)),
        ]
    )
    (folder / "test.csv").write_text(table)
    assert run(*two, "--data", "test.csv", "--target", "label") == 0
    assert "candidate #1  100.00%" in capsys.readouterr().out


def test_estimator_files(folder, capsys):
    import skops.io
    from sklearn.linear_model import LogisticRegression

    y = (x()[:, 0] > 0).astype(int)
    for name, c in (("a", 1.0), ("b", 0.5)):
        skops.io.dump(LogisticRegression(C=c).fit(x(), y), folder / f"{name}.skops")
    np.savez(folder / "test.npz", x=x(), y=y)
    assert run("a.skops", "b.skops", "--data", "test.npz") == 1
    assert "candidate #1" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="pass data"):
        run("a.skops", "b.skops")


def test_labels_outside_the_classes_are_refused(two, folder):
    np.savez(folder / "io.npz", x_test=x(), y_test=np.arange(30) % 4)
    with pytest.raises(InvalidInput, match=r"labels \[3\], the output has 3 classes"):
        run(*two, "--inputs", "io.npz")


def test_repeated_options():
    assert repeated(["a", "-vi", "x", "y", "--", "-z"]) == ["a", "-vi", "x", "-vi", "y", "--", "-z"]
    assert repeated(["--inputs=x", "a"]) == ["--inputs=x", "a"]
    assert repeated(["--json", "a", "--outputs"]) == ["--json", "a", "--outputs"]


def test_help_names_everything():
    done = CliRunner().invoke(compare_command, ["--help"])
    assert done.exit_code == 0
    for word in (
        "--inputs",
        "--outputs",
        "--range",
        "--seed",
        "--batch",
        "--classifier",
        "--no-reference",
        "--save-csv",
        "--out",
        "--json",
        "--level",
        "--trust",
        "Exit codes",
    ):
        assert word in done.output


def test_factories_are_looked_for_in_the_current_folder(folder, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(sys, "path", list(sys.path))
    # A name of its own: modules of other tests stay loaded.
    (folder / "nets_of_this_folder.py").write_text("import torch\n\ndef build():\n    return torch.nn.Linear(5, 3)\n")
    for name in ("a", "b"):
        torch.save(torch.nn.Linear(5, 3).state_dict(), folder / f"{name}.pt")
    np.savez(folder / "x.npz", x_test=np.ones((4, 5), np.float32))
    done = compare(
        ("a.pt", "b.pt"),
        inputs=("x.npz",),
        factory="nets_of_this_folder:build",
        reference_factory="nets_of_this_folder:build",
    )
    assert "X-cross #1" in done.text
    assert done.exit_code == 1


# --- gates -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(folder):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 5)).astype(np.float32)
    w = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.savez(folder / "rows.npz", x=x, y=(x @ w).argmax(axis=1))
    return "rows.npz"


def ask(*words):
    return CliRunner().invoke(compare_command, list(words), standalone_mode=False)


def test_gates_decide_the_exit_code(two, far, rows):
    same = compare(two, data=rows, gates=["degradation < 1%"])
    assert same.exit_code == 0
    assert same.text.endswith("May it ship? Yes: the only gate passes.")
    worse = compare(far, data=rows, gates=["degradation < 1%", "accuracy > 1%"])
    assert worse.exit_code == 1
    assert "No: 1 of 2 gates fails (degradation), 1 passes." in worse.text
    assert [entry.name for entry in worse.gates.entries] == ["accuracy", "degradation"]


def test_too_few_rows_are_inconclusive(two, rows, folder):
    with np.load(folder / rows) as arrays:
        np.savez(folder / "few.npz", x=arrays["x"][:60], y=arrays["y"][:60])
    assert compare(two, data="few.npz", gates=["degradation < 1%"]).exit_code == 4


def test_gates_of_the_folders_config_with_their_options(two, rows, folder):
    (folder / "robust.toml").write_text('[gates.degradation]\nlimit = "< 1%"\nquantized = true\n')
    done = compare(two, data=rows, from_config=True)
    assert done.exit_code == 4
    assert "0 % of the weights are quantized: this is the float model" in done.text
    assert compare(two, data=rows).gates is None


def test_gates_as_json(two, rows):
    found = ask(*two, "--data", rows, "--gate", "degradation < 1%", "--json")
    assert json.loads(found.output)["gates"]["entries"][0]["gate"]["status"] == "PASS"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gates": ["degradation < 1%"]}, "gates are judged on rows with targets: give them with --data"),
        ({"gates": ["degradation < 1%"], "data": "rows.npz", "no_reference": True}, "leave --no-reference out"),
        ({"from_config": True, "data": "rows.npz"}, "there is neither robust.toml nor"),
        ({"output": "logits", "data": "rows.npz"}, "--output says how gates read the models' outputs"),
        ({"gates": ["drop < 1%"], "data": "rows.npz"}, "drop"),
    ],
)
def test_gates_that_cannot_be_judged(two, rows, options, message):
    with pytest.raises(InvalidInput, match=message):
        compare(two, **options)


def test_a_config_without_gates(two, rows, folder):
    (folder / "robust.toml").write_text('title = "none"\n')
    with pytest.raises(InvalidInput, match=r"robust.toml has no \[gates\]: nothing would be judged"):
        compare(two, data=rows, from_config=True)
