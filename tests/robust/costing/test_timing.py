"""Latency: its statistics, what it times, and what it refuses; no test rests on how fast this host is."""

import math
import time

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import nn

import robust.costing.timing as timing
from robust.costing.steadiness import steadiness
from robust.costing.timing import latency, latency_by_layer, layer_latency
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Fact, Figure
from robust.models.conversion import as_model
from robust.models.loading import load_model

X = np.zeros((6, 1, 8, 8))


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock in place of the real one, for models that move it."""
    found = Clock()
    monkeypatch.setattr(timing, "time", found)
    return found


def timed(clock, seconds):
    """A model whose n-th call takes the n-th of some times; the first call of all is the checked one."""
    times = iter([0.0, *seconds])

    def model(x):
        clock.now += next(times)
        return x.reshape(len(x), -1).sum(axis=1)

    return as_model(model, name="timed")


def facts(m):
    return {item.name: item.value for item in m.evidence if isinstance(item, Fact)}


def test_the_median_and_its_bounds_by_hand(clock):
    seconds = [9.0, 9.0, *(float(i) for i in np.random.default_rng(0).permutation(np.arange(1, 31)))]
    m = latency(timed(clock, seconds), X, runs=30, warmup=2)
    assert (m.lower, m.value, m.upper, m.n) == (11.0, 15.5, 20.0, 30)
    assert (m.name, m.unit, m.higher_is_better, m.method) == ("latency", "seconds", False, "median-order-statistics")
    assert (m < 20.5).status == "PASS"
    assert (m < 15).status == "INCONCLUSIVE"
    assert (m < 11).status == "FAIL"
    assert facts(m)["range"] == "1 s .. 30 s"
    assert "no theoretical relation" in facts(m)["MACC and time"]


def test_warm_up_is_not_timed(clock):
    m = latency(timed(clock, [100.0] * 4 + [1.0] * 6), X, runs=6, warmup=4)
    assert m.upper == 1.0


def test_too_few_calls_prove_nothing(clock):
    m = latency(timed(clock, [1.0] * 4), X, runs=4, warmup=0)
    assert (m.lower, m.value, m.upper) == (0.0, 1.0, math.inf)
    assert (m < 1000).status == "INCONCLUSIVE"


def test_a_trend_is_told_and_decides_nothing(clock):
    rising = latency(timed(clock, [float(i) for i in range(1, 41)]), X, runs=40, warmup=0)
    (check,) = rising.validity
    assert (check.passed, check.bias) == (False, "none")
    assert "calls follow a trend" in check.reason
    assert "medians of the first and second half are 10.5 s and 30.5 s" in check.reason
    assert (rising < 100).status == "PASS"


def test_steady_hosts_are_rarely_called_unsteady():
    generator = np.random.default_rng(1)
    failed = [not steadiness(generator.lognormal(size=30)).passed for _ in range(2000)]
    # The normal approximation at p = 0.001, within four standard errors.
    assert np.mean(failed) <= 0.001 + 4 * math.sqrt(0.001 / 2000)
    assert steadiness(np.ones(30)).passed


def test_rows_and_host_are_told(clock):
    m = latency(timed(clock, [4.0] * 5), X, batch_size=8, runs=5, warmup=0)
    assert facts(m)["per row"] == 0.5
    options = dict(m.provenance.options)
    assert (options["batch_size"], options["runs"], options["warmup"]) == ("8", "5", "0")
    assert {"processor", "cores"} <= set(options)
    assert m.provenance.cost.forward_rows == 40


def test_calls_have_as_many_rows_as_asked():
    seen = []

    def model(x):
        seen.append(x.shape)
        return x[:, 0]

    latency(model, np.zeros((2, 3)), batch_size=5, runs=3, warmup=1)
    assert set(seen) == {(5, 3)}
    assert len(seen) == 5


def test_torch_runs_one_row_and_stays_as_it_was(convolutional):
    rows = []
    convolutional.train()
    convolutional.conv1.register_forward_hook(lambda part, x, y: rows.append((len(y), part.training, y.requires_grad)))
    m = latency(convolutional, X, runs=6, warmup=0)
    assert m.value > 0
    # The checked call alone is filled up to a block; timed ones are as asked.
    assert rows.count((1, False, False)) >= 6
    assert convolutional.training
    assert "threads" in dict(m.provenance.options)


def test_slow_models_are_slower():
    class Slow(nn.Module):
        def __init__(self, seconds):
            super().__init__()
            self.seconds = seconds

        def forward(self, x):
            time.sleep(self.seconds)
            return x.flatten(1)

    m = latency(Slow(0.01), X, runs=6, warmup=0)
    assert m.lower >= 0.01
    (layer,) = layer_latency(Slow(0.01), X, runs=3, warmup=0)
    assert (layer.name, layer.lower >= 0.01) == ("Slow", True)


def test_layers_of_a_module(convolutional):
    layers = layer_latency(convolutional, X, runs=4, warmup=1)
    assert {layer.name for layer in layers} == {"conv1", "bn1", "conv2", "bn2", "fc"}
    assert all(0 < layer.lower <= layer.median <= layer.upper for layer in layers)
    assert [layer.median for layer in layers] == sorted((layer.median for layer in layers), reverse=True)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in convolutional.modules())
    (figure,) = [item for item in latency(convolutional, X, runs=5).evidence if isinstance(item, Figure)]
    assert {series.name for series in figure.columns} == {"x", "y", "lower", "upper"}


def test_the_layers_of_the_evidence_are_handed_over(convolutional):
    measured, layers = latency_by_layer(convolutional, X, runs=5)
    (figure,) = [item for item in measured.evidence if isinstance(item, Figure)]
    columns = {series.name: series.values for series in figure.columns}
    assert columns["x"] == tuple(layer.name for layer in layers)
    assert columns["y"] == tuple(layer.median for layer in layers)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_parts_have_no_time_of_their_own():
    net = nn.Sequential(torch.jit.script(nn.Linear(6, 5)), nn.Linear(5, 2))
    assert [layer.name for layer in layer_latency(net, np.zeros((2, 6)), runs=2)] == ["1"]


def test_layers_of_a_file(tmp_path, float_file, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(float_file)
    monkeypatch.chdir(tmp_path)
    model = load_model(tmp_path / "net.onnx")
    layers = layer_latency(model, X, runs=4, warmup=2)
    operators = [layer.name.partition(" (")[2] for layer in layers]
    assert sum("Conv" in operator for operator in operators) == 2
    assert sum("Gemm" in operator for operator in operators) == 1
    assert all(0 <= layer.lower <= layer.median <= layer.upper for layer in layers)
    assert latency(model, X, batch_size=3, runs=5).value > 0
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]  # the profile is gone


def test_frameworks_that_tell_nothing_of_their_layers(float_file):
    assert layer_latency(lambda x: x[:, 0], np.ones((2, 3)), runs=1) == ()
    session = onnxruntime.InferenceSession(float_file, providers=["CPUExecutionProvider"])
    assert layer_latency(session, X, runs=1) == ()
    assert latency(session, X, runs=5).value > 0


def test_models_of_named_columns():
    import pandas as pd

    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
    model = LinearRegression().fit(frame, [0.0, 1.0, 2.0])
    assert latency(model, frame, runs=5).value > 0


def test_numbers_out_of_range_are_refused(convolutional):
    for option, value in (("batch_size", 0), ("runs", 0), ("warmup", -1), ("runs", 2.5), ("batch_size", True)):
        with pytest.raises(InvalidInput, match=f"{option} got {value}; a whole number of at least"):
            latency(convolutional, X, **{option: value})
    with pytest.raises(InvalidInput, match="strictly between 0.5 and 1"):
        latency(lambda x: x[:, 0], np.ones((2, 3)), runs=1, level=2)


def test_a_fixed_batch_is_kept(convolutional):
    program = torch.export.export(convolutional.eval(), (torch.zeros(2, 1, 8, 8),))
    with pytest.raises(InvalidInput, match="takes exactly 2 rows a call, got batch_size=1"):
        latency(program, X)
    assert latency(program, X, batch_size=2, runs=5).value > 0
    assert layer_latency(program, X, batch_size=2, runs=2) == ()


def test_models_that_fail_are_told():
    with pytest.raises(ModelFault, match="NaN or infinity"):
        latency(lambda x: x[:, 0] * np.nan, np.ones((2, 3)))
    calls = []

    def failing(x):
        calls.append(1)
        if len(calls) > 3:
            raise OSError("gone")
        return x[:, 0]

    with pytest.raises(ModelFault, match="raised OSError: gone while it was timed"):
        latency(failing, np.ones((2, 3)))


@pytest.fixture
def recurrent(tmp_path, files):
    """y = x W + h, the state of the next step: two inputs."""
    nodes = [files.node("MatMul", ["x", "w"], ["z"], name="product"), files.node("Add", ["z", "h"], ["y"])]
    inputs = [files.value("x", ["n", 4]), files.value("h", ["n", 6])]
    path = tmp_path / "state.onnx"
    path.write_bytes(files.model(nodes, inputs, [files.value("y", ["n", 6])], {"w": np.ones((4, 6), np.float32)}))
    return path


def test_a_file_with_several_inputs_is_timed(recurrent):
    x, h = np.ones((5, 4)), np.zeros((5, 6))
    for data in ([x, h], (x, h), {"h": h, "x": x}):
        m, layers = latency_by_layer(str(recurrent), data, batch_size=3, runs=6)
        assert 0 < m.lower <= m.value <= m.upper
        assert (m.n, dict(m.provenance.options)["batch_size"]) == (6, "3")
        assert any("product" in layer.name for layer in layers)
    other = latency(recurrent, [x + 1, h], runs=3)
    assert other.provenance.data != m.provenance.data
    assert other.provenance.models == m.provenance.models
    assert m.provenance.models[0][0] == "state.onnx"
    assert m.provenance.models[0][1]
    assert {layer.name for layer in layer_latency(recurrent, [x, h], runs=3)} == {layer.name for layer in layers}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.ones((5, 4)), r"state.onnx takes 2 inputs, got ndarray; one array each for 'x', 'h'"),
        ([np.ones((5, 4))], "takes 2 inputs, got 1 arrays"),
        ({"x": np.ones((5, 4)), "state": np.ones((5, 6))}, "got arrays for 'x', 'state'"),
        ([np.ones((5, 4)), np.ones((5, 7))], "state.onnx: .*'h'"),
        ([np.ones((5, 4)), np.ones((3, 6))], "rows"),
    ],
)
def test_arrays_that_do_not_fit_several_inputs_are_refused(recurrent, data, match):
    with pytest.raises(InvalidInput, match=match):
        latency(recurrent, data, runs=3)


def test_a_fixed_batch_of_several_inputs_is_kept(tmp_path, files):
    path, shape = tmp_path / "fixed.onnx", [2, 6]
    inputs = [files.value(name, shape) for name in "xh"]
    path.write_bytes(files.model([files.node("Add", ["x", "h"], ["y"])], inputs, [files.value("y", shape)]))
    data = [np.ones((5, 6)), np.ones((5, 6))]
    assert latency(path, data, batch_size=2, runs=3).n == 3
    with pytest.raises(InvalidInput, match="takes exactly 2 rows a call, got batch_size=1"):
        latency(path, data, runs=3)
