"""Quantized weights of an ONNX file that change nothing: others in their place leave every output bit for bit alike.

What is sliced away, multiplied by 0, chosen against or read for its shape alone shows in no analysis of operators as
surely as in a run with other weights.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from robust.costing.graph_onnx import subgraphs
from robust.models.adapter_onnx import DTYPES
from robust.types import AnyArray

#: With more layers, or bytes to load for all of them, these are tried together alone.
_LAYERS, _BYTES = 64, 1 << 28
_ROWS = 16
_SIZE = 2  # of an axis of which nobody said how long it is
_GOLDEN = 0.6180339887498949
_SILENT = 4  # inputs that a file does not take are tried on purpose


def without_effect(model: Any, held: Mapping[str, Set[str]], rows: Sequence[AnyArray] | None) -> frozenset[str]:
    """Layers whose stored weights could be any others.

    Args:
        model: A parsed file.
        held: Names of the stored weights of each layer.
        rows: One array (n, …) an input; None for numbers of the shapes that the file declares.

    Returns:
        Names of layers; none where the file cannot be run on its own, as with tensors outside it.
    """
    if not held or any(onnx.external_data_helper.uses_external_data(one) for one in _stored(model.graph)):
        return frozenset()
    content = model.SerializeToString()
    trials = _trials(content, rows)
    if not trials:
        return frozenset()
    every = {name for names in held.values() for name in names}
    if _is_same(model, every, trials):
        return frozenset(held)
    if len(held) < 2 or len(held) > _LAYERS or len(held) * len(content) > _BYTES or not _tells(trials):
        return frozenset()
    return frozenset(layer for layer, names in held.items() if _is_same(model, names, trials))


def _tells(trials: Sequence[tuple[Any, list[AnyArray]]]) -> bool:
    """Whether an output has numbers as fine as a single layer changes: labels do not."""
    return any(one.dtype.kind == "f" for _, given in trials for one in given)


def _trials(content: bytes, rows: Sequence[AnyArray] | None) -> list[tuple[Any, list[AnyArray]]]:
    """Inputs that the file takes, with what it answers."""
    session = _session(content)
    found = []
    for feed in _feeds(session, rows) if session is not None else ():
        given = _answers(session, feed)
        if given is not None:
            found.append((feed, given))
    return found


def _feeds(session: Any, rows: Sequence[AnyArray] | None) -> Iterator[dict[str, AnyArray]]:
    """The rows, and numbers of both signs in their place."""
    inputs = session.get_inputs()
    if any(one.type not in DTYPES or not one.shape for one in inputs):
        return
    if rows is None:
        shapes = [[size if isinstance(size, int) and size > 0 else _SIZE for size in one.shape] for one in inputs]
        given = [np.zeros(shape) for shape in shapes]
    elif len(rows) == len(inputs):
        given = [_batch(array, one.shape[0]) for array, one in zip(rows, inputs, strict=True)]
    else:
        return
    spread = [((np.arange(array.size) + 1) * _GOLDEN % 1).reshape(array.shape) for array in given]
    signed = [3 - 6 * array for array in spread]
    for arrays in (given, spread, signed, [100 * array for array in spread]):
        yield {one.name: array.astype(DTYPES[one.type]) for one, array in zip(inputs, arrays, strict=True)}


def _batch(array: AnyArray, fixed: object) -> AnyArray:
    """Some rows, as many as the file takes."""
    count = fixed if isinstance(fixed, int) and fixed > 0 else min(len(array), _ROWS)
    return np.resize(array[:count], (count, *array.shape[1:])) if len(array) else array


def _is_same(model: Any, names: Set[str], trials: Sequence[tuple[Any, list[AnyArray]]]) -> bool:
    """Whether a file with other weights answers alike; one that cannot be made or run shows that it does not."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    try:
        for tensor in _stored(other.graph):
            if tensor.name in names:
                tensor.CopyFrom(_other(tensor))
    except (TypeError, ValueError):
        return False
    session = _session(other.SerializeToString())
    return session is not None and all(_agree(_answers(session, feed), given) for feed, given in trials)


def _agree(found: list[AnyArray] | None, given: list[AnyArray]) -> bool:
    return found is not None and all(
        one.shape == other.shape and one.tobytes() == other.tobytes() for one, other in zip(found, given, strict=True)
    )


def _session(content: bytes) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _SILENT
    settings.intra_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime raises classes of its own for each fault, none of which matters here
        return None


def _answers(session: Any, feed: Mapping[str, AnyArray]) -> list[AnyArray] | None:
    settings = onnxruntime.RunOptions()
    settings.log_severity_level = _SILENT
    try:
        found = session.run(None, dict(feed), settings)
    except Exception:  # a file need not take these inputs, which nobody promised it
        return None
    return [np.asarray(one) for one in found]


def _other(tensor: Any) -> Any:
    """Other numbers of the same type: in another order, and each another one, places in a table aside."""
    array = numpy_helper.to_array(tensor)
    values = array.reshape(-1)[::-1].reshape(array.shape)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 1:
        values = np.invert(values)
    elif values.dtype.kind == "f" and values.dtype.itemsize > 1:
        values = values * values.dtype.type(-0.5)
    return numpy_helper.from_array(np.ascontiguousarray(values), tensor.name)


def _stored(graph: Any) -> Iterator[Any]:
    """Tensors that a graph stores, those of constants and of graphs inside it included, under their names."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                attribute.t.name = node.output[0]
                yield attribute.t
        for inner in subgraphs(node):
            yield from _stored(inner)
