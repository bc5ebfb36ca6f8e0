"""Robust accuracy of a float network and a quantized copy: the same attack on each, or the same rows handed to both."""

import copy
import dataclasses
import functools

import numpy as np
import pytest
import torch

from robust import load_data, load_model, percent
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.attacks.transfer import Transfer
from robust.evidence import Flips, Slices, Values
from robust.examples.catalogue import example_path
from robust.examples.digits_torch import small_cnn
from robust.models.conversion import as_model
from robust.quantization.degradation_paired import degradation

STEPS = 5


def coarse(module, bits):
    """A copy whose weights are rounded to so many bits: gradients pass as they do through the float network."""
    found = copy.deepcopy(module)
    for part in found.modules():
        if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
            scale = part.weight.detach().abs().max() / (2 ** (bits - 1) - 1)
            part.weight.data = torch.round(part.weight.data / scale) * scale
    return found


@pytest.fixture(scope="module")
def example():
    folder = example_path("digits")
    data = load_data(folder / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(160))
    net = small_cnn()
    from safetensors.torch import load_file

    net.load_state_dict(load_file(folder / "net.safetensors"))
    net.eval()
    return net, data


def measured(attack):
    return functools.partial(robust_accuracy, attack=attack)


def watched(model, seen):
    """The same model, telling which rows it is asked about; nothing of it is kept."""

    def forward(x):
        seen.append(np.array(x))
        return model.forward(x)

    return dataclasses.replace(model, forward=forward, identity=lambda: None)


def test_attacking_each_pairs_the_rows(example):
    net, data = example
    attack = PGD(eps=0.1, steps=STEPS)
    old, new = as_model(net, output="logits"), as_model(coarse(net, 3), output="logits", name="3 bits")
    m = degradation(old, new, data, metric=measured(attack))
    before, after = (robust_accuracy(model, data, attack=attack) for model in (old, new))
    assert m.value == pytest.approx(before.value - after.value)
    (values,) = (part for part in m.evidence if isinstance(part, Values))
    assert (values.reference, values.candidate) == (before.value, after.value)
    (flips,) = (part for part in m.evidence if isinstance(part, Flips))
    assert flips.right_to_wrong == int(((before.row_values == 1) & (after.row_values == 0)).sum())
    assert flips.wrong_to_right == int(((before.row_values == 0) & (after.row_values == 1)).sum())
    assert flips.right_to_wrong - flips.wrong_to_right == round(m.value * len(data))
    assert m.method == "tango-corrected"
    by_class = next(part for part in m.evidence if isinstance(part, Slices))
    assert by_class.by == "class"
    assert sum(part.n for part in by_class.slices) == len(data)
    # What may have masked the gradients of either is carried over, and the attack is told.
    assert {check.name.partition(": ")[0] for check in m.validity if ": " in check.name} == {"reference", "candidate"}
    assert "PGD(eps=0.1" in dict(m.provenance.options)["attack"]
    assert m.provenance.cost.backward_rows == sum(one.provenance.cost.backward_rows for one in (before, after)) > 0


def test_an_equal_copy_loses_nothing(example):
    net, data = example
    copied = as_model(copy.deepcopy(net), output="logits", name="copy")
    m = degradation(as_model(net, output="logits"), copied, data, metric=measured(PGD(eps=0.1, steps=STEPS)))
    assert m.value == 0.0
    (flips,) = (part for part in m.evidence if isinstance(part, Flips))
    assert (flips.right_to_wrong, flips.wrong_to_right) == (0, 0)
    assert (m < percent(1)).status == "INCONCLUSIVE"


def points(asked):
    """All points that a model was asked about."""
    return {row.astype(np.float32).tobytes() for rows in asked for row in rows.reshape(len(rows), -1)}


def test_transfer_hands_bit_equal_rows_to_both(example):
    net, data = example
    folder = example_path("digits")
    seen = [], []
    old = watched(load_model(folder / "float.onnx", output="logits"), seen[0])
    new = watched(load_model(folder / "int8.onnx", output="logits"), seen[1])
    attack = Transfer(attack=PGD(eps=0.1, steps=STEPS), surrogate=as_model(net, output="logits"))
    m = degradation(old, new, data, metric=measured(attack))
    met = [points(part) for part in seen]
    right = [model.forward(data.x).argmax(axis=1) == data.y for model in (old, new)]
    assert (right[0] == right[1]).all()  # or else rows that only one gets right would be attacked for it alone
    # Self-checks look at some rows more closely, at each model's own; what counts is asked of both.
    handed = attack.perturb(old, data)
    assert not np.array_equal(handed[right[0]], data.x[right[0]])
    for row in handed[right[0]]:
        assert row.tobytes() in met[0]
        assert row.tobytes() in met[1]
    assert m.provenance.cost.backward_rows > 0
    again = degradation(old, new, data, metric=measured(attack))
    assert (again.value, again.lower, again.upper) == (m.value, m.lower, m.upper)


def test_rows_that_both_get_right_are_perturbed_alike_though_others_are_not(example):
    net, data = example
    surrogate = as_model(net, output="logits")
    attack = Transfer(attack=PGD(eps=0.1, steps=STEPS), surrogate=surrogate)
    old, new = surrogate, as_model(coarse(net, 2), output="logits", name="2 bits")
    right = [model.forward(data.x).argmax(axis=1) == data.y for model in (old, new)]
    assert (right[0] != right[1]).any()
    both = right[0] & right[1]
    rows = [attack.perturb(model, data) for model in (old, new)]
    np.testing.assert_array_equal(rows[0][both], rows[1][both])
    assert not np.array_equal(rows[0][both], data.x[both])


def test_several_builds_by_one_attack(example):
    net, data = example
    found = degradation(
        as_model(net, output="logits"),
        {f"{bits} bits": as_model(coarse(net, bits), output="logits") for bits in (8, 2)},
        data,
        metric=measured(PGD(eps=0.1, steps=STEPS)),
    )
    assert abs(found["8 bits"].value) < 0.05 < found["2 bits"].value
    assert (found["2 bits"] < percent(1)).status == "FAIL"
