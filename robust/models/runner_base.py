"""Runs a model of any framework on all its inputs, for all its outputs, in the types that it takes and gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robust.data.naming import some_rows
from robust.errors import InvalidInput, ModelFault
from robust.models.contract import CHANGES_INPUT, same_bits
from robust.models.foreign_errors import PASSING, brief
from robust.tensors.fitting import check_rows, fit_type
from robust.tensors.spec import TensorSpec, shown
from robust.types import AnyArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runner:
    """A model with every input and output as the model itself has them: nothing is judged, picked or dequantized.

    Args:
        name: Shown in reports: a file name or a class name.
        framework: `onnx`, `torch`, `sklearn` or `callable`.
        forward: One batch, an array an input, to raw outputs by name, batch first, called with private copies.
        inputs: What the model says about its inputs; None where it says nothing.
        outputs: What it says about its outputs; None where only a run can tell.
        batch_size: Rows a call at most.
        fixed_batch: Rows a call exactly, for files with a fixed batch size; the last batch is padded.
    """

    name: str
    framework: str
    forward: Callable[[tuple[AnyArray, ...]], Mapping[str, AnyArray]]
    inputs: tuple[TensorSpec, ...] | None = None
    outputs: tuple[TensorSpec, ...] | None = None
    batch_size: int = 256
    fixed_batch: int | None = None

    def __post_init__(self) -> None:
        """Refuse options that no model can have."""
        size = self.batch_size
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InvalidInput(f"batch_size must be a whole number of at least 1, got {size!r}")

    def __repr__(self) -> str:
        count = "any" if self.inputs is None else len(self.inputs)
        return f"Runner({self.name!r}, {self.framework}, inputs={count})"

    def run(self, arrays: Sequence[AnyArray]) -> tuple[tuple[AnyArray, ...], tuple[TensorSpec, ...]]:
        """Outputs of the model for all rows, batch after batch.

        Args:
            arrays: One an input, in the model's order, (n, *row shape), in its type (floating numbers are quantized
                by an integer input's own scale and zero point); not changed.

        Returns:
            Raw outputs (n, …), and what they are: name, shape of a row, type, and scale and zero point of integers.

        Raises:
            InvalidInput: If the number of inputs, a shape, a type or the numbers of rows are wrong, by name.
            ModelFault: If the model raises, changes its input, or gives NaN, infinity, or outputs that are not one
                row a row of the input.
        """
        given = tuple(np.asarray(array) for array in arrays)
        try:
            typed = self._checked(given)
            rows = len(typed[0])
            size = self.fixed_batch or int(self.batch_size)
            parts = [self._batch(typed, start, min(start + size, rows)) for start in range(0, rows, size)]
            outputs = {name: _joined(name, [part[name] for part in parts]) for name in parts[0]}
        except (InvalidInput, ModelFault) as error:
            raise type(error)(f"{self.name}: {error}") from error
        return tuple(outputs.values()), tuple(self._spec(name, array) for name, array in outputs.items())

    def _checked(self, arrays: tuple[AnyArray, ...]) -> tuple[AnyArray, ...]:
        """The inputs in the model's types."""
        if not arrays:
            raise InvalidInput("got no inputs: one array an input, (n, …), would be right")
        if self.inputs is None:
            check_rows(arrays, [f"input {i + 1}" for i in range(len(arrays))], part="input")
            for i, array in enumerate(arrays):
                if array.dtype.kind not in "biuf":
                    raise InvalidInput(f"input {i + 1} has type {array.dtype}: numbers would be right")
            return arrays
        names = [spec.name for spec in self.inputs]
        if len(arrays) != len(names):
            raise InvalidInput(
                f"it takes {len(names)} inputs ({', '.join(map(repr, names))}), got {len(arrays)}: one array each, "
                "in this order, would be right"
            )
        check_rows(arrays, names, part="input")
        for array, spec in zip(arrays, self.inputs, strict=True):
            if not spec.fits(array.shape[1:]):
                raise InvalidInput(
                    f"input {spec.name!r} takes rows of shape {shown(spec.shape)}, "
                    f"got rows of shape {shown(array.shape[1:])}"
                )
        return tuple(fit_type(array, spec)[0] for array, spec in zip(arrays, self.inputs, strict=True))

    def _batch(self, arrays: tuple[AnyArray, ...], start: int, stop: int) -> dict[str, AnyArray]:
        """One call, on private copies filled up to a fixed batch, checked."""
        rows = tuple(_filled(array[start:stop], self.fixed_batch) for array in arrays)
        try:
            found = self.forward(rows)
        except PASSING:
            raise
        except BaseException as error:
            raise ModelFault(f"it raised {brief(error)} on rows {start} to {stop - 1}") from error
        if not all(same_bits(row[: stop - start], array[start:stop]) for row, array in zip(rows, arrays, strict=True)):
            raise ModelFault(CHANGES_INPUT)
        if not found:
            raise ModelFault("it gives no outputs")
        return {name: _rows(name, np.asarray(array), len(rows[0]), start, stop) for name, array in found.items()}

    def _spec(self, name: str, array: AnyArray) -> TensorSpec:
        """What an output turned out to be, with the scale and zero point that the model told of it."""
        told = [spec for spec in self.outputs or () if spec.name == name and spec.dtype == str(array.dtype)]
        return TensorSpec(
            name=name,
            shape=array.shape[1:],
            dtype=str(array.dtype),
            quantization=told[0].quantization if told else None,
        )


def _filled(rows: AnyArray, batch: int | None) -> AnyArray:
    """A private copy, filled up to a fixed batch by repeating its last row."""
    missing = 0 if batch is None else batch - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else np.array(rows, order="C")


def _rows(name: str, array: AnyArray, asked: int, start: int, stop: int) -> AnyArray:
    """One output of a batch without the rows that filled it up; refused where it is not one finite row each."""
    if array.dtype.kind not in "biuf":
        raise ModelFault(f"output {name!r} is of type {array.dtype}, numbers are needed")
    if array.ndim == 0 or len(array) != asked:
        raise ModelFault(f"output {name!r} has shape {array.shape} for {asked} rows: the batch must be its first axis")
    kept = array[: stop - start]
    if kept.size == 0:
        raise ModelFault(f"output {name!r} has shape {array.shape}: it holds no numbers")
    bad = ~np.isfinite(kept).reshape(len(kept), -1).all(axis=1)
    if bad.any():
        every = np.zeros(stop, dtype=bool)
        every[start:] = bad
        raise ModelFault(f"output {name!r} is NaN or infinite for {some_rows(every)}")
    return kept


def _joined(name: str, parts: list[AnyArray]) -> AnyArray:
    """An output of all batches."""
    kinds = {(part.shape[1:], str(part.dtype)) for part in parts}
    if len(kinds) > 1:
        raise ModelFault(f"output {name!r} has different shapes or types for different rows: {sorted(kinds)}")
    return np.concatenate(parts)
