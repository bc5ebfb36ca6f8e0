"""What a torch module must be before it is quantized: float, and of the rows' shape."""

import torch

from robust.errors import InvalidInput
from robust.models.adapter_torch import TorchAdapter
from robust.models.foreign_errors import PASSING, brief
from robust.quantization.coverage_torch import torch_layers
from robust.types import AnyArray

_SHOWN = 5


def refuse_quantized(module: torch.nn.Module, *, name: str) -> None:
    """Refuse a module that holds integers for weights already.

    Args:
        module: The module.
        name: Of the model.

    Raises:
        InvalidInput: If it does; its layers are named.
    """
    layers = torch_layers(TorchAdapter(module=module))
    narrow = [f"{layer.name} ({layer.kind})" for layer in layers if layer.quantized and not layer.simulated]
    if narrow:
        rest = f" and {len(narrow) - _SHOWN} more" if len(narrow) > _SHOWN else ""
        raise InvalidInput(
            f"{name} is quantized already, in {', '.join(narrow[:_SHOWN])}{rest}: quantize the float module that it "
            "was made of"
        )


def refuse_unfit_rows(adapter: TorchAdapter, x: AnyArray, *, name: str) -> None:
    """Refuse rows that a module cannot be called with.

    Args:
        adapter: Of the float module.
        x: Some rows.
        name: Of the model.

    Raises:
        InvalidInput: If it raises on them; their shape is named, and that of its first weight.
    """
    try:
        adapter.forward(x)
    except PASSING:
        raise
    except Exception as error:
        first = next(((path, tuple(p.shape)) for path, p in adapter.module.named_parameters() if p.dim() > 1), None)
        takes = "" if first is None else f", whose first weight {first[0]} has shape {first[1]}"
        raise InvalidInput(
            f"calibration rows of shape {x.shape[1:]} do not fit {name}{takes} ({brief(error)}): rows as the model was "
            "trained on would be right"
        ) from error
