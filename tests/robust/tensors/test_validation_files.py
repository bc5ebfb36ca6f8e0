import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from robust.errors import InvalidInput
from robust.tensors.spec import Quantization, TensorSpec
from robust.tensors.validation_files import read_validation, save_validation

X = np.arange(24, dtype=np.float32).reshape(4, 6)
Y = np.eye(4, 3, dtype=np.float32)
Q = Quantization(scale=0.5, zero_point=0, dtype="int8")
IMAGE = TensorSpec(name="image", shape=(2, 3, 1), dtype="float32")
SCORES = TensorSpec(name="scores", shape=(1, 3), dtype="float32")
STATE = TensorSpec(name="state", shape=(5,), dtype="float32")


def read(inputs, outputs=(), *, specs_in=(IMAGE,), specs_out=(SCORES,)):
    return read_validation(inputs, outputs, specs_in=specs_in, specs_out=specs_out)


@pytest.fixture
def write(tmp_path):
    def to(name, *, array=None, **by_key):
        path = tmp_path / name
        if path.suffix == ".npz":
            np.savez(path, **by_key)
        elif path.suffix == ".npy":
            np.save(path, array)
        elif path.suffix == ".pb":
            path.write_bytes(numpy_helper.from_array(array).SerializeToString())
        else:
            np.savetxt(path, array.reshape(len(array), -1), delimiter=",", header=f"dtype={array.dtype}")
        return path

    return to


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".pb"])
def test_one_file_a_tensor_in_every_format(write, suffix):
    paths = [write(f"inputs{suffix}", array=X), write(f"outputs{suffix}", array=Y)]
    found = read(paths[:1], paths[1:])
    assert found.inputs[0].shape == (4, 2, 3, 1)
    np.testing.assert_array_equal(found.inputs[0].reshape(4, 6), X)
    np.testing.assert_array_equal(found.outputs[0].reshape(4, 3), Y)
    assert found.notes == (
        f"loading file: {paths[0]}",
        f"loading file: {paths[1]}",
        "samples are reshaped: (4, 6) -> (4, 2, 3, 1)",
        "samples are reshaped: (4, 3) -> (4, 1, 3)",
    )


def test_an_archive_of_both(write):
    found = read(write("t.npz", x_test=X.reshape(4, 2, 3, 1), y_test=Y))
    assert found.rows == 4
    assert found.notes[1:] == ("samples are reshaped: (4, 3) -> (4, 1, 3)",)
    assert read([write("t.npz", x_test=X)]).outputs is None
    assert read(str(write("t.npz", x_test=X))).notes[-1] == "No output/reference samples are provided"


def test_several_inputs_go_by_order_and_names_are_ignored(write):
    h = np.ones((4, 5), dtype=np.float32)
    paths = [write("zzz.npy", array=X), write("aaa.csv", array=h)]
    found = read(paths, specs_in=(IMAGE, STATE))
    np.testing.assert_array_equal(found.inputs[1], h)
    with pytest.raises(InvalidInput, match=r"'image' takes rows of shape \(2, 3, 1\), got an array of shape \(4, 5\)"):
        read(paths[::-1], specs_in=(IMAGE, STATE))


def test_references_beside_an_archive_of_inputs(write):
    found = read(write("t.npz", x_test=X), write("y.npy", array=Y))
    assert found.outputs[0].shape == (4, 1, 3)
    with pytest.raises(InvalidInput, match="holds references, and .*y.npy gives others"):
        read(write("t.npz", x_test=X, y_test=Y), write("y.npy", array=Y))


def test_an_archive_stands_alone(write):
    archive, alone = write("t.npz", x_test=X), write("x.npy", array=X)
    for inputs, outputs in (([archive, alone], ()), ([alone, archive], ()), ([alone], [archive])):
        with pytest.raises(InvalidInput, match="only input file"):
            read(inputs, outputs)


def test_more_files_than_inputs(write):
    paths = [write("a.npy", array=X), write("b.npy", array=X)]
    with pytest.raises(InvalidInput, match=r"a.npy, b.npy give 2 input arrays, the model has 1 inputs \('image'\)"):
        read(paths)
    with pytest.raises(InvalidInput, match=r"give 2 output arrays, the model has 1 outputs \('scores'\)"):
        read(paths[:1], paths)
    with pytest.raises(InvalidInput, match="no input files"):
        read([])


def test_wrong_keys_say_which_are_understood(write):
    with pytest.raises(
        InvalidInput,
        match=r"gives 2 input arrays, .* has the keys images, labels; .* understood as x_test/y_test, inputs/outputs",
    ):
        read(write("t.npz", images=X, labels=Y))
    for x, y in (("x_train", "y_train"), ("X_test", "Y_test"), ("X", "Y"), ("x", "y")):
        with pytest.raises(InvalidInput, match=f"gives 2 input arrays, .*has the keys {x}, {y}; keys are understood"):
            read(write("t.npz", **{x: X, y: Y}))
        # As many arrays as inputs, of other shapes: the keys are told all the same.
        with pytest.raises(InvalidInput, match=f"input 'state' takes rows .*has the keys {x}, {y}; keys are"):
            read(write("t.npz", **{x: X, y: Y}), specs_in=(IMAGE, STATE))
    with pytest.raises(InvalidInput, match="input 'image' takes rows of shape") as known:
        read(write("t.npz", x_test=Y))
    assert "keys" not in str(known.value)
    with pytest.raises(
        InvalidInput, match="has the keys m_inputs_1, m_inputs_3: numbers 1 to 2 .*understood as x_test"
    ):
        read(write("t.npz", m_inputs_1=X, m_inputs_3=X))
    with pytest.raises(InvalidInput, match="gives 1 input arrays, the model has 2 .*has the keys m_inputs_1; keys are"):
        read(write("t.npz", m_inputs_1=X), specs_in=(IMAGE, STATE))
    with pytest.raises(InvalidInput, match="keys X, y_test, of which 'y_test' is an output without its inputs"):
        read(write("t.npz", X=X, y_test=Y))


def test_arrays_with_the_names_of_the_inputs_are_matched_by_name(write):
    """Both have the same shape, so that nothing but the name tells them apart."""
    specs = tuple(TensorSpec(name=name, shape=(6,), dtype="float32") for name in ("a", "b"))
    found = read(write("t.npz", b=X + 1, a=X), specs_in=specs)
    np.testing.assert_array_equal(found.inputs[0], X)
    np.testing.assert_array_equal(found.inputs[1], X + 1)
    assert any("matched by the names of the model's inputs: a, b" in note for note in found.notes)


def test_rows_must_agree(write):
    with pytest.raises(InvalidInput, match="inputs have 4 rows, references 3"):
        read(write("t.npz", x_test=X, y_test=Y[:3]))
    with pytest.raises(InvalidInput, match="different numbers of rows: 'image' has 4, 'state' has 3"):
        read(write("t.npz", m_inputs_1=X, m_inputs_2=np.ones((3, 5))), specs_in=(IMAGE, STATE))


def test_class_numbers_are_not_references(write):
    with pytest.raises(InvalidInput, match="class numbers are not understood"):
        read(write("t.npz", x_test=X, y_test=np.array([0, 1, 2, 0])))


@pytest.mark.parametrize("spec", [IMAGE, TensorSpec(name="image", shape=(6,), dtype="int8", quantization=Q)])
@pytest.mark.parametrize("suffix", [".npy", ".csv", ".pb"])
def test_uint8_is_not_converted(write, spec, suffix):
    path = write(f"x{suffix}", array=X.astype(np.uint8))
    with pytest.raises(InvalidInput, match=f"input 'image' is {spec.dtype}, got uint8, which is not converted"):
        read(path, specs_in=(spec,))


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".pb"])
def test_floats_are_quantized_for_an_integer_input(write, suffix):
    spec = TensorSpec(name="image", shape=(6,), dtype="int8", quantization=Q)
    found = read(write(f"x{suffix}", array=X * 3.1), specs_in=(spec,))
    np.testing.assert_array_equal(found.inputs[0], np.clip(np.rint(X * np.float32(3.1) / 0.5), -128, 127))
    assert any(
        note.startswith("input 'image': float32 data are quantized with s=0.500000 zp=0; 3 of 24")
        for note in found.notes
    )


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".pb"])
@pytest.mark.parametrize("specs", [None, (IMAGE,)])
def test_nan_is_refused(write, suffix, specs):
    bad = X.copy()
    bad[2, 1] = np.nan
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        read(write(f"x{suffix}", array=bad), specs_in=specs)


def test_without_specs_arrays_stay_as_they_are(write):
    found = read(write("t.npz", a=X.astype(np.float64), b=Y), specs_in=None, specs_out=None)
    assert [(a.shape, a.dtype) for a in found.inputs] == [((4, 6), np.float64), ((4, 3), np.float32)]
    for array in (np.array(["a"]), np.array(1.0)):
        with pytest.raises(InvalidInput, match="numbers"):
            read(write("t.npz", x_test=array), specs_in=None, specs_out=None)
    with pytest.raises(InvalidInput, match="'input 1' has 4, 'input 2' has 3"):
        read(write("t.npz", a=X, b=X[:3]), specs_in=None, specs_out=None)


# --- hostile files --------------------------------------------------------------------------------------------------


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv", ".pb", ".pkl"])
def test_pickles_are_never_loaded(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "canary")))
    with pytest.raises(InvalidInput, match="pickle|suffix"):
        read(path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_are_never_loaded(tmp_path, name):
    path = tmp_path / name
    objects = np.array([Touch(tmp_path / "canary")], dtype=object)
    with path.open("wb") as stream:
        np.save(stream, objects) if name == "x.npy" else np.savez(stream, x_test=objects)
    with pytest.raises(InvalidInput, match="Python objects"):
        read(path)
    assert not (tmp_path / "canary").exists()


def test_an_archive_that_unpacks_to_far_more(tmp_path):
    """By its directory: nothing is unpacked to find out."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_test.npy", bytes(100))
        archive.filelist[0].file_size = 2**31
    with pytest.raises(InvalidInput, match="would unpack to 2.0 GiB"):
        read(path)


def test_a_header_that_declares_more_than_there_is(tmp_path):
    path = tmp_path / "x.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
    with pytest.raises(InvalidInput, match="damaged"):
        read(path)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pb"])
def test_damaged_missing_and_empty_files(tmp_path, write, suffix):
    path = write(f"x{suffix}", array=X, x_test=X)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidInput, match="damaged|TensorProto"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(InvalidInput, match="is empty"):
        read(path)
    path.unlink()
    with pytest.raises(InvalidInput, match="does not exist"):
        read(path)


def test_names_and_contents_must_agree(tmp_path, write):
    write("x.npy", array=X).rename(tmp_path / "x.csv")
    with pytest.raises(InvalidInput, match="is a numpy array, not what .csv says"):
        read(tmp_path / "x.csv")
    (tmp_path / "x.txt").write_text("1")
    with pytest.raises(InvalidInput, match=r"unknown suffix '.txt'; validation files are .npz, .npy, .csv, .pb"):
        read(tmp_path / "x.txt")


def test_ragged_and_text_csv_name_line_and_column(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,2,3,4,5,6\n1,2,3,4,5\n")
    with pytest.raises(InvalidInput, match="x.csv, line 2: 5 numbers, the first sample has 6"):
        read(path)
    path.write_text("1,2,3,4,5,6\n1,2,x,4,5,6\n")
    with pytest.raises(InvalidInput, match="x.csv, line 2, column 3: 'x' is no number"):
        read(path)


# --- what was written can be read again ------------------------------------------------------------------------------

TYPES = ["float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool"]


def tensors(rows):
    shape = st.lists(st.integers(1, 4), max_size=3).map(lambda sizes: (rows, *sizes))
    return st.tuples(st.sampled_from(TYPES), shape).flatmap(
        lambda pair: arrays(
            *pair, elements={"allow_nan": False, "allow_infinity": False} if "float" in pair[0] else None
        )
    )


def parts():
    return st.integers(1, 5).flatmap(
        lambda rows: st.tuples(*[st.lists(tensors(rows), min_size=1, max_size=3) for _ in range(4)])
    )


@given(parts())
@settings(max_examples=40, deadline=None)
def test_a_round_trip_through_every_format(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("io")
    names = ("m_inputs", "c_inputs", "m_outputs", "c_outputs")
    saved = dict(zip(names, drawn, strict=True))
    archive = save_validation(folder, "net", **saved)[0]

    def specs(found):
        return [TensorSpec(name=f"t{i}", shape=a.shape[1:], dtype=a.dtype.name) for i, a in enumerate(found)]

    def check(got, wanted):
        for a, b in zip(got, wanted, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_array_equal(a, b)

    both = {"specs_in": specs(saved["m_inputs"]), "specs_out": specs(saved["m_outputs"])}
    found = read_validation(archive, **both)
    check(found.inputs, saved["m_inputs"])
    check(found.outputs, saved["m_outputs"])
    for part in ("m", "c"):
        both = {"specs_in": specs(saved[f"{part}_inputs"]), "specs_out": specs(saved[f"{part}_outputs"])}
        for form in ("net_val_{}_{}.npy", "net_{}_{}.csv"):
            files = [
                [folder / form.format(f"{part}_{side}", i + 1) for i in range(len(saved[f"{part}_{side}"]))]
                for side in ("inputs", "outputs")
            ]
            found = read_validation(*files, **both)
            check(found.inputs, saved[f"{part}_inputs"])
            check(found.outputs, saved[f"{part}_outputs"])


def test_csv_files_without_data_say_what_would_help(tmp_path):
    wide = np.zeros((2, 600), dtype=np.float32)
    save_validation(tmp_path, "net", m_inputs=[wide], c_inputs=[wide], m_outputs=[Y], c_outputs=[Y])
    with pytest.raises(InvalidInput, match="left without data; the .npy or .npz beside it"):
        read(tmp_path / "net_m_inputs_1.csv", specs_in=None)


def test_the_candidates_files_when_the_reference_was_not_run(tmp_path):
    (archive, *_) = save_validation(tmp_path, "net", m_inputs=(), c_inputs=[X], m_outputs=(), c_outputs=[Y])
    found = read(archive)
    np.testing.assert_array_equal(found.outputs[0].reshape(4, 3), Y)
