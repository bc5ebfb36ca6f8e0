"""All classification metrics of many rows in less than three times the memory of the predictions."""

import tracemalloc

import numpy as np

from robust.data.live import as_data
from robust.measures.all_classification import classification_metrics
from robust.models.conversion import as_model
from robust.predicting.settings import Settings, using


def peak_of(rows):
    """Peak of the bytes allocated, in sizes of the predictions."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(10), rows)
    y = (p.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=9)
    model, data = as_model(lambda x: x, output="probabilities", batch_size=1 << 14), as_data(p, y)
    tracemalloc.start()
    try:
        with using(Settings()):
            classification_metrics(model, data)
        return tracemalloc.get_traced_memory()[1] / p.nbytes
    finally:
        tracemalloc.stop()


def test_peak_stays_below_three_predictions():
    peak_of(1000)  # what is imported late
    assert peak_of(200_000) < 2.9
