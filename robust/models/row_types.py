"""What a model says about the rows that it takes: the type of their numbers, and how integers stand for real ones."""

from dataclasses import dataclass

from robust.models.base import Model, adapter_of
from robust.tensors.spec import Quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class RowType:
    """The type of a model's input.

    Args:
        dtype: numpy's name of it.
        codes: Scale and zero point by which its integers stand for real numbers; None where they do not, or nothing
            tells.
    """

    dtype: str
    codes: Quantization | None = None


def row_type(model: Model) -> RowType | None:
    """The type of a model's input; None where it takes whatever it is given, as a function does."""
    adapter = adapter_of(model)
    if model.framework == "onnx":
        from robust.models.adapter_onnx import OnnxAdapter

        if isinstance(adapter, OnnxAdapter):
            return RowType(dtype=str(adapter.dtype), codes=adapter.codes)
    if model.framework == "torch":
        from robust.models.adapter_torch import TorchAdapter

        if isinstance(adapter, TorchAdapter):
            return RowType(dtype="int64" if adapter.integer else "float32")
    return RowType(dtype="float64") if model.framework == "sklearn" else None
