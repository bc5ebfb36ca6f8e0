"""An onnxruntime session as a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.onnx_content import OnnxContent
from robust.models.options import Options, read_labels
from robust.models.runner_quantization import QuantizedEdges
from robust.tensors.quantizing import dequantize, quantize
from robust.tensors.spec import QUANTIZED, Quantization
from robust.types import AnyArray, FloatArray, Output

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
ZIP_MAP = "seq(map("


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxAdapter:
    """A session, run on its one input for the one output that is judged.

    Args:
        session: The `onnxruntime.InferenceSession`.
        input: Name of the input.
        dtype: Type of the input.
        shape: Shape of the input, the batch first; None where a dimension is free.
        output: Name of the output.
        zipped: The output is one map from label to probability a row.
        quantization: Scale and zero point of an output of integers; None where its numbers are what they are.
        codes: Scale and zero point of an input of integers; None where nothing tells, or its numbers are what they are.
    """

    session: Any
    input: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    output: str
    zipped: bool
    quantization: Quantization | None = None
    codes: Quantization | None = None

    def forward(self, x: AnyArray) -> FloatArray:
        """Outputs of one batch."""
        (outputs,) = self.session.run([self.output], {self.input: self.cast(x)})
        if self.zipped:
            labels = sorted(outputs[0]) if outputs else []
            outputs = [[row[label] for label in labels] for row in outputs]
        return dequantize(np.asarray(outputs), self.quantization)

    def cast(self, x: AnyArray) -> AnyArray:
        """A batch in the input's type.

        Floating rows are quantized by an integer input's scale and zero point. Otherwise only a change between floating
        types may round; small integers of one type are never taken for those of another, whatever their values.
        """
        row = self.shape[1:]
        if x.ndim != len(self.shape) or any(
            want not in (None, got) for want, got in zip(row, x.shape[1:], strict=True)
        ):
            raise InvalidInput(
                f"the model takes rows of shape {_shape(row)} (input {self.input!r}), "
                f"got rows of shape {_shape(x.shape[1:])}"
            )
        if self.dtype.kind == "f" or x.dtype == self.dtype:
            return np.ascontiguousarray(x, dtype=self.dtype)
        if x.dtype.kind == "f" and self.codes is not None:
            return quantize(x, self.codes)
        if self.dtype.itemsize == 1 and self.dtype.kind in "iu" and x.dtype.kind == "f":
            raise InvalidInput(
                f"the model takes {self.dtype} (input {self.input!r}), got {x.dtype}: "
                "quantize the rows with its input scale and zero point, which nothing tells here, or export it with a "
                "floating input"
            )
        if str(self.dtype) in QUANTIZED and str(x.dtype) in QUANTIZED:
            wanted = str(self.dtype) if self.codes is None else f"{self.dtype}, or floating numbers,"
            raise InvalidInput(
                f"the model takes {self.dtype} (input {self.input!r}), got {x.dtype}, whose integers stand for other "
                f"numbers: {wanted} would be right"
            )
        cast = x.astype(self.dtype)
        if not np.array_equal(cast, x):
            raise InvalidInput(
                f"the model takes {self.dtype} (input {self.input!r}), and the rows hold values "
                f"that it cannot hold, between {np.min(x)} and {np.max(x)}: pass whole numbers in its range"
            )
        return cast


def onnx_model(session: Any, options: Options, *, content: OnnxContent | None) -> Model:
    """Wrap a session.

    Args:
        session: With one input and one output; of a classifier's label and probabilities the latter is
            judged.
        options: What the user said about it.
        content: What is known about the file that it came from; None for a live session, which is not
            cached: what it was made of may have changed since.

    Raises:
        InvalidInput: If it has several inputs or outputs, or types that are no numbers.
    """
    source = session.get_inputs()
    if len(source) != 1:
        raise InvalidInput(
            f"the model takes {len(source)} inputs ({_names(source)}); "
            "models with several inputs are not supported yet: export a wrapper that takes one"
        )
    dtype = DTYPES.get(source[0].type)
    if dtype is None:
        raise InvalidInput(f"the model's input {source[0].name!r} is a {source[0].type}; a tensor of numbers is needed")
    target, kind = _judged(session.get_outputs())
    zipped = target.type.startswith(ZIP_MAP)
    shape = tuple(size if isinstance(size, int) else None for size in source[0].shape)
    if not shape:
        raise InvalidInput(f"the model's input {source[0].name!r} has no batch dimension")
    adapter = OnnxAdapter(
        session=session,
        input=source[0].name,
        dtype=np.dtype(dtype),
        shape=shape,
        output=target.name,
        zipped=zipped,
        quantization=_quantization(target, content),
        codes=_codes(source[0].name, dtype, content),
    )
    found = None if content is None or kind is None else content.classes()
    classes = options.classes
    if classes is None and found is not None:
        classes = read_labels(sorted(found) if zipped else found)
    return Model(
        name=options.name or "onnx session",
        framework="onnx",
        forward=adapter.forward,
        task=options.known_task or ("classification" if kind else None),
        output=options.known_output or kind,
        classes=classes,
        batch_size=options.rows,
        fixed_batch=shape[0],
        identity=(lambda: None) if content is None else content.identity,
        weights=(lambda: None) if content is None else content.weights,
    )


def _codes(name: str, dtype: str, content: OnnxContent | None) -> Quantization | None:
    """Scale and zero point of an input of integers, where the file tells."""
    if dtype not in QUANTIZED or content is None:
        return None
    return QuantizedEdges(content=content.content).of_input(name, dtype)


def _quantization(output: Any, content: OnnxContent | None) -> Quantization | None:
    """Scale and zero point of an output of integers.

    Raises:
        InvalidInput: If integers of one byte stand for numbers that nobody tells.
    """
    dtype = DTYPES.get(output.type, "")
    if dtype not in QUANTIZED:
        return None
    found = None if content is None else QuantizedEdges(content=content.content).of_output(output.name, dtype)
    if found is None and np.dtype(dtype).itemsize == 1:
        where = "a live session does not tell" if content is None else "the file does not tell"
        raise InvalidInput(
            f"the model gives {dtype} (output {output.name!r}), and {where} which numbers they stand for: load it from "
            "its file, export it with a floating output, or wrap it in a function that dequantizes"
        )
    return found


def _judged(outputs: Sequence[Any]) -> tuple[Any, Output | None]:
    """The output to judge, and what it is where its place beside a label tells."""
    if len(outputs) == 1:
        return outputs[0], "probabilities" if outputs[0].type.startswith(ZIP_MAP) else None
    if len(outputs) == 2 and outputs[0].type in ("tensor(int64)", "tensor(string)"):
        probabilities = outputs[1]
        if probabilities.type.startswith(ZIP_MAP) or probabilities.type in (
            "tensor(float)",
            "tensor(double)",
        ):
            return probabilities, "probabilities"
    raise InvalidInput(
        f"the model gives {len(outputs)} outputs ({_names(outputs)}); "
        "models with several outputs are not supported yet: export the one to judge"
    )


def _names(values: Sequence[Any]) -> str:
    return ", ".join(f"{value.name} {value.type}" for value in values)


def _shape(row: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in row) + ")"
