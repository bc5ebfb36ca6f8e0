"""The catalogue's checks run on a subject as an audit has it."""

import numpy as np
import pytest

from robust.check import Subject
from robust.costing.checks import CHECKS, LatencyOptions
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.models.loading import load_model


def subject(model):
    return Subject(model=model, task="classification", test=as_data(np.zeros((4, 1, 8, 8)), [0, 1, 0, 1]))


def test_codes_and_names():
    assert [(check.code, check.name) for check in CHECKS] == [
        ("MET021", "macc"),
        ("MET022", "parameters"),
        ("MET023", "rom"),
        ("MET024", "ram"),
        ("MET025", "latency"),
    ]


@pytest.mark.parametrize("loaded", [False, True])
def test_each_measures_what_it_is_called(convolutional, tmp_path, float_file, loaded):
    (tmp_path / "net.onnx").write_bytes(float_file)
    model = load_model(tmp_path / "net.onnx") if loaded else as_model(convolutional)
    found = {check.name: check.run(subject(model), check.options and check.options()) for check in CHECKS}
    assert {name: m.name for name, m in found.items()} == {name: name for name in found}
    assert found["macc"].value == 80896
    assert found["parameters"].value == (3818 if loaded else 3866)
    assert found["ram"].value == 6144
    assert found["latency"].value > 0


def test_options_of_the_latency(convolutional):
    check = CHECKS[-1]
    m = check.run(subject(as_model(convolutional)), LatencyOptions(batch_size=2, runs=7, warmup=0))
    assert m.n == 7
    assert dict(m.provenance.options)["batch_size"] == "2"


def test_models_that_show_nothing_are_told():
    with pytest.raises(InvalidInput, match="shows neither its weights nor its operators"):
        CHECKS[0].run(subject(as_model(lambda x: x.reshape(len(x), -1)[:, 0])), None)


def test_a_subject_is_counted_once(convolutional):
    calls = []
    convolutional.register_forward_pre_hook(lambda *_: calls.append(1))
    one = subject(as_model(convolutional))
    for check in CHECKS[:4]:
        check.run(one, None)
    once = len(calls)
    CHECKS[0].run(subject(as_model(convolutional)), None)
    assert 0 < once < len(calls)
    assert len(calls) == 2 * once
