"""What an audit runs: the float model it takes, the measurement that is judged, and what it says where it cannot."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from robust.auditing.gates import build_options
from robust.bitwidths import time_budget
from robust.bitwidths.checks import CHECKS, simulable
from robust.check import Subject
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding
from robust.models.conversion import as_model
from robust.predicting.metering import metered

SWEEP, MIX = CHECKS


@pytest.fixture(scope="module")
def subject(nets):
    return Subject(
        model=nets.int8,
        task="classification",
        test=nets.test,
        reference=nets.onnx,
        train=nets.train,
        validation=nets.validation,
    )


def options(check, **given):
    return build_options(check, given, gate=check.name)


def test_the_float_model_is_the_reference_or_else_the_candidate(subject, nets):
    assert simulable(subject) is nets.onnx
    assert simulable(replace(subject, reference=None, model=nets.torch)) is nets.torch
    plain = as_model(lambda x: x.reshape(len(x), -1)[:, :10], name="plain")
    assert simulable(replace(subject, reference=plain)) is nets.int8
    assert simulable(replace(subject, reference=None, model=plain)) is None


def test_the_sweep_judges_eight_bits_first(subject):
    found = SWEEP.run(subject, options(SWEEP))
    assert [m.name for m in found] == [f"degradation at {bits} bits" for bits in (8, 6, 4, 3, 2)]
    assert found[0] < 0.01
    assert (found[4] < 0.01).status == "FAIL"
    titles = [item.title for item in found[0].evidence if isinstance(item, Figure)]
    assert titles == ["Degradation by bits", "Degradation of each layer alone at 2 bits"]
    told = [item.text for item in found[0].evidence if isinstance(item, Finding)]
    assert any("at 8 bits while all others are at" in text and " kB and recovers " in text for text in told)
    assert not any(isinstance(item, Figure | Finding) for m in found[1:] for item in m.evidence)


def words(measurements):
    return [item.text for m in measurements for item in m.evidence if isinstance(item, Finding)]


def test_a_slow_model_is_asked_less_and_that_is_told(subject, monkeypatch):
    monkeypatch.setattr(time_budget, "clock", itertools.count(0, 0.5).__next__)  # 0.5 s for 32 rows
    with metered() as meter:
        found = SWEEP.run(subject, options(SWEEP))
    assert [m.name for m in found] == ["degradation at 8 bits"]
    assert found[0].n == 719
    assert meter.forward_rows * 1.3 * 0.5 / 32 < 1.25 * 60  # beside the points: the model's self-checks
    (told,) = [text for text in words(found) if "on this host" in text]
    assert "within 60 s 1 of 15 points was measured" in told
    assert "none of 3 layers was looked at alone" in told
    more = SWEEP.run(subject, options(SWEEP, seconds=1e6))
    assert len(more) == 5
    assert not any("on this host" in text for text in words(more))
    m = MIX.run(subject, options(MIX, seconds=300))
    assert any("bits were chosen on" in text and "within 300 s" in text for text in words([m]))


def test_far_too_slow_a_model_is_not_asked_and_what_asks_it_is_told(subject, monkeypatch):
    monkeypatch.setattr(time_budget, "clock", itertools.count(0, 100.0).__next__)
    for check in (SWEEP, MIX):
        with metered() as meter, pytest.raises(InvalidInput, match=rf"seconds = \d+ under \[gates.{check.name}\] runs"):
            check.run(subject, options(check))
        assert meter.forward_rows == 2 * 32


def test_losses_of_other_rows_say_so(subject):
    found = SWEEP.run(subject, options(SWEEP))[0]
    texts = words([found])
    assert sum(text.endswith(" (on 512 of 719 rows)") for text in texts) == 3
    assert not any("of all layers at" in text for text in texts)
    every = SWEEP.run(replace(subject, test=subject.test.rows(np.arange(500))), options(SWEEP))[0]
    assert not any("of 500 rows)" in text for text in words([every]))


def test_bits_are_told_by_layer(subject):
    m = MIX.run(subject, options(MIX, widths=[8, 6]))
    (fact,) = [item for item in m.evidence if isinstance(item, Fact) and item.name == "bits by layer"]
    assert fact.value == "0: 6 bits, 4: 6 bits, 9: 6 bits"


def test_a_gate_names_the_width_and_the_part(subject):
    found = SWEEP.run(subject, options(SWEEP, bits=5, part="weights", widths=[8, 2]))
    assert [m.name for m in found] == [f"degradation at {bits} bits" for bits in (5, 8, 2)]
    with pytest.raises(InvalidInput, match="bit_width_sweep has no option 'width'"):
        options(SWEEP, width=5)


def test_the_mix_is_judged_on_the_test_rows(subject):
    m = MIX.run(subject, options(MIX, widths=[8, 4], most=0.02))
    assert m.name == "degradation in mixed precision"
    assert m.n == 719
    assert any(isinstance(item, Figure) and item.title.startswith("Pareto") for item in m.evidence)
    assert not MIX.by_request


def test_the_search_takes_so_many_validation_rows(subject):
    m = MIX.run(subject, options(MIX, widths=[8, 4], rows=100))
    (fact,) = [item for item in m.evidence if isinstance(item, Fact) and item.name == "chosen"]
    assert "validation.npz" in fact.value
    assert "(100 rows)" in fact.value


def test_many_training_rows_are_sampled(subject, nets):
    many = nets.train.rows(np.arange(778).repeat(1)).rows(np.arange(778))
    large = replace(many, x=np.tile(many.x, (3, 1, 1, 1)), y=np.tile(many.y, 3), ids=np.arange(3 * 778))
    found = SWEEP.run(replace(subject, train=large), options(SWEEP, widths=[8]))
    assert found[0].n == 719


def test_what_cannot_be_simulated_is_said(subject, nets):
    plain = as_model(lambda x: x.reshape(len(x), -1)[:, :10], name="plain")
    with pytest.raises(InvalidInput, match=r"cannot be simulated: plain \(callable\) shows no layers"):
        SWEEP.run(replace(subject, reference=None, model=plain), options(SWEEP))
    with pytest.raises(InvalidInput, match=r"int8.onnx: the file is quantized already"):
        SWEEP.run(replace(subject, reference=None), options(SWEEP))
    with pytest.raises(InvalidInput, match="no training rows: ranges of activations are taken from them"):
        SWEEP.run(replace(subject, train=None), options(SWEEP))
    with pytest.raises(InvalidInput, match="no validation rows: bits are chosen on rows of their own"):
        MIX.run(replace(subject, validation=None), options(MIX))
