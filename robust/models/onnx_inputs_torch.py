"""What a converted ONNX operator is: from the tensors that a node is given and its attributes to one tensor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from robust.errors import InvalidInput

Inputs: TypeAlias = Sequence[Tensor | None]
Attributes: TypeAlias = Mapping[str, Any]
Operator: TypeAlias = Callable[[Inputs, Attributes], Tensor]


def given(inputs: Inputs, place: int) -> Tensor:
    """An input that the standard requires.

    Args:
        inputs: Of the node; None where one is left out.
        place: Which.

    Raises:
        InvalidInput: If it is left out.
    """
    found = optional(inputs, place)
    if found is None:
        raise InvalidInput(f"an operator lacks its input {place}")
    return found


def optional(inputs: Inputs, place: int) -> Tensor | None:
    """An input that may be left out; None where it is.

    Args:
        inputs: Of the node.
        place: Which.
    """
    return inputs[place] if place < len(inputs) else None
