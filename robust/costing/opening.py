"""Finds what stands behind a model, counts it, and settles what rows it is counted for."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TypeAlias

import numpy as np

from robust.costing.tally import Tally
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.file_errors import reading
from robust.types import AnyArray

Shape: TypeAlias = tuple[int, ...]
_MOST = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What a model is counted for.

    Args:
        shapes: Shape of each input, of a row without the batch or, for files, whole; None where nothing was said.
        values: One row (1, …) of each input, or None.
        data: The data that the row came from, or None.
    """

    shapes: tuple[Shape, ...] | None = None
    values: tuple[AnyArray, ...] | None = None
    data: Dataset | None = None


def read_rows(data: object, input_shape: object) -> Rows:
    """Settle the rows that a model is counted for.

    Args:
        data: What `as_data` takes, or None; its first row is used.
        input_shape: Shape of a row without the batch, or a sequence of such shapes, one an input; or None. Which axes
            a given shape has is settled with the model's own, where it tells them.

    Raises:
        InvalidInput: If both are given, or a size is no whole number of at least 1.
    """
    if data is not None and input_shape is not None:
        raise InvalidInput("data and input_shape both say what a row is: give one of them")
    if data is not None:
        found = as_data(data)
        return Rows(shapes=(found.x.shape[1:],), values=(found.x[:1],), data=found)
    if input_shape is None:
        return Rows()
    return Rows(shapes=_shapes(input_shape))


def _shapes(given: object) -> tuple[Shape, ...]:
    if _is_size(given):
        given = (given,)
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise InvalidInput(f"input_shape got {given!r}; the sizes of a row such as (1, 28, 28) would be right")
    nested = any(isinstance(item, Sequence) and not isinstance(item, str | bytes) for item in given)
    return tuple(_shape(item) for item in given) if nested else (_shape(given),)


def _shape(given: object) -> Shape:
    sizes = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str | bytes) else (given,)
    if not sizes or not all(_is_size(size) and 1 <= size < _MOST for size in sizes):
        raise InvalidInput(
            f"input_shape got {given!r}; whole numbers of at least 1, without the batch, such as (1, 28, 28) would be "
            "right"
        )
    return tuple(int(size) for size in sizes)


def _is_size(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def open_model(obj: object) -> Model | Path:
    """A model, or the path of an ONNX file, which may have several inputs and outputs here."""
    if isinstance(obj, str | Path) and Path(obj).suffix.lower() == ".onnx" and Path(obj).is_file():
        return Path(obj)
    return as_model(obj)


def count_file(path: Path, content: bytes, rows: Rows) -> Tally:
    """Count an ONNX file.

    Raises:
        InvalidInput: If it is damaged, or its shapes are not settled.
    """
    from robust.costing.count_onnx import count_onnx

    with reading(path, "an ONNX model", remedy="copy or export it again"):
        try:
            return count_onnx(content, row_shapes=rows.shapes, values=rows.values)
        except InvalidInput as error:
            raise InvalidInput(f"{path.name}: {error}") from error


def file_identity(path: Path, content: bytes) -> str:
    """Content hash of an ONNX file and of the files that it keeps tensors in."""
    from robust.models.onnx_content import OnnxContent

    with reading(path, "an ONNX model", remedy="copy it together with the files that hold its tensors"):
        return OnnxContent(content=content, path=path).identity() or ""


def count_model(model: Model, rows: Rows) -> Tally:
    """Count a model of any framework.

    Raises:
        InvalidInput: If it shows neither its weights nor its operators, or does not say what rows it takes.
    """
    adapter = adapter_of(model)
    if model.framework == "onnx":
        content = b"" if model.content is None else model.content()
        if not content:
            raise InvalidInput(f"{model.name}: a live session does not show its graph: pass the path of its file")
        return count_file(Path(model.name), content, rows)
    if model.framework == "torch" and hasattr(adapter, "module"):
        from robust.costing.count_torch import count_torch

        inputs, fixed = example_inputs(model, rows)
        return count_torch(adapter, inputs, name=model.name, fixed=fixed)
    if model.framework == "sklearn" and hasattr(adapter, "estimator"):
        from robust.costing.estimators import count_estimator

        width = getattr(adapter.estimator, "n_features_in_", None)
        if width is not None and rows.shapes not in (None, ((int(width),),)):
            raise InvalidInput(f"{model.name} takes rows of {width} features, got {rows.shapes}")
        return count_estimator(adapter.estimator)
    raise InvalidInput(
        f"{model.name} ({model.framework}) shows neither its weights nor its operators: pass the torch module, the "
        "scikit-learn estimator, or the path of the model file itself"
    )


def example_inputs(model: Model, rows: Rows) -> tuple[list[AnyArray], bool]:
    """One batch of rows that a torch module takes, and whether the length of its first axis is its own, or was given.

    Args:
        model: A torch model.
        rows: What was said of its rows.

    Raises:
        InvalidInput: If nothing was said, and the model does not tell.
    """
    from robust.costing.program_inputs_torch import are_whole, told_shapes

    module = adapter_of(model).module
    shapes = rows.shapes or told_shapes(module)
    if shapes is None:
        raise InvalidInput(
            f"{model.name}: a torch module does not say what rows it takes: give input_shape=, the shape of a row "
            "without the batch, or data="
        )
    whole = rows.shapes is not None and are_whole(module, shapes, name=model.name)
    if whole and rows.values is None:
        return [np.zeros(shape) for shape in shapes], True
    batch = model.fixed_batch or 1
    values = rows.values or tuple(np.zeros((1, *shape)) for shape in shapes)
    return [np.repeat(value, batch, axis=0) for value in values], model.fixed_batch is not None
