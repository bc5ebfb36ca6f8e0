"""What a measurement asks of its models."""

import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.cache import ArrayCache
from robust.predicting.calling import bind
from robust.predicting.metering import count_rows, metered
from robust.predicting.settings import Settings, current_settings, using


def test_meters_nest():
    with metered() as outer:
        count_rows(forward=2)
        with metered() as inner:
            count_rows(forward=3, backward=1)
        count_rows(forward=5)
    count_rows(forward=100)  # nobody counts
    assert (outer.forward_rows, outer.backward_rows) == (10, 1)
    assert (inner.forward_rows, inner.backward_rows) == (3, 1)


def test_rows_are_counted_whether_from_the_cache_or_not():
    data = as_data(np.zeros((7, 2)))
    model = as_model(lambda x: x[:, 0], gradients=lambda x, c: (c(x[:, :1]), x))
    with using(Settings(cache=ArrayCache())), metered() as meter:
        caller = bind(model, data.schema)
        caller.outputs(data.x, keep=True)
        caller.outputs(data.x, keep=True)
        caller.gradient(data.x, lambda values, _: values)
    cost = meter.cost()
    assert (cost.forward_rows, cost.backward_rows) == (21, 7)
    assert cost.seconds > 0


def test_settings_hold_inside_their_block():
    before = current_settings()
    with using(Settings(shards=3)):
        assert current_settings().shards == 3
    assert current_settings() is before
    assert before.shards == 1


def test_shards_must_be_at_least_one():
    with pytest.raises(InvalidInput, match="shards must be at least 1, got 0"):
        Settings(shards=0)
