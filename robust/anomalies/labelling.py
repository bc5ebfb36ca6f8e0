"""Which test rows are anomalous."""

from collections.abc import Sequence

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Label
from robust.types import BoolArray


def anomalous_rows(data: Dataset, anomalous: Label | Sequence[Label]) -> BoolArray:
    """Rows with one of the labels that mean an anomaly; every other label means normal.

    Args:
        data: Rows with labels (n,).
        anomalous: The label, or several.

    Returns:
        Which rows are anomalous (n,), some and not all.

    Raises:
        InvalidInput: If the targets are no labels, a label does not occur, or all rows are of one kind.
    """
    y = data.targets
    if y.ndim != 1 or (y.dtype.kind == "f" and not bool(np.all(y == np.rint(y)))):
        raise InvalidInput(
            f"the targets of {data.name} are {y.dtype} of shape {y.shape}; one label a row would be right, "
            "which says whether it is anomalous"
        )
    found = {_word(label): label for label in np.unique(y).tolist()}
    asked = _labels(anomalous)
    unknown = [label for label in asked if _word(label) not in found]
    if unknown:
        raise InvalidInput(
            f"anomalous got {unknown[:10]}, which no row of {data.name} has; its labels are "
            f"{list(found.values())[:20]}: name the one that means an anomaly"
        )
    odd = np.isin(y, [found[_word(label)] for label in asked])
    if odd.all():
        raise InvalidInput(
            f"all {len(odd)} rows of {data.name} are anomalous: a false positive rate needs normal rows too"
        )
    return np.asarray(odd)


def refuse_anomalies(normal: Dataset, anomalous: Label | Sequence[Label]) -> None:
    """Normal rows must be normal, where they have labels.

    Args:
        normal: Rows that a threshold is chosen on, with labels or without.
        anomalous: Labels that mean an anomaly.

    Raises:
        InvalidInput: If some rows are labelled anomalous.
    """
    if normal.y is None or normal.y.ndim != 1:
        return
    words = {_word(label) for label in _labels(anomalous)}
    values, counts = np.unique(normal.y, return_counts=True)
    bad = sum(int(n) for value, n in zip(values.tolist(), counts, strict=True) if _word(value) in words)
    if bad:
        raise InvalidInput(
            f"{bad} of {len(normal)} rows of normal={normal.name} are labelled anomalous: a threshold from normal rows "
            "needs normal rows alone"
        )


def _labels(anomalous: Label | Sequence[Label]) -> tuple[Label, ...]:
    """One label or several, as a tuple."""
    several = (anomalous,) if isinstance(anomalous, str) or not isinstance(anomalous, Sequence) else tuple(anomalous)
    if not several:
        raise InvalidInput("anomalous got no label; the label that means an anomaly, e.g. 1, would be right")
    return several


def _word(label: object) -> str:
    """A label as text; 1, 1.0 and True are one."""
    return str(int(label)) if isinstance(label, bool | float) and float(label).is_integer() else str(label)
