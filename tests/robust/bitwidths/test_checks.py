"""What an audit runs: the float model it takes, the measurement that is judged, and what it says where it cannot."""

from dataclasses import replace

import numpy as np
import pytest

from robust.auditing.gates import build_options
from robust.bitwidths.checks import CHECKS, simulable
from robust.check import Subject
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding
from robust.models.conversion import as_model

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
