"""What ONNX operators cost: multiply-accumulates of those that multiply, and which of the others are free."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from robust.costing.attention_onnx import attention, multi_head, projected_attention
from robust.costing.fitting_onnx import check_convolution, check_matrix, check_recurrent, check_transposed
from robust.costing.graph_onnx import Graph, setting, subgraphs
from robust.costing.loops_onnx import body_of, turns
from robust.costing.products import (
    convolution_macc,
    einsum_macc,
    matrix_macc,
    recurrent_macc,
    transposed_convolution_macc,
)
from robust.errors import InvalidInput

Rule = Callable[[Any, Graph], int | None]
STANDARD = ("", "ai.onnx")
MICROSOFT = "com.microsoft"
AGAIN = ": export the file again"

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
BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu DequantizeLinear EmbedLayerNormalization ExpandDims FastGelu
GatherBlockQuantized GatherND Gelu GridSample GroupNorm MulInteger NhwcMaxPool Pad QEmbedLayerNormalization QLinearAdd
QLinearAveragePool QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid
QLinearSoftmax QLinearWhere QuantizeLinear QuickGelu Range ReduceSumInteger RemovePadding RestorePadding
RotaryEmbedding ScaledSiLU SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization
SkipSimplifiedLayerNormalization TorchEmbedding Trilu Unique
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


def _convolution(weight: int) -> Rule:
    def count(node: Any, graph: Graph) -> int:
        kernel, data = graph.shapes[node.input[weight]], graph.shapes[node.input[0]]
        last = setting(node, "channels_last", 0) or node.op_type.startswith("Nhwc")
        check_convolution(node, (*data[:1], data[-1], *data[1:-1]) if last else data, kernel)
        return convolution_macc(kernel, graph.shapes[node.output[0]])

    return count


def _transposed(node: Any, graph: Graph) -> int:
    data, weight = graph.shapes[node.input[0]], graph.shapes[node.input[1]]
    check_transposed(node, data, weight)
    return transposed_convolution_macc(weight, data)


def _matrix(right: int = 1) -> Rule:
    def count(node: Any, graph: Graph) -> int:
        left, other = graph.shapes[node.input[0]], graph.shapes[node.input[right]]
        inner = check_matrix(node, left, other)
        return matrix_macc(graph.shapes[node.output[0]], inner)

    return count


def _packed_matrix(node: Any, graph: Graph) -> int:
    """A matrix whose weights are packed in blocks: the node itself says how large it is."""
    return prod(graph.shapes[node.input[0]]) * int(setting(node, "N", 0))


def _recurrent(node: Any, graph: Graph) -> int:
    data, weight, hidden = (graph.shapes[name] for name in node.input[:3])
    check_recurrent(node, data, weight, hidden)
    steps, rows = data[1::-1] if setting(node, "layout", 0) else data[:2]
    peepholes = graph.shapes[node.input[7]] if len(node.input) > 7 and node.input[7] else None
    return recurrent_macc(weight, hidden, steps=steps, rows=rows, peepholes=peepholes)


def _einsum(node: Any, graph: Graph) -> int:
    return einsum_macc(setting(node, "equation", b"").decode(), [graph.shapes[name] for name in node.input])


def _linear_model(node: Any, graph: Graph) -> int:
    """A linear model of the classical kind: one coefficient a feature and target."""
    data = graph.shapes[node.input[0]]
    return (data[0] if len(data) > 1 else 1) * len(setting(node, "coefficients", ()))


def _loop(node: Any, graph: Graph) -> int | None:
    """What a loop does in one turn, as often as it is known to turn."""
    times, body = turns(node, graph), None if is_free(node) else body_of(node, graph)
    if is_free(node) or times == 0:
        return 0
    inside = [None] if body is None else [macc_of(part, body) for part in body.nodes]
    known = [macc for macc in inside if macc is not None]
    return None if times is None or len(known) < len(inside) else times * sum(known)


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
            "Gemm": _matrix(),
            "MatMul": _matrix(),
            "MatMulInteger": _matrix(),
            "QLinearMatMul": _matrix(3),
            "Einsum": _einsum,
            "RNN": _recurrent,
            "GRU": _recurrent,
            "LSTM": _recurrent,
            "Attention": attention,
            "Loop": _loop,
        }.items()
    },
    **{
        (MICROSOFT, name): rule
        for name, rule in {
            "FusedConv": _convolution(1),
            "NhwcConv": _convolution(1),
            "NhwcFusedConv": _convolution(1),
            "QLinearConv": _convolution(3),
            "ConvTransposeWithDynamicPads": _transposed,
            "FusedGemm": _matrix(),
            "FusedMatMul": _matrix(),
            "FusedMatMulActivation": _matrix(),
            "TransposeMatMul": _matrix(),
            "GemmFastGelu": _matrix(),
            "QGemm": _matrix(3),
            "DynamicQuantizeMatMul": _matrix(),
            "MatMulIntegerToFloat": _matrix(),
            "MatMulNBits": _packed_matrix,
            "DynamicQuantizeLSTM": _recurrent,
            "Attention": projected_attention,
            "QAttention": projected_attention,
            "MultiHeadAttention": multi_head,
        }.items()
    },
    ("ai.onnx.ml", "LinearClassifier"): _linear_model,
    ("ai.onnx.ml", "LinearRegressor"): _linear_model,
}
#: Operators whose first input holds independent rows on one axis alone, and what they do along the others.
_ALONG = {
    **dict.fromkeys(("RNN", "GRU", "LSTM", "DynamicQuantizeLSTM"), "takes its steps along it"),
    **dict.fromkeys(("Attention", "QAttention", "MultiHeadAttention"), "attends along it"),
    **dict.fromkeys(
        ("Conv", "ConvInteger", "DeformConv", "QLinearConv", "ConvTranspose", "FusedConv", "NhwcConv", "NhwcFusedConv"),
        "moves its kernel along it, or sums over it",
    ),
}


def macc_of(node: Any, graph: Graph) -> int | None:
    """Multiply-accumulates of a node in one run, or None where they are not known.

    Args:
        node: A node.
        graph: Its graph.

    Raises:
        InvalidInput: If the shapes of its weights and of its input exclude each other.
    """
    rule = RULES.get((node.domain, node.op_type))
    if rule is None:
        return 0 if is_free(node) else None
    try:
        return rule(node, graph)
    except InvalidInput as error:
        name = node.name or node.output[0]
        raise InvalidInput(f"node {name!r} ({node.op_type}): {str(error).removesuffix(AGAIN)}{AGAIN}") from error
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return None


def row_axis(node: Any) -> tuple[int, str] | None:
    """Axis of the independent rows of a node's first input, with what the node does along others; None for any."""
    doing = _ALONG.get(node.op_type)
    if doing is None:
        return None
    steps_first = doing.startswith("takes") and not setting(node, "layout", 0)
    return (1 if steps_first else 0), doing


def step_axes(node: Any) -> list[tuple[str, int]]:
    """Inputs of a node that steps through them one slice at a time, each with the axis; none for most nodes."""
    if node.op_type != "Scan" or node.domain not in STANDARD:
        return []
    count = int(setting(node, "num_scan_inputs", 0))
    names = list(node.input)[len(node.input) - count :]
    axes = list(setting(node, "scan_input_axes", ())) or [0] * count
    return list(zip(names, map(int, axes), strict=False))


def is_free(node: Any) -> bool:
    """Whether a node is known to do no product that counts, nor anything inside it."""
    inner = subgraphs(node)
    if inner:
        return node.domain in STANDARD and all(is_free(part) for graph in inner for part in graph.node)
    return node.op_type in FREE.get(node.domain, frozenset())


def reason(node: Any, graph: Graph) -> str:
    """Why a node could not be counted."""
    if (node.domain, node.op_type) in RULES and node.op_type != "Loop":
        return "its shapes are not known"
    if node.op_type == "Loop" and turns(node, graph) is not None:
        return _reason_inside(node, graph)
    if subgraphs(node):
        return "how often what is inside it runs, and which branch, is decided in the run"
    if node.op_type.startswith("TreeEnsemble"):
        return "trees compare and do not multiply"
    if node.domain in STANDARD:
        return "this operator is not known"
    return f"operators of {node.domain} are not known" if node.domain != MICROSOFT else "this operator is not known"


def _reason_inside(node: Any, graph: Graph) -> str:
    """Why one turn of a loop could not be counted."""
    body = body_of(node, graph)
    if body is None:
        return "what it hands from turn to turn has no shape that is known and stays the same"
    missed = next(part for part in body.nodes if macc_of(part, body) is None)
    return f"inside it, {missed.name or missed.output[0]!r} ({missed.op_type}): {reason(missed, body)}"
