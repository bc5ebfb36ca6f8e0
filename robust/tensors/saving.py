"""Writes what two models were given and gave, so that any script can read it, and a later run can start from it."""

import io
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robust.errors import InvalidInput
from robust.tensors.csv_tensor import csv_tensor
from robust.types import AnyArray
from robust.whole_files import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*", re.ASCII)
_YEAR = (1980, 1, 1, 0, 0, 0)  # the first that an archive can hold: the same data give the same bytes


def save_validation(
    folder: str | os.PathLike[str],
    name: str,
    *,
    m_inputs: Sequence[AnyArray],
    c_inputs: Sequence[AnyArray],
    m_outputs: Sequence[AnyArray],
    c_outputs: Sequence[AnyArray],
    save_csv: bool = False,
) -> tuple[Path, ...]:
    """Write inputs and outputs of a reference (m) and a candidate (c), types and shapes as they are.

    Files: `<name>_val_io.npz` with the keys m_inputs_1 …, c_inputs_1 …, m_outputs_1 …, c_outputs_1 …; one
    `<name>_val_m_inputs_1.npy` … a tensor; one `<name>_m_inputs_1.csv` … a tensor with the first 128 samples, empty
    where a sample has 512 numbers or more.

    Args:
        folder: Where to; made where it lacks.
        name: Begins the names of all files.
        m_inputs: What the reference was given, (n, …) each.
        c_inputs: What the candidate was given.
        m_outputs: What the reference gave; empty where it was not run.
        c_outputs: What the candidate gave.
        save_csv: Write all samples to the csv files, however long.

    Returns:
        The paths, the archive first.

    Raises:
        InvalidInput: If the name is no plain file name, an array holds no numbers or no rows, or the folder cannot be
            written to.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"name must be a plain file name of letters, digits, '_', '-' and '.', got {name!r}")
    parts = {"m_inputs": m_inputs, "c_inputs": c_inputs, "m_outputs": m_outputs, "c_outputs": c_outputs}
    arrays = {
        f"{part}_{i}": np.asarray(array) for part, found in parts.items() for i, array in enumerate(found, start=1)
    }
    if not arrays:
        raise InvalidInput("there is nothing to save: at least one array, (n, …), would be right")
    for key, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.ndim == 0 or array.size == 0:
            raise InvalidInput(f"{key} is {array.dtype} of shape {array.shape}: numbers, (n, …), would be right")
    place = Path(folder)
    files = {place / f"{name}_val_io.npz": _archive(arrays)}
    files |= {place / f"{name}_val_{key}.npy": _npy(array) for key, array in arrays.items()}
    files |= {place / f"{name}_{key}.csv": csv_tensor(array, everything=save_csv) for key, array in arrays.items()}
    try:
        for path, content in files.items():
            write_whole(path, content)
    except OSError as error:
        raise InvalidInput(f"{place} cannot be written to: {error.strerror or error}") from error
    return tuple(files)


def _archive(arrays: Mapping[str, AnyArray]) -> bytes:
    """An npz file, as `numpy.savez` writes it, without the time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", date_time=_YEAR), _npy(array))
    return buffer.getvalue()


def _npy(array: AnyArray) -> bytes:
    """An npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
