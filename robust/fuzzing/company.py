"""Whether an answer belongs to its row: asked again, beside other rows, and alone."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from robust.fuzzing.asking import Asker
from robust.fuzzing.batch_forms import PLAIN, BatchForm
from robust.fuzzing.expected import CHANGE, ROUNDING, Expected
from robust.fuzzing.faults import Fault
from robust.types import AnyArray, BoolArray, FloatArray

#: How often a batch is asked again, to see whether the answer repeats.
_REPEATS = 2
#: Rows of a batch that are asked alone.
_ALONE = 2
#: A difference of so many times what one unit in the last place of the input does is rounding; ways that this is tried.
_ULPS, _SHAKES = 32.0, 3


def changed_by_time(
    asker: Asker, expected: Expected, rows: AnyArray, form: BatchForm, outputs: FloatArray
) -> list[Fault]:
    """The same batch once more; a second time where the first told nothing and the batch is small."""
    for _ in range(_REPEATS if len(rows) <= 8 else 1):
        answer = asker.ask(rows, form)
        if answer.outputs is None or answer.outputs.shape != outputs.shape:
            words = f"the same rows were answered, then {answer.told or answer.misshapen or 'not'}"
            return [Fault(property="determinism", kind="asked twice", words=words)]
        if np.array_equal(outputs, answer.outputs):
            continue
        gaps = answer_gaps(outputs, answer.outputs)
        moved = gaps > expected.rounding(outputs)
        if moved.any():
            words = f"the same {len(rows)} rows, asked twice, differ by up to {_largest(gaps[moved])}"
            return [Fault(property="determinism", kind="asked twice", words=words, rows=moved)]
    return []


def changed_by_neighbours(
    asker: Asker,
    expected: Expected,
    rows: AnyArray,
    form: BatchForm,
    outputs: FloatArray,
    ordinary: BoolArray | None,
    base: AnyArray,
) -> list[Fault]:
    """Some rows at their place in a batch of the same size and form, the others replaced.

    Kernels choose their order of summation by the size of a batch and a row's place in it: both stay, so that the bits
    of an honest model do. Where rows are odd, these are replaced and the ordinary ones stay; else first every other
    row, then the rest, since a model may let all rows see one.

    Also, in another order of memory, the same values must give the same answers.
    """
    found = []
    if not form.plain and form.dtype is None and form.layout != "rows":
        found += _compared(asker, expected, rows, PLAIN, outputs, np.ones(len(rows), dtype=bool), "memory")
    for stays, replaced in _replacements(rows, ordinary, base):
        faults = _compared(asker, expected, replaced, form, outputs, stays, "neighbours")
        if faults:
            return [*found, *faults]
    return found


def _replacements(rows: AnyArray, ordinary: BoolArray | None, base: AnyArray) -> Iterator[tuple[BoolArray, AnyArray]]:
    """Batches in which some rows were replaced, and which were not: each row stays once and is replaced once."""
    if ordinary is not None and not ordinary.all():
        if ordinary.any():
            yield ordinary, np.where(ordinary[:, None], rows, base)
        return
    if len(rows) < 2:
        return
    places = np.arange(len(rows))
    for first in (1, 0):
        replaced = rows.copy()
        # Half of them by the simplest row there is, half by rows from elsewhere in the batch.
        replaced[first::4] = base
        others = places[first + 2 :: 4]
        replaced[others] = rows.take(others - len(rows) // 2 - 1, axis=0, mode="wrap")
        yield places % 2 != first, replaced


def changed_by_size(
    asker: Asker, expected: Expected, rows: AnyArray, form: BatchForm, outputs: FloatArray
) -> tuple[list[Fault], float]:
    """Rows alone: no more than rounding, and no other label, may come of it; and the largest difference, as a share."""
    if asker.subject.model.fixed_batch is not None or len(rows) < 2 or not asker.subject.exact:
        return [], 0.0
    noise = 0.0
    single = PLAIN if form.dtype is None and form.layout == "rows" else replace(form, size=None)
    for i in sorted({(len(rows) - 1) * turn // (_ALONE - 1) for turn in range(_ALONE)}):
        first = outputs[i : i + 1]
        answer = asker.ask(rows[i : i + 1], single)
        if answer.outputs is not None and np.array_equal(first, answer.outputs):
            continue
        lone = np.arange(len(rows)) == i
        if answer.error is not None:
            words = f"a row that is answered in a batch of {len(rows)} raises alone: {answer.told}"
            kind = type(answer.error).__name__
            return [Fault(property="no exception", kind=kind, words=words, rows=lone)], noise
        if answer.outputs is None or answer.outputs.shape != first.shape:
            words = f"a row of a batch of {len(rows)}, asked alone: {answer.misshapen or 'another number of outputs'}"
            return [Fault(property="batch invariance", kind="alone", words=words, rows=lone)], noise
        gap = float(answer_gaps(first, answer.outputs)[0])
        least = float(expected.rounding(first, ROUNDING)[0])
        labels, other = expected.labels(first), expected.labels(answer.outputs)
        moved = labels is not None and other is not None and bool((labels != other).any())
        beyond = gap > least and (moved or gap > max(CHANGE * expected.spread, least))
        if beyond and gap > _ULPS * _shaken(asker, rows[i : i + 1], form, answer.outputs):
            told = f"{_largest(np.array([gap]))}{', and has another label' if moved else ''}"
            words = f"a row asked alone and in a batch of {len(rows)} differs by {told}"
            return [Fault(property="batch invariance", kind="alone", words=words, rows=lone)], noise
        noise = max(noise, gap / (least / ROUNDING))
    return [], noise


def _shaken(asker: Asker, row: AnyArray, form: BatchForm, outputs: FloatArray) -> float:
    """How far the answer to a row moves when its numbers move by one unit in the last place, some up, some down.

    Where that is as far, another order of summation may do the same: it is the row's own rounding.
    """
    if row.dtype.kind != "f":
        return 0.0
    largest = 0.0
    for turn in range(_SHAKES):
        up = (np.arange(row.shape[1]) * (turn + 1) // 2 + turn) % 2 == 0
        moved = np.where(up, np.nextafter(row, np.inf, dtype=row.dtype), np.nextafter(row, -np.inf, dtype=row.dtype))
        answer = asker.ask(moved, BatchForm(dtype=form.dtype, layout=form.layout))
        if answer.outputs is not None and answer.outputs.shape == outputs.shape:
            largest = max(largest, float(answer_gaps(outputs, answer.outputs)[0]))
    return largest


def answer_gaps(one: FloatArray, other: FloatArray) -> FloatArray:
    """Largest difference of two answers to each row (b,): 0 where both are NaN, or the same infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(one - other)
    if not np.isfinite(gaps).all():
        gaps = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, gaps)
        gaps = np.where(np.isnan(gaps), np.inf, gaps)
    return np.asarray(gaps.max(axis=1, initial=0.0))


def _compared(
    asker: Asker,
    expected: Expected,
    rows: AnyArray,
    form: BatchForm,
    outputs: FloatArray,
    stays: BoolArray,
    kind: str,
) -> list[Fault]:
    """The rows that stay, asked in another batch."""
    answer = asker.ask(rows, form)
    if answer.error is not None:
        return []  # a batch of other rows, which is not what is looked at
    if answer.outputs is None or answer.outputs.shape != outputs.shape:
        told = answer.misshapen or ("given up" if answer.stopped else "another number of outputs")
        return [Fault(property="batch invariance", kind=kind, words=f"beside other rows: {told}")]
    if np.array_equal(outputs[stays], answer.outputs[stays]):
        return []
    gaps = np.where(stays, answer_gaps(outputs, answer.outputs), 0.0)
    moved = gaps > expected.rounding(outputs)
    if not moved.any():
        return []
    how = "in other rows' company" if kind == "neighbours" else "in another order of memory"
    words = f"{int(moved.sum())} of {int(stays.sum())} rows are answered otherwise {how}, by up to {_largest(gaps)}"
    return [Fault(property="batch invariance", kind=kind, words=words, rows=moved)]


def _largest(gaps: FloatArray) -> str:
    top = float(gaps.max())
    return "a number and none" if not np.isfinite(top) else f"{top:.3g}"
