"""Fields of a protobuf message, read without its description (Protocol Buffers documentation, "Encoding")."""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10  # bytes of a number of 64 bits


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    r"""Number and value of each field, in order.

    Args:
        content: A whole message.

    Returns:
        A whole number for a varint; the bytes of everything else: fixed numbers, text, messages, packed numbers.

    Raises:
        ValueError: If the bytes are no message.

    >>> list(fields(b"\x08\x96\x01\x12\x02hi"))
    [(1, 150), (2, b'hi')]
    """
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field is of the unknown kind {kind}")
        if size > len(content) - at:
            raise ValueError("it ends within a field")
        yield number, content[at : at + size]
        at += size


def integers(values: list[int | bytes]) -> list[int]:
    r"""Whole numbers of a repeated field, packed or not.

    >>> integers([3, b"\x01\x96\x01"])
    [3, 1, 150]
    """
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return found


def signed(value: int) -> int:
    """A varint as a number of 64 bits with a sign.

    >>> signed(2**64 - 1)
    -1
    """
    return value - 2**64 if value >= 2**63 else value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where it ends."""
    value = 0
    for i in range(_LONGEST):
        if at + i >= len(content):
            raise ValueError("it ends within a number")
        byte = content[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + i + 1
    raise ValueError("a number is longer than 64 bits")
