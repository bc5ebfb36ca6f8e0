"""Settles the shape of every tensor of an ONNX graph: by inference, and by a run where that does not reach."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from robust.errors import InvalidInput
from robust.models.foreign_errors import PASSING
from robust.types import AnyArray

_ERRORS_ONLY = 3


def settled(
    model: Any, stored: frozenset[str], row_shapes: Sequence[tuple[int, ...]] | None
) -> tuple[Any, tuple[str, ...], int]:
    """Write numbers for all free dimensions of the inputs: 1 for the batch, the others as given.

    Args:
        model: The file; it is changed.
        stored: Names that are no inputs, though old files list them as such.
        row_shapes: Shape of a row of each input, without the batch, or None.

    Returns:
        The model without what it said about other shapes, names of its inputs, and rows of a run.

    Raises:
        InvalidInput: If shapes are missing, or contradict the file.
    """
    inputs = [value for value in model.graph.input if value.name not in stored]
    names = ", ".join(repr(value.name) for value in inputs)
    if row_shapes is not None and len(row_shapes) != len(inputs):
        raise InvalidInput(
            f"the model takes {len(inputs)} inputs ({names}), got {len(row_shapes)} shapes: one each, in this order, "
            "would be right"
        )
    batches = {_first(value) for value in inputs}
    rows = batches.pop() if len(batches) == 1 else 1
    # One name stands for one number, wherever it is written.
    symbols: dict[str, int] = {}
    for place, value in enumerate(inputs):
        dims = value.type.tensor_type.shape.dim
        if not value.type.tensor_type.HasField("shape"):
            raise InvalidInput(f"the file gives input {value.name!r} no shape: export it again with one")
        if len(dims) and dims[0].dim_param:
            symbols.setdefault(dims[0].dim_param, 1)
        if row_shapes is not None:
            _check(value.name, dims, row_shapes[place])
            symbols |= {
                dim.dim_param: size
                for dim, size in zip(dims[1:], row_shapes[place], strict=True)
                if dim.dim_param and dim.dim_param not in symbols
            }
    for place, value in enumerate(inputs):
        _fill(value, None if row_shapes is None else row_shapes[place], symbols)
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    return model, tuple(value.name for value in inputs), rows


def _first(value: Any) -> int:
    """Rows of a run as an input says: its fixed batch, or 1."""
    dims = value.type.tensor_type.shape.dim
    return dims[0].dim_value if len(dims) and dims[0].dim_value > 0 else 1


def _check(name: str, dims: Any, given: tuple[int, ...]) -> None:
    """A given shape must be one that the file allows."""
    wanted = tuple(dim.dim_value or None for dim in dims[1:])
    if len(given) != len(wanted) or any(want not in (None, size) for want, size in zip(wanted, given, strict=True)):
        shown = "(" + ", ".join("any" if size is None else str(size) for size in wanted) + ")"
        raise InvalidInput(f"input {name!r} takes rows of shape {shown}, got {given}")


def _fill(value: Any, given: tuple[int, ...] | None, symbols: Mapping[str, int]) -> None:
    """Numbers for the free dimensions of one input."""
    for axis, dim in enumerate(value.type.tensor_type.shape.dim):
        if dim.dim_value > 0:
            continue
        size = symbols.get(dim.dim_param) if dim.dim_param else None
        if size is None:
            size = 1 if axis == 0 else None if given is None else given[axis - 1]
        if size is None:
            label = f" {dim.dim_param!r}" if dim.dim_param else ""
            raise InvalidInput(
                f"dimension {axis}{label} of input {value.name!r} is free: give input_shape=, the shape of a row "
                "without the batch, or data="
            )
        dim.dim_value = size


def inferred(
    model: Any, inputs: Sequence[str], values: Sequence[AnyArray] | None
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Shape and element type of every tensor that has one.

    Args:
        model: With settled inputs.
        inputs: Their names.
        values: One row (1, …) of each, for shapes that depend on values.

    Returns:
        Shapes and element types by name.
    """
    found = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, int] = {}
    for value in (*found.graph.input, *found.graph.value_info, *found.graph.output):
        tensor = value.type.tensor_type
        if tensor.elem_type:
            kinds[value.name] = tensor.elem_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    made = [name for node in model.graph.node for name in node.output if name]
    lacking = [name for name in made if name not in shapes or name not in kinds]
    if lacking:
        _run(model, lacking, inputs, values, shapes, kinds)
    return shapes, kinds


def _run(
    model: Any,
    lacking: Sequence[str],
    inputs: Sequence[str],
    values: Sequence[AnyArray] | None,
    shapes: dict[str, tuple[int, ...]],
    kinds: dict[str, int],
) -> None:
    """Ask a run for the tensors that inference did not reach; what it cannot tell either stays unknown."""
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    known = {value.name for value in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in lacking if name not in known)
    feeds: dict[str, AnyArray] = {}
    for place, name in enumerate(inputs):
        dtype = helper.tensor_dtype_to_np_dtype(kinds[name])
        row = None if values is None else np.asarray(values[place])
        shape = shapes[name]
        if row is None or row.size * shape[0] != prod(shape):
            feeds[name] = np.zeros(shape, dtype=dtype)
        else:
            feeds[name] = np.repeat(row, shape[0], axis=0).reshape(shape).astype(dtype)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            watched.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        answers = session.run(list(lacking), feeds)
    except PASSING:
        raise
    except BaseException:  # the tensors stay unknown, and are told as uncounted
        return
    for name, answer in zip(lacking, answers, strict=True):
        if isinstance(answer, np.ndarray):
            shapes[name] = answer.shape
            kinds[name] = TensorProto.STRING if answer.dtype.kind in "OUS" else _kind(answer.dtype)


def _kind(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(dtype))
