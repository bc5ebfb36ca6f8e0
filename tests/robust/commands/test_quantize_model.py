"""`robust quantize` as users run it: the file, the table, the gate and exit codes."""

import json

import pytest
from click.testing import CliRunner

from robust.commands.quantize_model import quantize_command
from robust.errors import InvalidInput, UntrustedFile
from robust.examples.catalogue import example_path
from robust.models.loading import load_model
from robust.quantizers.building import quantize

FOLDER = example_path("digits")
FLOAT, TRAIN, TEST = (FOLDER / name for name in ("float.onnx", "train.npz", "test.npz"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words):
    """Exit code and text, as the command line has them."""
    result = CliRunner().invoke(quantize_command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_it_writes_what_quantize_builds(tmp_path):
    code, text = run(FLOAT, "--calibration", TRAIN, "--out", "int8.onnx", "--keep", "9", "--calibrate", "percentile")
    assert (code, text) == (0, "built    int8.onnx\nwritten  int8.onnx\n")
    expected = quantize(FLOAT, TRAIN, calibrate="percentile", keep=("9",))
    assert (tmp_path / "int8.onnx").read_bytes() == expected.content()
    assert list((tmp_path / ".robust" / "cache").iterdir())


def test_without_a_cache_nothing_is_left_behind(tmp_path):
    assert run(FLOAT, "--calibration", TRAIN, "--no-cache")[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("limit", "code", "status"), [("1%", 0, "PASS"), ("<= 0.1%", 4, "INCONCLUSIVE")])
def test_the_gate_decides_the_exit_code(limit, code, status):
    found, text = run(FLOAT, "--calibration", TRAIN, "--data", TEST, "--limit", limit)
    assert found == code
    assert status in text.splitlines()[-1]
    assert text.splitlines()[1] == "not written: give --out"
    assert "candidate" in text.splitlines()[3]


def test_a_candidate_that_loses_too_much_fails(tmp_path):
    import numpy as np

    rows = np.load(TRAIN)
    np.savez(tmp_path / "dark.npz", x=rows["x"] * np.float32(0.1), y=rows["y"])
    code, text = run(FLOAT, "--calibration", "dark.npz", "--data", TEST, "--limit", "< 1%", "--json")
    assert code == json.loads(text)["exit_code"] == 1
    assert json.loads(text)["gate"]["status"] == "FAIL"


def test_all_calibrations_side_by_side():
    code, text = run(FLOAT, "--calibration", TRAIN, "--data", TEST, "--compare")
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[4:8]] == ["minmax", "entropy", "percentile", "dynamic"]
    # What is built is judged first, under its own name where it is none of these.
    _, text = run(FLOAT, "--calibration", TRAIN, "--data", TEST, "--compare", "--weight-type", "uint8", "--json")
    found = json.loads(text)
    assert [row["name"] for row in found["candidates"]] == ["candidate", "minmax", "entropy", "percentile", "dynamic"]
    assert found["candidates"][0]["model"] == "float.onnx uint8 static uint8 activations minmax"


def test_json_has_every_figure():
    code, text = run(FLOAT, "--calibration", TRAIN, "--data", TEST, "--json", "--method", "weight-only")
    found = json.loads(text)
    assert code == found["exit_code"] == 0
    (row,) = found["candidates"]
    assert row["lower"] < row["degradation"] < row["upper"]
    assert row["weights_quantized"] == pytest.approx(1280 / 6032)
    assert (found["rows"], row["macc_quantized"], row["level"], found["gate"]) == (719, 0, 0.95, None)
    assert "left in float: 0 (Conv" in found["findings"][0]
    assert (found["metric"], found["written"], found["reference_rom"], row["invalid"]) == ("accuracy", None, 24376, [])


def test_methods_without_ranges_need_no_rows():
    code, text = run(FLOAT, "--method", "dynamic", "--data", TEST, "--limit", "1%")
    assert code == 0
    assert text.startswith("built    float.onnx uint8 dynamic")
    with pytest.raises(InvalidInput, match="takes ranges from calibration rows"):
        run(FLOAT)
    with pytest.raises(InvalidInput, match="give --calibration"):
        run(FLOAT, "--compare", "--data", TEST)


def test_leakage_is_told():
    assert "note: leakage: 719 of 719 rows" in run(FLOAT, "--calibration", TEST, "--data", TEST)[1]


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        (["--compare"], InvalidInput, "--compare needs rows to judge on: give --data"),
        (["--limit", "1%"], InvalidInput, "--limit needs rows"),
        (["--limit", "> 1%", "--data", TEST], InvalidInput, "kept below something"),
        (["--limit", "little", "--data", TEST], InvalidInput, "little"),
        (["--out", "int8.bin"], InvalidInput, "must end in .onnx"),
        (["--method", "torchao"], InvalidInput, "live torch modules"),
    ],
)
def test_usage_errors(words, error, match):
    with pytest.raises(error, match=match):
        run(FLOAT, "--calibration", TRAIN, *words)


def test_files_that_could_run_code_are_refused(tmp_path):
    import joblib

    joblib.dump({"a": 1}, tmp_path / "net.pkl")
    with pytest.raises(UntrustedFile, match="--trust"):
        run("net.pkl", "--calibration", TRAIN)


def test_torch_weights_with_a_factory(tmp_path):
    words = [FOLDER / "net.safetensors", "--factory", "robust.examples.digits_torch:small_cnn", "--calibration", TRAIN]
    code, text = run(*words, "--data", TEST, "--method", "torchao", "--json")
    found = json.loads(text)
    assert (code, found["bytes"]) == (0, None)
    assert found["findings"] == ["candidate quantizes 21.22 % of the weights; left in float: 0 (Conv2d), 4 (Conv2d)"]


@pytest.mark.slow
def test_torch_weights_are_exported_and_written(tmp_path):
    words = [FOLDER / "net.safetensors", "--factory", "robust.examples.digits_torch:small_cnn", "--calibration", TRAIN]
    assert run(*words, "--out", "int8.onnx", "--data", TEST, "--limit", "1%")[0] == 0
    assert load_model(tmp_path / "int8.onnx").content()


@pytest.mark.parametrize("option", ["model", "calibration", "data"])
@pytest.mark.parametrize("way", ["itself", "symbolic link", "relative", "hard link"])
def test_what_is_read_is_never_written(tmp_path, option, way):
    read = {"model": "net.onnx", "calibration": "train.npz", "data": "test.npz"}
    for name, source in zip(read.values(), (FLOAT, TRAIN, TEST), strict=True):
        (tmp_path / name).write_bytes(source.read_bytes())
    before = (tmp_path / read[option]).read_bytes()
    out = tmp_path / "out.onnx"
    if way == "hard link":
        out.hardlink_to(tmp_path / read[option])
    elif way == "symbolic link" or option != "model":
        out.symlink_to(read[option])
    elif way == "relative":
        out = f"../{tmp_path.name}/net.onnx"
    else:
        out = "net.onnx"
    words = ["net.onnx", "--calibration", "train.npz", "--data", "test.npz", "--out", out]
    with pytest.raises(InvalidInput, match=r"out=.* is the .*, which would be lost: another name would be right"):
        run(*words)
    assert (tmp_path / read[option]).read_bytes() == before
    assert not (tmp_path / ".robust").exists()
