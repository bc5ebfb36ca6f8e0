"""Models as they were given, in the form that knows most about them."""

import os
from pathlib import Path
from typing import Any

from robust.models.base import Model
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.models.runner import as_runner, load_runner
from robust.models.runner_base import Runner

#: Files of models that may have several inputs and outputs, which a `Model` has not.
_SEVERAL = (".onnx", ".pt2")


def opened(given: Any) -> Model | Runner:
    """What was given, as a model where it has one input and names of its own for its columns or classes.

    Args:
        given: Anything `as_runner` takes.

    Returns:
        A `Model` for one that was given and for scikit-learn's, which may want columns by name; else a `Runner`.

    Raises:
        InvalidInput: If it is no model.
    """
    if isinstance(given, Model | Runner):
        return given
    if isinstance(given, str | os.PathLike):
        return opened_file(Path(given))
    runner = as_runner(given)
    return as_model(given) if runner.framework == "sklearn" else runner


def opened_file(path: Path, *, factory: str | None = None, trust: bool = False) -> Model | Runner:
    """A model file, by the rules of trust of `load_model`.

    Args:
        path: The file.
        factory: `package.module:function` that builds the module for weights.
        trust: Whether a file that can run code may be loaded.

    Raises:
        UntrustedFile: If it could run code and `trust` is not given.
        InvalidInput: If it cannot be read.
    """
    if path.suffix.lower() in _SEVERAL:
        return load_runner(path, factory=factory, trust=trust)
    return load_model(path, factory=factory, trust=trust)
