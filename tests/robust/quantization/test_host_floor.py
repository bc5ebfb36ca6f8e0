"""The noise floor of the host: measured, printed beside the limit, and a reason for INVALID."""

import dataclasses

import numpy as np
import pytest
import torch

from robust import accuracy, load_data, load_model, percent
from robust.data.live import as_data
from robust.evidence import Fact, Finding
from robust.examples.catalogue import example_path
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation
from robust.report.assertion import assertion_lines, evidence_lines

N = 1000
RNG = np.random.default_rng(3)
Y = np.arange(N) % 4
X = RNG.normal(size=(N, 4)) + 4.0 * np.eye(4)[Y]


USUAL = torch.get_num_threads()
OTHER = "2 threads" if USUAL == 1 else "1 thread"


def noisy(share, name="noisy"):
    """A model whose kernels answer otherwise for a share of the rows when torch has another number of threads."""

    def forward(x):
        outputs = np.array(x)
        if torch.get_num_threads() != USUAL:
            hit = np.modf(np.abs(x[:, 0]) * 1e4)[0] < share
            outputs[hit] = -outputs[hit]
        return outputs

    return Model(name=name, framework="torch", forward=forward, output="logits")


def told(m):
    (fact,) = (part.value for part in m.evidence if isinstance(part, Fact) and part.name == "host floor")
    return fact


def test_a_noisy_model_has_a_floor_by_hand():
    x, y = X[:512], Y[:512]
    m = degradation(as_model(lambda x: x, output="logits"), noisy(0.02), (x, y))
    hit = np.modf(np.abs(x[:, 0]) * 1e4)[0] < 0.02
    before = x.argmax(axis=1)
    after = np.where(hit, (-x).argmax(axis=1), before)
    expected = abs((before == y).mean() - (after == y).mean())
    assert 0.005 < expected < 0.04
    assert m.value == 0.0
    assert m.resolution == pytest.approx(expected)
    assert told(m) == f"{expected:.3g}, seen with {OTHER} for the candidate (tried: {OTHER}, batches of 32 on 512 rows)"
    (finding,) = (part for part in m.evidence if isinstance(part, Finding))
    assert finding.text.startswith(f"noisy changes up to {int((before != after).sum())} of 512 decisions")


def test_a_limit_below_the_floor_is_invalid_and_one_above_it_is_not():
    many = as_data(np.tile(X, (4, 1)), np.tile(Y, 4))
    m = degradation(as_model(lambda x: x, output="logits"), noisy(0.02), many)
    assert m.upper < 0.005  # no difference at all in 4000 rows
    verdict = m < percent(1)
    assert verdict.status == "INVALID"
    assert "host floor" in verdict.reason
    assert "(host floor " in assertion_lines(verdict)[0]
    assert any("host floor" in line for line in evidence_lines(verdict)[2:])
    assert (m < percent(5)).status == "PASS"


def test_noise_of_the_reference_counts_too_and_common_noise_cancels():
    quiet, one, other = as_model(lambda x: x, output="logits"), noisy(0.05), noisy(0.05, name="other")
    data = as_data(X[:512], Y[:512])
    at_reference = degradation(one, quiet, data)
    assert at_reference.resolution > 0.02
    both = degradation(one, other, data)
    # Together they move alike; each alone does not.
    assert both.resolution == at_reference.resolution == degradation(quiet, other, data).resolution


def test_a_loss_far_beyond_the_floor_fails():
    bad = dataclasses.replace(noisy(0.02), forward=lambda x: -noisy(0.02).forward(x))
    assert (degradation(as_model(lambda x: x, output="logits"), bad, as_data(X, Y)) < percent(1)).status == "FAIL"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "log_loss", "brier"])
def test_digits_on_this_host(metric):
    folder = example_path("digits")
    data = load_data(folder / "test.npz")
    m = degradation(load_model(folder / "float.onnx"), load_model(folder / "int8.onnx"), data, metric=metric)
    # Rounding of the float model at most; int8 kernels with and without VNNI may answer otherwise by a decision or two.
    assert m.resolution < 0.006
    assert "1 thread, no graph optimization, basic graph optimization on 512 rows" in told(m)
    host = dict(m.provenance.host)
    assert "CPUExecutionProvider" in host["onnxruntime"]
    assert "cpu_features" in host


def test_plain_callables_and_callable_metrics_say_that_nothing_was_measured():
    one, other = as_model(lambda x: x, output="logits"), as_model(lambda x: x + 0.0, output="logits")
    assert told(degradation(one, other, as_data(X, Y))).startswith("not measured: no other setting")
    by_call = degradation(one, other, as_data(X, Y), metric=lambda m, d: accuracy(m, d))
    assert told(by_call) == "not measured: the metric is a callable"
    assert by_call.resolution == 0.0


def test_a_setting_that_fails_is_named_and_the_others_count():
    def forward(x):
        if torch.get_num_threads() != USUAL:
            raise ValueError("no such kernel")
        return x

    model = Model(name="m", framework="torch", forward=forward, output="logits")
    m = degradation(as_model(lambda x: x, output="logits"), model, (X[:512], Y[:512]))
    assert f"not tried: m, {OTHER}: m raised ValueError: no such kernel" in told(m)
    assert m.resolution == 0.0


def test_answers_are_kept_by_content():
    calls = []

    def forward(x):
        calls.append(len(x))
        return x

    model = Model(name="m", framework="torch", forward=forward, output="logits", identity=lambda: "kept by content")
    data = as_data(X[:512] + 1.0, Y[:512])
    degradation(as_model(lambda x: x, output="logits"), model, data)
    assert calls
    calls.clear()
    degradation(as_model(lambda x: x, output="logits"), model, data, metric="f1")
    assert calls == []


def test_regression_has_a_floor_without_decisions():
    y = RNG.normal(size=300)

    def forward(x):
        return x[:, 0] + 0.1 * (torch.get_num_threads() != USUAL)

    model = Model(name="m", framework="torch", forward=forward, task="regression", output="values")
    data = (np.c_[y, y + 0.5], y + 0.2)
    m = degradation(as_model(lambda x: x[:, 1], task="regression"), model, data, metric="mae", relative=False)
    assert m.resolution == pytest.approx(0.1)  # errors of 0.2 become errors of 0.1
    assert not any(isinstance(part, Finding) for part in m.evidence)
    relative = degradation(as_model(lambda x: x[:, 1], task="regression"), model, data, metric="mae")
    assert relative.resolution == pytest.approx(0.1 / 0.3)


@pytest.mark.parametrize("file", ["float.onnx", "int8.onnx"])
@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "log_loss", "brier"])
def test_honest_models_are_not_called_invalid(file, metric):
    folder = example_path("digits")
    data = load_data(folder / "test.npz")
    net = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    m = degradation(net, load_model(folder / file, output="logits"), data, metric=metric)
    for limit in (0.005, 0.01, 0.02, 0.05):
        assert (m < limit).status != "INVALID"
