"""Whether the weights of an ONNX node fit its input: a graph in which they do not is broken, and has no cost."""

from typing import Any

from robust.costing.graph_onnx import setting
from robust.costing.words import counted
from robust.errors import InvalidInput

Shape = tuple[int, ...]


def check_convolution(node: Any, data: Shape, weight: Shape) -> None:
    """C = C/g · g, M divisible by g, and the kernel as the node says.

    Args:
        node: A convolution.
        data: Shape (n, C, …) of its input.
        weight: Shape (M, C/g, k₁, …, k_d).

    Raises:
        InvalidInput: If that does not hold.
    """
    group = int(setting(node, "group", 1))
    _check_channels(data, weight, weight[1] * group)
    if group < 1 or weight[0] % group:
        raise InvalidInput(f"{counted(weight[0], 'filter')} cannot be shared among {counted(group, 'group')}")
    _check_kernel(node, weight)


def check_transposed(node: Any, data: Shape, weight: Shape) -> None:
    """C as the weights have it, divisible by g, and the kernel as the node says.

    Args:
        node: A transposed convolution.
        data: Shape (n, C, …) of its input.
        weight: Shape (C, M/g, k₁, …, k_d).

    Raises:
        InvalidInput: If that does not hold.
    """
    group = int(setting(node, "group", 1))
    _check_channels(data, weight, weight[0])
    if group < 1 or weight[0] % group:
        raise InvalidInput(f"{counted(weight[0], 'channel')} cannot be shared among {counted(group, 'group')}")
    _check_kernel(node, weight)


def _check_channels(data: Shape, weight: Shape, taken: int) -> None:
    if len(data) != len(weight):
        raise InvalidInput(f"its input {data} and its weights {weight} differ in their number of axes")
    if data[1] != taken:
        raise InvalidInput(f"its input has {counted(data[1], 'channel')}, its weights {weight} take {taken}")


def _check_kernel(node: Any, weight: Shape) -> None:
    told = setting(node, "kernel_shape", None)
    if told is not None and tuple(told) != weight[2:]:
        raise InvalidInput(f"its kernel is {tuple(told)} by its attribute and {weight[2:]} by its weights")


def check_matrix(node: Any, left: Shape, right: Shape) -> int:
    """The length of the axis that is summed over, which both factors must have.

    Args:
        node: A matrix product.
        left: Shape of the first factor.
        right: Shape of the second.

    Returns:
        The length.

    Raises:
        InvalidInput: If the factors differ in it.
    """
    inner = left[_summed(left, -1, -2, turned=setting(node, "transA", 0), moved=setting(node, "transBatchA", 0))]
    other = right[_summed(right, -2, -1, turned=setting(node, "transB", 0), moved=setting(node, "transBatchB", 0))]
    if inner != other:
        raise InvalidInput(
            f"its factors {left} and {right} differ in the axis that is summed over, {inner} and {other}"
        )
    return inner


def _summed(shape: Shape, axis: int, transposed: int, *, turned: object, moved: object) -> int:
    """Place of the summed axis; one that stands before the last may be moved to the front."""
    if len(shape) == 1:
        return 0
    place = transposed if turned else axis
    return 0 if moved and place == -2 else place


def check_recurrent(node: Any, data: Shape, weight: Shape, hidden: Shape) -> None:
    """W takes the features of the input, and R the states; both have the same gates.

    Args:
        node: A recurrent layer.
        data: Shape of its input.
        weight: Shape of W, (directions, gates · H, inputs); transposed in onnxruntime's own layer.
        hidden: Shape of R, (directions, gates · H, H); transposed likewise.

    Raises:
        InvalidInput: If that does not hold.
    """
    own = node.op_type == "DynamicQuantizeLSTM"
    gates, features = weight[:0:-1] if own else weight[1:]
    hidden_gates, width = hidden[:0:-1] if own else hidden[1:]
    if features != data[2]:
        raise InvalidInput(f"its input has {counted(data[2], 'feature')}, its weights {weight} take {features}")
    if (weight[0], gates) != (hidden[0], hidden_gates) or gates % width:
        raise InvalidInput(f"its weights {weight} and recurrent weights {hidden} do not belong to the same gates")
