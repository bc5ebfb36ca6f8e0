"""Multiply-accumulates of the attention operators of ONNX files: the standard's, and those that onnxruntime fuses."""

from typing import Any

from robust.costing.graph_onnx import Graph, setting
from robust.costing.products import attention_macc, matrix_macc
from robust.costing.words import counted
from robust.errors import InvalidInput

Shape = tuple[int, ...]


def attention(node: Any, graph: Graph) -> int:
    """The standard's attention, over four axes, or over three with the heads side by side; earlier keys in front.

    Args:
        node: An `Attention` of the standard.
        graph: Its graph.
    """
    query, key, value = (graph.shapes[name] for name in node.input[:3])
    if len(query) == 3:
        heads, others = int(setting(node, "q_num_heads", 0)), int(setting(node, "kv_num_heads", 0))
        query, key, value = _split(query, heads), _split(key, others), _split(value, others)
    return attention_macc(query, _after(key, _past(node, graph, 4, axis=-2)), value)


def multi_head(node: Any, graph: Graph) -> int:
    """Attention as onnxruntime has it, without projections; queries, keys and values may lie in one tensor.

    Args:
        node: A `MultiHeadAttention` of onnxruntime.
        graph: Its graph.

    Raises:
        ValueError: If the length of the past is a value of the run.
    """
    if _given(node, 8):
        raise ValueError("the past is a buffer: how much of it is used is decided in the run")
    heads = int(setting(node, "num_heads", 0))
    query: Shape = graph.shapes[node.input[0]]
    key: Shape
    value: Shape
    if len(query) == 5:  # rows, steps, heads, 3, width
        rows, steps, heads, _, width = query
        query = key = value = rows, heads, steps, width
    else:
        query, key = _split(query, heads), graph.shapes[node.input[1]]
        if len(key) == 5:  # rows, steps, heads, 2, width
            rows, steps, heads, _, width = key
            key = value = rows, heads, steps, width
        else:
            key, value = (
                shape if len(shape) == 4 else _split(shape, heads)
                for shape in (graph.shapes[name] for name in node.input[1:3])
            )
    return attention_macc(query, _after(key, _past(node, graph, 6, axis=-2)), value)


def projected_attention(node: Any, graph: Graph) -> int:
    """Attention as onnxruntime has it, together with its projections to queries, keys and values, float or in 8 bits.

    n · L · D · (H_q + H_k + H_v) + n · L · S · (H_k + H_v)

    Args:
        node: An `Attention` or `QAttention` of onnxruntime.
        graph: Its graph.

    Raises:
        InvalidInput: If the weights do not fit the input.
        ValueError: If the length of the past is a value of the run.
    """
    (rows, steps, width), weight = graph.shapes[node.input[0]], graph.shapes[node.input[1]]
    if weight[0] != width:
        raise InvalidInput(f"its input has {counted(width, 'feature')}, its weights {weight} take {weight[0]}")
    if node.op_type == "Attention" and _given(node, 6):
        raise ValueError("the past is a buffer: how much of it is used is decided in the run")
    of_query, of_key, of_value = setting(node, "qkv_hidden_sizes", None) or [weight[1] // 3] * 3
    if weight[1] != of_query + of_key + of_value:
        raise InvalidInput(f"its weights {weight} do not hold {of_query} + {of_key} + {of_value} columns")
    total = steps + _past(node, graph, 4 if node.op_type == "Attention" else 8, axis=3)
    products = attention_macc((rows, 1, steps, of_key), (rows, 1, total, of_key), (rows, 1, total, of_value))
    return matrix_macc((rows, steps, weight[1]), width) + products


def _given(node: Any, place: int) -> bool:
    """Whether a node has an input."""
    return len(node.input) > place and bool(node.input[place])


def _past(node: Any, graph: Graph, place: int, *, axis: int) -> int:
    """Steps whose keys and values a node is handed from earlier runs."""
    return graph.shapes[node.input[place]][axis] if _given(node, place) else 0


def _after(key: Shape, past: int) -> Shape:
    return (*key[:-2], key[-2] + past, key[-1])


def _split(shape: Shape, heads: int) -> Shape:
    """Rows, heads, steps and width of a tensor that has its heads side by side."""
    rows, steps, width = shape
    if width % heads:
        raise ValueError(f"{counted(width, 'feature')} cannot be shared among {counted(heads, 'head')}")
    return rows, heads, steps, width // heads
