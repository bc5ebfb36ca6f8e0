"""The host's own noise: what another order and other batches change."""

import numpy as np
import pytest

from robust.auditing.host import describe_host
from robust.auditing.noise import host_noise
from robust.data.live import as_data
from robust.models.base import Model
from robust.models.conversion import as_model

X = np.random.default_rng(0).normal(size=(700, 3))
Y = np.arange(700) % 3


def test_a_row_wise_model_has_none():
    found = host_noise(as_model(lambda x: x, output="logits"), as_data(X, Y))
    assert (found.rows, found.decisions_changed, found.largest_difference) == (512, 0, 0.0)
    assert host_noise(as_model(lambda x: x, output="logits"), as_data(X[:20], Y[:20])).rows == 20


def by_batch(x):
    """Answers depend on the number of rows that are asked at once."""
    return x + (0.5 if len(x) == 7 else 0.0) * np.array([1.0, 0, 0])


def test_what_depends_on_the_batch_is_counted():
    found = host_noise(as_model(by_batch, output="logits"), as_data(X, Y))
    keep = np.unique(np.linspace(0, 699, 512).round().astype(int))
    changed = (X[keep] + [0.5, 0, 0]).argmax(axis=1) != X[keep].argmax(axis=1)
    # The one row of the last, shorter batch (512 = 73·7 + 1) is asked alone: the first, since order is reversed.
    changed[0] = False
    assert found.decisions_changed == changed.sum() > 0
    assert found.largest_difference == pytest.approx(0.5)


def test_regression_has_no_decisions():
    found = host_noise(as_model(lambda x: x[:, 0] + (len(x) == 7), task="regression"), as_data(X, X[:, 0]))
    assert (found.decisions_changed, found.largest_difference) == (0, pytest.approx(1.0))


def test_a_fixed_batch_stays():
    sizes = set()

    def forward(x):
        sizes.add(len(x))
        return x

    host_noise(Model(name="m", framework="onnx", forward=forward, fixed_batch=32, output="logits"), as_data(X, Y))
    assert sizes == {32}


@pytest.mark.parametrize(("batch_size", "expected"), [(1, {1}), (2, {2, 1}), (7, {7, 2, 3, 1}), (8, {8, 4, 7, 1})])
def test_no_more_rows_a_call_than_declared(batch_size, expected):
    """A model that is deployed one row at a time has no noise of batches."""
    sizes = set()

    def forward(x):
        sizes.add(len(x))
        return x - x.mean(axis=0)

    found = host_noise(as_model(forward, output="logits", batch_size=batch_size), as_data(X, Y))
    assert max(sizes) == batch_size
    assert sizes <= expected
    assert (found.decisions_changed == 0) == (batch_size == 1)


def test_the_host_says_what_decides_kernels():
    host = describe_host()
    assert host == describe_host()
    assert dict(host.packages)["numpy"] == np.__version__
    assert host.processor
    assert host.python.count(".") == 2
