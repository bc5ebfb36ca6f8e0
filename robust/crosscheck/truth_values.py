"""Ground truth of one output as real values: of its shape, one-hot, labels, or the integers of a model's own tensor."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robust.crosscheck.class_outputs import is_one_hot, one_hot
from robust.crosscheck.output_tensor import Tensor, scale_of
from robust.crosscheck.tensor_metrics import as_rows
from robust.crosscheck.tensor_order import check_layout
from robust.errors import InvalidInput
from robust.tensors.quantizing import dequantize
from robust.tensors.spec import QUANTIZED, Quantization
from robust.tensors.validation_data import Origin
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Ground truth of one output.

    Args:
        values: Real values (n, m).
        note: What was made of it, or None.
        names_classes: Whether it names one class a row.
        dtype: The type in which it was given.
    """

    values: FloatArray
    note: str | None
    names_classes: bool
    dtype: str


def read_truth(
    truth: AnyArray,
    reference: Tensor | None,
    candidate: Tensor,
    shape: tuple[int, ...],
    what: str,
    *,
    classifier: bool | None,
    origin: Origin | None = None,
) -> Truth:
    """Read the ground truth of one output.

    Integers of 8 and 16 bits that are neither labels nor one-hot belong to the tensor whose type they have, and are
    dequantized by its scale and zero point; where both models' tensors are of that type, by those of the model whose
    output they are.

    Args:
        truth: Of the output's shape (n, …), one-hot, or one label a row.
        reference: The reference's answers, or None where it was not run.
        candidate: The candidate's.
        shape: (n, m) of both.
        what: The output, for messages.
        classifier: Whether the output holds scores of classes; None where nobody says.
        origin: Whose output the ground truth was stored from; None where nobody says.

    Raises:
        InvalidInput: If the shape does not fit, integers are of a type that neither tensor has, or of one that both
            have, by different scales, and nobody says whose they are.
    """
    where, dtype = f"the ground truth of {what}", str(truth.dtype)
    rows, items = shape
    if truth.ndim == 0 or len(truth) != rows:
        raise InvalidInput(f"{where} has the shape {truth.shape}; {rows} rows, one a sample, would be right")
    found = truth.size // rows
    if found == 1 and items > 1:
        if classifier is False:
            raise InvalidInput(f"{where} has one value a row, the output {items}: labels go with a classifier alone")
        note = f"r/{dtype} labels are taken as one-hot rows of {items} classes"
        return Truth(values=one_hot(truth, items, what=where), note=note, names_classes=True, dtype=dtype)
    if found != items:
        raise InvalidInput(
            f"{where} has {found} values a row, the output {items}: as many, or one label, would be right"
        )
    check_layout(truth.shape[1:], (reference or candidate).spec.shape, what=where, option="outputs_ch_position")
    plain = as_rows(where, truth)
    if is_one_hot(plain):
        return Truth(values=plain, note=None, names_classes=True, dtype=dtype)
    if dtype in QUANTIZED:
        values, told = _codes(truth, plain, reference, candidate, where, origin)
        return Truth(values=values, note=told, names_classes=False, dtype=dtype)
    return Truth(values=plain, note=None, names_classes=False, dtype=dtype)


def _codes(
    truth: AnyArray,
    plain: FloatArray,
    reference: Tensor | None,
    candidate: Tensor,
    where: str,
    origin: Origin | None,
) -> tuple[FloatArray, str | None]:
    """What small integers stand for, and the note that says by whose scale."""
    dtype = str(truth.dtype)
    pairs: tuple[tuple[Origin, Tensor | None, Tensor | None], ...]
    pairs = (("reference", reference, candidate), ("candidate", candidate, reference))
    owners = [(role, scale_of(own, other)) for role, own, other in pairs if own is not None and own.spec.dtype == dtype]
    if not owners:
        if np.isin(plain, (0.0, 1.0)).all():  # whether a label is true, which no scale changes
            return plain, None
        types = " and ".join(dict.fromkeys(own.spec.dtype for _, own, _ in pairs if own is not None))
        own_kind = f"{candidate.spec.dtype} or " if candidate.spec.dtype in QUANTIZED else ""
        raise InvalidInput(
            f"{where} is {dtype}, the output {types}: these integers may stand for real numbers by a "
            f"scale that nothing tells; {own_kind}floating numbers, or whole ones of 32 or 64 bits, would be right"
        )
    scales = dict(owners)
    if origin not in scales and len(scales) == 2 and scales["reference"] != scales["candidate"]:
        raise InvalidInput(_whose(dtype, where, scales))
    role, q = (origin, scales[origin]) if origin is not None and origin in scales else owners[0]
    if q is None:
        return plain, f"r/{dtype} data have no known scale, they are compared as they are"
    note = f"r/{dtype} data are dequantized with {q.words}"
    if origin is not None and origin != role:
        note += f", as the {role}'s output; by its key it is another {origin}'s"
    elif reference is not None and (len(scales) == 1 or origin is not None):
        note += f", as the {role}'s output"
    return as_rows(where, dequantize(truth, q)), note


def _whose(dtype: str, where: str, scales: Mapping[Origin, Quantization | None]) -> str:
    """The message for integers of a type that both models have, by different scales."""
    said = " and ".join(f"the {role}'s with {q.words}" for role, q in scales.items() if q is not None)
    return (
        f"{where} is {dtype}, and so are both outputs, {said}: nothing says whose these integers are; floating numbers "
        "would be right, or an .npz whose keys say it (m_inputs_1 …/m_outputs_1 … the reference's, c_inputs_1 …/"
        "c_outputs_1 … the candidate's), as compare writes it"
    )
