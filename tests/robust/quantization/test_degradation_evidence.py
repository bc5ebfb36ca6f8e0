"""What stands behind a degradation, and what it costs."""

import tracemalloc

import numpy as np
import pytest

from robust.data.live import as_data
from robust.evidence import Slices
from robust.measures.mean_change import mean_change_interval
from robust.measures.truth import score
from robust.metrics.classification import ACCURACY
from robust.models.conversion import as_model
from robust.predicting.predictions import predict
from robust.quantization.degradation_evidence import classification_evidence
from robust.quantization.degradation_paired import degradation


def compared(data, changed):
    """Two models that differ on some rows, beside the truth."""
    one_hot = np.eye(4)
    number = as_model(lambda x: one_hot[x[:, 0].astype(int)], output="probabilities")
    other = as_model(lambda x: one_hot[(x[:, 0] + (x[:, 1] < changed)).astype(int) % 4], output="probabilities")
    return [score(ACCURACY, predict(model, data), data) for model in (number, other)]


def rows(n, width, **given):
    x = np.zeros((n, width))
    x[:, 0], x[:, 1] = np.arange(n) % 4, np.arange(n)
    return as_data(x, np.arange(n) % 4, slices={"site": np.repeat(["a", "b"], n // 2)}, **given)


def peak_of(data):
    reference, candidate = compared(data, 100)
    tracemalloc.start()
    try:
        found = classification_evidence(reference, candidate, data, level=0.95, seed=0)
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bound", ["nothing", "groups", "order"])
def test_parts_are_judged_without_a_copy_of_their_inputs(bound):
    given = {"nothing": {}, "groups": {"groups": np.arange(2000) // 20}, "order": {"order": np.arange(2000)}}[bound]
    narrow, wide = (rows(2000, width, **given) for width in (2, 2000))
    peak_of(narrow)  # what is imported late
    bare = peak_of(narrow)[1]
    found, peak = peak_of(wide)
    # 32 MB of inputs, of which a site holds half and a class a quarter.
    assert peak - bare < wide.x.nbytes / 10
    by_class, by_site = (part for part in found if isinstance(part, Slices))
    assert [part.value for part in by_class.slices] == pytest.approx([0.05] * 4)
    assert [(part.name, part.value) for part in by_site.slices] == [
        ("site=a", pytest.approx(0.1)),
        ("site=b", pytest.approx(0.0)),
    ]


def test_growth_of_errors_by_slice_holds_for_all_slices_at_once():
    rng = np.random.default_rng(4)
    n = 300
    y = rng.normal(size=n)
    site = np.array(["north", "south"])[(np.arange(n) % 3 == 0).astype(int)]
    old = y + 0.2 * rng.normal(size=n)
    new = old + np.where(site == "south", 0.5, 0.0) * rng.normal(size=n)
    models = [as_model(lambda x, j=j: x[:, j], task="regression") for j in (0, 1)]
    m = degradation(*models, as_data(np.c_[old, new], y, slices={"site": site}), metric="rmse", seed=1)
    (table,) = (part for part in m.evidence if isinstance(part, Slices))
    assert (table.by, table.measure, table.level) == ("site", "loss of mean absolute error", 0.95)
    worst, other = table.slices
    assert (worst.name, worst.n, other.name, other.n) == ("site=south", 100, "site=north", 200)
    inside = site == "south"
    grown = np.abs(y - new)[inside] - np.abs(y - old)[inside]
    assert worst.value == pytest.approx(grown.mean())
    # Two parts at 95 % at once: each at 97.5 %.
    alone = mean_change_interval(grown, m_data(inside.sum()), level=0.975, seed=1, share=False)
    assert (worst.lower, worst.upper) == pytest.approx((alone.lower, alone.upper))
    assert worst.lower > 0
    # Nothing differs there: what 200 rows prove of rows that err by as much as the range that was seen.
    reach = max(y.max(), old.max(), new.max()) - min(y.min(), old.min(), new.min())
    assert other.value == 0.0
    assert other.upper == -other.lower == pytest.approx(reach * (1 - 0.025 ** (1 / 200)))


def m_data(n):
    return as_data(np.zeros((n, 1)))
