"""Answers that depend on the rows that share a batch: refused, told, or the models' that have none."""

import re

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from robust.anomalies.detecting import anomaly_detection
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.noise import RandomNoise
from robust.cli import cli
from robust.crosscheck.x_cross import agreement
from robust.data.live import as_data
from robust.errors import ModelFault
from robust.evidence import Finding
from robust.measures.classification import accuracy, f1
from robust.measures.regression import rmse
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.models.loading import load_model
from robust.predicting.cache import ArrayCache
from robust.predicting.company import other_batch
from robust.predicting.metering import metered
from robust.predicting.predictions import predict
from robust.predicting.settings import Settings, using
from robust.sensitivity.sweep import Sweep
from robust.sensitivity.sweep_flips import flip_rate

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3))
Y = RNG.integers(0, 3, 400)
DEPENDS = (
    r"'s answers depend on the rows that share a batch, or on what was asked before: {} of {} sampled rows changed"
)


def notes(measurement):
    return [part.text for part in measurement.evidence if isinstance(part, Finding) and "answers of" in part.text]


def recorder(forward, **options):
    """A model, and the batches that it was asked."""
    seen = []

    def answer(x):
        seen.append(x.copy())
        return forward(x)

    return Model(name="m", framework="callable", forward=answer, output="logits", **options), seen


class Centred(torch.nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class StillTraining(torch.nn.Module):
    """A wrapper whose `eval` does not reach the normalization inside."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.head = torch.nn.BatchNorm1d(3, momentum=0.0), torch.nn.Linear(3, 3)

    def train(self, mode=True):
        super().train(mode)
        self.norm.train(True)
        return self

    def forward(self, x):
        return self.head(self.norm(x))


class Alternating:
    """Two sets of answers in turn."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x if self.calls % 2 else -x


def reversed_in_small_batches(x):
    return -x if len(x) <= 100 else x


FAULTY = {
    "centred": Centred,
    "batch normalization in training mode": StillTraining,
    "by the length of the batch": lambda: reversed_in_small_batches,
    "in turn": Alternating,
    "centred in numpy": lambda: lambda x: x - x.mean(axis=0),
    "ranked within the batch": lambda: lambda x: x.argsort(axis=0).argsort(axis=0),
}


@pytest.mark.parametrize("kind", FAULTY)
@pytest.mark.parametrize(
    "measure",
    [
        lambda model: accuracy(model, (X, Y)),
        lambda model: flip_rate(model, X, sweep=Sweep(feature=0, absolute=(-1e-3, 1e-3))),
        lambda model: robust_accuracy(model, (X, Y), attack=RandomNoise(eps=1e-3)),
    ],
    ids=["accuracy", "flip_rate", "robust_accuracy"],
)
def test_a_model_that_answers_by_the_batch_is_refused(kind, measure):
    model = as_model(FAULTY[kind](), name="m", output="logits")
    with pytest.raises(
        ModelFault, match="m" + DEPENDS.format(r"\d+", 32) + r".*; outputs differ by up to \d.*BatchNorm"
    ):
        measure(model)


def test_what_was_seen_and_what_would_be_right_are_told():
    shift = np.array([0.7, 0.0, 0.0])
    model, seen = recorder(lambda x: x + shift if len(x) == 32 else x)
    with pytest.raises(ModelFault) as caught:
        predict(model, as_data(X))
    (asked,) = (batch for batch in seen if len(batch) == 32)
    changed = int(np.sum(asked.argmax(axis=1) != (asked + shift).argmax(axis=1)))
    assert changed > 1
    text = str(caught.value)
    assert re.match("m" + DEPENDS.format(changed, 32), text)
    assert "in a batch of 32 (one of them also alone: it did not change); outputs differ by up to 0.7," in text
    assert "declare batch_size=1 (in as_model, load_model, or [models] of a config)" in text


@pytest.mark.parametrize("kind", sorted(set(FAULTY) - {"in turn"}))
def test_one_row_at_a_time_is_always_defined(kind):
    forward = FAULTY[kind]()
    model = as_model(forward, output="logits", batch_size=1)
    m = accuracy(model, (X, Y))
    assert notes(m) == []
    alone = np.concatenate([model.forward(X[i : i + 1]) for i in range(len(X))])
    assert m.value == np.mean(alone.argmax(axis=1) == Y)
    assert flip_rate(model, X[:50], sweep=Sweep(feature=0, absolute=(-1e-3, 1e-3))).value <= 1


def test_a_state_between_calls_is_no_matter_of_batches():
    with pytest.raises(ModelFault, match=r"m's answers depend on what was asked before: \d+ of 32 .* one at a time"):
        predict(as_model(Alternating(), name="m", output="logits", batch_size=1), as_data(X))


def test_an_audit_is_no_false_green(tmp_path, monkeypatch):
    x = X.astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=x.argmax(axis=1))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    nodes = [helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]), helper.make_node("Sub", ["x", "m"], ["y"])]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "centred.onnx"
    )
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(
        cli, ["audit", "--candidate", "centred.onnx", "--output", "logits", "--data", "rows.npz", "--no-cache"]
    )
    assert isinstance(run.exception, ModelFault), run.output
    assert "centred.onnx's answers depend on the rows that share a batch" in str(run.exception)
    assert not list((tmp_path / "robust-report").glob("*.*"))  # neither record nor report


def centred(x):
    return x - x.mean(axis=0)


def test_a_detector_and_an_agreement_are_asked_again_too():
    detector = as_model(centred, name="m", task="regression")
    with pytest.raises(ModelFault, match="m" + DEPENDS.format(r"\d+", 32)):
        anomaly_detection(detector, (X, np.arange(len(X)) % 2), normal=X + 5.0)
    with pytest.raises(ModelFault, match="m" + DEPENDS.format(r"\d+", 32)):
        agreement(lambda x: x, detector, X)


def test_few_answers_that_depend_are_told_of_a_detector_and_an_agreement():
    slightly = as_model(lambda x: x + 0.1 * (len(x) <= 32), name="m", task="regression")
    report = anomaly_detection(slightly, (X, np.arange(len(X)) % 2), normal=X + 5.0)
    assert "answers of m on data depend on the rows that share a batch" in notes(report.tpr)[1]
    found = agreement(lambda x: x, slightly, X)
    assert "answers of m on data depend on the rows that share a batch" in notes(found.l2r)[0]
    assert "answers of m on data depend on the rows that share a batch" in found.report()


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "outcome"), [(0.2, "refused"), (0.1, "told"), (0.001, "silent")])
def test_values_are_measured_by_their_spread(shift, outcome):
    """The middle 90 % of the standard normal span 3.3: a twentieth is 0.16, a thousandth 0.0033."""
    model = as_model(lambda x: x[:, 0] + shift * (len(x) <= 32), name="m", task="regression")
    if outcome == "refused":
        with pytest.raises(ModelFault, match=r"32 of 32 sampled rows changed by more than 5 % of the outputs' spread"):
            rmse(model, (X, X[:, 0]))
        return
    found = notes(rmse(model, (X, X[:, 0])))
    assert len(found) == (outcome == "told")
    if found:
        assert found[0].startswith("answers of m on data depend on the rows that share a batch: 0 of 32 sampled rows")
        assert "outputs differ by up to 0.1, " in found[0]


def test_each_value_has_its_own_spread():
    """A second output in small units."""
    model = as_model(
        lambda x: np.stack([x[:, 0], 1e-4 * x[:, 1] + 1e-4 * (len(x) <= 32)], axis=1), task="regression", name="m"
    )
    with pytest.raises(ModelFault, match=r"32 of 32 .* differ by up to 0.0001"):
        predict(model, as_data(X))


def test_one_outlier_hides_nothing():
    x = X.copy()
    x[7, 0] = 1e9
    model = as_model(lambda x: x[:, 0] + (len(x) <= 32), name="m", task="regression")
    with pytest.raises(ModelFault, match="3[12] of 32"):
        predict(model, as_data(x))


@pytest.mark.parametrize("scale", [1e308, 1e-300, 0.0])
def test_extreme_and_equal_values(scale):
    assert np.isfinite(predict(as_model(lambda x: scale * np.tanh(x), task="regression"), as_data(X)).values).all()


# --- other decisions -------------------------------------------------------------------------------------------------


def squashed(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("forward", "options"),
    [
        (lambda x: x.argmax(axis=1), {"task": "classification"}),
        (lambda x: x[:, 0], {"output": "logits"}),
        (lambda x: squashed(x[:, 0]), {"output": "probabilities"}),
        (lambda x: squashed(x), {"task": "multilabel"}),
        (lambda x: x, {"task": "multilabel", "output": "logits"}),
        (lambda x: (x > 0).astype(float), {"task": "multilabel"}),
    ],
)
def test_decisions_of_every_kind(forward, options):
    data = as_data(X)
    with metered() as meter:
        predict(as_model(forward, **options), data)
    assert meter.findings() == ()
    with pytest.raises(ModelFault, match=DEPENDS.format(r"\d+", 32) + " their decision"):
        predict(as_model(lambda x: forward(reversed_in_small_batches(x)), **options), data)


def test_ties_that_rounding_breaks_are_told_and_never_refused():
    model = as_model(lambda x: x[:, [0, 0]] + 1e-9 * (len(x) <= 32) * np.array([0, 1.0]), output="logits")
    (text,) = notes(accuracy(model, (X, np.arange(400) % 2)))
    assert "32 of 32 sampled rows changed their decision" in text
    assert "outputs differ by up to 1e-09" in text


# --- what is told ----------------------------------------------------------------------------------------------------


def reversed_alone(x):
    return -x if len(x) == 1 else x


def test_few_rows_are_told_with_every_measurement():
    data = as_data(X, Y)
    model = as_model(reversed_alone, name="m", output="logits")
    for m in (
        accuracy(model, data),
        f1(model, data),
        flip_rate(model, data, sweep=Sweep(feature=0, absolute=(-0.1, 0.1))),
    ):
        (text,) = notes(m)
        assert text.startswith(
            "answers of m on data depend on the rows that share a batch: 1 of 32 sampled rows changed their decision "
            "when they were asked again in a batch of 32 (one of them also alone: it changed); outputs differ by up to "
        )


def test_models_that_answer_row_by_row_are_silent():
    for model in (as_model(lambda x: x, output="logits"), as_model(torch.nn.Linear(3, 3), output="logits")):
        assert notes(accuracy(model, (X, Y))) == []


def test_what_fails_in_another_batch_is_told():
    """Answers that are kept for all rows together."""
    (text,) = notes(accuracy(as_model(lambda _: X[:100], name="m", output="logits"), (X[:100], Y[:100])))
    assert text.startswith("answers of m on data may depend on the rows that share a batch, which could not be seen")
    assert "ModelFault: it gives outputs of shape (100, 3) for 32 rows" in text

    def no_single(x):
        if len(x) == 1:
            raise ValueError("squeezed away")
        return x

    (text,) = notes(accuracy(as_model(no_single, output="logits"), (X, Y)))
    assert text.endswith("asked in another batch, ValueError: squeezed away")


def test_an_interrupt_passes():
    def interrupted(x):
        if len(x) == 32:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt):
        predict(as_model(interrupted, output="logits"), as_data(X))


def dynamic_file(path, seed):
    """A linear layer of 8 bits; the scale of its inputs is taken from the batch, as onnxruntime's quantizer has it."""
    weights = np.random.default_rng(seed).normal(size=(20, 4))
    step = np.float32(np.abs(weights).max() / 127)
    tensors = [
        numpy_helper.from_array(np.round(weights / step).astype(np.int8), "w"),
        numpy_helper.from_array(step, "step"),
    ]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "w", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "step"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", k]) for name, k in (("x", 20), ("y", 4))]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return weights


@pytest.mark.parametrize("seed", range(5))
def test_a_dynamically_quantized_model_is_told_at_most(tmp_path, seed):
    file = tmp_path / "dynamic.onnx"
    weights = dynamic_file(file, seed)
    x = np.random.default_rng(seed).normal(size=(500, 20))
    y = (x @ weights).argmax(axis=1)
    m = accuracy(load_model(file, output="logits"), (x, y))
    assert m.value > 0.9
    (text,) = notes(m)
    assert re.search(r"share a batch: [01] of 32 sampled rows .*, (0\.\d+|[12]|[12]\.\d) % of their spread$", text)
    assert notes(accuracy(load_model(file, output="logits", batch_size=1), (x, y))) == []


# --- which rows, at what cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "rows", "expected"),
    [
        ({}, 32, 32),
        ({}, 5, 5),
        ({"batch_size": 32}, 32, 16),
        ({"batch_size": 33}, 32, 32),
        ({"batch_size": 2}, 32, 1),
        ({"batch_size": 1}, 32, 1),
        ({"fixed_batch": 8}, 32, 4),
        ({"fixed_batch": 64}, 32, 32),
    ],
)
def test_the_other_batch(options, rows, expected):
    assert other_batch(Model(name="m", framework="callable", forward=len, **options), rows) == expected


@pytest.mark.parametrize(
    ("options", "n", "calls"),
    [
        ({}, 400, [32, 1]),
        ({}, 41, [21, 1]),
        ({}, 3, [2, 1]),
        ({}, 2, [1]),
        ({}, 1, []),
        ({"batch_size": 32}, 400, [16, 16, 1]),
        ({"batch_size": 1}, 400, [1] * 32),
        ({"fixed_batch": 64}, 400, [64]),
        ({"fixed_batch": 1}, 10, [1] * 5),
    ],
)
def test_what_it_costs(options, n, calls):
    model, seen = recorder(lambda x: x, **options)
    with metered() as meter:
        predict(model, as_data(X[:n]))
    size = model.fixed_batch or model.batch_size
    assert [len(batch) for batch in seen[-(-n // size) + 1 :]] == calls
    assert meter.forward_rows == n  # a check is not counted, and so the same with kept answers


def test_changed_rows_are_not_asked_again():
    model, seen = recorder(lambda x: x)
    flip_rate(model, X, sweep=Sweep(feature=0, absolute=(-0.1, 0.1)))
    assert sum(len(batch) == 1 for batch in seen) == 1


def company(x, ids=None):
    model, seen = recorder(lambda x: x)
    predict(model, as_data(x, ids=ids))
    (asked,) = (batch for batch in seen if len(batch) == 32)
    return asked


def test_rows_are_drawn_by_id_and_resemble_each_other():
    order = np.random.default_rng(1).permutation(400)
    one, other = company(X, ids=np.arange(400)), company(X[order], ids=order)
    np.testing.assert_array_equal(one, other)
    texts = np.array([f"row {i}" for i in range(400)])
    np.testing.assert_array_equal(company(X, ids=texts), company(X[order], ids=texts[order]))
    places = np.flatnonzero((X[:, None] == one[None]).all(axis=2).any(axis=1))
    assert len(places) == 32
    assert all(np.any((places >= start) & (places < start + 100)) for start in range(0, 400, 100))
    assert np.abs(one.mean(axis=0) - X.mean(axis=0)).max() > 0.5


def test_rows_of_large_data_are_drawn_from_all_of_it():
    asked = company(np.arange(20001.0)[:, None] % 977 + np.zeros(3) + np.arange(20001)[:, None] / 1e6)
    places = np.round((asked[:, 0] % 1) * 1e6)
    assert places.min() < 5000
    assert places.max() > 15000


# --- kept answers ----------------------------------------------------------------------------------------------------


def test_a_note_is_kept_with_the_answers(tmp_path):
    data, found = as_data(X), []
    for _ in range(2):
        model, seen = recorder(reversed_alone, identity=lambda: "same")
        with using(Settings(cache=ArrayCache(folder=tmp_path))):
            for _ in range(2):
                with metered() as meter:
                    predict(model, data)
                found.append(meter.findings())
        sizes = [len(batch) for batch in seen]
        assert sizes == ([256, 144, 256, 32, 1] if len(found) == 2 else [])
    assert len(found[0]) == 1
    assert found == found[:1] * 4


def test_kept_answers_do_not_hide_a_fault(tmp_path):
    data = as_data(X, Y)
    for _ in range(2):
        module = as_model(Centred(), output="logits")
        with using(Settings(cache=ArrayCache(folder=tmp_path))):
            for _ in range(2):
                with pytest.raises(ModelFault, match="share a batch"):
                    predict(module, data)


def test_single_rows_are_not_answered_from_batches(tmp_path):
    data = as_data(X, Y)
    with using(Settings(cache=ArrayCache(folder=tmp_path))):
        with pytest.raises(ModelFault, match="share a batch"):
            predict(as_model(Centred(), output="logits"), data)
        found = predict(as_model(Centred(), output="logits", batch_size=1), data)
    np.testing.assert_allclose(found.outputs, 0.0, atol=1e-6)  # each row less itself


@pytest.mark.parametrize("shards", [1, 4])
def test_answers_have_the_same_bits_as_ever(shards):
    module = torch.nn.Linear(3, 3)
    data = as_data(X)
    with using(Settings(cache=ArrayCache(), shards=shards)):
        found = predict(as_model(module, output="logits", batch_size=32), data).outputs
    with torch.no_grad():
        parts = [module(torch.from_numpy(X[i : i + 32]).float()) for i in range(0, 384, 32)]
    np.testing.assert_array_equal(found[:384], torch.cat(parts).double().numpy())
