"""Brings arrays to what a model's tensors are: shape and type, told in notes, and refused where it would be a guess.

Inputs get the tensor's type: floating numbers are quantized where it takes integers. References of outputs keep theirs:
what a model gives is dequantized to be compared with them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from robust.data.columns import native
from robust.data.naming import some_rows
from robust.errors import InvalidInput
from robust.tensors.code_likeness import asked_back, clipped_codes
from robust.tensors.quantizing import quantize
from robust.tensors.spec import QUANTIZED, TensorSpec, shown
from robust.types import AnyArray


def fit_tensors(
    arrays: Sequence[AnyArray], specs: Sequence[TensorSpec], *, part: str = "input"
) -> tuple[tuple[AnyArray, ...], tuple[str, ...]]:
    """Bring one array a tensor to the tensors' shapes and types.

    Args:
        arrays: Batch first, in the order of `specs`.
        specs: What the model says about its tensors.
        part: `input` or `output`, for messages.

    Returns:
        The arrays, and notes on what was changed.

    Raises:
        InvalidInput: If there are more or fewer arrays than tensors, their rows differ in number, or one cannot be
            brought to its tensor's shape or type.

    >>> spec = TensorSpec(name="x", shape=(2, 1), dtype="float32")
    >>> (x,), notes = fit_tensors([np.array([[1.0, 2.0]])], [spec])
    >>> x.shape, str(x.dtype), notes
    ((1, 2, 1), 'float32', ('samples are reshaped: (1, 2) -> (1, 2, 1)',))
    """
    if len(arrays) != len(specs):
        names = ", ".join(repr(spec.name) for spec in specs)
        raise InvalidInput(
            f"got {len(arrays)} {part} arrays for {len(specs)} {part}s ({names}): "
            "one each, in this order, would be right"
        )
    fitted: list[AnyArray] = []
    notes: list[str] = []
    for array, spec in zip(arrays, specs, strict=True):
        rows, reshaped = fit_shape(np.asarray(array), spec, part=part)
        typed, converted = fit_type(rows, spec, part=part)
        fitted.append(typed)
        notes += [note for note in (reshaped, converted) if note]
    check_rows(fitted, [spec.name for spec in specs], part=part)
    return tuple(fitted), tuple(notes)


def check_rows(arrays: Sequence[AnyArray], names: Sequence[str], *, part: str) -> int:
    """The number of rows that all arrays have.

    Raises:
        InvalidInput: If they differ, or there are none.
    """
    counts = {name: len(array) if array.ndim else 0 for name, array in zip(names, arrays, strict=True)}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise InvalidInput(f"{part}s have different numbers of rows: {found}; one row a sample in each would be right")
    rows = next(iter(counts.values()), 0)
    if rows == 0:
        raise InvalidInput(f"{part} {next(iter(counts), '')!r} has zero rows: at least one would be right")
    return rows


def fit_shape(array: AnyArray, spec: TensorSpec, *, part: str) -> tuple[AnyArray, str | None]:
    """An array reshaped to rows of a tensor, and the note that says so.

    Args:
        array: Batch first; each row may be flattened or of any shape with as many numbers.
        spec: The tensor; one free size is inferred.
        part: For messages.

    Raises:
        InvalidInput: If a row has not as many numbers as the tensor.
    """
    if array.ndim == 0 or array.size == 0:
        raise InvalidInput(f"{part} {spec.name!r} has shape {array.shape}: one row a sample, (n, …), would be right")
    if spec.fits(array.shape[1:]):
        return array, None
    free = [axis for axis, size in enumerate(spec.shape) if size is None]
    known = int(np.prod([size for size in spec.shape if size is not None], dtype=np.int64))
    items = array[0].size
    if len(free) > 1 or known == 0 or (items % known if free else items != known):
        hint = ""
        if part == "output" and items == 1 and known > 1:
            hint = "; class numbers are not understood as references: one-hot rows, (n, classes), would be right"
        raise InvalidInput(
            f"{part} {spec.name!r} takes rows of shape {shown(spec.shape)}, got an array of shape {array.shape}, "
            f"{items} numbers a row{hint}"
        )
    row = tuple(items // known if size is None else size for size in spec.shape)
    reshaped = array.reshape(len(array), *row)
    return reshaped, f"samples are reshaped: {array.shape} -> {reshaped.shape}"


def fit_type(
    array: AnyArray, spec: TensorSpec, *, part: str = "input", real: bool = False
) -> tuple[AnyArray, str | None]:
    """An array in a type that goes with a tensor, and the note that says what was done.

    Of an input: floating numbers become its floating type, or are quantized by its scale and zero point; whole numbers
    of 32 and 64 bits become any type that holds them exactly. Of an output: its own type and floating numbers stay,
    whole numbers of 32 and 64 bits become float64. Integers of 8 and 16 bits may be quantized, by a scale that is not
    known: they fit a tensor of their own type alone.

    Args:
        array: (n, …) of numbers.
        spec: The tensor.
        part: `input` or `output`.
        real: Whether floating numbers are known to be real ones, and no codes that were written as such.

    Raises:
        InvalidInput: If the numbers are NaN or infinite, the conversion would be a guess or a loss, or floating numbers
            look like integers of the tensor already (`clipped_codes`).

    >>> fit_type(np.array([[3]]), TensorSpec(name="x", shape=(1,), dtype="float32"))
    (array([[3.]], dtype=float32), "input 'x': int64 data are converted to float32")
    """
    where = f"{part} {spec.name!r}"
    found = _numbers(array, spec, where)
    floating = found.dtype.kind == "f"
    if found.dtype == spec.type or (floating and part == "output"):
        return found, None
    if floating and spec.kind == "f":
        return _rounded(found, spec, where), None
    if floating and spec.quantization is not None:
        q = spec.quantization
        if not real and (codes := clipped_codes(found, q)):
            form = f".npz, .npy, or .csv with a comment line `# dtype={q.dtype}`"
            raise InvalidInput(asked_back(codes, found, q, rows=f"{part} data", taker=where, form=form))
        note = f"{where}: {found.dtype} data are quantized with {q.words}"
        if beyond := q.clipped(found):
            low, high = q.ends
            note += (
                f"; {beyond} of {found.size} numbers lie beyond {low:.6g} … {high:.6g}, all that it can hold: clipped"
            )
        return quantize(found, q), note
    if str(found.dtype) in QUANTIZED or (spec.dtype in QUANTIZED and part == "input"):
        raise InvalidInput(f"{where} is {spec.dtype}, got {found.dtype}, which is not converted: {_advice(spec)}")
    kind = spec.dtype if part == "input" else "float64"
    return _exact(found, np.dtype(kind), where), f"{where}: {found.dtype} data are converted to {kind}"


def _numbers(array: AnyArray, spec: TensorSpec, where: str) -> AnyArray:
    """Finite numbers in the byte order of this machine."""
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{where} is {spec.dtype}, got {array.dtype}: numbers would be right")
    finite: AnyArray = np.isfinite(array)
    if not finite.all():
        rows = np.asarray(~finite.reshape(len(array), -1).all(axis=1))
        raise InvalidInput(f"{where} has NaN or infinity in {some_rows(rows)}: finite numbers would be right")
    return native(array)


def _advice(spec: TensorSpec) -> str:
    """What would be right for a tensor."""
    if spec.quantization is not None:
        return f"{spec.dtype}, or floating numbers, would be right"
    if spec.dtype in QUANTIZED:
        return (
            f"{spec.dtype} would be right (in a csv file, by a comment line `# dtype={spec.dtype}`); "
            "its scale and zero point are not known, so that floating numbers cannot be quantized"
        )
    return f"{spec.dtype} would be right; integers of 8 or 16 bits may be quantized, by a scale that is not known"


def _rounded(array: AnyArray, spec: TensorSpec, where: str) -> AnyArray:
    """Floating numbers in another floating type; too large ones are refused rather than made infinite."""
    with np.errstate(over="ignore"):
        cast = array.astype(spec.type)
    beyond = np.asarray(~np.isfinite(cast).reshape(len(cast), -1).all(axis=1))
    if beyond.any():
        raise InvalidInput(f"{where} takes {spec.dtype}, which cannot hold the numbers in {some_rows(beyond)}")
    return cast


def _exact(array: AnyArray, kind: "np.dtype[Any]", where: str) -> AnyArray:
    """Numbers in another type, which must hold them as they are."""
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(kind)
        back = cast.astype(array.dtype)
    # There and back, and the sign kept: an integer that wraps around may come back as it was.
    lost: AnyArray = ((back != array) | ((cast < 0) != (array < 0))).reshape(len(array), -1).any(axis=1)
    if lost.any():
        raise InvalidInput(
            f"{where} takes {kind}, which does not hold the {array.dtype} numbers in {some_rows(lost)} exactly: "
            f"numbers of {kind} would be right"
        )
    return cast
