"""Pictures of the record as PNG, read back by a reader that follows the format's own text."""

import binascii
import struct
import zlib

import numpy as np
import pytest

from robust.errors import InvalidInput
from robust.evidence import Picture
from robust.report.pictures import address, png_bytes


def chunks(content):
    """Kind and content of each chunk; every checksum is verified."""
    assert content[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    place, found = 8, []
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        assert checksum == binascii.crc32(kind + body)
        found.append((kind, body))
        place += 12 + length
    return found


@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 1), (3, 5, 1), (4, 2, 3), (64, 64, 3)])
def test_the_pixels_come_back(height, width, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    picture = Picture(title="p", width=width, height=height, channels=channels, pixels=pixels.tobytes())
    (first, header), (second, packed), last = chunks(png_bytes(picture))
    assert (first, second, last) == (b"IHDR", b"IDAT", (b"IEND", b""))
    assert struct.unpack(">IIBBBBB", header) == (width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()  # no line is filtered
    assert np.array_equal(lines[:, 1:].reshape(pixels.shape), pixels)


@pytest.mark.parametrize(("size", "width"), [(3, 2), (0, 0)])
def test_bytes_of_another_size_are_refused(size, width):
    with pytest.raises(InvalidInput, match="picture 'p' has"):
        png_bytes(Picture(title="p", width=width, height=2, channels=1, pixels=bytes(size)))


def test_the_address_holds_the_picture_itself():
    dot = Picture(title="dot", width=1, height=1, channels=1, pixels=b"\x07")
    assert address(dot).startswith("data:image/png;base64,iVBORw0KGgo")
