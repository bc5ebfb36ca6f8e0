"""numpy's own files, read without pickles and without trusting the sizes that they declare."""

import tokenize
import zipfile
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO

from robust.data.content import pickled, unreadable
from robust.data.large import is_large, map_file
from robust.data.naming import shorten, unknown_name
from robust.data.npy import content_pieces, read_content, read_header
from robust.data.source import Parts, Source
from robust.data.spool import Spool
from robust.errors import InvalidInput
from robust.types import AnyArray

GIB = 2**30
_MOST_BYTES = 64 * GIB  # on disk: large archives are never unpacked into memory
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
    arrays = read_arrays(path)
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
    """Read one array; a large one stays in the file and is mapped.

    Raises:
        InvalidInput: If it is damaged or holds Python objects.
    """
    try:
        with path.open("rb") as stream:
            header = read_header(stream, path.stat().st_size, str(path))
            if is_large(header.nbytes):
                return header.array(map_file(stream), header.start)
            return read_content(stream, header, str(path))
    except InvalidInput:
        raise
    except _BROKEN as error:
        raise unreadable(path, "a numpy array", error) from error


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


def read_arrays(path: Path) -> dict[str, AnyArray]:
    """All arrays of an archive, by key.

    What is not read into memory because it is large stays in the archive and is mapped where it was stored as it is,
    and is unpacked into a temporary file where it was compressed; checksums are verified all the same.

    Args:
        path: The file.

    Returns:
        The arrays; those on disk are read-only.

    Raises:
        InvalidInput: If it is damaged, unpacks to too much, or holds anything but arrays.
    """
    arrays: dict[str, AnyArray] = {}
    in_memory, as_stored, unpacked = 0, {}, {}
    spool: Spool | None = None
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as archive, ExitStack() as opened:
            members = archive.infolist()
            if any(member.filename.endswith(".pkl") for member in members):
                raise pickled(path)
            _check_sizes(path, members)
            for member in members:
                key = member.filename.removesuffix(".npy")
                if key == member.filename:
                    raise InvalidInput(f"{path} holds {member.filename!r}, which is no array: numpy.savez writes .npy")
                where = f"{path}[{key!r}]"
                with archive.open(member) as stream:
                    header = read_header(stream, member.file_size, where)
                    if not is_large(in_memory + header.nbytes):
                        arrays[key] = read_content(stream, header, where)
                        in_memory += header.nbytes
                    elif member.compress_type == zipfile.ZIP_STORED:
                        deque(content_pieces(stream, header, where), maxlen=0)  # for the checksum alone
                        as_stored[key] = header, _content_start(raw, member) + header.start
                    else:
                        spool = spool or opened.enter_context(Spool(_packed(members)))
                        unpacked[key] = header, spool.append(content_pieces(stream, header, where))
            for places, content in (
                (as_stored, map_file(raw) if as_stored else b""),
                (unpacked, spool.map() if spool else b""),
            ):
                arrays |= {key: header.array(content, start) for key, (header, start) in places.items()}
            return arrays
    except InvalidInput:
        raise
    except _BROKEN as error:
        raise unreadable(path, "an archive of arrays", error) from error


def _content_start(raw: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where a member's content begins: behind its local header, whose name and extra field tell their lengths."""
    raw.seek(member.header_offset + 26)
    lengths = raw.read(4)
    return member.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


def _packed(members: list[zipfile.ZipInfo]) -> int:
    """Bytes that the compressed members of an archive unpack to."""
    return sum(member.file_size for member in members if member.compress_type != zipfile.ZIP_STORED)


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that unpacks to far more than it should, before anything is unpacked."""
    total = sum(member.file_size for member in members)
    ratio = total / max(path.stat().st_size, 1)
    if _packed(members) > _MOST_BYTES or (ratio > _MOST_RATIO and total > GIB):
        raise InvalidInput(
            f"{path} would unpack to {total / GIB:.1f} GiB ({ratio:.0f} times its size): at most "
            f"{_MOST_BYTES // GIB} GiB, and beyond 1 GiB at most {_MOST_RATIO} times its size, are read"
        )
