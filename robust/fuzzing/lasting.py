"""Whether a model is still the same after a batch: one row of the schema is asked before and after."""

from dataclasses import dataclass, field

import numpy as np

from robust.fuzzing.asking import Asker
from robust.fuzzing.company import answer_gaps
from robust.fuzzing.expected import Expected
from robust.fuzzing.faults import Fault
from robust.types import AnyArray, FloatArray


@dataclass(slots=True)
class Witness:
    """A row whose answer is remembered.

    Args:
        row: The row (d,).
        outputs: Its latest answer (1, k); None where it was not asked yet, or has none.
    """

    row: AnyArray
    outputs: FloatArray | None = field(default=None, repr=False)

    def remember(self, asker: Asker, expected: Expected) -> None:
        """Ask the row for the first time, twice: what does not repeat is none of what is looked for here."""
        if self.outputs is None:
            first, again = asker.ask(self.row[None]).outputs, asker.ask(self.row[None]).outputs
            self.outputs = first if _same(first, again, expected) else None

    def changed(self, asker: Asker, expected: Expected) -> Fault | None:
        """Ask the row again: a fault where its answer moved, and stays so."""
        first = self.outputs
        if first is None:
            return None
        now = asker.ask(self.row[None])
        if now.stopped or _same(first, now.outputs, expected):
            return None
        again = asker.ask(self.row[None])
        if again.stopped or not (_same(now.outputs, again.outputs, expected) or now.told == again.told != ""):
            return None
        self.outputs = now.outputs
        if now.outputs is None or now.outputs.shape != first.shape:
            told = f"raises {now.told}" if now.error is not None else now.misshapen or "has another number of outputs"
            return Fault(
                property="determinism", kind="for good", words=f"after these rows, another that it took {told}"
            )
        gap = float(answer_gaps(first, now.outputs)[0])
        how = "a number and none" if not np.isfinite(gap) else f"{gap:.3g}"
        words = (
            f"after these rows, another is answered otherwise than before, and stays so: the answers differ by {how}"
        )
        return Fault(property="determinism", kind="for good", words=words)


def _same(one: FloatArray | None, other: FloatArray | None, expected: Expected) -> bool:
    """Whether two answers are one, but for rounding; two that are none are not."""
    if one is None or other is None or one.shape != other.shape:
        return False
    return np.array_equal(one, other) or bool((answer_gaps(one, other) <= expected.rounding(one)).all())
