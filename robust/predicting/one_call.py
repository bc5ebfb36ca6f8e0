"""One call of a model: on a private copy of some rows, filled up to a fixed batch, and what may come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model, require_gradients
from robust.models.contract import CHANGES_INPUT, output_columns, same_bits
from robust.models.foreign_errors import PASSING
from robust.predicting.memory import OutOfMemory, lacks_memory
from robust.predicting.named_columns import named_columns
from robust.predicting.row_faults import Raised
from robust.types import AnyArray, FloatArray

#: From the outputs of some rows and the slice that they are, to ∂loss/∂outputs.
Cotangent = Callable[[FloatArray, slice], FloatArray]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneCall:
    """Asks a model once.

    Args:
        model: The model.
        schema: Schema of the rows that it is given.
    """

    model: Model
    schema: FeatureSchema

    def outputs(self, x: AnyArray, block: slice) -> FloatArray:
        """Outputs of some rows (m, k), finite or not.

        Args:
            x: Rows (n, *row shape); not changed.
            block: Which of them.

        Raises:
            OutOfMemory: If fewer rows a call may find the memory that these did not; of one row, in words.
            Raised: From what the model raised.
            ModelFault: If it changes its input, its outputs are of a wrong shape, or a fixed batch finds no memory.
            InvalidInput: If the adapter refuses the rows.
        """

        def call() -> FloatArray:
            rows = self._filled(x, block)
            given = named_columns(self.model, self.schema, rows) if self.model.columns is not None else rows
            outputs = output_columns(self.model.forward(given), len(rows))[: block.stop - block.start]
            if given is rows and not same_bits(rows[: block.stop - block.start], x[block]):
                raise ModelFault(CHANGES_INPUT)
            return outputs

        return self._guarded(call, block)

    def slope(self, x: AnyArray, block: slice, cotangent: Cotangent) -> tuple[FloatArray, FloatArray]:
        """Outputs (m, k) and gradient (m, *row shape) of some rows.

        Args:
            x: Rows (n, *row shape); not changed.
            block: Which of them.
            cotangent: Is given the outputs and `block`.

        Raises:
            OutOfMemory: As `outputs` does, and so on.
            ModelFault: If the gradient has another shape than the rows.
        """
        gradients, size = require_gradients(self.model), block.stop - block.start

        def call() -> tuple[FloatArray, FloatArray]:
            rows = self._filled(x, block)

            def at_block(values: FloatArray) -> FloatArray:
                columns = output_columns(values, len(rows))
                flow = np.zeros(columns.shape)
                flow[:size] = cotangent(columns[:size], block)
                return flow.reshape(np.shape(values))

            values, slope = gradients(rows, at_block)
            columns = output_columns(values, len(rows))
            if np.shape(slope) != rows.shape:
                raise ModelFault(
                    f"it gives a gradient of shape {np.shape(slope)} for rows of shape {rows.shape}; a gradient of the "
                    "shape of the rows is needed"
                )
            return columns[:size], slope[:size]

        return self._guarded(call, block)

    def _guarded(self, call: Callable[[], T], block: slice) -> T:
        """What a call gives, or what its end means."""
        name = self.model.name
        try:
            return call()
        # The adapter refuses the rows before the model sees them, or what the model made of them.
        except (InvalidInput, ModelFault) as error:
            raise type(error)(f"{name}: {error}") from error
        except PASSING:
            raise
        except BaseException as error:
            if not lacks_memory(error):
                raise Raised from error
            if self.model.fixed_batch is not None:
                raise ModelFault(
                    f"{name} ran out of memory on a call of {self.model.fixed_batch} rows, which is the batch that its "
                    "file has fixed: export it with a smaller or a free one, or give it more memory"
                ) from error
            raise OutOfMemory(
                f"{name} ran out of memory on the row at position {block.start} alone: no smaller call can be made, so "
                "a higher limit (ulimit -v, that of a container), or a model that needs less, would be right"
            ) from error

    def _filled(self, x: AnyArray, block: slice) -> AnyArray:
        """A private copy of a block, filled up to a fixed batch by repeating its last row."""
        rows = np.array(x[block])
        missing = 0 if self.model.fixed_batch is None else self.model.fixed_batch - len(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def sort_out(
    block: slice, ask: Callable[[slice], T], *, first: bool = False
) -> tuple[list[tuple[slice, T]], list[tuple[int, BaseException]]]:
    """Ask about some rows; where that raises, about halves of them, down to the rows that raise alone.

    Args:
        block: The rows.
        ask: Asks about some of them; raises `Raised` from what the model raised.
        first: Whether the block is known to raise, and the first row that does is enough.

    Returns:
        What was answered, in the order of the rows, and the rows that raise alone, with what they raise.

    >>> def ask(part):
    ...     if part.start <= 2 < part.stop:
    ...         raise Raised from ValueError("odd")
    ...     return part.stop - part.start
    >>> sort_out(slice(0, 4), ask)
    ([(slice(0, 2, None), 2), (slice(3, 4, None), 1)], [(2, ValueError('odd'))])
    """
    answered: list[tuple[slice, T]] = []
    raising: list[tuple[int, BaseException]] = []
    waiting = [block]
    if first and block.stop - block.start > 1:
        waiting = _halves(block)
    while waiting:
        part = waiting.pop()
        try:
            answered.append((part, ask(part)))
            continue
        except Raised as raised:
            error = raised.__cause__ or raised
        if part.stop - part.start > 1:
            waiting += _halves(part)
            continue
        raising.append((part.start, error))
        if first:
            break
    return answered, raising


def _halves(block: slice) -> list[slice]:
    """Two halves, the first one last, since it is taken first."""
    middle = (block.start + block.stop) // 2
    return [slice(middle, block.stop), slice(block.start, middle)]
