"""What a model file is, told from its bytes; nothing is unpickled to find out."""

import io
import pickletools
import zipfile
from typing import Literal, TypeAlias

FileFormat: TypeAlias = Literal[
    "pickle",
    "compressed pickle",
    "tar checkpoint",
    "TorchScript",
    "torch checkpoint",
    "torch.export program",
    "skops file",
    "npz file",
    "zip archive",
    "safetensors file",
    "text",
    "other",
]

RUNS_CODE: frozenset[FileFormat] = frozenset({"pickle", "compressed pickle", "tar checkpoint", "TorchScript"})

# A torch checkpoint of the format before zip archives is a pickle too, of this number first. torch's
# restricted unpickler reads it.
_OLD_CHECKPOINT = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# gzip, bzip2, xz, lzma, lz4, zlib at its levels, and joblib's own old zip.
_COMPRESSED = (
    *(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x04\x22\x4d\x18"),
    *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"ZF"),
)
_ZIP = b"PK\x03\x04"


def file_format(content: bytes) -> FileFormat:
    r"""The format of a model file.

    A pickle is recognised under any name: by its protocol header, inside an archive, behind a compression,
    or, for the oldest protocols, which have no header, by parsing its opcodes without running them.

    Args:
        content: All bytes of the file.

    Returns:
        The format; `other` for what has no mark of its own, which ONNX has not.

    >>> file_format(b"\x80\x04K\x01.")
    'pickle'
    """
    if content.startswith(_OLD_CHECKPOINT):
        return "torch checkpoint"
    if content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if content.startswith(_ZIP):
        return _archive_format(content)
    if content[257:262] == b"ustar":
        return "tar checkpoint"
    if content.startswith(_COMPRESSED):
        return "compressed pickle"
    header = int.from_bytes(content[:8], "little")
    if content[8:9] == b"{" and 2 <= header <= len(content) - 8:
        return "safetensors file"
    if _parses_as_pickle(content):
        return "pickle"
    return "text" if content[:4096].isascii() and content[:4096].decode("ascii").isprintable() else "other"


def _archive_format(content: bytes) -> FileFormat:
    """The format of a zip archive, by the names of its members."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "zip archive"
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        return "torch.export program"
    if any(name.startswith("code/") or name == "constants.pkl" for name in inner):
        return "TorchScript"
    if "data.pkl" in inner:
        return "torch checkpoint"
    if "schema.json" in names:
        return "skops file"
    return "npz file" if names and all(name.endswith(".npy") for name in names) else "zip archive"


def _parses_as_pickle(content: bytes) -> bool:
    """Whether the bytes are a complete pickle of a protocol without a header."""
    try:
        for _ in pickletools.genops(content):
            pass
    except (ValueError, UnicodeDecodeError, OverflowError):
        return False
    return True
