import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.tensors.saving import save_validation

GENERATOR = np.random.default_rng(0)
M_IN = [GENERATOR.normal(size=(200, 2, 3)).astype(np.float32), GENERATOR.integers(0, 9, size=(200, 1))]
C_IN = [GENERATOR.integers(-128, 127, size=(200, 2, 3), dtype=np.int8), M_IN[1]]
M_OUT = [GENERATOR.normal(size=(200, 600)).astype(np.float32)]
C_OUT = [GENERATOR.integers(0, 255, size=(200, 600), dtype=np.uint8)]


def save(folder, name="network", **changes):
    parts = {"m_inputs": M_IN, "c_inputs": C_IN, "m_outputs": M_OUT, "c_outputs": C_OUT, **changes}
    return save_validation(folder, name, **parts)


ARRAYS = {"m_inputs_1": M_IN[0], "m_inputs_2": M_IN[1], "c_inputs_1": C_IN[0], "c_inputs_2": C_IN[1],
          "m_outputs_1": M_OUT[0], "c_outputs_1": C_OUT[0]}  # fmt: skip


def test_names_and_what_numpy_reads(tmp_path):
    paths = save(tmp_path / "new" / "folder")
    names = ["network_val_io.npz"]
    names += [f"network_val_{key}.npy" for key in ARRAYS] + [f"network_{key}.csv" for key in ARRAYS]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(names)
    with np.load(paths[0], allow_pickle=False) as archive:
        assert sorted(archive.files) == sorted(ARRAYS)
        for key, array in ARRAYS.items():
            alone = np.load(paths[0].parent / f"network_val_{key}.npy", allow_pickle=False)
            for found in (archive[key], alone):
                assert (found.dtype, found.shape) == (array.dtype, array.shape)
                np.testing.assert_array_equal(found, array)


def test_csv_limits(tmp_path):
    save(tmp_path)
    found = np.loadtxt(tmp_path / "network_c_inputs_1.csv", delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(found, C_IN[0].reshape(200, 6)[:128])
    assert (tmp_path / "network_m_outputs_1.csv").read_bytes() == b""
    save(tmp_path, save_csv=True)
    found = np.loadtxt(tmp_path / "network_m_outputs_1.csv", delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(found, M_OUT[0])


def test_a_reference_that_was_not_run(tmp_path):
    paths = save(tmp_path, m_outputs=())
    assert not [path for path in paths if "m_outputs" in path.name]


def test_the_same_data_give_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in save(tmp_path / "a")]
    assert first == [path.read_bytes() for path in save(tmp_path / "b")]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "a\\b", "é"])
def test_names_that_leave_the_folder(tmp_path, name):
    with pytest.raises(InvalidInput, match="plain file name"):
        save(tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([None]), np.array(1.0), np.zeros((0, 3)), np.zeros((3, 0))]
)
def test_what_is_no_tensor(tmp_path, array):
    with pytest.raises(InvalidInput, match="c_outputs_2 is .* numbers"):
        save(tmp_path, c_outputs=[C_OUT[0], array])
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_save(tmp_path):
    with pytest.raises(InvalidInput, match="nothing to save"):
        save(tmp_path, m_inputs=(), c_inputs=(), m_outputs=(), c_outputs=())


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written to"):
        save(tmp_path / "file")
