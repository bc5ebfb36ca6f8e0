"""Any function from a batch of inputs to outputs, as a model."""

from collections.abc import Callable
from typing import Any

import numpy as np

from robust.models.base import Gradients, Model
from robust.models.options import Options
from robust.types import AnyArray


def callable_model(function: Callable[[Any], Any], options: Options, *, gradients: Gradients | None) -> Model:
    """Wrap a callable `x -> outputs`.

    Nothing that it computes outlives one call of a measure: two closures share their bytecode, so no content
    hash could tell them apart.

    Args:
        function: From one batch (b, *row shape) to outputs (b,) or (b, k), anything numpy can read.
        options: What the user said about it.
        gradients: The gradient capability, where the user has one.
    """

    def forward(x: AnyArray) -> AnyArray:
        outputs = np.asarray(function(x))
        if outputs.dtype.kind in "UST" or (outputs.dtype == object and any(isinstance(o, str) for o in outputs.flat)):
            raise TypeError(
                "the outputs are text: give class indices or probabilities, and name the labels in classes="
            )
        # What is no real number (complex, a date) stays as it is, to be refused by its type.
        return outputs.astype(np.float64) if outputs.dtype.kind in "fiubO" else outputs

    return Model(
        name=options.name or _name(function),
        framework="callable",
        forward=forward,
        task=options.known_task,
        output=options.known_output,
        classes=options.classes,
        batch_size=options.rows,
        gradients=gradients,
    )


def _name(function: Callable[[Any], Any]) -> str:
    """A function's own name, or the class of an object that is called."""
    name = getattr(function, "__name__", type(function).__name__)
    return "callable" if name == "<lambda>" else str(name)
