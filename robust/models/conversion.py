"""Turns what users have in hand (modules, estimators, sessions, functions, paths) into a `Model`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from robust.errors import InvalidInput
from robust.models.base import Gradients, Model
from robust.models.options import Options, override, read_options


def as_model(
    obj: object,
    *,
    name: str | None = None,
    task: str | None = None,
    classes: Sequence[object] | None = None,
    output: str | None = None,
    batch_size: int | None = None,
    gradients: Gradients | None = None,
) -> Model:
    """Wrap anything that predicts.

    Args:
        obj: A `Model` (passes through), a torch module or exported program, a fitted scikit-learn estimator
            or pipeline, an onnxruntime session, a callable from a batch (b, *row shape) to outputs (b,) or
            (b, k), or the path of a model file.
        name: Shown in reports; a class, function or file name where not given.
        task: `classification`, `multilabel` (several labels a row) or `regression`; inferred where it can be.
        classes: Labels behind the columns of the outputs; 0 … k−1 where not given and not known.
        output: What the outputs are: `probabilities`, `logits` or `values`. Frameworks other than
            scikit-learn do not tell; what is not said is judged by the values.
        batch_size: Rows a call at most, 256 where not given.
        gradients: The gradient capability, for a callable that has one: `(x, cotangent) -> (outputs,
            ∂loss/∂x)`.

    Returns:
        The model; a `Model` about which nothing new is said is returned as it is.

    Raises:
        InvalidInput: On an unknown task, output or kind of object.

    >>> as_model(lambda x: x.sum(axis=1), name="sum", task="regression")
    Model('sum', callable, regression, values)
    """
    options = read_options(name=name, task=task, classes=classes, output=output, batch_size=batch_size)
    model = convert(obj, options, gradients)
    return model if gradients is None or model.gradients is gradients else replace(model, gradients=gradients)


def convert(obj: object, options: Options, gradients: Gradients | None = None) -> Model:
    """Ask each framework that is loaded; an object of a framework cannot exist before its import."""
    if isinstance(obj, Model):
        return override(obj, options)
    if isinstance(obj, (str, Path)):
        from robust.models.loading import load_with

        return load_with(Path(obj), options)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(obj, torch.nn.Module):
        from robust.models.adapter_torch import torch_model

        return torch_model(obj, options)
    if torch is not None and isinstance(obj, torch.export.ExportedProgram):
        from robust.models.adapter_exported import exported_model

        return exported_model(obj, options, digest=None)
    onnxruntime = sys.modules.get("onnxruntime")
    if onnxruntime is not None and isinstance(obj, onnxruntime.InferenceSession):
        from robust.models.adapter_onnx import onnx_model

        return onnx_model(obj, options, content=None)
    if "sklearn" in sys.modules and hasattr(obj, "get_params") and hasattr(obj, "fit"):
        from robust.models.adapter_sklearn import sklearn_model

        return sklearn_model(obj, options)
    if callable(obj) and not isinstance(obj, type):
        from robust.models.adapter_callable import callable_model

        return callable_model(obj, options, gradients=gradients)
    raise InvalidInput(
        f"{type(obj).__name__} is no model: pass a torch module, a fitted scikit-learn estimator, "
        "an onnxruntime session, a callable from inputs to outputs, or the path of a model file"
    )
