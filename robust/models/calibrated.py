"""On which rows a model's ranges were taken: those tell nothing about new rows."""

from collections.abc import Callable
from dataclasses import dataclass

from robust.data.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibrated:
    """The calibration rows of a model that was built here, by their content.

    Args:
        name: Of the rows.
        row: Shape of one.
        shared: From other rows of that shape to how many of them are among these.
    """

    name: str
    row: tuple[int, ...]
    shared: Callable[[Dataset], int]

    def leakage(self, data: Dataset) -> str | None:
        """What a reader must know where a model is judged on rows that its ranges were taken from; None elsewhere.

        Args:
            data: Rows that the model is judged on.

        >>> from robust.data.live import as_data
        >>> import numpy as np
        >>> rows = as_data(np.zeros((4, 2)), name="test")
        >>> Calibrated(name="train", row=(2,), shared=lambda data: 1).leakage(rows)[:76]
        'leakage: 1 of 4 rows of test are among the calibration rows of train (25 %):'
        >>> Calibrated(name="train", row=(3,), shared=len).leakage(rows)
        """
        shared = self.shared(data) if data.x.shape[1:] == self.row else 0
        if not shared:
            return None
        return (
            f"leakage: {shared} of {len(data)} rows of {data.name} are among the calibration rows of {self.name} "
            f"({100 * shared / len(data):.3g} %): the ranges fit them better than new rows, so that the loss looks "
            "smaller than it is; calibrate on training rows"
        )
