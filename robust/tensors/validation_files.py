"""Files of samples that a model is compared on: inputs, and references of outputs, one array a tensor."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from robust.data.content import check_content
from robust.data.npz import read_arrays, read_npy
from robust.errors import InvalidInput
from robust.tensors.csv_tensor import read_csv_tensor
from robust.tensors.fitting import check_rows, fit_tensors
from robust.tensors.random_data import NO_REFERENCES, random_inputs
from robust.tensors.saving import save_validation
from robust.tensors.spec import TensorSpec
from robust.tensors.tensor_proto import read_tensor_proto
from robust.tensors.validation_data import ValidationData, describe
from robust.tensors.validation_keys import Keyed, by_keys, of_candidate
from robust.types import AnyArray

__all__ = ["ValidationData", "describe", "random_inputs", "read_validation", "save_validation"]

_SUFFIXES = (".npz", ".npy", ".csv", ".pb")
_FORMATS = f"validation files are {', '.join(_SUFFIXES)}"
FilePath: TypeAlias = str | os.PathLike[str]


def read_validation(
    inputs: FilePath | Sequence[FilePath],
    outputs: FilePath | Sequence[FilePath] = (),
    *,
    specs_in: Sequence[TensorSpec] | None,
    specs_out: Sequence[TensorSpec] | None,
) -> ValidationData:
    r"""Read validation files; nothing in them is ever executed.

    `.npz`: inputs and references together, by the keys x_test/y_test, inputs/outputs, in_0/out_0, m_inputs/m_outputs,
    m_inputs_1 …/m_outputs_1 …, c_inputs_1 …/c_outputs_1 … (if there are no m_inputs_1 …), looked for in this order;
    without any of them every array is an input: matched by name where the keys are the names of the model's inputs,
    else in the order of the file. `.npy`, `.csv` (one flattened sample a line; a comment among the first five may say
    `dtype=uint8`) and `.pb` (a TensorProto): one file a tensor, in the model's order, names ignored.

    Args:
        inputs: One `.npz`, or one file an input.
        outputs: One file an output; none where there are no references, or where the `.npz` holds them.
        specs_in: The model's inputs; None where it says nothing, then arrays stay as they are.
        specs_out: The model's outputs, likewise.

    Returns:
        The samples, reshaped to the model's tensors, in the types of its inputs (floating numbers are quantized by an
        input's scale and zero point); references in an output's own type or as floating numbers. Notes tell each
        change.

    Raises:
        InvalidInput: If a file is missing, damaged, a pickle, or of another kind than its name says; there are more or
            fewer arrays than tensors; rows are ragged or differ in number; numbers are NaN, infinite, or integers of
            8 or 16 bits for a tensor of another type; or references are class numbers instead of one-hot rows.

    >>> import tempfile
    >>> spec = TensorSpec(name="x", shape=(2, 1), dtype="uint8")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "x.csv")
    ...     _ = path.write_text("# dtype=uint8\n50, 65\n4.8e+01,67\n")
    ...     data = read_validation([path], specs_in=[spec], specs_out=None)
    >>> data.inputs[0].tolist(), data.outputs
    ([[[50], [65]], [[48], [67]]], None)
    """
    paths, references = _paths(inputs), _paths(outputs)
    if not paths:
        raise InvalidInput(f"no input files: {_FORMATS}")
    notes = [f"loading file: {path}" for path in (*paths, *references)]
    names = None if specs_in is None else [spec.name for spec in specs_in]
    found_in, found_out, where, keyed = _together(paths, references, notes, names)
    if specs_in is not None and len(found_in) != len(specs_in):
        raise InvalidInput(_miscounted(len(found_in), specs_in, "input", where, keyed))
    if specs_out is not None and found_out is not None and len(found_out) != len(specs_out):
        raise InvalidInput(_miscounted(len(found_out), specs_out, "output", where, keyed))
    try:
        fitted, told = _fitted(found_in, specs_in, "input")
    except InvalidInput as error:
        if keyed is None or not keyed.guessed:
            raise
        raise InvalidInput(f"{error}; {keyed.found}") from error  # perhaps the array is none of the inputs
    notes += told
    fitted_out: tuple[AnyArray, ...] | None = None
    if found_out is None:
        notes.append(NO_REFERENCES)
    else:
        fitted_out, told = _fitted(found_out, specs_out, "output")
        notes += told
        if len(fitted_out[0]) != len(fitted[0]):
            raise InvalidInput(
                f"{where}: inputs have {len(fitted[0])} rows, references {len(fitted_out[0])}: one each a sample would "
                "be right"
            )
    origin = keyed.origin if keyed is not None else None
    return ValidationData(inputs=fitted, outputs=fitted_out, notes=tuple(notes), origin=origin)


def holds_candidate(inputs: Sequence[FilePath]) -> bool:
    """Whether input files are one archive of what a candidate was given, in its order and types, without a reference's.

    What is wrong with a file is said by `read_validation`.
    """
    if len(inputs) != 1 or Path(inputs[0]).suffix.lower() != ".npz":
        return False
    try:
        with zipfile.ZipFile(inputs[0]) as archive:
            return of_candidate([name.removesuffix(".npy") for name in archive.namelist()])
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _paths(given: FilePath | Sequence[FilePath]) -> list[Path]:
    """One path or several."""
    return [Path(given)] if isinstance(given, str | os.PathLike) else [Path(path) for path in given]


def _together(
    paths: list[Path], references: list[Path], notes: list[str], names: Sequence[str] | None
) -> tuple[tuple[AnyArray, ...], tuple[AnyArray, ...] | None, str, Keyed | None]:
    """Arrays of inputs and references, words for where they are, and by which keys, if there are any."""
    archives = [path for path in (*paths, *references) if path.suffix.lower() == ".npz"]
    if not archives:
        arrays = tuple(_read(path, notes) for path in paths)
        others = tuple(_read(path, notes) for path in references) or None
        return arrays, others, ", ".join(path.name for path in paths), None
    if archives[0] not in paths or len(paths) > 1:
        raise InvalidInput(
            f"{archives[0]} holds all inputs and references by their keys: it would be right as the only input file"
        )
    _check(paths[0])
    keyed = by_keys(read_arrays(paths[0]), where=str(paths[0]), names=names)
    notes += keyed.notes
    if references and keyed.outputs is not None:
        raise InvalidInput(f"{paths[0]} holds references, and {references[0]} gives others: one of them would be right")
    others = tuple(_read(path, notes) for path in references) or None
    return keyed.inputs, keyed.outputs or others, str(paths[0]), keyed


def _check(path: Path) -> None:
    """Refuse what is no file of the format that its name says."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidInput(f"{path} has the unknown suffix {path.suffix!r}; {_FORMATS}")
    check_content(path, known=_SUFFIXES)


def _read(path: Path, notes: list[str]) -> AnyArray:
    """The one array of a file."""
    if path.suffix.lower() == ".csv" and path.is_file() and path.stat().st_size == 0:
        raise InvalidInput(
            f"{path} is empty: csv files of samples of 512 numbers and more are left without data; the .npy or .npz "
            "beside it, or writing all data (save_csv), would be right"
        )
    _check(path)
    match path.suffix.lower():
        case ".npy":
            return read_npy(path)
        case ".csv":
            array, told = read_csv_tensor(path)
            notes += told
            return array
        case _:
            return read_tensor_proto(path)


def _fitted(
    arrays: tuple[AnyArray, ...], specs: Sequence[TensorSpec] | None, part: str
) -> tuple[tuple[AnyArray, ...], tuple[str, ...]]:
    """Arrays brought to the model's tensors, or as they are where it says nothing of them."""
    if specs is not None:
        return fit_tensors(arrays, specs, part=part)
    for i, array in enumerate(arrays):
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            raise InvalidInput(
                f"{part} {i + 1} is {array.dtype} of shape {array.shape}: numbers, (n, …), would be right"
            )
        if not np.isfinite(array).all():
            raise InvalidInput(f"{part} {i + 1} has NaN or infinity: finite numbers would be right")
    check_rows(arrays, [f"{part} {i + 1}" for i in range(len(arrays))], part=part)
    return arrays, ()


def _miscounted(count: int, specs: Sequence[TensorSpec], part: str, where: str, keyed: Keyed | None) -> str:
    """The message for more or fewer arrays than tensors."""
    names = ", ".join(repr(spec.name) for spec in specs)
    said = f"{where} {'gives' if keyed else 'give'} {count} {part} arrays, the model has {len(specs)} {part}s ({names})"
    return f"{said}: one each, in this order, would be right" + (f"; {keyed.found}" if keyed else "")
