"""Calls a model on rows: in blocks, checked, and never on the caller's own memory."""

import hashlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robust.data.dataset import update_digest
from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model, require_gradients
from robust.models.foreign_errors import blamed, brief
from robust.predicting.input_codes import conversion_note
from robust.predicting.memory import OutOfMemory, Room, fitted
from robust.predicting.metering import count_rows, remark, room_of
from robust.predicting.named_columns import named_columns
from robust.predicting.notices import notice
from robust.predicting.one_call import Cotangent, OneCall, sort_out
from robust.predicting.row_faults import Raised, blamed_row, require_finite, require_repeatable, unquantized
from robust.predicting.settings import current_settings
from robust.types import AnyArray, FloatArray

#: Frameworks whose models may be called from several threads at once. Not torch: a module in training mode is put into
#: evaluation mode for the length of a call, and other threads wait until it ends; it has threads of its own.
_THREADED = frozenset({"onnx", "sklearn"})
#: Marks kept answers in which rows are missing: they are none for a caller that wants them all.
_GAPS = "-gaps"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caller:
    """A model bound to a schema for the length of one measurement; its identity is asked once.

    A call that finds no memory is made again in halves, and later ones are as small.

    Args:
        model: The model.
        schema: Schema of the rows it is given.
        identity: Content hash of the model, or None when nothing may be cached.
        room: What its calls have shown so far.
        lenient: Whether a row on which the model raises, or gives no finite numbers, is answered with NaN.
    """

    model: Model
    schema: FeatureSchema
    identity: str | None
    room: Room = field(default_factory=Room)
    lenient: bool = False

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
            Outputs (n, k), float64, finite; where the caller is lenient, NaN in rows without an answer.

        Raises:
            InvalidInput: If rows have missing values, and the model raises or answers NaN for them.
            ModelFault: If the model raises, changes its input, finds no memory for a single row, or its outputs are not
                finite, not repeatable or of a wrong shape.
        """
        count_rows(forward=len(x))
        settings = current_settings()
        if keep and (note := conversion_note(self.model, x)) is not None:
            remark(note)
        key = self.key("outputs", x) if keep else None
        found = None if key is None else settings.cache.get(key)
        if found is None and key is not None and self.lenient:
            found = settings.cache.get(key + _GAPS)
        if found is not None:
            self.room.columns = found.shape[1]
            self._tell_silence(found)
            return found
        blocks = list(self._blocks(len(x)))
        fitting = self.room.rows
        if settings.shards > 1 and self.model.framework in _THREADED:
            with ThreadPoolExecutor(settings.shards) as pool:
                outputs = self._gathered(pool.map(lambda block: self._block(x, block), blocks), blocks)
        else:
            outputs = self._gathered((self._block(x, block) for block in blocks), blocks)
        self.tell_lack(fitting)
        self._tell_silence(outputs)
        if keep:
            require_repeatable(self.model, outputs[blocks[0]], self._again(x, blocks[0]))
        if key is not None:
            settings.cache.put(key + _GAPS if np.isnan(outputs).any() else key, outputs)
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

    def unanswered(self, row: AnyArray) -> str | None:
        """Why a row has no answer, in a few words; None if it has one. As a check it is not counted.

        Args:
            row: (*row shape).
        """
        try:
            outputs = OneCall(model=self.model, schema=self.schema).outputs(row[None], slice(0, 1))
        except Raised as raised:
            return f"raises {brief(raised.__cause__ or raised)}"
        return None if np.isfinite(outputs).all() else "gives NaN or infinity"

    def gradient(self, x: AnyArray, cotangent: Cotangent) -> tuple[FloatArray, FloatArray]:
        """Outputs and the gradient of a loss with respect to the input.

        Args:
            x: Rows (n, *row shape).
            cotangent: From the outputs of some rows and the slice that they are, to ∂loss/∂outputs.

        Returns:
            Outputs (n, k) and gradient (n, *row shape), float64; where the caller is lenient, rows that the model does
            not answer have NaN and a gradient of zero.

        Raises:
            InvalidInput: If the model gives no gradients.
            ModelFault: If it raises, finds no memory for a single row, or gives a gradient of another shape than the
                rows.
        """
        require_gradients(self.model)
        count_rows(forward=len(x), backward=len(x))
        outputs, gradient = [], np.zeros(x.shape, dtype=np.float64)
        fitting = self.room.rows
        for block in self._blocks(len(x)):
            for part, values, slope in self._slopes(x, block, cotangent):
                outputs.append(values)
                gradient[part] = slope
        self.tell_lack(fitting)
        values = np.concatenate(outputs)
        self._tell_silence(values)
        return values, gradient

    def decoded(self, rows: AnyArray) -> Any:
        """Rows as the DataFrame that the model was fitted on: its columns, text labels instead of codes."""
        return named_columns(self.model, self.schema, rows)

    def _gathered(self, parts: Iterator[FloatArray | None], blocks: list[slice]) -> FloatArray:
        """The outputs of all blocks in one array, each written as it comes: they are never held twice."""
        silent: list[slice] = []
        outputs: FloatArray | None = None
        for block, part in zip(blocks, parts, strict=True):
            if part is None:
                silent.append(block)
                continue
            if outputs is None:
                outputs = np.empty((blocks[-1].stop, part.shape[1]))
            if part.shape[1] != outputs.shape[1]:
                widths = sorted({outputs.shape[1], part.shape[1]})
                raise ModelFault(f"{self.model.name} gives outputs of different widths {widths} for different rows")
            outputs[block] = part
        if outputs is None:
            outputs = np.empty((blocks[-1].stop, self.room.columns or 1))
        else:
            self.room.columns = outputs.shape[1]
        for block in silent:
            outputs[block] = np.nan
        return outputs

    def _blocks(self, n: int) -> Iterator[slice]:
        """Blocks of whole batches; shards are cut on these boundaries."""
        if n == 0:
            raise InvalidInput(f"{self.model.name} was asked about zero rows")
        size = self.model.fixed_batch or self.model.batch_size
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def _block(self, x: AnyArray, block: slice) -> FloatArray | None:
        """Outputs of a block, checked; None where a lenient caller has no answer for any of its rows."""
        if self.lenient:
            answered, _ = sort_out(block, lambda part: self._fitted(x, part))
            if not answered:
                return None
            widths = sorted({values.shape[1] for _, values in answered})
            if len(widths) > 1:
                raise ModelFault(f"{self.model.name} gives outputs of different widths {widths} for different rows")
            outputs = np.full((block.stop - block.start, widths[0]), np.nan)
            for part, values in answered:
                outputs[part.start - block.start : part.stop - block.start] = values
            outputs[~np.isfinite(outputs).all(axis=1)] = np.nan
            return outputs
        try:
            outputs = self._fitted(x, block)
        except Raised as raised:
            error = raised.__cause__ or raised
        except (InvalidInput, ModelFault) as fault:
            raise unquantized(self.model, self.schema, x, block) or fault from fault.__cause__
        else:
            require_finite(self.model, self.schema, x, block, outputs)
            return outputs
        _, raising = sort_out(block, lambda part: self._fitted(x, part), first=True)
        raise blamed_row(self.model, self.schema, x, block, raising, error) from error

    def _again(self, x: AnyArray, block: slice) -> FloatArray:
        """Outputs of a block as an array of its own."""
        return self._gathered(iter([self._block(x, block)]), [slice(0, block.stop - block.start)])

    def _fitted(self, x: AnyArray, block: slice) -> FloatArray:
        """Outputs of a block, in as few calls as memory allows."""
        call = OneCall(model=self.model, schema=self.schema)
        try:
            parts = fitted(block, self.room, lambda part: call.outputs(x, part))
        except OutOfMemory as lack:
            raise ModelFault(str(lack)) from lack.__cause__
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _slopes(
        self, x: AnyArray, block: slice, cotangent: Cotangent
    ) -> list[tuple[slice, FloatArray, FloatArray | float]]:
        """Outputs and gradients of a block, in as few calls as memory allows."""
        call = OneCall(model=self.model, schema=self.schema)

        def ask(rows: slice) -> list[tuple[slice, FloatArray, FloatArray | float]]:
            try:
                return fitted(rows, self.room, lambda part: (part, *call.slope(x, part, cotangent)))
            except OutOfMemory as lack:
                raise ModelFault(str(lack)) from lack.__cause__

        try:
            return ask(block)
        except Raised as raised:
            error = raised.__cause__ or raised
        values = self._again(x, block) if self.lenient else np.zeros((0, 1))
        silent = np.asarray(np.isnan(values).any(axis=1))
        if not silent.any():
            # It is the gradient that cannot be had, of rows that the model answers.
            _, raising = sort_out(block, ask, first=True)
            where = f" on the row at position {raising[0][0]}" if raising else ""
            raise ModelFault(f"{self.model.name} raised while its gradient was taken: {brief(error)}{where}") from error
        found: list[tuple[slice, FloatArray, FloatArray | float]] = []
        edges = np.flatnonzero(np.diff(silent)) + 1
        for start, stop in itertools.pairwise([0, *edges.tolist(), len(silent)]):
            rows = slice(block.start + start, block.start + stop)
            found += [(rows, values[start:stop], 0.0)] if silent[start] else ask(rows)
        return found

    def count_unanswered(self, rows: int) -> None:
        """Count rows without an answer, and tell the reader that there were some."""
        if rows:
            count_rows(unanswered=rows)
            name = self.model.name
            text = f"{name} raises, or gives NaN or infinity, on some rows that it was asked: they count against it"
            remark(text, topic=f"silence of {name}")

    def _tell_silence(self, outputs: FloatArray) -> None:
        """Count the rows that a lenient caller has no answer for."""
        if self.lenient:
            self.count_unanswered(int(np.isnan(outputs).any(axis=1).sum()))

    def tell_lack(self, before: int | None) -> None:
        """Say that calls have become smaller."""
        size = self.room.rows
        if size is not None and size != before:
            topic = f"memory of {self.model.name}"
            text = f"{self.model.name} ran out of memory: it is asked about {size} rows a call at most from then on"
            remark(text, topic=topic)
            notice(topic, text)


def bind(model: Model, schema: FeatureSchema) -> Caller:
    """Bind a model to a schema, asking for its identity as it is now."""
    with blamed(model.name, "its content was hashed"):
        identity = model.identity()
    if identity is not None:
        # A model that takes columns by name answers by what the schema calls them, not by the numbers alone.
        decoded = f"/{schema.names}/{schema.shape}/{schema.categories}" if model.columns is not None else ""
        # Nor does every model give a row the same answer in batches of another size.
        identity += f"{decoded}/{model.fixed_batch or model.batch_size}"
    return Caller(model=model, schema=schema, identity=identity, room=room_of(model))
