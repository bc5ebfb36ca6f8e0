"""One output of two models, compared with each other and with the ground truth, on dequantized values."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from robust.crosscheck.class_outputs import check_one_class, is_one_hot, may_be_probabilities, one_hot
from robust.crosscheck.confusion_text import Confusion, count_confusion
from robust.crosscheck.feeding import step_words
from robust.crosscheck.plain_text import one_line
from robust.crosscheck.tensor_metrics import TensorMetrics, as_rows, tensor_metrics, tied_rows, winners
from robust.crosscheck.tensor_order import check_layout
from robust.errors import InvalidInput
from robust.tensors.quantizing import dequantize
from robust.tensors.spec import QUANTIZED, TensorSpec, shown
from robust.types import AnyArray, FloatArray

Role: TypeAlias = Literal["candidate", "reference", "X-cross"]


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
) -> ComparedOutput:
    """Compare one output of a candidate with that of the reference, and both with the ground truth.

    Integers are dequantized first, each by the scale and zero point of its own tensor; where they are not known, by
    those of the other.

    Args:
        number: Of the output, from 1.
        reference: Its answers, or None where it was not run.
        candidate: Its answers.
        truth: Ground truth (n, …) of the output's shape, or class labels (n,), or None.
        classifier: Whether the output holds scores of classes; None where the values tell: class probabilities, or
            one-hot or label ground truth.
        alone: Whether it is the models' only output, so that `classifier` is said of it and no other.

    Returns:
        The lines and the values behind them; no line where there is neither a reference nor ground truth.

    Raises:
        InvalidInput: If shapes do not fit, values are not finite, integers have no known scale beside real values, or
            the ground truth of what is said to be a classifier names no class.
    """
    what = f"output #{number} ({candidate.spec.name!r})"
    p, p_note = _real(candidate, reference, f"{what} of the candidate", "p")
    old, r_note = (None, None) if reference is None else _real(reference, candidate, f"{what} of the reference", "r")
    if reference is not None and old is not None:
        option = "outputs_ch_position"
        check_layout(candidate.spec.shape, reference.spec.shape, what=f"{what} of the candidate", option=option)
        if old.shape != p.shape:
            raise InvalidInput(
                f"{what}: the reference gives {shown(reference.spec.shape)} a row, the candidate "
                f"{shown(candidate.spec.shape)}: as many numbers from both would be right"
            )
    known = None if truth is None else _truth(truth, reference or candidate, p.shape, what, classifier=classifier)
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


def _real(tensor: Tensor, other: Tensor | None, what: str, letter: str) -> tuple[FloatArray, str | None]:
    """Real values (n, m) of a tensor, and the note that says how they were found."""
    spec = tensor.spec
    if spec.dtype not in QUANTIZED:
        return as_rows(what, tensor.raw), None
    if spec.quantization is None and other is not None and other.spec.dtype == spec.dtype:
        spec = replace(spec, quantization=other.spec.quantization)
    if spec.quantization is not None:
        note = f"{letter}/{spec.dtype} data are dequantized with {step_words(spec)}"
        return as_rows(what, dequantize(tensor.raw, spec.quantization)), note
    if other is not None and other.spec.dtype != spec.dtype:
        raise InvalidInput(
            f"{what} is {spec.dtype} without a known scale and zero point, the other model's is {other.spec.dtype}: "
            "nothing says what one step is worth; a file that dequantizes its outputs or names their scale is needed"
        )
    return as_rows(what, tensor.raw), f"{letter}/{spec.dtype} data have no known scale, they are compared as they are"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Truth:
    """Ground truth of one output: real values (n, m), what was made of it, whether it names one class a row."""

    values: FloatArray
    note: str | None
    names_classes: bool
    dtype: str


def _truth(truth: AnyArray, tensor: Tensor, shape: tuple[int, ...], what: str, *, classifier: bool | None) -> _Truth:
    """Read the ground truth of one output: of its shape, one-hot, or one label a row."""
    where, dtype = f"the ground truth of {what}", str(truth.dtype)
    rows, items = shape
    if truth.ndim == 0 or len(truth) != rows:
        raise InvalidInput(f"{where} has the shape {truth.shape}; {rows} rows, one a sample, would be right")
    found = truth.size // rows
    if found == 1 and items > 1:
        if classifier is False:
            raise InvalidInput(f"{where} has one value a row, the output {items}: labels go with a classifier alone")
        note = f"r/{dtype} labels are taken as one-hot rows of {items} classes"
        return _Truth(values=one_hot(truth, items, what=where), note=note, names_classes=True, dtype=dtype)
    if found != items:
        raise InvalidInput(
            f"{where} has {found} values a row, the output {items}: as many, or one label, would be right"
        )
    check_layout(truth.shape[1:], tensor.spec.shape, what=where, option="outputs_ch_position")
    plain, q = as_rows(where, truth), tensor.spec.quantization
    if is_one_hot(plain):
        return _Truth(values=plain, note=None, names_classes=True, dtype=dtype)
    if q is not None and dtype == q.dtype:
        note = f"r/{dtype} data are dequantized with {step_words(tensor.spec)}"
        return _Truth(values=as_rows(where, dequantize(truth, q)), note=note, names_classes=False, dtype=dtype)
    if q is not None and dtype in QUANTIZED:
        raise InvalidInput(f"{where} is {dtype}, the output {q.dtype}: {q.dtype} or floating numbers would be right")
    return _Truth(values=plain, note=None, names_classes=False, dtype=dtype)


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
