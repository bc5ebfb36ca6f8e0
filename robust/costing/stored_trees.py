"""What decision trees store."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def tree_storage(estimator: Any) -> tuple[int, int] | None:
    """Numbers and bytes of the trees of an estimator.

    Args:
        estimator: A fitted tree or an ensemble of trees.

    Returns:
        Thresholds and leaf values, counted, and the bytes of the node tables; None where it holds something else than
        trees.
    """
    numbers = size = 0
    found = False
    for table, values in _tables(estimator):
        if table is None:
            return None
        found = True
        inner = int(np.count_nonzero(table["left_child"] >= 0)) if "left_child" in (table.dtype.names or ()) else None
        if inner is None:  # boosted on histograms: leaves are marked, their values stand in the table
            inner = int(np.count_nonzero(table["is_leaf"] == 0))
            numbers += inner + (len(table) - inner)
            size += table.nbytes
        else:
            numbers += inner + (len(table) - inner) * (values.size // len(values))
            size += table.nbytes + values.nbytes
    return (numbers, size) if found else None


def _tables(estimator: Any) -> Iterator[tuple[Any, Any]]:
    """Node table and values of each tree; None where a member is no tree."""
    if hasattr(estimator, "tree_"):
        state = estimator.tree_.__getstate__()
        yield state["nodes"], state["values"]
    elif hasattr(estimator, "_predictors"):
        for stage in estimator._predictors:
            for predictor in stage:
                yield predictor.nodes, None
    elif hasattr(estimator, "estimators_"):
        for member in np.ravel(np.asarray(estimator.estimators_, dtype=object)):
            if member is not None:
                yield from _tables(member)
    else:
        yield None, None
