"""What inputs an exported torch program was made for."""

from collections.abc import Sequence

import torch

from robust.costing.words import counted
from robust.errors import InvalidInput

Told = tuple[int | None, ...]


def told_inputs(module: torch.nn.Module) -> tuple[Told, ...] | None:
    """Lengths of the axes of each input, None for free ones.

    Args:
        module: Any module.

    Returns:
        One entry an input; None for a live module, and where an input is no tensor.
    """
    if not isinstance(module, torch.fx.GraphModule):
        return None
    examples = [node.meta.get("val") for node in module.graph.nodes if node.op == "placeholder"]
    if not examples or not all(isinstance(example, torch.Tensor) and example.ndim for example in examples):
        return None
    shapes = [example.shape for example in examples if isinstance(example, torch.Tensor)]
    return tuple(tuple(size if isinstance(size, int) else None for size in shape) for shape in shapes)


def told_shapes(module: torch.nn.Module) -> tuple[tuple[int, ...], ...] | None:
    """Shapes of the rows that an exported program was made for, without the batch; None where it does not tell all.

    Args:
        module: Any module.
    """
    told = told_inputs(module)
    if told is None or any(None in shape[1:] for shape in told):
        return None
    return tuple(tuple(size for size in shape[1:] if size is not None) for shape in told)


def takes_more_rows(module: torch.nn.Module) -> bool:
    """Whether a module may be called with another number of rows: a program of one length can corrupt memory then.

    Args:
        module: Any module.
    """
    told = told_inputs(module)
    return told is None or all(shape[0] is None for shape in told)


def are_whole(module: torch.nn.Module, given: Sequence[tuple[int, ...]], *, name: str) -> bool:
    """Whether given shapes have the batch in front, after a check that the program takes them.

    Args:
        module: Any module.
        given: One shape an input.
        name: The model's name, for messages.

    Raises:
        InvalidInput: If the program takes other shapes.
    """
    told = told_inputs(module)
    if told is None:
        return False
    if len(told) != len(given):
        raise InvalidInput(
            f"{name} takes {counted(len(told), 'input')}, got {counted(len(given), 'shape')}: one each would be right"
        )
    whole = all(len(shape) == len(wants) for shape, wants in zip(given, told, strict=True))
    for shape, wants in zip(given, told, strict=True):
        expected = wants if whole else wants[1:]
        if len(shape) != len(expected) or any(
            want not in (None, size) for want, size in zip(expected, shape, strict=True)
        ):
            shown = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
            raise InvalidInput(f"{name} takes {'inputs' if whole else 'rows'} of shape {shown}, got {shape}")
    return whole
