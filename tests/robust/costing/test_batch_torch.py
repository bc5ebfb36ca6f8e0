"""Torch modules and exported programs whose first axis is no batch."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.costing.count_torch import count_torch
from robust.costing.program_inputs_torch import takes_more_rows, told_inputs, told_shapes
from robust.costing.whole_model import cost
from robust.errors import InvalidInput
from robust.models.adapter_torch import TorchAdapter

FREE = torch.export.Dim("free")
#: One row of seven steps: 7 · 4 · 5 · (3 + 5).
STEPS = 7 * 160


class Recurrent(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.rnn = nn.LSTM(3, 5, batch_first=batch_first)

    def forward(self, x):
        return self.rnn(x)[0]


class Attending(nn.Module):
    """Attention of all positions of an axis to all others."""

    def __init__(self, heads=0):
        super().__init__()
        self.heads = heads

    def forward(self, x):
        if self.heads:
            x = x.reshape(x.shape[0], self.heads, -1).transpose(0, 1)
        y = torch.softmax(x @ x.mT, -1) @ x
        return y.transpose(0, 1).flatten(1) if self.heads else y


def exported(tmp_path, module, x, **options):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module.eval(), (x,), **options), path)
    return path


def test_live_modules_that_step_along_the_first_axis_pass_no_budget():
    found = cost(Recurrent(False), input_shape=(7, 3))
    (missed,) = found.uncounted
    assert missed.reason == (
        "the first axis of the model's inputs is no batch (rnn takes its steps along it): wrap it in a module with the "
        "batch in front"
    )
    assert (found.macc < 10**9).status == (found.ram < 10**9).status == "INVALID"
    assert (found.rom < 10**9).status == "PASS"
    # One step: as many rows as steps, and no number of one run says which is which.
    assert len(cost(Recurrent(False), input_shape=(1, 3)).uncounted) == 1
    assert len(cost(Recurrent(True), input_shape=(3,)).uncounted) == 1  # a sequence without a batch
    for module in (Recurrent(True), nn.Sequential(Recurrent(True))):
        found = cost(module, input_shape=(7, 3))
        assert (found.macc.value, found.uncounted) == (STEPS, ())
        assert cost(module, input_shape=(1, 3)).uncounted == ()


def test_a_layer_with_time_in_front_may_be_turned_by_its_model():
    class Turned(Recurrent):
        def forward(self, x):
            return self.rnn(x.transpose(0, 1))[0].transpose(0, 1)

    found = cost(Turned(False), input_shape=(7, 3))
    assert (found.macc.value, found.uncounted) == (STEPS, ())


def test_live_attention_between_rows_passes_no_budget():
    layer = nn.TransformerEncoderLayer(16, 4, 32)  # takes its batch behind the steps
    (missed,) = cost(layer, input_shape=(8, 16)).uncounted
    assert "the products of self_attn grow" in missed.reason
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    found = cost(layer, input_shape=(8, 16))
    assert (found.macc.value, found.uncounted) == (8 * 16 * 48 + 2 * 8 * 8 * 16 + 8 * 16 * 16 + 2 * 8 * 16 * 32, ())


def test_weights_that_a_model_multiplies_itself_are_no_rows():
    class Adapted(nn.Module):
        """A layer with a correction of low rank, merged at each call: 8·2·8 once, 8·8 a row."""

        def __init__(self):
            super().__init__()
            self.weight, self.down, self.up = (nn.Parameter(torch.ones(*shape)) for shape in ((8, 8), (2, 8), (8, 2)))

        def forward(self, x):
            return x @ (self.weight + self.up @ self.down)

    found = cost(Adapted(), input_shape=(8,))
    assert (found.macc.value, found.uncounted) == (8 * 2 * 8 + 64, ())


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("free", [True, False])
def test_programs_of_recurrent_layers(tmp_path, batch_first, free):
    x = torch.zeros(2, 7, 3) if batch_first else torch.zeros(7, 2, 3)
    shapes = ({0 if batch_first else 1: FREE},) if free else None
    path = exported(tmp_path, Recurrent(batch_first), x, dynamic_shapes=shapes)
    found = cost(path, input_shape=tuple(x.shape))
    expected = (STEPS, 2, False) if batch_first else (2 * STEPS, 1, True)
    assert (found.macc.value, found.rows, found.whole_call, found.uncounted) == (*expected, ())
    if not free:
        assert cost(path).macc.value == expected[0]
    if batch_first and free:
        plain = cost(path)
        assert (plain.macc.value, plain.notes[0]) == (STEPS, "taken for the batch, of 1 row: the first axis")
    said = (
        "taken for the batch, of 2 rows: the first axis" if batch_first else "MACC are those of a whole call (rnn takes"
    )
    assert said in found.notes[0]


def test_a_free_first_axis_that_is_no_batch_has_to_be_told(tmp_path):
    path = exported(tmp_path, Attending(), torch.zeros(9, 6), dynamic_shapes=({0: FREE},))
    with pytest.raises(InvalidInput, match=r"free first axis .* cannot be the batch \(the products of .* grow 4 times"):
        cost(path)
    found = cost(path, input_shape=(9, 6))
    assert (found.macc.value, found.whole_call) == (2 * 9 * 9 * 6, True)


def test_a_fixed_first_axis_that_is_no_batch_is_a_whole_call(tmp_path):
    # Sixteen tokens in two heads: the heads stand in front where activations meet.
    found = cost(exported(tmp_path, Attending(heads=2), torch.zeros(16, 6)))
    assert (found.macc.value, found.whole_call) == (2 * 16 * 16 * 6, True)
    assert "multiplies activations that have another axis in front" in found.notes[0]
    # The same with four rows in front.
    found = cost(exported(tmp_path, Attending(), torch.zeros(4, 16, 6)))
    assert (found.macc.value, found.rows, found.whole_call) == (2 * 16 * 16 * 6, 4, False)


def test_an_output_without_the_rows_in_front_is_a_whole_call(tmp_path):
    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x):
            return self.fc(x).mean(0)

    found = cost(exported(tmp_path, Summed(), torch.zeros(9, 6)))
    assert (found.macc.value, found.whole_call) == (9 * 30, True)
    assert "an output does not have it in front" in found.notes[0]


def test_inputs_of_different_length_are_a_whole_call():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x, y):
            return self.fc(x) + self.fc(y).sum()

    adapter = TorchAdapter(module=Two(), block=1)
    tally = count_torch(adapter, [np.zeros((4, 6)), np.zeros((2, 6))], name="net", fixed=True)
    assert (sum(layer.macc for layer in tally.layers), tally.whole_call) == (6 * 30, True)
    assert "the inputs differ in the length of their first axis" in tally.notes[0]


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_programs_are_never_run_at_another_length(tmp_path):
    # A fixed recurrent program writes past its memory then, in the runtime's own code.
    path = exported(tmp_path, Recurrent(False), torch.zeros(7, 2, 3))
    for shape, wants in (((7, 3), r"rows of shape \(2, 3\)"), ((2, 7, 3), r"inputs of shape \(7, 2, 3\)")):
        with pytest.raises(InvalidInput, match=rf"net.pt2 takes {wants}, got"):
            cost(path, input_shape=shape)
    with pytest.raises(InvalidInput, match=r"takes rows of shape \(2, 3\), got \(1, 3\)"):
        cost(path, data=np.zeros((4, 1, 3)))
    with pytest.raises(InvalidInput, match="takes 1 input, got 2 shapes: one each"):
        cost(path, input_shape=[(2, 3), (2, 3)])


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_what_a_program_tells():
    fixed = torch.export.export(Recurrent(True).eval(), (torch.zeros(2, 7, 3),)).module()
    free = torch.export.export(Attending(), (torch.zeros(9, 6),), dynamic_shapes=({0: FREE},)).module()
    assert (told_inputs(fixed), told_inputs(free), told_inputs(Attending())) == (((2, 7, 3),), ((None, 6),), None)
    assert (told_shapes(fixed), told_shapes(free), told_shapes(Attending())) == (((7, 3),), ((6,),), None)
    assert (takes_more_rows(fixed), takes_more_rows(free), takes_more_rows(Attending())) == (False, True, True)
