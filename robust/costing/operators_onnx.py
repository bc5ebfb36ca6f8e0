"""What ONNX operators cost: multiply-accumulates of those that multiply, and which of the others are free."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from onnx import helper

from robust.costing.graph_onnx import Graph, subgraphs
from robust.costing.products import (
    attention_macc,
    convolution_macc,
    einsum_macc,
    matrix_macc,
    recurrent_macc,
    transposed_convolution_macc,
)

Rule = Callable[[Any, Graph], int]
STANDARD = ("", "ai.onnx")
MICROSOFT = "com.microsoft"

_FREE = """
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Bernoulli BitCast
BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Clip Col2Im
Compress Concat ConcatFromSequence Constant ConstantOfShape Cos Cosh CumProd CumSum DepthToSpace DequantizeLinear Div
Dropout DynamicQuantizeLinear Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow
HannWindow HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu
Less LessOrEqual Log LogSoftmax LpNormalization LpPool Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
Min Mish Mod Mul Multinomial Neg NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or
PRelu Pad Pow QuantizeLinear RMSNormalization RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round Scatter ScatterElements ScatterND
Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Shrink Sigmoid Sign
Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat
StringNormalizer StringSplit Sub Sum Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unique
Unsqueeze Upsample Where Xor
"""
_FREE_MICROSOFT = """
BiasAdd BiasGelu BiasSoftmax DequantizeLinear FastGelu Gelu Inverse NhwcMaxPool QLinearAdd QLinearAveragePool
QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
QLinearWhere QuantizeLinear QuickGelu RotaryEmbedding SimplifiedLayerNormalization SkipLayerNormalization
SkipSimplifiedLayerNormalization
"""
_FREE_ML = """
ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder Normalizer
OneHotEncoder Scaler ZipMap
"""
FREE: Mapping[str, frozenset[str]] = {
    "": frozenset(_FREE.split()),
    "ai.onnx": frozenset(_FREE.split()),
    MICROSOFT: frozenset(_FREE_MICROSOFT.split()),
    "ai.onnx.ml": frozenset(_FREE_ML.split()),
}
#: Each number of the output depends on the numbers at the same place: it may be written over an input.
_ELEMENTWISE = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BiasGelu BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
Cast Ceil Celu Clip Cos Cosh DequantizeLinear Div Elu Erf Exp FastGelu Floor Gelu HardSigmoid HardSwish LeakyRelu Log
Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QuantizeLinear
QuickGelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh
ThresholdedRelu Where Xor
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())


def setting(node: Any, name: str, default: Any) -> Any:
    """An attribute of a node."""
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def _convolution(weight: int) -> Rule:
    return lambda node, graph: convolution_macc(graph.shapes[node.input[weight]], graph.shapes[node.output[0]])


def _transposed(node: Any, graph: Graph) -> int:
    return transposed_convolution_macc(graph.shapes[node.input[1]], graph.shapes[node.input[0]])


def _matrix(node: Any, graph: Graph) -> int:
    left = graph.shapes[node.input[0]]
    inner = left[-2] if setting(node, "transA", 0) else left[-1]
    return matrix_macc(graph.shapes[node.output[0]], inner)


def _packed_matrix(node: Any, graph: Graph) -> int:
    """A matrix whose weights are packed in blocks: the node itself says how large it is."""
    return prod(graph.shapes[node.input[0]]) * int(setting(node, "N", 0))


def _recurrent(node: Any, graph: Graph) -> int:
    steps, rows = graph.shapes[node.input[0]][:2]
    if setting(node, "layout", 0):
        steps, rows = rows, steps
    if rows != graph.rows:
        raise ValueError(f"{rows} rows where the model takes {graph.rows}: the first axis of its inputs is no batch")
    return recurrent_macc(graph.shapes[node.input[1]], graph.shapes[node.input[2]], steps=steps, rows=rows)


def _einsum(node: Any, graph: Graph) -> int:
    return einsum_macc(setting(node, "equation", b"").decode(), [graph.shapes[name] for name in node.input])


def _attention(node: Any, graph: Graph) -> int:
    """Attention over four axes, or over three with the heads side by side; keys of earlier steps come in front."""
    query, key, value = (graph.shapes[name] for name in node.input[:3])
    if len(query) == 3:
        heads, others = int(setting(node, "q_num_heads", 0)), int(setting(node, "kv_num_heads", 0))
        query, key, value = _split(query, heads), _split(key, others), _split(value, others)
    past = graph.shapes[node.input[4]][-2] if len(node.input) > 4 and node.input[4] else 0
    return attention_macc(query, (*key[:-2], key[-2] + past, key[-1]), value)


def _split(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    return shape[0], heads, shape[1], shape[2] // heads


def _linear_model(node: Any, graph: Graph) -> int:
    """A linear model of the classical kind: one coefficient a feature and target."""
    return graph.rows * len(setting(node, "coefficients", ()))


#: Multiply-accumulates by domain and operator.
RULES: Mapping[tuple[str, str], Rule] = {
    **{
        (domain, name): rule
        for domain in STANDARD
        for name, rule in {
            "Conv": _convolution(1),
            "ConvInteger": _convolution(1),
            "DeformConv": _convolution(1),
            "QLinearConv": _convolution(3),
            "ConvTranspose": _transposed,
            "Gemm": _matrix,
            "MatMul": _matrix,
            "MatMulInteger": _matrix,
            "QLinearMatMul": _matrix,
            "Einsum": _einsum,
            "RNN": _recurrent,
            "GRU": _recurrent,
            "LSTM": _recurrent,
            "Attention": _attention,
        }.items()
    },
    **{
        (MICROSOFT, name): rule
        for name, rule in {
            "FusedConv": _convolution(1),
            "QLinearConv": _convolution(3),
            "FusedGemm": _matrix,
            "FusedMatMul": _matrix,
            "QGemm": _matrix,
            "DynamicQuantizeMatMul": _matrix,
            "MatMulIntegerToFloat": _matrix,
            "MatMulNBits": _packed_matrix,
            "DynamicQuantizeLSTM": _recurrent,
        }.items()
    },
    ("ai.onnx.ml", "LinearClassifier"): _linear_model,
    ("ai.onnx.ml", "LinearRegressor"): _linear_model,
}


def is_free(node: Any) -> bool:
    """Whether a node is known to do no product that counts, nor anything inside it."""
    inner = subgraphs(node)
    if inner:
        return node.domain in STANDARD and all(is_free(part) for graph in inner for part in graph.node)
    return node.op_type in FREE.get(node.domain, frozenset())


def reason(node: Any) -> str:
    """Why a node could not be counted."""
    if subgraphs(node):
        return "how often what is inside it runs, and which branch, is decided in the run"
    if node.op_type.startswith("TreeEnsemble"):
        return "trees compare and do not multiply"
    if node.domain in STANDARD:
        return "this operator is not known"
    return f"operators of {node.domain} are not known" if node.domain != MICROSOFT else "this operator is not known"
