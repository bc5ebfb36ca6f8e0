"""Models as they were given, with their layers open to be watched."""

from robust.errors import InvalidInput
from robust.layers.blocks import Block, Watched
from robust.models.base import Model
from robust.types import AnyArray


def watched(model: Model, other: Model, probe: AnyArray) -> Watched:
    """Open a model for a look at its layers.

    Args:
        model: The model.
        other: The model that it is compared with.
        probe: A few rows.

    Raises:
        InvalidInput: If it does not show its layers.
    """
    reason = hides_layers(model)
    if reason is not None:
        raise InvalidInput(reason)
    if model.framework == "onnx":
        from robust.layers.watched_onnx import watched_onnx

        return watched_onnx(model, probe, _modules(other, model, probe))
    from robust.layers.watched_torch import watched_torch

    return watched_torch(model, other, probe)


def _modules(other: Model, model: Model, probe: AnyArray) -> dict[str, tuple[Block, ...]]:
    """The layers of a torch module that an ONNX file is compared with, by their modules; none of another file."""
    if other.framework != "torch":
        return {}
    from robust.layers.watched_torch import watched_torch

    found: dict[str, tuple[Block, ...]] = {}
    for block in watched_torch(other, model, probe).blocks:
        found[block.module] = (*found.get(block.module, ()), block)
    return found


def hides_layers(model: Model) -> str | None:
    """Why the layers of a model cannot be compared with those of another, or None where they can.

    Args:
        model: The model.

    >>> from robust.models.conversion import as_model
    >>> hides_layers(as_model(lambda x: x, name="f"))
    'f (callable) does not show its layers: a torch module or an ONNX file does'
    """
    if model.framework == "onnx":
        live = model.content is None
        return f"{model.name}: a live session does not show its layers: pass the path of its file" if live else None
    if model.framework == "torch":
        return None
    return f"{model.name} ({model.framework}) does not show its layers: a torch module or an ONNX file does"
