import numpy as np
import pytest
import torch
from torch import nn

from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.interval_bounds import interval_bounds
from robust.certified.margin_bounds import prove_rows
from robust.data.live import as_data
from robust.models.conversion import as_model


def layer(weight, bias, dtype=torch.float32):
    net = nn.Linear(len(weight[0]), len(weight)).to(dtype)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(weight, dtype=dtype))
        net.bias.copy_(torch.tensor(bias, dtype=dtype))
    return net


def test_by_hand(read):
    # Two features in ±1 around (1, 2): h = relu(x0 − x1), in 0 … 1; logits (h, 0.5).
    net = nn.Sequential(layer([[1.0, -1.0]], [0.0]), nn.ReLU(), layer([[1.0], [0.0]], [0.0, 0.5])).double()
    network, changes = read(net, (2,), [[1.0, 2.0]], eps=1.0)
    bounds = interval_bounds(network, changes)
    found = [(float(low[0, 0]), float(high[0, 0])) for low, high in zip(bounds.lower, bounds.upper, strict=True)]
    assert found[1:] == [pytest.approx((-3.0, 1.0)), pytest.approx((0.0, 1.0)), pytest.approx((0.0, 1.0))]
    # For class 1: 0.5 − h is at least −0.5.
    assert prove_rows(network, changes, np.array([1]), method="interval").margin[0] == pytest.approx(-0.5)


def test_an_affine_layer_is_exact_in_the_max_norm(read):
    weight, bias = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]]), np.array([0.1, -0.2])
    x = np.array([[1.0, -1.0, 2.0]])
    network, changes = read(layer(weight, bias, torch.float64), (3,), x, eps=0.3)
    bounds = interval_bounds(network, changes)
    centre, radius = x @ weight.T + bias, 0.3 * np.abs(weight).sum(axis=1)
    np.testing.assert_allclose(bounds.lower[1], centre - radius, atol=1e-12)
    np.testing.assert_allclose(bounds.upper[1], centre + radius, atol=1e-12)
    assert (bounds.lower[1] <= centre - radius).all()
    assert (bounds.upper[1] >= centre + radius).all()


def test_an_affine_layer_is_exact_in_the_euclidean_norm(read):
    weight, bias = np.array([[3.0, -4.0], [0.0, 1.0]]), np.zeros(2)
    network, changes = read(layer(weight, bias, torch.float64), (2,), np.array([[1.0, 1.0]]), eps=0.5, norm="l2")
    bounds = interval_bounds(network, changes)
    np.testing.assert_allclose(bounds.lower[1], [[-1.0 - 2.5, 1.0 - 0.5]], atol=1e-7)


def cancelling():
    """Logits (2²⁴ a + b − 2²⁴ c, 0.5): float32 sums lose b where it is below 1."""
    return nn.Sequential(layer([[2.0**24, 1.0, -(2.0**24)], [0.0, 0.0, 0.0]], [0.0, 0.5]))


def test_what_exact_arithmetic_proves_float32_may_break(answer):
    net = cancelling()
    x, y = np.array([[1.0, 2.0, 1.0]], dtype=np.float32), np.array([0])
    assert answer(net, (3,), x).argmax(axis=1)[0] == 0
    broken = np.array([[1.0, 0.96, 1.0]], dtype=np.float32)
    data = as_data(x, y, names=["a", "b", "c"])
    exact = (2.0 - 1.05) - 0.5  # the smallest margin of real numbers: a proof, if sums were exact
    assert exact > 0
    assert answer(net, (3,), broken).argmax(axis=1)[0] == 1
    assert certified_accuracy(as_model(net, output="logits"), data, eps={"b": 1.05}).value == 0.0
    # The same model in double precision does not lose it, and is proved.
    double = as_model(cancelling().double(), output="logits")
    rows = as_data(x.astype(np.float64), y, names=["a", "b", "c"])
    assert certified_accuracy(double, rows, eps={"b": 1.05}).value == 1.0


def test_rows_that_the_model_rounds_first(answer):
    # float64 rows for a float32 model: 1 + 2⁻³⁰ becomes 1, and a threshold between the two is crossed.
    net = layer([[2.0**20], [0.0]], [-(2.0**20), 1e-4])
    network_rows = np.array([[1.0 + 2.0**-30]])
    outputs = answer(net, (1,), network_rows.astype(np.float32))
    assert outputs[0, 0] == 0.0
    data = as_data(network_rows, [1])
    assert certified_accuracy(as_model(net, output="logits"), data, eps=1e-12).value == 0.0


def test_values_that_overflow_in_the_models_precision_prove_nothing(read):
    net = layer([[1e38, 1e38], [0.0, 0.0]], [0.0, -1.0])
    network, changes = read(net, (2,), [[1.0, 1.0]], eps=2.0)
    assert prove_rows(network, changes, np.array([0]), method=None).margin[0] == -np.inf


@pytest.mark.parametrize("kind", ["dense", "leaky", "residual", "pooled", "series"])
def test_float32_outputs_lie_inside_the_bounds_of_no_change(make, read, answer, kind):
    net, shape = make(kind, 11)
    x = np.random.default_rng(0).normal(size=(50, int(np.prod(shape)))).astype(np.float32)
    outputs = answer(net, shape, x)
    network, changes = read(net, shape, x, eps=0.0)
    bounds = interval_bounds(network, changes)
    assert ((outputs >= bounds.lower[-1]) & (outputs <= bounds.upper[-1])).all()
    assert (bounds.upper[-1] - bounds.lower[-1]).max() < 1e-2 * np.abs(outputs).max()
