from pathlib import Path

import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.examples.catalogue import example_path
from robust.models.loading import load_model
from robust.quantizers.building import quantize
from robust.quantizers.out_path import writable_path

FOLDER = example_path("digits")


def test_a_free_name_is_taken(tmp_path):
    assert writable_path(tmp_path / "int8.onnx", model="float.onnx", calibration=np.zeros(3)) == tmp_path / "int8.onnx"
    with pytest.raises(InvalidInput, match=r"must end in \.onnx"):
        writable_path("int8.bin", model="float.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        writable_path(tmp_path / "folder.onnx", model="float.onnx")


def test_a_loaded_model_is_not_written_over(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes((FOLDER / "float.onnx").read_bytes())
    (tmp_path / "link.onnx").symlink_to(path)
    before, rows = path.read_bytes(), np.load(FOLDER / "train.npz")["x"]
    for model in (path, str(path), load_model(path)):
        for out in (path, str(path), tmp_path / "link.onnx", tmp_path / "." / Path("link.onnx")):
            with pytest.raises(InvalidInput, match="is the float model, which would be lost"):
                quantize(model, rows, out=out)
    assert path.read_bytes() == before
