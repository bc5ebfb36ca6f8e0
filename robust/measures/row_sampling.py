"""Standard errors of means over rows that may depend on each other: independent, grouped, or in time."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robust.data.dataset import Dataset
from robust.data.ordering import time_order
from robust.intervals.cluster import FEWEST, cluster_index
from robust.intervals.long_run import long_run_variance
from robust.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampling:
    """How rows depend on each other.

    Args:
        kind: `rows` independent; `groups` dependent inside a group alone; `time` dependent along the order.
        labels: Codes 0 … G−1 (n,) of groups, or positions of the rows in time order (n,).
    """

    kind: Literal["rows", "groups", "time"]
    labels: IntArray

    @property
    def method(self) -> str:
        """Name of the method, for a measurement."""
        return {"rows": "hc-robust", "groups": "cluster-robust", "time": "hac-robust"}[self.kind]

    @property
    def units(self) -> int:
        """Units that may count as independent at best."""
        return int(self.labels.max()) + 1 if self.kind == "groups" else len(self.labels)

    @property
    def provable(self) -> bool:
        """Whether there are enough units for any bound."""
        return self.units >= FEWEST

    def take(self, keep: BoolArray) -> "Sampling":
        """The same for some of the rows, a mask (n,)."""
        if self.kind == "time":
            return Sampling(kind="time", labels=(np.cumsum(keep) - 1)[self.labels[keep[self.labels]]])
        return Sampling(kind=self.kind, labels=np.unique(self.labels[keep], return_inverse=True)[1])

    def error(self, influence: FloatArray) -> tuple[float, float]:
        """Standard error of a mean.

        Independent rows: √(Σ ψ²/(n(n − 1))), which holds for unequal variances (White 1980). Groups:
        √(Σ_g s_g²·G/(G − 1))/n with s_g the sum over a group (Cameron, Gelbach and Miller 2008). Time: cosine
        projections (`long_run_variance`).

        Args:
            influence: Values (n,) whose mean is the figure's error to first order.

        Returns:
            The error, and the degrees of freedom of Student's t.

        >>> two = Sampling(kind="groups", labels=np.array([0, 0, 1, 1]))
        >>> two.error(np.array([1.0, 1.0, -1.0, -1.0]))
        (1.0, 1.0)
        """
        n = len(influence)
        if self.kind == "time":
            variance, freedom = long_run_variance(influence[self.labels])
            return math.sqrt(variance), float(freedom)
        sums = np.bincount(self.labels, influence) if self.kind == "groups" else influence
        units = max(len(sums), 2)
        return math.sqrt(float(sums @ sums) * units / (units - 1)) / n, units - 1.0


def sampling_of(data: Dataset) -> Sampling:
    """How rows depend on each other: in groups where there are any, else in time, else not at all."""
    if data.groups is not None:
        return Sampling(kind="groups", labels=cluster_index(data.groups)[0])
    if data.order is not None:
        return Sampling(kind="time", labels=time_order(data).rows)
    return Sampling(kind="rows", labels=np.arange(len(data)))
