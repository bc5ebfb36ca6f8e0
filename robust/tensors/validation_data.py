"""Samples that a model is compared on, and the line that describes each of their tensors."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from robust.tensors.spec import TensorSpec
from robust.types import AnyArray

#: Whose tensors stored arrays are, where the keys of their file say it: `m_…` the reference's, `c_…` the candidate's.
Origin: TypeAlias = Literal["reference", "candidate"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationData:
    """Inputs, and references of outputs where there are any, one array a tensor.

    Args:
        inputs: (n, …) each, in the types that the model takes.
        outputs: (n, …) each, in the model's types or as floating numbers; None where there are no references.
        notes: What was read and changed, a line each.
        origin: Whose outputs the references are, of two models that are compared; None where nobody says.
    """

    inputs: tuple[AnyArray, ...]
    outputs: tuple[AnyArray, ...] | None
    notes: tuple[str, ...]
    origin: Origin | None = None

    @property
    def rows(self) -> int:
        """Number of samples."""
        return len(self.inputs[0])


def describe(array: AnyArray, spec: TensorSpec) -> str:
    """One line on a tensor: shape and type, range, mean and standard deviation, scale and zero point, name.

    Args:
        array: (n, …).
        spec: What the model says about it; scale and zero point are shown for integers of its own type.

    Returns:
        Numbers as they are stored, not dequantized; floating ones with three decimals.

    >>> spec = TensorSpec(name="image", shape=(2,), dtype="float32")
    >>> describe(np.array([[0.0, 1.0], [0.5, 0.5]], dtype=np.float32), spec)
    '(2, 2)/float32, min/max=[0.000, 1.000], mean/std=[0.500, 0.354], image'
    """
    if array.size == 0:
        return f"{array.shape}/{array.dtype}, {spec.name}"
    low, high = array.min(), array.max()
    ends = f"{low:.3f}, {high:.3f}" if array.dtype.kind == "f" else f"{int(low)}, {int(high)}"
    mean, deviation = array.mean(dtype=np.float64), array.std(dtype=np.float64)
    q = spec.quantization
    scale = "" if q is None or array.dtype != q.dtype else f"scale={q.scale:.8f} zp={q.zero_point}, "
    return f"{array.shape}/{array.dtype}, min/max=[{ends}], mean/std=[{mean:.3f}, {deviation:.3f}], {scale}{spec.name}"
