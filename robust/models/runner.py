"""Turns what users have in hand, or a model file, into a `Runner`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.file_format import file_format
from robust.models.loading import load_model, require_library
from robust.models.options import DEFAULT_BATCH
from robust.models.runner_base import Runner
from robust.models.runner_callable import callable_runner, model_runner

__all__ = ["Runner", "as_runner", "load_runner"]


def as_runner(obj: object, *, name: str | None = None, batch_size: int | None = None) -> Runner:
    """Run anything that predicts on all its inputs, for all its outputs.

    Args:
        obj: A `Runner` (passes through), a `Model`, a torch module or exported program, an onnxruntime session, a
            fitted scikit-learn estimator, a callable from one batch (b, …) to an array, or a tuple, list or mapping
            of arrays, or the path of a model file.
        name: Shown in reports; a class, function or file name where not given.
        batch_size: Rows a call at most, 256 where not given.

    Returns:
        The runner. Scale and zero point of integers are known for ONNX files, not for live sessions.

    Raises:
        InvalidInput: If it is no model, or one whose batch is not the first axis of all inputs and outputs.

    >>> import numpy as np
    >>> runner = as_runner(lambda x: {"sum": x.sum(axis=1), "same": x}, name="two")
    >>> (total, same), specs = runner.run([np.ones((3, 2))])
    >>> total.tolist(), same.shape, [spec.name for spec in specs]
    ([2.0, 2.0, 2.0], (3, 2), ['sum', 'same'])
    """
    size = DEFAULT_BATCH if batch_size is None else batch_size
    if isinstance(obj, Runner):
        changes: dict[str, Any] = {"name": name, "batch_size": batch_size}
        said = {key: value for key, value in changes.items() if value is not None}
        return replace(obj, **said) if said else obj
    if isinstance(obj, str | Path):
        found = load_runner(obj, batch_size=size)
        return found if name is None else replace(found, name=name)
    if isinstance(obj, Model):
        return _of_model(obj, name=name or obj.name, batch_size=obj.batch_size if batch_size is None else batch_size)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(obj, torch.nn.Module | torch.export.ExportedProgram):
        from robust.models import runner_torch

        if isinstance(obj, torch.nn.Module):
            return runner_torch.module_runner(obj, name=name or type(obj).__name__, batch_size=size)
        return runner_torch.program_runner(obj, name=name or "exported program", batch_size=size)
    onnxruntime = sys.modules.get("onnxruntime")
    if onnxruntime is not None and isinstance(obj, onnxruntime.InferenceSession):
        from robust.models.runner_onnx import onnx_runner

        return onnx_runner(obj, content=None, name=name or "onnx session", batch_size=size)
    model = as_model(obj, name=name, batch_size=batch_size)
    if model.framework == "callable" and callable(obj):
        return callable_runner(obj, name=model.name, batch_size=size)
    return model_runner(model, name=model.name, batch_size=size)


def load_runner(
    path: str | Path, *, factory: str | None = None, trust: bool = False, batch_size: int | None = None
) -> Runner:
    """Load a model file to run it on all its inputs, by the same rules of trust as `load_model`.

    Args:
        path: See `load_model`.
        factory: `package.module:function`, the user's own function that builds the module for weights.
        trust: The file comes from somebody whose code may run here.
        batch_size: Rows a call at most, 256 where not given; a file with a fixed batch keeps its own.

    Returns:
        The runner.

    Raises:
        UntrustedFile: If loading could run code and `trust` is not given; nothing has run then.
        InvalidInput: If the file is missing, empty, damaged, of another kind than its name says, or unsupported.
        MissingExtra: If the library that reads it is not installed.
    """
    file, size = Path(path), DEFAULT_BATCH if batch_size is None else batch_size
    suffix = file.suffix.lower()
    # These two kinds may have several inputs, which a `Model` has not; all others, and whatever is wrong with a file,
    # are the business of `load_model`.
    content = _content(file) if suffix in (".onnx", ".pt2") and factory is None else b""
    kind = file_format(content) if content else None
    if suffix == ".onnx" and kind == "other":
        require_library("onnxruntime", suffix, "onnx")
        from robust.models.onnx_session import open_session
        from robust.models.runner_onnx import onnx_runner

        session, _ = open_session(content, file)
        return onnx_runner(session, content=content, name=file.name, batch_size=size)
    if suffix == ".pt2" and kind == "torch.export program":
        require_library("torch", suffix, "torch")
        from robust.models.runner_torch import load_program

        return load_program(content, file, trust=trust, batch_size=size)
    model = load_model(file, factory=factory, trust=trust, batch_size=batch_size)
    return _of_model(model, name=file.name, batch_size=size)


def _content(file: Path) -> bytes:
    """All bytes, once; none where the file cannot be read, which `load_model` says better."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _of_model(model: Model, *, name: str, batch_size: int) -> Runner:
    """All of what a model wraps, where its adapter still has it; else its one output."""
    adapter = adapter_of(model)
    if model.framework == "onnx":
        from robust.models.adapter_onnx import OnnxAdapter
        from robust.models.runner_onnx import onnx_runner

        if isinstance(adapter, OnnxAdapter):
            content = None if model.content is None else model.content()
            return onnx_runner(adapter.session, content=content, name=name, batch_size=batch_size)
    if model.framework == "torch" and model.fixed_batch is None:
        from robust.models.adapter_torch import TorchAdapter
        from robust.models.runner_torch import module_runner

        if isinstance(adapter, TorchAdapter):
            return module_runner(
                adapter.module, name=name, batch_size=batch_size, codes=adapter.integer, block=adapter.block
            )
    return model_runner(model, name=name, batch_size=batch_size)
