"""One output of one model, and the real values that its integers stand for."""

from dataclasses import dataclass

from robust.crosscheck.tensor_metrics import as_rows
from robust.errors import InvalidInput
from robust.tensors.quantizing import dequantize
from robust.tensors.spec import QUANTIZED, Quantization, TensorSpec
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """One output of one model for all samples.

    Args:
        raw: As the model gave it (n, …).
        spec: What it is.
    """

    raw: AnyArray
    spec: TensorSpec

    @property
    def step(self) -> float:
        """Width of a quantization step, 0 where there is none."""
        return 0.0 if self.spec.quantization is None else self.spec.quantization.scale


def scale_of(tensor: Tensor, other: Tensor | None) -> Quantization | None:
    """Scale and zero point of a tensor: its own, or where they are not known those of another of its type."""
    if tensor.spec.quantization is None and other is not None and other.spec.dtype == tensor.spec.dtype:
        return other.spec.quantization
    return tensor.spec.quantization


def real_values(tensor: Tensor, other: Tensor | None, what: str, letter: str) -> tuple[FloatArray, str | None]:
    """Real values of a tensor, and the note that says how they were found.

    Args:
        tensor: The tensor.
        other: The other model's, for a scale that this one lacks.
        what: The tensor, as the subject of a message.
        letter: `r` or `p`, for the note.

    Returns:
        (n, m), and the note; None where nothing was done.

    Raises:
        InvalidInput: If its integers have no known scale beside another type, or a number is not finite.
    """
    dtype = tensor.spec.dtype
    if dtype not in QUANTIZED:
        return as_rows(what, tensor.raw), None
    q = scale_of(tensor, other)
    if q is not None:
        note = f"{letter}/{dtype} data are dequantized with {q.words}"
        return as_rows(what, dequantize(tensor.raw, q)), note
    if other is not None and other.spec.dtype != dtype:
        raise InvalidInput(
            f"{what} is {dtype} without a known scale and zero point, the other model's is {other.spec.dtype}: "
            "nothing says what one step is worth; a file that dequantizes its outputs or names their scale is needed"
        )
    return as_rows(what, tensor.raw), f"{letter}/{dtype} data have no known scale, they are compared as they are"
