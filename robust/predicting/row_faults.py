"""What a model that breaks its contract did, and on which row; told apart where somebody can go on without that row."""

from collections.abc import Sequence

import numpy as np

from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model
from robust.models.foreign_errors import brief
from robust.predicting.input_codes import conversion_note
from robust.predicting.missing import missing_rows, missing_words
from robust.types import AnyArray, FloatArray, IntArray

#: Largest relative difference between two calls on the same rows that still counts as the same answer.
REPEATABLE = 1e-5


class RowFault(ModelFault):
    """A model raises on some row alone, or gives no finite numbers for it: the message names the row."""


class NotRepeatable(ModelFault):
    """A model answers the same rows otherwise when it is asked again."""


class Raised(Exception):
    """A call ended in an exception of the model's own, its cause; which row is to blame is not known yet."""


def blamed_row(
    model: Model,
    schema: FeatureSchema,
    x: AnyArray,
    block: slice,
    raising: Sequence[tuple[int, BaseException]],
    error: BaseException,
) -> InvalidInput | ModelFault:
    """What is said of a model that raised.

    Args:
        model: The model.
        schema: Names the columns.
        x: All rows (n, *row shape).
        block: Those on which it raised.
        raising: The first of them that makes it raise alone, and how; empty if none does.
        error: What it raised on all of them.
    """
    if not raising:
        rows = f"on rows {block.start} to {block.stop - 1} (not on each alone)"
        less = "" if model.fixed_batch else f": a smaller batch_size, now {model.batch_size}, may be what it takes"
        return ModelFault(f"{model.name} raised {brief(error)} {rows}{less}")
    i, own = raising[0]
    said = f"{model.name} raised {brief(own)} on the row at position {i}"
    return _lacking(schema, x, np.array([i]), said) or RowFault(said)


def require_finite(model: Model, schema: FeatureSchema, x: AnyArray, block: slice, outputs: FloatArray) -> None:
    """Refuse outputs that are not finite.

    Args:
        model: The model.
        schema: Names the columns.
        x: All rows (n, *row shape).
        block: Those that were asked about (m).
        outputs: What the model gave for them (m, k).

    Raises:
        InvalidInput: If all rows to blame have missing values.
        RowFault: If others have no finite answer either.
    """
    finite = np.isfinite(outputs).all(axis=1)
    if finite.all():
        return
    bad = np.flatnonzero(~finite) + block.start
    said = f"{model.name} gives NaN or infinity for {len(bad)} of {len(outputs)} rows, first at position {bad[0]}"
    raise _lacking(schema, x, bad, said) or RowFault(said)


def require_repeatable(model: Model, first: FloatArray, again: FloatArray) -> None:
    """Refuse a model that answers the same rows otherwise.

    Args:
        model: The model.
        first: What it gave (m, k).
        again: What it gave for the same rows after that (m, k).

    Raises:
        ModelFault: If the shapes differ.
        NotRepeatable: If the numbers do.
    """
    if again.shape != first.shape:
        raise ModelFault(
            f"{model.name} is not deterministic: the same rows gave outputs of shape {first.shape}, then {again.shape}"
        )
    apart = np.where(np.isnan(first) & np.isnan(again), 0.0, np.abs(again - first))
    gap = np.where(np.isnan(apart), np.inf, apart / (1.0 + np.abs(first)))
    if gap.max() > REPEATABLE:
        raise NotRepeatable(
            f"{model.name} is not deterministic: the same {len(first)} rows gave outputs that differ by up to "
            f"{np.nanmax(apart):.3g}; fix its seed or put it into evaluation mode"
        )


def unquantized(model: Model, schema: FeatureSchema, x: AnyArray, block: slice) -> InvalidInput | None:
    """The error for missing values in rows that are quantized, by their place among all rows; None without any."""
    missing = np.flatnonzero(missing_rows(x[block])) + block.start
    quantized = conversion_note(model, x)
    return _lacking(schema, x, missing, quantized) if quantized is not None and len(missing) else None


def _lacking(schema: FeatureSchema, x: AnyArray, bad: IntArray, said: str) -> InvalidInput | None:
    """The error for rows without a valid answer that all have missing values: the data is at fault; else None."""
    rows = np.zeros(len(x), dtype=bool)
    rows[bad] = missing_rows(x[bad])
    return InvalidInput(f"{said}: {missing_words(x, rows, schema)}") if rows[bad].all() else None
