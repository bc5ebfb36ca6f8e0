"""Reads weight storage from an ONNX graph."""

import math

import onnx
from onnx import TensorProto

#: Operators whose second input is a weight, and the integer forms that replace them.
_WEIGHTED = frozenset(
    {
        "Conv",
        "ConvTranspose",
        "Gemm",
        "MatMul",
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "ConvInteger",
        "MatMulInteger",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
        "MatMulNBits",
    }
)
_NARROW = frozenset(
    {
        TensorProto.INT8,
        TensorProto.UINT8,
        TensorProto.INT4,
        TensorProto.UINT4,
        TensorProto.FLOAT8E4M3FN,
        TensorProto.FLOAT8E5M2,
    }
)
#: Operators that a weight may pass through between its storage and its use.
_PASSING = frozenset({"DequantizeLinear", "Transpose", "Reshape", "Identity", "QuantizeLinear", "Cast"})


def initialiser_coverage(content: bytes) -> float | None:
    """Share of the weight elements of convolutions and matrix products that are stored in 8 bits or fewer.

    Args:
        content: Bytes of an ONNX file.

    Returns:
        A share in [0, 1]; None where no operator has stored weights.
    """
    graph = onnx.load_model_from_string(content).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    sources = {output: node for node in graph.node for output in node.output}
    narrow = total = 0
    seen: set[str] = set()
    for node in graph.node:
        if node.op_type not in _WEIGHTED:
            continue
        for name in node.input:
            tensor = _stored(name, stored, sources)
            if tensor is None or tensor.name in seen or len(tensor.dims) < 2:
                continue
            seen.add(tensor.name)
            size = math.prod(tensor.dims)
            total += size
            narrow += size if tensor.data_type in _NARROW else 0
    return narrow / total if total else None


def _stored(name: str, stored: dict[str, TensorProto], sources: dict[str, onnx.NodeProto]) -> TensorProto | None:
    """The stored tensor that an input comes from, through operators that only unpack it."""
    while name not in stored:
        node = sources.get(name)
        if node is None or node.op_type not in _PASSING:
            return None
        name = node.input[0]
    return stored[name]
