"""Other settings of the host, and what is told of it."""

import numpy as np
import onnxruntime
import pytest
import torch

from robust.examples.catalogue import example_path
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.host_facts import FEATURES, host_facts, processor
from robust.models.host_settings import other_settings
from robust.models.loading import load_model

X = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("file", ["float.onnx", "int8.onnx"])
def test_an_onnx_file_gets_other_threads_and_other_optimization(file):
    model = load_model(example_path("digits") / file)
    found = {setting.name: setting.build() for setting in other_settings(model)}
    assert list(found) == ["1 thread", "no graph optimization", "basic graph optimization"]
    options = {name: adapter_of(other).session.get_session_options() for name, other in found.items()}
    assert options["1 thread"].intra_op_num_threads == 1
    levels = onnxruntime.GraphOptimizationLevel
    assert options["no graph optimization"].graph_optimization_level == levels.ORT_DISABLE_ALL
    assert options["basic graph optimization"].graph_optimization_level == levels.ORT_ENABLE_BASIC
    for other in found.values():
        np.testing.assert_allclose(other.forward(X), model.forward(X), rtol=1e-4, atol=1e-3)


def test_torch_gets_other_threads_for_the_length_of_a_call_and_another_batch():
    seen = []

    class Net(torch.nn.Module):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return x.flatten(1)

    before = torch.get_num_threads()
    threads, batch = other_settings(as_model(Net()))
    threads.build().forward(X)
    assert seen == [2 if before == 1 else 1]
    assert torch.get_num_threads() == before
    assert batch.name == "batches of 32"
    assert batch.build().batch_size == 32


def test_what_cannot_be_other_is_left_alone():
    assert other_settings(as_model(lambda x: x)) == ()
    fixed = Model(name="m", framework="sklearn", forward=len, fixed_batch=8)
    assert other_settings(fixed) == ()
    assert [s.name for s in other_settings(Model(name="m", framework="sklearn", forward=len, batch_size=32))] == [
        "batches of 16"
    ]
    assert other_settings(Model(name="m", framework="sklearn", forward=len, batch_size=1)) == ()


def test_the_host_is_told_without_importing_anything():
    onnx, net = load_model(example_path("digits") / "int8.onnx"), as_model(torch.nn.Linear(3, 2))
    facts = dict(host_facts([onnx, net]))
    assert set(facts["cpu_features"].split()) <= set(FEATURES)
    assert facts["processor"] == processor()[0]
    assert facts["onnxruntime"].startswith(f"{onnxruntime.__version__}, CPUExecutionProvider, ")
    assert facts["onnxruntime"].endswith(("thread", "threads"))
    assert (
        facts["torch"] == f"{torch.__version__}, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    )
    assert "torch" not in dict(host_facts([onnx]))
