"""The rows that ranges of activations are taken from: which can be used, and what a reader must know of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from robust.data.dataset import Dataset, update_digest
from robust.data.large import row_blocks
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Finding
from robust.measures.row_contents import row_contents
from robust.models.calibrated import Calibrated
from robust.types import AnyArray

#: A value of a new row lies outside the range of n others with probability 2 / (n + 1): 22 % with 8 rows.
LEAST = 8
#: From here on it is 2 % or less.
ENOUGH = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationRows:
    """Calibration rows, in steps.

    Args:
        data: The rows.
        batch: Rows a step, at most.
        fixed: Rows a step exactly, where a model takes no others.
    """

    data: Dataset
    batch: int
    fixed: int | None

    @property
    def used(self) -> int:
        """Rows that are run: all, or as many as fill whole batches of a model that takes no others."""
        return len(self.data) if self.fixed is None else len(self.data) // self.fixed * self.fixed

    def batches(self) -> Iterator[AnyArray]:
        """The rows in their order, in steps that differ by one row at most; never more than one in memory."""
        steps = -(-self.used // (self.fixed or self.batch))
        edges = np.arange(steps + 1) * self.used // steps
        for start, end in pairwise(edges):
            yield np.array(self.data.x[start:end])

    def calibrated(self) -> Calibrated:
        """What a model that is calibrated on them keeps of them: a hash of each row that is run."""
        data = self.data if self.used == len(self.data) else self.data.rows(np.arange(self.used))
        return Calibrated(name=data.name, row=data.x.shape[1:], shared=row_contents(data).shared)

    def digest(self) -> str:
        """Content hash of the inputs that are run, in hex."""
        digest = hashlib.sha256()
        update_digest(digest, self.data.x[: self.used])
        return digest.hexdigest()


def calibration_rows(calibration: Any, *, batch: int, fixed: int | None) -> CalibrationRows:
    """Take rows for calibration.

    Args:
        calibration: What `as_data` takes; targets are not needed.
        batch: Rows a step, at most.
        fixed: Rows a step exactly, or None.

    Raises:
        InvalidInput: If there are fewer than 8 rows, or than one batch of a model that takes no others; if all are
            equal, or a value is NaN.
    """
    data = as_data(calibration)
    n = len(data)
    if n == 0:
        raise InvalidInput(
            f"{data.name} has no rows: at least {LEAST} calibration rows, better {ENOUGH}, would be right"
        )
    if n < LEAST:
        raise InvalidInput(
            f"{data.name} has {n} calibration {'row' if n == 1 else 'rows'}: a value of a new row would lie outside "
            f"their range with probability 2/(n + 1) = {2 / (n + 1):.0%}; at least {LEAST}, better {ENOUGH} would be "
            "right"
        )
    if fixed is not None and n < fixed:
        raise InvalidInput(
            f"{data.name} has {n} calibration rows, and the model takes exactly {fixed} at once: give at least {fixed}"
        )
    _refuse_missing(data)
    _refuse_constant(data)
    return CalibrationRows(data=data, batch=batch, fixed=fixed)


def calibration_findings(rows: CalibrationRows, test: Dataset | None = None) -> tuple[Finding, ...]:
    """What a reader must know of the rows: too few, left out, or those that the candidate is judged on.

    Args:
        rows: The calibration rows.
        test: Rows that the candidate is judged on, or None.
    """
    name, n = rows.data.name, len(rows.data)
    found = []
    leakage = None if test is None else rows.calibrated().leakage(test)
    if leakage is not None:
        found.append(leakage)
    if n < ENOUGH:
        found.append(
            f"{name} has {n} calibration rows: a value of a new row lies outside their range with probability "
            f"2/(n + 1) = {2 / (n + 1):.1%}; {ENOUGH} or more would be right"
        )
    if rows.used < n:
        found.append(
            f"{n - rows.used} of {n} calibration rows were left out: the model takes exactly {rows.fixed} at once"
        )
    return tuple(Finding(text=text) for text in found)


def _refuse_constant(data: Dataset) -> None:
    first = np.array(data.x[:1])
    if all(np.array_equal(data.x[block], np.broadcast_to(first, data.x[block].shape)) for block in row_blocks(data.x)):
        raise InvalidInput(
            f"all {len(data)} calibration rows of {data.name} are equal, so that activations have no range: rows such "
            "as the model will meet would be right"
        )


def _refuse_missing(data: Dataset) -> None:
    if data.x.dtype.kind != "f":
        return
    missing = np.concatenate(
        [np.isnan(data.x[block]).any(axis=tuple(range(1, data.x.ndim))) for block in row_blocks(data.x)]
    )
    if missing.any():
        raise InvalidInput(
            f"{data.name} has NaN in {int(missing.sum())} of {len(data)} calibration rows, first at position "
            f"{int(np.argmax(missing))}: no range can be taken from it; leave these rows out or fill them as the "
            "model's own preparation does"
        )
