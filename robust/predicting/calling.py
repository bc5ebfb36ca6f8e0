"""Calls a model on rows: in blocks, checked, and never on the caller's own memory."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.dataset import update_digest
from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model, require_gradients
from robust.models.contract import CHANGES_INPUT, output_columns
from robust.models.foreign_errors import PASSING, blamed, brief
from robust.predicting.input_codes import conversion_note
from robust.predicting.metering import count_rows, remark
from robust.predicting.missing import missing_rows, missing_words
from robust.predicting.settings import current_settings
from robust.types import AnyArray, FloatArray, IntArray

#: Largest relative difference between two calls on the same rows that still counts as the same answer.
REPEATABLE = 1e-5
#: Frameworks whose models may be called from several threads at once. Not torch: a module in training mode is put into
#: evaluation mode for the length of a call, and other threads wait until it ends; it has threads of its own.
_THREADED = frozenset({"onnx", "sklearn"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caller:
    """A model bound to a schema for the length of one measurement; its identity is asked once.

    Args:
        model: The model.
        schema: Schema of the rows it is given.
        identity: Content hash of the model, or None when nothing may be cached.
    """

    model: Model
    schema: FeatureSchema
    identity: str | None

    def key(self, *parts: AnyArray | str) -> str | None:
        """A content hash of this model and of `parts`, or None when nothing may be cached."""
        if self.identity is None:
            return None
        digest = hashlib.sha256(self.identity.encode())
        for part in parts:
            if isinstance(part, str):
                digest.update(part.encode())
            else:
                update_digest(digest, part)
        return digest.hexdigest()

    def outputs(self, x: AnyArray, *, keep: bool = False) -> FloatArray:
        """Outputs of the model.

        Args:
            x: Rows (n, *row shape); not changed.
            keep: Whether to check that the answer repeats, and to keep it by content hash.

        Returns:
            Outputs (n, k), float64, finite.

        Raises:
            InvalidInput: If rows have missing values, and the model raises or answers NaN for them.
            ModelFault: If the model raises, changes its input, or its outputs are not finite, not repeatable or
                of a wrong shape.
        """
        count_rows(forward=len(x))
        settings = current_settings()
        if keep and (note := conversion_note(self.model, x)) is not None:
            remark(note)
        key = self.key("outputs", x) if keep else None
        if key is not None and (found := settings.cache.get(key)) is not None:
            return found
        blocks = list(self._blocks(len(x)))
        if settings.shards > 1 and self.model.framework in _THREADED:
            with ThreadPoolExecutor(settings.shards) as pool:
                outputs = self._gathered(pool.map(lambda block: self._block(x, block), blocks), blocks)
        else:
            outputs = self._gathered((self._block(x, block) for block in blocks), blocks)
        if keep:
            self._check_repeatable(x, outputs, blocks[0])
        if key is not None:
            settings.cache.put(key, outputs)
        return outputs

    def again(self, x: AnyArray, *, size: int) -> FloatArray:
        """Outputs of rows that were asked before, in calls of another size; as a check it is not counted.

        Args:
            x: Rows (n, *row shape); not changed.
            size: Rows a call, no more than the model takes; up to a fixed batch they are filled as ever.

        Returns:
            Outputs (n, k), float64, finite.

        Raises:
            ModelFault: As `outputs` does.
        """
        blocks = [slice(start, min(start + size, len(x))) for start in range(0, len(x), size)]
        return self._gathered((self._block(x, block) for block in blocks), blocks)

    def _gathered(self, parts: Iterator[FloatArray], blocks: list[slice]) -> FloatArray:
        """The outputs of all blocks in one array, each written as it comes: they are never held twice."""
        first = next(parts)
        outputs = np.empty((blocks[-1].stop, first.shape[1]))
        for block, part in zip(blocks, itertools.chain([first], parts), strict=True):
            if part.shape[1] != first.shape[1]:
                widths = sorted({first.shape[1], part.shape[1]})
                raise ModelFault(f"{self.model.name} gives outputs of different widths {widths} for different rows")
            outputs[block] = part
        return outputs

    def gradient(
        self, x: AnyArray, cotangent: Callable[[FloatArray, slice], FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Outputs and the gradient of a loss with respect to the input.

        Args:
            x: Rows (n, *row shape).
            cotangent: From the outputs of some rows and the slice that they are, to ∂loss/∂outputs.

        Returns:
            Outputs (n, k) and gradient (n, *row shape), float64.

        Raises:
            InvalidInput: If the model gives no gradients.
            ModelFault: If it raises, or gives a gradient of another shape than the rows.
        """
        gradients = require_gradients(self.model)
        count_rows(forward=len(x), backward=len(x))
        outputs, gradient = [], np.empty(x.shape, dtype=np.float64)
        for block in self._blocks(len(x)):
            rows, size = self._filled(x, block), block.stop - block.start

            def at_block(values: FloatArray, block: slice = block, size: int = size, n: int = len(rows)) -> FloatArray:
                columns = output_columns(values, n)
                flow = np.zeros(columns.shape)
                flow[:size] = cotangent(columns[:size], block)
                return flow.reshape(np.shape(values))

            try:
                values, slope = gradients(rows, at_block)
                columns = output_columns(values, len(rows))
            except (InvalidInput, ModelFault) as error:
                raise type(error)(f"{self.model.name}: {error}") from error
            except PASSING:
                raise
            except BaseException as error:
                raise ModelFault(f"{self.model.name} raised while its gradient was taken: {brief(error)}") from error
            if np.shape(slope) != rows.shape:
                raise ModelFault(
                    f"{self.model.name} gives a gradient of shape {np.shape(slope)} for rows of shape {rows.shape}; "
                    "a gradient of the shape of the rows is needed"
                )
            outputs.append(columns[:size])
            gradient[block] = slope[:size]
        return np.concatenate(outputs), gradient

    def _filled(self, x: AnyArray, block: slice) -> AnyArray:
        """A private copy of a block, filled up to a fixed batch by repeating its last row."""
        rows = np.array(x[block])
        missing = 0 if self.model.fixed_batch is None else self.model.fixed_batch - len(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows

    def _blocks(self, n: int) -> Iterator[slice]:
        """Blocks of whole batches; shards are cut on these boundaries."""
        if n == 0:
            raise InvalidInput(f"{self.model.name} was asked about zero rows")
        size = self.model.fixed_batch or self.model.batch_size
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def _block(self, x: AnyArray, block: slice) -> FloatArray:
        """One call, checked."""
        rows, size = self._filled(x, block), block.stop - block.start
        given = self.decoded(rows) if self.model.columns is not None else rows
        before = rows.tobytes()
        try:
            outputs = output_columns(self.model.forward(given), len(rows))[:size]
            if given is rows and rows.tobytes() != before:
                raise ModelFault(CHANGES_INPUT)
        # The adapter refuses the rows before the model sees them, or what the model made of them.
        except (InvalidInput, ModelFault) as error:
            raise self._unquantized(x, block) or type(error)(f"{self.model.name}: {error}") from error
        except PASSING:
            raise
        except BaseException as error:
            raise self._raised(x, block, brief(error)) from error
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            bad = np.flatnonzero(~finite) + block.start
            said = f"{self.model.name} gives NaN or infinity for {len(bad)} of {size} rows, first at position {bad[0]}"
            raise self._lacking(x, bad, said) or ModelFault(said)
        return outputs

    def _raised(self, x: AnyArray, block: slice, told: str) -> InvalidInput | ModelFault:
        """What a model raised, on the row of a block that makes it raise, found by calling it row by row."""
        if self.model.fixed_batch is None:
            for i in range(block.start, block.stop):
                row = np.array(x[i : i + 1])
                try:
                    self.model.forward(self.decoded(row) if self.model.columns is not None else row)
                except KeyboardInterrupt:
                    raise
                except BaseException:
                    said = f"{self.model.name} raised {told} on the row at position {i}"
                    return self._lacking(x, np.array([i]), said) or ModelFault(said)
        rows = f"on rows {block.start} to {block.stop - 1} (not on each alone)"
        return ModelFault(f"{self.model.name} raised {told} {rows}")

    def _unquantized(self, x: AnyArray, block: slice) -> InvalidInput | None:
        """The error for missing values in rows that are quantized, by their place among all rows; None without any."""
        missing = np.flatnonzero(missing_rows(x[block])) + block.start
        quantized = conversion_note(self.model, x)
        return self._lacking(x, missing, quantized) if quantized is not None and len(missing) else None

    def _lacking(self, x: AnyArray, bad: IntArray, said: str) -> InvalidInput | None:
        """The error for rows without a valid answer that all have missing values: the data is at fault; else None."""
        rows = np.zeros(len(x), dtype=bool)
        rows[bad] = missing_rows(x[bad])
        return InvalidInput(f"{said}: {missing_words(x, rows, self.schema)}") if rows[bad].all() else None

    def _check_repeatable(self, x: AnyArray, outputs: FloatArray, block: slice) -> None:
        """Ask for the first block again."""
        again, first = self._block(x, block), outputs[block]
        if again.shape != first.shape:
            raise ModelFault(
                f"{self.model.name} is not deterministic: the same rows gave outputs of shape {first.shape}, "
                f"then {again.shape}"
            )
        gap = np.abs(again - first) / (1.0 + np.abs(first))
        if gap.max() > REPEATABLE:
            raise ModelFault(
                f"{self.model.name} is not deterministic: the same {len(first)} rows gave outputs that differ by up to "
                f"{np.abs(again - first).max():.3g}; fix its seed or put it into evaluation mode"
            )

    def decoded(self, rows: AnyArray) -> Any:
        """Rows as the DataFrame that the model was fitted on: its columns, text labels instead of codes."""
        import pandas as pd

        columns = self.model.columns or ()
        flat = self.schema.flat(rows)
        missing = [name for name in columns if name not in self.schema.names]
        if missing:
            raise InvalidInput(
                f"{self.model.name} was fitted on columns that the data lacks: {missing}; it has "
                f"{list(self.schema.names)[:20]}"
            )
        labels = dict(self.schema.categories)
        table = {}
        for name in columns:
            j = self.schema.names.index(name)
            table[name] = _texts(flat[:, j], labels[j]) if j in labels else flat[:, j]
        return pd.DataFrame(table)


def bind(model: Model, schema: FeatureSchema) -> Caller:
    """Bind a model to a schema, asking for its identity as it is now."""
    with blamed(model.name, "its content was hashed"):
        identity = model.identity()
    if identity is not None:
        # A model that takes columns by name answers by what the schema calls them, not by the numbers alone.
        decoded = f"/{schema.names}/{schema.shape}/{schema.categories}" if model.columns is not None else ""
        # Nor does every model give a row the same answer in batches of another size.
        identity += f"{decoded}/{model.fixed_batch or model.batch_size}"
    return Caller(model=model, schema=schema, identity=identity)


def _texts(codes: FloatArray, labels: tuple[str, ...]) -> AnyArray:
    """Labels behind codes; a missing code is NaN, as pandas writes a missing text."""
    known = np.array([*labels, np.nan], dtype=object)
    return np.asarray(known[np.where(np.isnan(codes), len(labels), codes).astype(np.intp)])
