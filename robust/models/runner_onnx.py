"""An onnxruntime session with all its inputs and outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.models.adapter_onnx import DTYPES, ZIP_MAP
from robust.models.runner_base import Runner
from robust.models.runner_quantization import QuantizedEdges
from robust.tensors.spec import QUANTIZED, TensorSpec
from robust.types import AnyArray

_TEXT = "tensor(string)"


def onnx_runner(session: Any, *, content: bytes | None, name: str, batch_size: int) -> Runner:
    """Wrap a session.

    Args:
        session: The `onnxruntime.InferenceSession`; text outputs (a classifier's labels) are left out.
        content: The bytes of its file, which tell scale and zero point of integers; None where there are none.
        name: Shown in reports.
        batch_size: Rows a call at most; a file with a fixed batch keeps its own.

    Raises:
        InvalidInput: If an input is no tensor of numbers, or the batch is not the first axis of all inputs and
            outputs.
    """
    edges = None if content is None else QuantizedEdges(content=content)
    inputs = tuple(_axes(value) for value in session.get_inputs())
    outputs = tuple(_axes(value) for value in session.get_outputs() if value.type != _TEXT)
    for value in inputs:
        if value.dtype is None:
            raise InvalidInput(f"{name}: input {value.name!r} is a {value.kind}; a tensor of numbers is needed")
        if not value.axes:
            raise InvalidInput(f"{name}: input {value.name!r} has no batch axis: one value a row, (n, …), is needed")
    for value in outputs:
        if value.dtype is None and not value.zipped:
            raise InvalidInput(f"{name}: output {value.name!r} is a {value.kind}; a tensor of numbers is needed")
    if not inputs or not outputs:
        raise InvalidInput(f"{name}: a model needs an input and an output of numbers")
    batch = _batch(inputs, outputs, name)
    known = all(value.axes for value in outputs)
    return Runner(
        name=name,
        framework="onnx",
        forward=partial(_forward, session, [value.name for value in inputs], outputs),
        inputs=tuple(value.spec(None if edges is None else edges.of_input) for value in inputs),
        outputs=tuple(value.spec(None if edges is None else edges.of_output) for value in outputs) if known else None,
        batch_size=batch_size,
        fixed_batch=batch,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """An input or output as a session declares it.

    Args:
        name: Of the tensor.
        kind: Its type, in onnxruntime's words.
        axes: Sizes, names of free sizes, or None; empty for a scalar and for an output of unknown rank.
    """

    name: str
    kind: str
    axes: tuple[int | str | None, ...]

    @property
    def dtype(self) -> str | None:
        return DTYPES.get(self.kind)

    @property
    def zipped(self) -> bool:
        """Whether it is one map from label to probability a row."""
        return self.kind.startswith(ZIP_MAP)

    def spec(self, quantization: Any) -> TensorSpec:
        """As the rest of the package knows it."""
        dtype = self.dtype or "float64"
        integer = quantization is not None and dtype in QUANTIZED
        return TensorSpec(
            name=self.name,
            shape=tuple(size if isinstance(size, int) else None for size in self.axes[1:]),
            dtype=dtype,
            quantization=quantization(self.name, dtype) if integer else None,
        )


def _axes(value: Any) -> _Axes:
    axes = (None, None) if value.type.startswith(ZIP_MAP) else value.shape
    return _Axes(name=value.name, kind=value.type, axes=tuple(axes))


def _batch(inputs: Sequence[_Axes], outputs: Sequence[_Axes], name: str) -> int | None:
    """Rows a call exactly, None where they are free; the batch must be the first axis of all."""
    first = inputs[0].axes[0]
    for value in (*inputs, *outputs):
        if isinstance(first, str) and first in value.axes[1:] and value.axes[0] != first:
            raise _not_first(name, value, f"axis {value.axes.index(first)} ({first!r}) is its batch")
    fixed = first if isinstance(first, int) else None
    for value in inputs:
        own = value.axes[0] if isinstance(value.axes[0], int) else None
        if own != fixed:
            raise _not_first(name, value, f"input {inputs[0].name!r} has {_size(first)} there")
    for value in outputs:
        if fixed is not None and value.axes and value.axes[0] != fixed and isinstance(value.axes[0], int):
            raise _not_first(name, value, f"input {inputs[0].name!r} has {fixed} there")
    return fixed


def _not_first(name: str, value: _Axes, why: str) -> InvalidInput:
    sizes = ", ".join(map(_size, value.axes))
    return InvalidInput(
        f"{name}: {value.name!r} ({sizes}) has not the batch as its first axis: {why}; export the model with the batch "
        "first in every input and output, states included"
    )


def _size(size: int | str | None) -> str:
    return "any" if size is None else str(size)


def _forward(
    session: Any, names: Sequence[str], outputs: Sequence[_Axes], arrays: tuple[AnyArray, ...]
) -> Mapping[str, AnyArray]:
    """All outputs of one batch."""
    found = session.run([value.name for value in outputs], dict(zip(names, arrays, strict=True)))
    return {
        value.name: _columns(array) if value.zipped else np.asarray(array)
        for value, array in zip(outputs, found, strict=True)
    }


def _columns(rows: Sequence[Mapping[Any, float]]) -> AnyArray:
    """Probabilities (n, k) from one map a row, in the order of the labels."""
    labels = sorted(rows[0]) if rows else []
    return np.array([[row[label] for label in labels] for row in rows], dtype=np.float64)
