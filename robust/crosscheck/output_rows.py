"""One output of two models, compared with each other and with the ground truth, on dequantized values."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from robust.crosscheck.class_outputs import check_one_class, may_be_probabilities
from robust.crosscheck.confusion_text import Confusion, count_confusion
from robust.crosscheck.output_tensor import Tensor, real_values
from robust.crosscheck.plain_text import one_line
from robust.crosscheck.tensor_metrics import ONE_NUMBER, TensorMetrics, tensor_metrics, tied_rows, winners
from robust.crosscheck.tensor_order import check_layout
from robust.crosscheck.truth_values import read_truth
from robust.errors import InvalidInput
from robust.tensors.spec import QUANTIZED, shown
from robust.tensors.validation_data import Origin
from robust.types import AnyArray, FloatArray

Role: TypeAlias = Literal["candidate", "reference", "X-cross"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputRow:
    """One line of an X-cross table.

    Args:
        role: `candidate` and `reference` against the ground truth, `X-cross` against each other.
        number: Of the output, from 1.
        metrics: The figures.
        tensor: Name, shape and number of the output, as the table shows them.
        notes: What the figures rest on.
        confusion: Classes of the one against classes of the other; None for a regressor.
    """

    role: Role
    number: int
    metrics: TensorMetrics
    tensor: str
    notes: tuple[str, ...]
    confusion: Confusion | None

    @property
    def name(self) -> str:
        """As the table calls it, e.g. `X-cross #1`."""
        return f"{self.role} #{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedOutput:
    """One output, compared.

    Args:
        number: Of the output, from 1.
        rows: Lines of the table.
        reference: Real values of the reference (n, m); of the ground truth where there is no reference.
        candidate: Real values of the candidate (n, m).
        classes: Whether the numbers of a row are scores of classes.
        probabilities: Whether they are class probabilities.
        one_hot: Whether the ground truth names one class a row.
    """

    number: int
    rows: tuple[OutputRow, ...]
    reference: FloatArray
    candidate: FloatArray
    classes: bool
    probabilities: bool
    one_hot: bool


def compare_output(
    number: int,
    reference: Tensor | None,
    candidate: Tensor,
    truth: AnyArray | None,
    *,
    classifier: bool | None,
    alone: bool = True,
    origin: Origin | None = None,
) -> ComparedOutput:
    """Compare one output of a candidate with that of the reference, and both with the ground truth.

    Integers are dequantized first, each by the scale and zero point of its own tensor; where they are not known, by
    those of the other.

    Args:
        number: Of the output, from 1.
        reference: Its answers, or None where it was not run.
        candidate: Its answers.
        truth: Ground truth (n, …) of the output's shape, or class labels (n,), or None; integers of 8 and 16 bits that
            are neither labels nor one-hot stand for what those of the tensor of their type stand for.
        classifier: Whether the output holds scores of classes; None where the values tell: class probabilities, or
            one-hot or label ground truth.
        alone: Whether it is the models' only output, so that `classifier` is said of it and no other.
        origin: Whose output the ground truth was stored from; None where nobody says.

    Returns:
        The lines and the values behind them; no line where there is neither a reference nor ground truth.

    Raises:
        InvalidInput: If shapes do not fit, values are not finite, integers have no known scale beside real values, or
            the ground truth of what is said to be a classifier names no class.
    """
    what = f"output #{number} ({candidate.spec.name!r})"
    p, p_note = real_values(candidate, reference, f"{what} of the candidate", "p")
    old, r_note = (
        (None, None) if reference is None else real_values(reference, candidate, f"{what} of the reference", "r")
    )
    if reference is not None and old is not None:
        option = "outputs_ch_position"
        check_layout(candidate.spec.shape, reference.spec.shape, what=f"{what} of the candidate", option=option)
        if old.shape != p.shape:
            raise InvalidInput(
                f"{what}: the reference gives {shown(reference.spec.shape)} a row, the candidate "
                f"{shown(candidate.spec.shape)}: as many numbers from both would be right"
            )
    known = None
    if truth is not None:
        known = read_truth(truth, reference, candidate, p.shape, what, classifier=classifier, origin=origin)
    own, step = (p, candidate.step) if reference is None or old is None else (old, reference.step)
    probabilities = may_be_probabilities(own, step=step)
    told = probabilities or (known is not None and known.names_classes)
    classes = told if classifier is None else classifier
    soft = None
    if known is not None and classes and p.shape[1] > 1 and not known.names_classes:
        # Of several outputs some may be states, whatever is said of all of them; and ties of a quantized output's own
        # integers come from rounding, which a note tells of.
        if classifier and (alone or probabilities) and known.dtype not in QUANTIZED:
            check_one_class(known.values, what=f"the ground truth of {what}")
        soft = "acc: the ground truth is neither one-hot nor labels, the largest value of a sample is its class"
    rows: list[OutputRow] = []

    def add(role: Role, ref: FloatArray, pred: FloatArray, shown_by: Tensor, notes: list[str | None]) -> None:
        rows.append(_row(role, number, ref, pred, shown_by, [note for note in notes if note], classes=classes))

    given = "computed against the provided ground truth values"
    if known is not None:
        add("candidate", known.values, p, candidate, [_types(known.dtype, candidate), known.note, p_note, soft, given])
        if reference is not None and old is not None:
            note = None if r_note is None else f"p/{r_note.removeprefix('r/')}"
            add(
                "reference",
                known.values,
                old,
                reference,
                [_types(known.dtype, reference), known.note, note, soft, given],
            )
    if reference is not None and old is not None:
        taken = "the output of the reference model is used as ground truth/reference value"
        shapes = None
        if reference.spec.shape != candidate.spec.shape:
            shapes = f"shapes of a row differ: r/{shown(reference.spec.shape)} p/{shown(candidate.spec.shape)}"
        add("X-cross", old, p, candidate, [_types(reference.spec.dtype, candidate), shapes, r_note, p_note, taken])
    return ComparedOutput(
        number=number,
        rows=tuple(rows),
        reference=old if old is not None else known.values if known is not None else p,
        candidate=p,
        classes=classes and p.shape[1] > 1,
        probabilities=probabilities and may_be_probabilities(p, step=candidate.step),
        one_hot=known is not None and known.names_classes,
    )


def _types(dtype: str, pred: Tensor) -> str | None:
    """The note on types that differ."""
    return None if dtype == pred.spec.dtype else f"data type is different: r/{dtype} instead p/{pred.spec.dtype}"


def _row(
    role: Role, number: int, ref: FloatArray, pred: FloatArray, tensor: Tensor, notes: list[str], *, classes: bool
) -> OutputRow:
    """One line, with what its figures rest on."""
    metrics = tensor_metrics(ref, pred, classes=classes)
    notes = [*notes, f"{metrics.samples} samples ({metrics.items} items per sample)", *metrics.notes]
    counts = None
    if classes and metrics.items > 1:
        counts = count_confusion(winners(ref), winners(pred), metrics.items)
        ties = max(tied_rows(ref), tied_rows(pred))
        if ties:
            notes.append(f"acc: in {ties} samples several classes share the largest value, the first one counts")
    elif not classes and metrics.items == 1:
        notes.append(ONE_NUMBER)
    elif not classes:
        notes.append("acc: the outputs are not taken for scores of classes, which --classifier (classifier=True) says")
    shape = shown(tensor.spec.shape) if tensor.spec.shape else "(1,)"
    return OutputRow(
        role=role,
        number=number,
        metrics=metrics,
        tensor=f"{one_line(tensor.spec.name)}, {shape}, m_id=[{number}]",
        notes=tuple(notes),
        confusion=counts,
    )
