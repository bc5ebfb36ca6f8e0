"""The same bits for any number of shards; the same decisions for any batch size; for each framework."""

import threading
import time

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.predicting.cache import ArrayCache
from robust.predicting.calling import bind
from robust.predicting.settings import Settings, using


@pytest.fixture(scope="module")
def digits():
    return load_data(example_path("digits") / "test.npz")


@pytest.fixture(scope="module")
def models(digits):
    flat = digits.x.reshape(len(digits), -1)
    folder = example_path("digits")
    torch.manual_seed(0)
    shape = digits.x.shape[1:]
    logistic = LogisticRegression(max_iter=300).fit(flat[:150], digits.y[:150])
    forest = RandomForestClassifier(5, random_state=0).fit(flat[:150], digits.y[:150])
    return {
        "onnx float": (load_model(folder / "float.onnx", output="logits"), digits),
        "onnx int8": (load_model(folder / "int8.onnx", output="logits"), digits),
        "torch": (
            load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits"),
            digits,
        ),
        "torch dropout": (
            as_model(
                torch.nn.Sequential(
                    torch.nn.Flatten(),
                    torch.nn.Linear(int(np.prod(shape)), 32),
                    torch.nn.BatchNorm1d(32),
                    torch.nn.Dropout(0.5),
                    torch.nn.ReLU(),
                    torch.nn.Linear(32, 10),
                ),
                output="logits",
            ),
            digits,
        ),
        "sklearn logistic": (as_model(logistic), as_data(flat, digits.y)),
        "sklearn forest": (as_model(forest), as_data(flat, digits.y)),
    }


KINDS = ["onnx float", "onnx int8", "torch", "torch dropout", "sklearn logistic", "sklearn forest"]


def answers(model, data, *, shards=1, batch_size=None):
    model = model if batch_size is None else as_model(model, batch_size=batch_size)
    with using(Settings(cache=ArrayCache(), shards=shards)):
        return bind(model, data.schema).outputs(data.x)


@pytest.mark.parametrize("kind", KINDS)
def test_shards_do_not_change_a_bit(models, kind):
    model, data = models[kind]
    model = as_model(model, batch_size=64)  # several blocks
    one = answers(model, data)
    for shards in (2, 8):
        np.testing.assert_array_equal(answers(model, data, shards=shards), one)
    np.testing.assert_array_equal(answers(model, data), one)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_sizes_and_row_order_do_not_change_decisions(models, kind):
    model, data = models[kind]
    whole = answers(model, data, batch_size=256)
    for size in (1, 7):
        other = answers(model, data, batch_size=size)
        np.testing.assert_allclose(other, whole, atol=1e-6, rtol=1e-6)
        np.testing.assert_array_equal(other.argmax(axis=1), whole.argmax(axis=1))
    order = np.random.default_rng(0).permutation(len(data))
    turned = answers(model, data.rows(order))
    np.testing.assert_allclose(turned, whole[order], atol=1e-6, rtol=1e-6)


class Uneven(torch.nn.Module):
    """Takes longer for some batches, so that calls from several threads would end in another order."""

    def forward(self, x):
        time.sleep(0.002 * float(x[0, 0].abs()))
        return x


def test_shards_do_not_put_a_module_into_training_mode_under_another_call():
    module = torch.nn.Sequential(Uneven(), torch.nn.Dropout(0.5), torch.nn.Linear(4, 2)).train()
    data = as_data(np.random.default_rng(0).normal(size=(800, 4)))
    model = as_model(module, batch_size=32, output="logits")
    np.testing.assert_array_equal(answers(model, data, shards=8), answers(model, data))
    assert all(part.training for part in module.modules())


def test_estimators_and_sessions_are_called_from_several_threads():
    names = set()

    def forward(x):
        names.add(threading.get_ident())
        time.sleep(0.01)
        return x[:, 0]

    data = as_data(np.ones((64, 2)))
    answers(Model(name="m", framework="sklearn", forward=forward, batch_size=4), data, shards=4)
    assert len(names) > 1


def test_plain_callables_are_not_called_from_threads():
    inside = []

    def forward(x):
        assert not inside, "two calls at once"
        inside.append(1)
        found = x.sum(axis=1)
        inside.pop()
        return found

    x = np.random.default_rng(0).normal(size=(500, 4))
    found = answers(as_model(forward, batch_size=10), as_data(x), shards=8)
    np.testing.assert_array_equal(found[:, 0], x.sum(axis=1))
