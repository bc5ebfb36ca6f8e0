"""Ranges: by hand, with the outermost values left out, and rows that cannot tell any."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.bitwidths.rounding import grid_of
from robust.bitwidths.settings import Bits, uniform
from robust.bitwidths.simulated_model import simulate_bits
from robust.bitwidths.simulation import simulate
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.quantization.degradation_paired import degradation

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()


def test_ranges_are_least_and_largest_over_all_batches():
    model = net()
    with metered() as meter:
        found = simulate(as_model(model, output="logits", batch_size=64), as_data(X))
    with torch.no_grad():
        hidden = torch.relu(model[0](torch.from_numpy(X)))
    low, high = found.ranges.ends["0"]
    assert (low, high) == (X.min(), X.max())
    assert found.ranges.ends["2"] == pytest.approx((0, float(hidden.max())))
    assert meter.forward_rows == 300


def test_percentile_leaves_the_outermost_values_out():
    rows = X.copy()
    rows[7, 2] = 1000.0
    wide = simulate(as_model(net(), output="logits"), as_data(rows))
    with metered() as meter:
        narrow = simulate(as_model(net(), output="logits"), as_data(rows), calibrate="percentile", percentile=99.0)
    assert meter.forward_rows == 600
    low, high = narrow.ranges.ends["0"]
    step = (1000 - rows.min()) / 2048
    assert low <= np.quantile(rows, 0.005) + step
    assert np.quantile(rows, 0.995) - step <= high <= np.quantile(rows, 0.995) + step
    assert wide.ranges.ends["0"][1] == 1000.0
    assert narrow.ranges.widest == wide.ranges.ends
    everything = simulate(as_model(net(), output="logits"), as_data(rows), calibrate="percentile", percentile=100.0)
    assert everything.ranges.ends["0"] == pytest.approx(wide.ranges.ends["0"])


def test_a_range_cuts_off_what_lies_outside():
    model = as_model(nn.Linear(1, 1, bias=False).requires_grad_(False), output="values")
    model.forward.__self__.module.weight.data[:] = 1.0
    simulation = simulate(model, as_data(np.array([[-1.0], [2.0]], dtype=np.float32)))
    coarse = simulation.at(uniform(["Linear"], Bits(activations=8), per_channel=True))
    assert coarse.forward(np.array([[9.0], [-9.0]])).ravel().tolist() == pytest.approx(
        grid_of(-1, 2, 8).nearest(np.array([9.0, -9.0])).tolist()
    )


def test_an_input_that_was_never_seen_stays_in_float():
    model = net()
    model[0].bias.data[:] = -1e6
    simulation = simulate(as_model(model, output="logits"), as_data(X))
    assert simulation.ranges.unseen == ("2",)
    assert "2 (Linear): its input was 0 on all calibration rows" in simulation.remarks(None, inputs=True)[0]
    coarse = simulation.at(uniform(simulation.names(), Bits(activations=2), per_channel=True))
    model[0].bias.data[:] = 0
    assert len(np.unique(coarse.forward(X)[:, 0])) > 10  # through layer 2 without rounding


def test_few_rows_and_leakage_are_told():
    data = as_data(X)
    few = simulate(as_model(net(), output="logits"), data.rows(np.arange(31)))
    assert any("ranges rest on 31 calibration rows: 32 or more" in text for text in few.remarks(None, inputs=True))
    told = simulate(as_model(net(), output="logits"), data.rows(np.arange(40))).remarks(data, inputs=True)
    (leakage,) = told
    assert leakage.startswith("leakage: 40 of 300 rows of data are among the calibration rows of data (13.3 %): ")
    assert few.remarks(data, inputs=False) == []


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (np.ones((50, 4)), r"are all alike \(50\): no range"),
        (np.zeros((1, 4)), r"are all alike \(1\)"),
        (np.tile([1.0, 2, 3, 4], (9, 1)), r"are all alike \(9\)"),
        (np.where(np.arange(40).reshape(10, 4) == 13, np.nan, 1.0), "NaN or infinity in 1 rows, first at position 3"),
        (RNG.normal(size=(50, 3)), r"have shape \(3,\), those of the data \(4,\)"),
    ],
)
def test_rows_that_cannot_tell_a_range(rows, match):
    with pytest.raises(InvalidInput, match=match):
        simulate(as_model(net(), output="logits"), as_data(rows), row_shape=(4,))


def test_one_row_and_none():
    assert simulate(as_model(net(), output="logits"), as_data(X[:1])).ranges.rows == 1
    with pytest.raises(InvalidInput):
        as_data(X[:0])


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"calibrate": "entropy"}, "calibrate got 'entropy'; 'minmax' or 'percentile'"),
        ({"calibrate": "percentile", "percentile": 50.0}, r"percentile got 50.0; a number in \(50, 100\]"),
    ],
)
def test_other_ways_are_refused(said, match):
    with pytest.raises(InvalidInput, match=match):
        simulate(as_model(net(), output="logits"), as_data(X), **said)


def test_inputs_that_overflow_are_told():
    model = net()
    model[0].weight.data[:] = 3e38
    with pytest.raises(InvalidInput, match="the input of layer 2 is not finite on data"):
        simulate(as_model(model, output="logits"), as_data(np.abs(X) + 1))


def test_a_loss_on_the_calibration_rows_is_told_to_be_one():
    data = as_data(X, np.zeros(len(X), dtype=int))

    def leaks(model):
        found = degradation(as_model(net(), output="logits"), model, data)
        return [one.text for one in found.evidence if getattr(one, "text", "").startswith("leakage")]

    float_net = as_model(net(), output="logits")
    (told,) = leaks(simulate_bits(float_net, data.rows(np.arange(60)), weights=4, activations=4))
    assert told.startswith("leakage: 60 of 300 rows of data are among the calibration rows of data (20 %): ")
    assert leaks(simulate_bits(float_net, data, weights=4, activations=None)) == []  # no range is used
    assert leaks(simulate_bits(float_net, as_data(X + 0.5), weights=4, activations=4)) == []
