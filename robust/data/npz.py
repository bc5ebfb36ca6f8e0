"""numpy's own files, read without pickles and without trusting the sizes that they declare."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from robust.data.content import pickled
from robust.data.naming import shorten, unknown_name
from robust.data.source import Parts, Source
from robust.errors import InvalidInput
from robust.types import AnyArray

GIB = 2**30
_MOST_BYTES = 8 * GIB
_MOST_RATIO = 1000
# What a damaged header or archive raises: numpy parses headers as Python literals, zipfile has its own.
_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    SyntaxError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
# Inputs and the targets that go with them, in the order in which they are looked for.
_PAIRS = (
    ("x", "y"),
    ("X", "y"),
    ("X", "Y"),
    ("x_test", "y_test"),
    ("X_test", "y_test"),
    ("inputs", "outputs"),
    ("x_train", "y_train"),
    ("X_train", "y_train"),
)


def read_npz(path: Path, parts: Parts, label: str) -> tuple[Source, Parts, Sequence[str] | None]:
    """Read an archive of arrays.

    Args:
        path: The file.
        parts: What is said about its arrays; `y` is the key of the targets.
        label: Name of the data.

    Returns:
        Inputs, with the other arrays beside them; the parts, completed by the keys that say what they are;
        and feature names where there are any.

    Raises:
        InvalidInput: If it is damaged, too large, holds Python objects, or no key is understood as the
            inputs.
    """
    arrays = _read_archive(path)
    x_key, y_key = _choose(path, tuple(arrays), parts.y)
    beside: dict[str, object] = {key: array for key, array in arrays.items() if key not in (x_key, "names")}
    completed = replace(
        parts,
        y=y_key,
        ids="ids" if parts.ids is None and "ids" in beside else parts.ids,
        order="order" if parts.order is None and "order" in beside else parts.order,
        groups="groups" if parts.groups is None and "groups" in beside else parts.groups,
    )
    names = arrays["names"].ravel().tolist() if "names" in arrays else None
    return Source(name=label, tensor=arrays[x_key], beside=beside), completed, names


def read_npy(path: Path) -> AnyArray:
    """Read one array.

    Raises:
        InvalidInput: If it is damaged or holds Python objects.
    """
    try:
        with path.open("rb") as stream:
            return _read_array(stream, path.stat().st_size, str(path))
    except _BROKEN as error:
        raise _damaged(path, "a numpy array", error) from error


def _choose(path: Path, keys: tuple[str, ...], target: object) -> tuple[str, str | None]:
    """The keys of inputs and targets."""
    if isinstance(target, str):
        if target not in keys:
            raise InvalidInput(unknown_name(target, keys, where=f"target: {path} has no key"))
        for x_key, y_key in _PAIRS:
            if y_key == target and x_key in keys:
                return x_key, target
    for x_key, _ in _PAIRS:
        if x_key in keys and x_key != target:
            partners = [y for x, y in _PAIRS if x == x_key and y in keys]
            return x_key, target if isinstance(target, str) else partners[0] if partners else None
    pairs = ", ".join(f"{x}/{y}" for x, y in _PAIRS)
    raise InvalidInput(f"{path} has the keys {shorten(sorted(keys))}; inputs and targets are understood as {pairs}")


def _read_archive(path: Path) -> dict[str, AnyArray]:
    """All arrays of an archive, by key."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.filename.endswith(".pkl") for member in members):
                raise pickled(path)
            _check_sizes(path, members)
            arrays = {}
            for member in members:
                key = member.filename.removesuffix(".npy")
                if key == member.filename:
                    raise InvalidInput(f"{path} holds {member.filename!r}, which is no array: numpy.savez writes .npy")
                with archive.open(member) as stream:
                    arrays[key] = _read_array(stream, member.file_size, f"{path}[{key!r}]")
            return arrays
    except _BROKEN as error:
        raise _damaged(path, "an archive of arrays", error) from error


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that unpacks to far more than it should, before anything is unpacked."""
    total = sum(member.file_size for member in members)
    ratio = total / max(path.stat().st_size, 1)
    if total > _MOST_BYTES or (ratio > _MOST_RATIO and total > GIB):
        raise InvalidInput(
            f"{path} would unpack to {total / GIB:.1f} GiB ({ratio:.0f} times its size): at most "
            f"{_MOST_BYTES // GIB} GiB, and beyond 1 GiB at most {_MOST_RATIO} times its size, are read"
        )


def _read_array(stream: IO[bytes], size: int, where: str) -> AnyArray:
    """One array; its header is checked first, since reading would allocate whatever the header declares."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.hasobject:
        raise InvalidInput(
            f"{where} holds Python objects, which only a pickle can store: pickles are never loaded as data; "
            "save numbers, or text as numpy.array(…, dtype=str)"
        )
    expected, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if expected != there:
        raise InvalidInput(
            f"{where} is damaged: its header declares {shape} {dtype} = {expected} bytes, {there} are there"
        )
    content = stream.read()
    if len(content) != expected:
        raise InvalidInput(f"{where} is damaged: it ends after {len(content)} of {expected} bytes")
    return np.ndarray(shape, dtype, buffer=content, order="F" if fortran else "C")


def _damaged(path: Path, what: str, error: Exception) -> InvalidInput:
    """One error for all the ways in which a file can be broken; one that already says so stays as it is."""
    if isinstance(error, InvalidInput):
        return error
    return InvalidInput(f"{path} is damaged or not {what}: {error}")
