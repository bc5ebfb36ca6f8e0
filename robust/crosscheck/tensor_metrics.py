"""How two tensors differ, in the figures of an X-cross table: kernels on dequantized values alone."""

import math
from dataclasses import dataclass

import numpy as np

from robust.errors import InvalidInput
from robust.metrics.classification import macro_f1
from robust.types import AnyArray, FloatArray, IntArray

#: What the denominators of l2r and nse carry, the float32 spacing at 1.
EPS = float(np.finfo(np.float32).eps)
#: Values beyond this cannot be squared and summed in float64.
_LARGEST = 1e100
#: Variances of the reference up to this many times EPS leave nse to EPS, not to the data.
_EPS_RULES = 100.0
#: Why a single column has no accuracy.
ONE_NUMBER = "acc: one number a row is no choice among classes, its largest column is always the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorMetrics:
    """How a prediction differs from a reference; None where a figure has no meaning on these values.

    Args:
        samples: Rows N.
        items: Numbers a row M.
        acc: Share of rows whose largest value lies in the same column, in [0, 1]; None for a regressor.
        f1: Macro-averaged F1 of those columns, in [0, 1]; None for a regressor.
        rmse: √mean((r − p)²).
        mae: mean|r − p|.
        mse: mean((r − p)²).
        l2r: ‖r − p‖ / (‖p‖ + ε); its denominator is the prediction.
        l2r_reference: ‖r − p‖ / ‖r‖, the same against the reference; None where that is 0 everywhere.
        mean: mean(r − p): positive where the prediction is too low.
        std: Standard deviation of r − p, ddof 0.
        var: Variance of r − p, ddof 1; None for a single number.
        nse: 1 − mse / (std(r)² + ε); None for a constant reference.
        cos: ⟨r, p⟩ / (‖r‖ ‖p‖), in [−1, 1]; None where either is 0 everywhere.
        notes: Why a figure is None, or hardly means anything.
    """

    samples: int
    items: int
    acc: float | None
    f1: float | None
    rmse: float
    mae: float
    mse: float
    l2r: float
    l2r_reference: float | None
    mean: float
    std: float
    var: float | None
    nse: float | None
    cos: float | None
    notes: tuple[str, ...] = ()


def tensor_metrics(ref: AnyArray, pred: AnyArray, *, classes: bool) -> TensorMetrics:
    """All figures of one pair of tensors, over all their numbers alike.

    The difference is taken after the values became float64: unsigned and small integers, and float16, would wrap
    around or overflow before.

    Args:
        ref: What is taken for the truth (N, …): any numbers, finite; dequantized where they were integers.
        pred: What is compared with it, as many numbers a row.
        classes: Whether the numbers of a row are scores of classes, so that the largest one decides.

    Returns:
        The figures. Errors are in the units of the tensors, lower is better; acc, f1, nse and cos are at most 1, higher
        is better.

    Raises:
        InvalidInput: If the shapes do not fit, there is no number, or one is not finite or beyond 1e100.

    Source:
        Nash and Sutcliffe (1970), Journal of Hydrology 10:282, for nse.

    >>> two = tensor_metrics(np.array([[3.0], [4.0]]), np.array([[3.0], [3.0]]), classes=False)
    >>> round(two.rmse ** 2, 9), two.mae, two.mean, round(two.l2r, 6), two.nse
    (0.5, 0.5, 0.5, 0.235702, -0.9999990463261383)
    """
    r, p = as_rows("the reference", ref), as_rows("the prediction", pred)
    if r.shape != p.shape:
        raise InvalidInput(
            f"the reference holds {r.shape[1]} numbers a row in {len(r)} rows, the prediction {p.shape[1]} in "
            f"{len(p)}: as many of both would be right"
        )
    error = r - p
    mse = float(np.mean(error**2))
    size, r_size, p_size = (float(np.linalg.norm(values)) for values in (error, r, p))
    notes: list[str] = []
    acc, f1 = _class_figures(r, p, notes) if classes else (None, None)
    return TensorMetrics(
        samples=len(r),
        items=r.shape[1],
        acc=acc,
        f1=f1,
        rmse=math.sqrt(mse),
        mae=float(np.mean(np.abs(error))),
        mse=mse,
        l2r=_l2r(size, p_size, notes),
        l2r_reference=size / r_size if r_size > 0 else None,
        mean=float(np.mean(error)),
        std=float(np.std(error)),
        var=float(np.var(error, ddof=1)) if error.size > 1 else None,
        nse=_nse(r, mse, notes),
        cos=_cos(r, p, r_size, p_size, notes),
        notes=tuple(notes),
    )


def as_rows(what: str, values: AnyArray) -> FloatArray:
    """Values as float64 (N, M).

    Args:
        what: The values, as the subject of a message.
        values: (N, …).

    Returns:
        (N, M), M of at least 1.

    Raises:
        InvalidInput: If there is no row or no number, or a number is NaN, infinite or beyond 1e100.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InvalidInput(f"{what} holds values of type {array.dtype}; numbers would be right")
    if array.ndim == 0 or array.size == 0:
        raise InvalidInput(f"{what} has the shape {array.shape}: at least one row of at least one number is needed")
    rows = array.reshape(len(array), -1).astype(np.float64)
    # NaN first: the largest value of a row with NaN is the NaN, which would agree with itself.
    wrong = ~(np.abs(rows) <= _LARGEST)
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        value, count = float(rows[row, column]), int(wrong.any(axis=1).sum())
        raise InvalidInput(
            f"{what} holds {value:.6g} in row {row}, item {column} ({count} such rows): finite numbers up to 1e100 "
            "would be right"
        )
    return rows


def winners(rows: FloatArray) -> IntArray:
    """Column of the largest value of each row (N,), the first of equal ones."""
    return np.asarray(np.argmax(rows, axis=1))


def tied_rows(rows: FloatArray) -> int:
    """Rows in which several columns share the largest value, so that their order decides."""
    return int(np.sum((rows == rows.max(axis=1, keepdims=True)).sum(axis=1) > 1))


def _class_figures(r: FloatArray, p: FloatArray, notes: list[str]) -> tuple[float | None, float | None]:
    """Accuracy and macro-F1 of the largest columns; none of a single column, which always wins."""
    if r.shape[1] == 1:
        notes.append(ONE_NUMBER)
        return None, None
    actual, found = winners(r), winners(p)
    _, both = np.unique(np.concatenate([actual, found]), return_inverse=True)
    rows, columns = np.split(both.ravel(), 2)
    k = int(both.max()) + 1
    shares = (np.bincount(part, minlength=k) / len(r) for part in (rows[rows == columns], columns, rows))
    return float(np.mean(actual == found)), float(macro_f1(np.concatenate(list(shares))[None, :])[0])


def _l2r(size: float, p_size: float, notes: list[str]) -> float:
    if p_size == 0 and size > 0:
        notes.append("l2r: the prediction is 0 everywhere, and only the formula's 1.2e-07 is left to divide by")
    return size / (p_size + EPS)


def _nse(r: FloatArray, mse: float, notes: list[str]) -> float | None:
    if float(r.min()) == float(r.max()):
        notes.append(f"nse: the reference is {float(r.flat[0]):.6g} everywhere, it has no variance to explain")
        return None
    variance = float(np.std(r)) ** 2
    if variance < _EPS_RULES * EPS:
        notes.append(
            f"nse: the variance of the reference, {variance:.3g}, is no larger than what the formula adds to it"
        )
    return 1.0 - mse / (variance + EPS)


def _cos(r: FloatArray, p: FloatArray, r_size: float, p_size: float, notes: list[str]) -> float | None:
    if r_size == 0 or p_size == 0:
        which = "reference" if r_size == 0 else "prediction"
        notes.append(f"cos: the {which} is 0 everywhere, it points nowhere")
        return None
    # Each divided by its own size first: their product can leave the floats.
    cosine = float(np.vdot(r / r_size, p / p_size))
    return min(max(cosine, -1.0), 1.0)
