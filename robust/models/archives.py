"""Zip archives from strangers: limits first, then members by name, from one and the same parser."""

import io
import zipfile
from pathlib import Path, PurePosixPath

from robust.errors import InvalidInput

MAX_BYTES = 4 * 2**30
MAX_MEMBERS = 100_000
MAX_RATIO = 100
_FREE_BYTES = 16 * 2**20  # below this much nobody is hurt, whatever the ratio


def checked_members(content: bytes, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive by name, after a look at the directory alone.

    Args:
        content: The archive's bytes.
        path: Where they came from, for messages.

    Raises:
        InvalidInput: If it is no archive, or is larger than a model can be once it is unpacked, or names one
            member twice (two parsers could read different ones) or a place outside itself.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InvalidInput(f"{path} is a damaged or truncated archive ({error}): copy or export it again") from error
    unpacked = sum(member.file_size for member in listed)
    if len(listed) > MAX_MEMBERS:
        raise InvalidInput(f"{path} has {len(listed)} members; an archive may have {MAX_MEMBERS}")
    if unpacked > MAX_BYTES:
        raise InvalidInput(
            f"{path} unpacks to {unpacked / 2**30:.1f} GiB; an archive may hold {MAX_BYTES / 2**30:.0f} GiB"
        )
    if unpacked > _FREE_BYTES and unpacked > MAX_RATIO * len(content):
        raise InvalidInput(
            f"{path} unpacks to {unpacked / len(content):.0f} times its size, which no model does; "
            f"the limit is {MAX_RATIO}"
        )
    members = {member.filename: member for member in listed}
    if len(members) != len(listed):
        raise InvalidInput(f"{path} names one member twice: it was not written by the library it claims to be from")
    for name in members:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or "\0" in name:
            raise InvalidInput(f"{path} has a member {name!r} that points outside the archive")
    return members


def read_members(content: bytes, names: list[str]) -> dict[str, bytes]:
    """The bytes of some members, checked against their sums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in names}
