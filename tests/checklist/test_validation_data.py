"""E13 to E22: samples from files and at random, and what is written back."""

import re

import numpy as np
import onnx
import pytest

from robust import InvalidInput, agreement, load_runner, read_validation


@pytest.fixture
def two(classifier, folder):
    """A float and an int8 build."""
    return classifier(folder / "a.onnx"), classifier(folder / "b.onnx", integer="int8")


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)


def log(found):
    return list(found.log)


def test_E13_random_data(two, classifier, folder, run):
    by_default = agreement(*two)
    assert log(by_default)[0] == "generating random data, size=10, seed=42, range=default"
    assert "No output/reference samples are provided" in log(by_default)
    values = by_default.tensors.m_inputs[0]
    assert values.shape == (10, 6)
    assert 0 <= values.min() < values.max() < 1
    assert np.array_equal(values, agreement(*two).tensors.m_inputs[0])
    _, text = run("compare", *two, "--range", -10, 5, "-b", 20, "--seed", 42)
    assert "generating random data, size=20, seed=42, range=(-10.0, 5.0)" in text.splitlines()
    wide, other = (agreement(*two, rows=400, value_range=(-10, 5), seed=seed).tensors.m_inputs[0] for seed in (42, 43))
    assert -10 <= wide.min() < -9.9 < 4.9 < wide.max() < 5
    assert not np.array_equal(wide, other)


def test_E13_integer_inputs_get_the_whole_range_of_their_type(classifier, folder):
    two = classifier(folder / "a.onnx", integer="int8"), classifier(folder / "b.onnx", integer="int8", zero=-127)
    found = agreement(*two, rows=600)
    values = found.tensors.m_inputs[0]
    assert (values.dtype, values.min(), values.max()) == (np.int8, -128, 127)
    counts = np.bincount(values.ravel().astype(int) + 128, minlength=256)
    assert (np.abs(counts - 3600 / 256) < 6 * np.sqrt(3600 / 256)).all()  # uniform
    assert log(found)[0].endswith("range=default")


def test_E14_every_tensor_is_described(two):
    lines = log(agreement(*two, rows=30))
    real = r"\(30, {}\)/float32, min/max=\[-?\d+\.\d{{3}}, \d+\.\d{{3}}\], mean/std=\[\d+\.\d{{3}}, \d+\.\d{{3}}\], {}"
    whole = (
        r"\(30, 4\)/int8, min/max=\[-\d+, -?\d+\], mean/std=\[-\d+\.\d{3}, \d+\.\d{3}\], scale=0\.00390625 zp=-128, p"
    )
    for start, pattern in (
        ("I[1]: ", real.format(6, "x")),
        ("m_outputs_1: ", real.format(4, "p")),
        ("c_outputs_1: ", whole),
    ):
        (line,) = [line for line in lines if line.startswith(start)]
        assert re.fullmatch(pattern, line.removeprefix(start))


def test_E14_reshapes_are_told(two, x, folder):
    np.save("x.npy", x.reshape(7, 6, 1, 1))
    np.save("y.npy", np.eye(4, dtype=np.float32)[np.arange(7) % 4].reshape(7, 1, 1, 4))
    lines = log(agreement(*two, "x.npy", outputs="y.npy"))
    assert "samples are reshaped: (7, 6, 1, 1) -> (7, 6)" in lines
    assert any(
        line.startswith("O[1]: (7, 1, 1, 4)/float32, min/max=[0.000, 1.000], mean/std=[0.250, 0.433], p")
        for line in lines
    )
    assert "O[1]: samples are reshaped: (7, 1, 1, 4) -> (7, 4)" in lines
    assert not any("reshaped" in line for line in log(agreement(*two, x, outputs=np.eye(4)[np.arange(7) % 4])))


def test_E15_all_four_kinds_of_files_say_the_same(two, x, folder):
    np.save("x.npy", x.reshape(7, -1))
    np.savez("x.npz", x_test=x)
    np.savetxt("x.csv", x, delimiter=",")
    (folder / "x.pb").write_bytes(onnx.numpy_helper.from_array(x).SerializeToString())
    for name in ("x.npy", "x.npz", "x.csv", "x.pb"):
        assert np.array_equal(agreement(*two, name).tensors.m_inputs[0], x)


@pytest.mark.parametrize(
    ("keys", "inputs", "outputs"),
    [
        (["x_test", "y_test", "inputs", "outputs"], ["x_test"], ["y_test"]),
        (["inputs", "outputs", "in_0", "out_0"], ["inputs"], ["outputs"]),
        (["in_0", "out_0", "m_inputs", "m_outputs"], ["in_0"], ["out_0"]),
        (["m_inputs", "m_outputs"], ["m_inputs"], ["m_outputs"]),
        (["m_inputs_2", "m_inputs_1", "m_outputs_1"], ["m_inputs_1", "m_inputs_2"], ["m_outputs_1"]),
        (["c_inputs_1", "c_outputs_1", "m_inputs_1", "m_outputs_1"], ["m_inputs_1"], ["m_outputs_1"]),
        (["c_inputs_1", "c_outputs_1"], ["c_inputs_1"], ["c_outputs_1"]),
        (["left", "right"], ["left", "right"], None),
    ],
)
def test_E16_keys_of_an_archive_in_their_order(folder, keys, inputs, outputs):
    arrays = {key: np.full((3, 2), float(i)) for i, key in enumerate(keys)}
    np.savez("data.npz", **arrays)
    found = read_validation(["data.npz"], specs_in=None, specs_out=None)

    def places(tensors):
        return None if tensors is None else [keys[int(array[0, 0])] for array in tensors]

    assert (places(found.inputs), places(found.outputs)) == (inputs, outputs)


def test_E17_csv_type_tag_counts_in_the_first_five_comments_alone(folder):
    rows = "50, 65, 71\n4.8e+01,6.7e+01,7.3e+01\n"
    (folder / "a.csv").write_text("# a file\n# dtype=uint8\n" + rows)
    (folder / "b.csv").write_text("#\n#\n#\n#\n#\n# dtype=uint8\n" + rows)
    (folder / "c.csv").write_text("# dtype=int8\n200,1,1\n")
    tagged, late = (read_validation([name], specs_in=None, specs_out=None).inputs[0] for name in ("a.csv", "b.csv"))
    assert (tagged.dtype, tagged.tolist()) == (np.uint8, [[50, 65, 71], [48, 67, 73]])
    assert (late.dtype, late.tolist()) == (np.float32, [[50, 65, 71], [48, 67, 73]])
    with pytest.raises(InvalidInput, match="c.csv"):
        read_validation(["c.csv"], specs_in=None, specs_out=None)


def test_E18_one_file_a_tensor_by_the_order_of_the_command_line(detector, folder, run, archive):
    two = detector(folder / "a.onnx"), detector(folder / "b.onnx", noise=0.01)
    rng = np.random.default_rng(0)
    frame, state = (rng.normal(size=(5, k)).astype(np.float32) for k in (6, 4))
    np.savetxt("z_first.csv", frame, delimiter=",")
    np.savetxt("a_second.csv", state, delimiter=",")
    np.savetxt("truth_1.csv", np.eye(3)[[0, 1, 2, 0, 1]], delimiter=",")
    np.savetxt("truth_2.csv", state, delimiter=",")
    _, text = run("compare", *two, "-vi", "z_first.csv", "a_second.csv", "-vo", "truth_1.csv", "truth_2.csv")
    kept = archive("robust-compare/network_val_io.npz")
    assert np.array_equal(kept["m_inputs_1"], frame)
    assert np.array_equal(kept["m_inputs_2"], state)
    assert "candidate #2" in text
    np.savez("both.npz", m_inputs_2=state, m_inputs_1=frame)
    assert np.array_equal(agreement(*two, "both.npz").tensors.m_outputs[0], kept["m_outputs_1"])
    with pytest.raises(InvalidInput, match="input"):
        run("compare", *two, "--inputs", "z_first.csv")


def test_E19_what_was_written_is_read_again(detector, folder, run, archive):
    two = detector(folder / "a.onnx"), detector(folder / "b.onnx", noise=0.01)
    run("compare", *two, "--out", "one", "--range", -1, 1)
    _, text = run("compare", *two, "--out", "two", "--inputs", "one/network_val_io.npz")
    first, second = (archive(f"{name}/network_val_io.npz") for name in ("one", "two"))
    assert sorted(first) == sorted(second)
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert "reference #1" in text  # the m_outputs of the first run are the truth of the second
    run("compare", two[1], "--no-reference", "--out", "three", "--inputs", "one/network_val_io.npz")
    run("compare", *two, "--out", "four", "--inputs", "three/network_val_io.npz")  # c_ keys alone
    assert np.array_equal(archive("four/network_val_io.npz")["m_inputs_1"], first["m_inputs_1"])


def test_E20_files_keep_types_and_shapes(two, folder, run, archive):
    run("compare", *two, "--name", "kws", "--out", "out", "-b", 130)
    names = {path.name for path in (folder / "out").iterdir()}
    tensors = [f"{side}_{part}_1" for side in "mc" for part in ("inputs", "outputs")]
    assert names == {
        "kws_val_io.npz",
        "kws_validate_report.txt",
        *(f"kws_val_{tensor}.npy" for tensor in tensors),
        *(f"kws_{tensor}.csv" for tensor in tensors),
    }
    kept = archive("out/kws_val_io.npz")
    for tensor in tensors:
        alone = np.load(f"out/kws_val_{tensor}.npy")
        assert (alone.dtype, alone.shape) == (kept[tensor].dtype, kept[tensor].shape)
        assert np.array_equal(alone, kept[tensor])
        (from_text,) = read_validation([f"out/kws_{tensor}.csv"], specs_in=None, specs_out=None).inputs
        assert from_text.dtype == kept[tensor].dtype
        assert np.array_equal(from_text, kept[tensor][:128])  # the first 128 samples
    assert kept["c_outputs_1"].dtype == np.int8


@pytest.mark.parametrize(("items", "forced", "rows"), [(511, False, 128), (512, False, 0), (512, True, 130)])
def test_E20_csv_limits(folder, items, forced, rows):
    from robust import save_validation

    x = np.ones((130, items), dtype=np.float32)
    save_validation("out", "n", m_inputs=[x], c_inputs=[], m_outputs=[], c_outputs=[], save_csv=forced)
    text = (folder / "out" / "n_m_inputs_1.csv").read_text()
    assert sum(not line.startswith("#") for line in text.splitlines()) == rows
    assert (text == "") == (rows == 0)  # over the limit the file is there, and empty


def test_E21_channel_positions_transpose_what_is_stored(folder):
    def first(x):
        return x.mean(axis=(2, 3))

    def last(x):
        return x.mean(axis=(1, 2))

    x = np.random.default_rng(0).normal(size=(4, 5, 6, 3))
    found = agreement(first, last, x, inputs_ch_position="channels_last")
    assert found.close
    assert found.tensors.c_inputs[0].shape == (4, 5, 6, 3)
    assert np.array_equal(found.tensors.m_inputs[0], found.tensors.c_inputs[0])

    def stay(x):
        return x

    def turn(x):
        return x.transpose(0, 3, 1, 2)

    out = agreement(turn, stay, x, outputs_ch_position="channels_last")
    assert out.rows[0].metrics.rmse == 0
    assert out.tensors.m_outputs[0].shape == (4, 5, 6, 3)
    with pytest.raises(InvalidInput, match="outputs_ch_position"):
        agreement(turn, stay, x)


def test_E22_report_file_default_folder_and_name(two, folder, run):
    _, text = run("compare", *two)
    report = folder / "robust-compare" / "network_validate_report.txt"
    assert f"written: {report.relative_to(folder)}" in text
    content = report.read_text()
    assert content.rstrip().splitlines()[-1] == text.rstrip().splitlines()[-1]
    assert "Cross accuracy report #1" in content
    assert load_runner(two[0]).name in content
