"""The same ONNX graph with twice as many rows, whatever lengths its exporter wrote down."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import numpy_helper

from robust.costing.inputs_onnx import Front

Shape = tuple[int, ...]


def lengthen(
    model: Any, inputs: Sequence[str], front: Front, stored: Sequence[str], shapes: Mapping[str, Shape]
) -> None:
    """Make the axes that could be the batch twice as long.

    An exporter that was shown n rows writes n into the targets of reshapes and expansions; there it becomes free.

    Args:
        model: The file with settled inputs; it is changed.
        inputs: Names of its inputs.
        front: The axes.
        stored: Names of the tensors that it stores.
        shapes: Shape of each tensor at the present length.
    """
    values = {value.name: value for value in model.graph.input}
    for place, axis in front.places:
        values[inputs[place]].type.tensor_type.shape.dim[axis].dim_value *= 2
    if front.size == 1:
        return  # a 1 that was written down cannot be told from any other
    for number, node in enumerate(model.graph.node):
        if node.op_type not in ("Reshape", "Expand") or len(node.input) < 2 or node.input[1] not in stored:
            continue
        before, after = shapes.get(node.input[0]), shapes.get(node.output[0])
        if before is None or after is None or not prod(after):
            continue
        if node.op_type == "Reshape":
            del node.attribute[:]  # a 0 stands for the length that the input has
        target = _reshaped(before, after, front.size) if node.op_type == "Reshape" else _expanded(after, front.size)
        name = f"{node.output[0]}.target.{number}"
        model.graph.initializer.append(numpy_helper.from_array(np.array(target, np.int64), name))
        node.input[1] = name


def _reshaped(before: Shape, after: Shape, size: int) -> list[int]:
    """A target that keeps the axes both shapes begin with, and leaves the next one that holds all rows free.

    >>> _reshaped((4, 16, 4, 4), (4, 256), 4), _reshaped((4, 8, 7, 2), (32, 7, 2), 4), _reshaped((7, 4, 6), (28, 6), 4)
    ([0, 256], [-1, 7, 2], [-1, 6])
    """
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    target = [0] * same + list(after[same:])
    if size not in before[:same]:
        for axis in range(same, len(after)):
            if after[axis] % size == 0:
                target[axis] = -1
                break
    return target


def _expanded(after: Shape, size: int) -> list[int]:
    """A target whose first axis of that length is twice as long."""
    target = list(after)
    if size in target:
        target[target.index(size)] = 2 * size
    return target
