import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from onnx import TensorProto, helper, numpy_helper

from robust.errors import InvalidInput
from robust.tensors.tensor_proto import read_tensor_proto

DTYPES = (
    "float32",
    "float64",
    "float16",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
)
X = np.array([[0, 1, 100], [3, 2, 1]])


def tensorflow_message():
    """TensorFlow's TensorProto by its published description: name, number, type and label of each field."""
    file = descriptor_pb2.FileDescriptorProto(name="tensor.proto", package="tf", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def add(message, name, number, kind, *, many=False, of=None):
        label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label, type_name=of)

    shape = file.message_type.add(name="Shape")
    size = shape.nested_type.add(name="Dim")
    add(size, "size", 1, kinds.TYPE_INT64)
    add(size, "name", 2, kinds.TYPE_STRING)
    add(shape, "dim", 2, kinds.TYPE_MESSAGE, many=True, of=".tf.Shape.Dim")
    add(shape, "unknown_rank", 3, kinds.TYPE_BOOL)
    tensor = file.message_type.add(name="Tensor")
    add(tensor, "dtype", 1, kinds.TYPE_INT32)
    add(tensor, "tensor_shape", 2, kinds.TYPE_MESSAGE, of=".tf.Shape")
    add(tensor, "version_number", 3, kinds.TYPE_INT32)
    add(tensor, "tensor_content", 4, kinds.TYPE_BYTES)
    for name, number, kind in (
        ("float_val", 5, kinds.TYPE_FLOAT),
        ("double_val", 6, kinds.TYPE_DOUBLE),
        ("int_val", 7, kinds.TYPE_INT32),
        ("string_val", 8, kinds.TYPE_BYTES),
        ("int64_val", 10, kinds.TYPE_INT64),
        ("bool_val", 11, kinds.TYPE_BOOL),
        ("half_val", 13, kinds.TYPE_INT32),
        ("uint32_val", 16, kinds.TYPE_UINT32),
        ("uint64_val", 17, kinds.TYPE_UINT64),
    ):
        add(tensor, name, number, kind, many=True)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Tensor"))


TF = tensorflow_message()
TF_KINDS = {
    "float32": (1, "float_val"),
    "float64": (2, "double_val"),
    "int32": (3, "int_val"),
    "uint8": (4, "int_val"),
    "int16": (5, "int_val"),
    "int8": (6, "int_val"),
    "int64": (9, "int64_val"),
    "bool": (10, "bool_val"),
    "uint16": (17, "int_val"),
    "float16": (19, "half_val"),
    "uint32": (22, "uint32_val"),
    "uint64": (23, "uint64_val"),
}


def tensorflow(array, *, raw, kept=None):
    """What `tf.make_tensor_proto` writes: bytes as they lie in memory, or numbers with the repeated end left out."""
    kind, field = TF_KINDS[array.dtype.name]
    message = TF(dtype=kind)
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    if not array.shape:
        message.tensor_shape.SetInParent()
    if raw:
        message.tensor_content = array.tobytes()
    else:
        flat = array.ravel().view(np.uint16) if field == "half_val" else array.ravel()
        getattr(message, field).extend(flat.tolist()[:kept])
    return message.SerializeToString()


@pytest.fixture
def read(tmp_path):
    def of(content):
        path = tmp_path / "x.pb"
        path.write_bytes(content)
        return read_tensor_proto(path)

    return of


def same(found, wanted):
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_onnx_raw_and_typed(read, dtype):
    x = X.astype(dtype)
    if dtype.startswith(("int", "float")):
        x = -x
    same(read(numpy_helper.from_array(x, "named").SerializeToString()), x)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    same(read(helper.make_tensor("t", kind, x.shape, x.ravel()).SerializeToString()), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("raw", [True, False])
def test_tensorflow_raw_and_typed(read, dtype, raw):
    x = X.astype(dtype)
    if dtype.startswith(("int", "float")):
        x = -x
    same(read(tensorflow(x, raw=raw)), x)


def test_tensorflow_leaves_repetitions_out(read):
    x = np.array([[1.0, 2.0, 2.0], [2.0, 2.0, 2.0]], dtype=np.float32)
    same(read(tensorflow(x, raw=False, kept=2)), x)
    same(read(tensorflow(np.float32(3.0).reshape(()), raw=False)), np.array(3.0, dtype=np.float32))


def test_a_few_bytes_do_not_become_gigabytes(read):
    message = TF(dtype=1, float_val=[1.0])
    message.tensor_shape.dim.add(size=2**40)
    with pytest.raises(InvalidInput, match="larger than a validation file"):
        read(message.SerializeToString())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"a"]), "type number 8"),
        (TensorProto(data_type=TensorProto.COMPLEX64, dims=[1], float_data=[1, 2]), "type number 14"),
        (TensorProto(data_type=TensorProto.FLOAT, dims=[3], float_data=[1, 2]), "does not fit the 2 numbers"),
        (TensorProto(data_type=TensorProto.FLOAT, dims=[1], float_data=[1, 2]), "does not fit the 2 numbers"),
        (TensorProto(data_type=TensorProto.FLOAT, dims=[-1], float_data=[1]), "does not fit"),
        (TensorProto(data_type=TensorProto.FLOAT, dims=[2], raw_data=b"1234567"), "does not fit what it holds"),
        (TensorProto(data_type=TensorProto.UINT8, dims=[1], int32_data=[300]), "numbers that are no uint8"),
        (TensorProto(data_type=TensorProto.INT8, dims=[1], int32_data=[-129]), "numbers that are no int8"),
        (TensorProto(data_type=TensorProto.FLOAT16, dims=[1], int32_data=[70000]), "out of bounds"),
        (TF(dtype=7, string_val=[b"a"]), "type number 7"),
        (TF(dtype=0), "type number 0"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_numbers(read, message, reason):
    with pytest.raises(InvalidInput, match=rf"x\.pb cannot be read as a TensorProto .*{reason}"):
        read(message.SerializeToString())


def test_numbers_in_other_files_are_not_read(read):
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(InvalidInput, match="in another file"):
        read(tensor.SerializeToString())
    tensor.ClearField("data_location")
    with pytest.raises(InvalidInput, match="in another file"):
        read(tensor.SerializeToString())


@pytest.mark.parametrize("content", [b"\x00\x01", b"hello, I am text", b"\x08", bytes(range(256)), b"\xff" * 20])
def test_other_files(read, content):
    with pytest.raises(InvalidInput, match="cannot be read as a TensorProto of ONNX or TensorFlow"):
        read(content)


def test_every_cut_of_a_file_is_refused_or_refused_by_shape(read):
    whole = numpy_helper.from_array(X.astype(np.float32), "t").SerializeToString()
    for end in range(len(whole) - 1, 0, -1):
        with pytest.raises(InvalidInput, match="TensorProto"):
            read(whole[:end])
