"""The host's own noise: what another order of rows and other batches change in a model's answers."""

from dataclasses import replace

import numpy as np

from robust.data.dataset import Dataset
from robust.models.base import Model
from robust.predicting.calling import bind
from robust.predicting.company import other_batch
from robust.predicting.predictions import interpret
from robust.record.shape import Noise

_BATCH = 7
_ROWS = 512


def host_noise(model: Model, data: Dataset) -> Noise:
    """Predict rows again, in reversed order and in batches of 7, and count what changed.

    A model that takes fewer rows a call gets fewer than that, one that is declared to take single rows gets these.

    Args:
        model: The model.
        data: Rows; at most 512 of them, evenly spaced, are used.

    Returns:
        Rows compared, decisions that changed (predicted labels; always 0 for regression), and the largest
        difference of any output.
    """
    keep = np.unique(np.linspace(0, len(data) - 1, min(len(data), _ROWS)).round().astype(np.int64))
    x = data.x[keep]
    first = bind(model, data.schema).outputs(x)
    other = replace(model, batch_size=other_batch(model, _BATCH)) if model.fixed_batch is None else model
    again = bind(other, data.schema).outputs(x[::-1])[::-1]
    y = None if data.y is None else data.y[keep]
    changed = 0
    before = interpret(model, first, y)
    if before.task != "regression":
        changed = int(np.sum(before.labels != interpret(model, again, y).labels))
    return Noise(rows=len(keep), decisions_changed=changed, largest_difference=float(np.abs(first - again).max()))
