"""Quantization of a torch module inside torch, by torchao: its Linear layers, and those alone."""

import copy

import torch

from robust.errors import InvalidInput, MissingExtra
from robust.models.base import Model
from robust.models.foreign_errors import PASSING, brief
from robust.quantizers.quiet import quiet
from robust.quantizers.recipe import Recipe
from robust.types import AnyArray

_IN_ATTENTION = torch.nn.modules.linear.NonDynamicallyQuantizableLinear


def linear_quantized(module: torch.nn.Module, recipe: Recipe, *, name: str) -> torch.nn.Module:
    """A copy of a module with int8 weights in its Linear layers.

    Args:
        module: The float module; it stays as it is.
        recipe: How: activations `int8`, by their range in each call, or `float`.
        name: Of the model.

    Returns:
        The copy, in evaluation mode.

    Raises:
        InvalidInput: If it has no Linear layer that may be quantized, or `keep` names none of its modules.
        MissingExtra: If torchao is not installed.
    """
    known = dict(module.named_modules())
    unknown = [part for part in recipe.keep if part not in known]
    if unknown:
        shown = ", ".join(part for part, inside in known.items() if part and list(inside.parameters(recurse=False)))
        raise InvalidInput(
            f"keep names {unknown[0]!r}, which {name} does not have; its layers with weights are {shown}"
        )

    def wanted(part: torch.nn.Module, path: str) -> bool:
        kept = any(path == keep or path.startswith(f"{keep}.") for keep in recipe.keep)
        # The projection of torch's own attention hands its weight to a kernel that takes plain tensors alone.
        return isinstance(part, torch.nn.Linear) and not isinstance(part, _IN_ATTENTION) and not kept

    if not any(wanted(part, path) for path, part in known.items()):
        others = [f"{path} ({type(part).__name__})" for path, part in known.items() if _has_weights(part)]
        raise InvalidInput(
            f"torchao quantizes Linear layers alone, and {name} has none to quantize; its layers with weights are "
            f"{', '.join(others) or 'none'}: method='static' quantizes convolutions too"
        )
    with quiet("torch.utils._pytree"):  # torchao tells of kernels for processors that are not there
        try:
            from torchao.quantization import (
                Int8DynamicActivationInt8WeightConfig,
                Int8WeightOnlyConfig,
                quantize_,
            )
        except ImportError as error:
            raise MissingExtra("method 'torchao'", "torch") from error
        dynamic = recipe.activation_type == "int8"
        twin = copy.deepcopy(module).eval()
        quantize_(
            twin, Int8DynamicActivationInt8WeightConfig() if dynamic else Int8WeightOnlyConfig(), filter_fn=wanted
        )
    return twin


def runs(candidate: Model, x: AnyArray) -> None:
    """Refuse a candidate that torchao built, but that cannot be called.

    Args:
        candidate: The candidate.
        x: Some rows.

    Raises:
        InvalidInput: If a part of it takes no quantized weights.
    """
    try:
        candidate.forward(x)
    except PASSING:
        raise
    except Exception as error:
        raise InvalidInput(
            f"{candidate.name} cannot be run, since a part of it takes no weights of torchao: {brief(error)}; keep=(…) "
            "leaves modules in float, or method='static' quantizes the exported model"
        ) from error


def _has_weights(part: torch.nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in part.parameters(recurse=False))
