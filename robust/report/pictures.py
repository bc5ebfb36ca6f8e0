"""Small images of the record as they stand in a page: PNG inside the page itself, nothing is loaded."""

import base64
import struct
import zlib

from robust.errors import InvalidInput
from robust.evidence import Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2}


def png_bytes(picture: Picture) -> bytes:
    """A picture as a PNG of 8 bits a channel.

    Args:
        picture: What to draw.

    Returns:
        The file.

    Raises:
        InvalidInput: If the number of bytes is not that of its size.

    Source:
        ISO/IEC 15948 (2004): a header, the rows, each behind the number of its filter (0, none), and an end.

    >>> png_bytes(Picture(title="dot", width=1, height=1, channels=1, pixels=bytes([7])))[1:4]
    b'PNG'
    """
    width, height, line = picture.width, picture.height, picture.width * picture.channels
    if min(width, height) < 1 or len(picture.pixels) != line * height:
        raise InvalidInput(
            f"picture {picture.title!r} has {len(picture.pixels)} bytes; {line * height} would be right for "
            f"{height} × {width} pixels of {picture.channels}"
        )
    lines = b"".join(b"\0" + picture.pixels[start : start + line] for start in range(0, line * height, line))
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[picture.channels], 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")


def address(picture: Picture) -> str:
    """A picture as an address that holds it, for the source of an image."""
    return f"data:image/png;base64,{base64.b64encode(png_bytes(picture)).decode()}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A length, a kind, the content, and a checksum of the latter two."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
