"""Finds the shape of every tensor of an ONNX graph: by inference, and by a run where that does not reach."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from robust.models.foreign_errors import PASSING
from robust.types import AnyArray

_SMALL = 1024
_FATAL_ONLY = 4  # a graph that cannot run is told as uncounted, not on the screen


def inferred(
    model: Any, inputs: Sequence[str], values: Sequence[AnyArray] | None
) -> tuple[dict[str, tuple[int, ...]], dict[str, int], frozenset[str]]:
    """Shape and element type of every tensor that has one.

    Args:
        model: With settled inputs.
        inputs: Their names.
        values: One row (1, …) of each, for shapes that depend on values.

    Returns:
        Shapes and element types by name, and the names whose shape a run told: it may depend on values.
    """
    found = onnx.shape_inference.infer_shapes(_light(model), data_prop=True)
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
    return shapes, kinds, frozenset(lacking)


def _light(model: Any) -> Any:
    """The model with large stored tensors as inputs: no shape depends on their values, and they are not copied."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph, inputs = model.graph, {value.name for value in model.graph.input}
    light.graph.name = graph.name
    for part in ("node", "input", "output", "sparse_initializer"):
        getattr(light.graph, part).extend(getattr(graph, part))
    for tensor in graph.initializer:
        if prod(tensor.dims) <= _SMALL:
            light.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return light


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
    settings.log_severity_level = _FATAL_ONLY
    quiet = onnxruntime.RunOptions()
    quiet.log_severity_level = _FATAL_ONLY
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            watched.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        answers = session.run(list(lacking), feeds, quiet)
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
