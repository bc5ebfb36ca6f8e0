import pytest
from google.protobuf.struct_pb2 import Struct

from robust.tensors.wire_format import fields, integers, signed


def test_the_documentations_own_example():
    assert list(fields(b"\x08\x96\x01")) == [(1, 150)]


def test_fields_of_a_message_of_the_library():
    """A Struct: a map of values, which are doubles, text and booleans."""
    message = Struct()
    message.update({"a": 1.5})
    ((number, entry),) = fields(message.SerializeToString())
    assert (number, dict(fields(entry))[1]) == (1, b"a")
    ((_, value),) = fields(dict(fields(entry))[2])
    assert value == b"\x00\x00\x00\x00\x00\x00\xf8\x3f"


def test_signs_of_long_numbers():
    ((_, value),) = fields(b"\x08" + b"\xff" * 9 + b"\x01")
    assert signed(value) == -1
    assert signed(5) == 5
    assert integers([b"\x01\x02", 7]) == [1, 2, 7]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x08", "ends within a number"),
        (b"\x08\x80", "ends within a number"),
        (b"\x08" + b"\xff" * 11, "longer than 64 bits"),
        (b"\x12\x05ab", "ends within a field"),
        (b"\x0d\x00\x00", "ends within a field"),
        (b"\x0b\x0c", "unknown kind 3"),
        (b"\x02\x00", "number 0"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends within a field"),
    ],
)
def test_damaged_messages(content, message):
    with pytest.raises(ValueError, match=message):
        list(fields(content))
