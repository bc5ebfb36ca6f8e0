"""Plain functions, estimators, and whatever else gives an array, a sequence or a mapping of arrays."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model
from robust.models.runner_base import Runner
from robust.types import AnyArray


def callable_runner(function: Callable[[Any], object], *, name: str, batch_size: int) -> Runner:
    """Wrap a function of one batch.

    Args:
        function: From a batch (b, …) to an array (b, …), or a tuple, list or mapping of such arrays.
        name: Shown in reports.
        batch_size: Rows a call at most.
    """

    def forward(arrays: tuple[AnyArray, ...]) -> Mapping[str, AnyArray]:
        return named_outputs(function(only_input(arrays)), rows=len(arrays[0]), array=np.asarray)

    return Runner(name=name, framework="callable", forward=forward, batch_size=batch_size)


def model_runner(model: Model, *, name: str, batch_size: int) -> Runner:
    """Wrap a model by its one output of numbers, as measures see it.

    Args:
        model: Any model, of one input.
        name: Shown in reports.
        batch_size: Rows a call at most; a model with a fixed batch keeps its own.
    """
    return Runner(
        name=name,
        framework=model.framework,
        forward=partial(_model_forward, model),
        batch_size=batch_size,
        fixed_batch=model.fixed_batch,
    )


def only_input(arrays: tuple[AnyArray, ...]) -> AnyArray:
    """The one input of a model that takes one.

    Raises:
        InvalidInput: If there are several.
    """
    if len(arrays) != 1:
        raise InvalidInput(f"it takes one input, got {len(arrays)}: a torch module or an ONNX file may take several")
    return arrays[0]


def named_outputs(found: object, *, rows: int, array: Callable[[Any], AnyArray]) -> dict[str, AnyArray]:
    """What a model gave, by name: `output` for one array, `output_1` … for several, a mapping's own keys.

    Args:
        found: An array, a tuple or list of arrays, or a mapping from names to arrays.
        rows: n, to tell a list of n rows from a list of outputs (n, …).
        array: Makes an array of one output.

    Raises:
        ModelFault: If an output is nested or missing.

    >>> list(named_outputs((np.zeros(3), np.zeros((3, 2))), rows=3, array=np.asarray))
    ['output_1', 'output_2']
    """
    if isinstance(found, Mapping):
        return {str(key): _one(str(key), value, rows, array) for key, value in found.items()}
    fields = getattr(found, "_fields", None)
    if isinstance(found, tuple) and fields is not None:
        return {str(key): _one(str(key), value, rows, array) for key, value in zip(fields, found, strict=True)}
    if isinstance(found, tuple) or (isinstance(found, list) and _holds_arrays(found, rows)):
        parts = list(found)
        names = ["output"] if len(parts) == 1 else [f"output_{i + 1}" for i in range(len(parts))]
        return {key: _one(key, value, rows, array) for key, value in zip(names, parts, strict=True)}
    return {"output": _one("output", found, rows, array)}


def _holds_arrays(found: Sequence[object], rows: int) -> bool:
    """Whether a list is one of outputs, rather than of rows."""
    return bool(found) and all(tuple(getattr(part, "shape", ()))[:1] == (rows,) for part in found)


def _one(name: str, value: object, rows: int, array: Callable[[Any], AnyArray]) -> AnyArray:
    """One output."""
    nested = isinstance(value, tuple) or (isinstance(value, list) and _holds_arrays(value, rows))
    if value is None or isinstance(value, Mapping) or nested:
        raise ModelFault(
            f"output {name!r} is a {type(value).__name__}: one array each is needed; wrap the model in a function "
            "that names them all, {'scores': …, 'state': …}"
        )
    return array(value)


def _model_forward(model: Model, arrays: tuple[AnyArray, ...]) -> Mapping[str, AnyArray]:
    """One batch; an estimator that was fitted on named columns gets them."""
    rows: Any = only_input(arrays)
    if model.columns is not None:
        import pandas as pd

        if rows.ndim != 2 or rows.shape[1] != len(model.columns):
            raise InvalidInput(
                f"it was fitted on {len(model.columns)} columns, got rows of shape {rows.shape[1:]}: "
                f"({len(model.columns)},) would be right"
            )
        rows = pd.DataFrame(rows, columns=list(model.columns))
    return {"output": np.asarray(model.forward(rows))}
