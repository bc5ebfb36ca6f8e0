import numpy as np
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput, ModelFault
from robust.models.runner import as_runner, load_runner

X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
H = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)


class Detector(nn.Module):
    """A frame and a state in, a score and the next state out, in one of several containers."""

    def __init__(self, container=tuple):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head, self.drop = nn.GRUCell(4, 3), nn.Linear(3, 1), nn.Dropout(0.5)
        self.container = container

    def forward(self, frame, state):
        state = self.cell(frame, state)
        score = torch.sigmoid(self.head(self.drop(state)))
        return {"score": score, "state": state} if self.container is dict else self.container((score, state))


def expected(net):
    net.eval()
    with torch.no_grad():
        found = net(torch.from_numpy(X), torch.from_numpy(H))
    return [part.numpy() for part in (found.values() if isinstance(found, dict) else found)]


@pytest.mark.parametrize(
    ("container", "names"),
    [(tuple, ["output_1", "output_2"]), (list, ["output_1", "output_2"]), (dict, ["score", "state"])],
)
@pytest.mark.parametrize("batch_size", [7, 256])
def test_a_recurrent_detector_equals_the_module(container, names, batch_size):
    net = Detector(container)
    wanted = expected(net)
    net.train()
    outputs, specs = as_runner(net, batch_size=batch_size).run([X, H])
    assert [spec.name for spec in specs] == names
    for got, want in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
    assert net.training
    assert net.drop.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_bits_do_not_depend_on_the_batch():
    runs = [as_runner(Detector(), batch_size=size).run([X, H])[0] for size in (1, 7, 32, 256)]
    for run in runs[1:]:
        np.testing.assert_array_equal(run[0], runs[0][0])
        np.testing.assert_array_equal(run[1], runs[0][1])


class Codes(nn.Module):
    """Codes and weights in: integers stay integers beside floats."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 2)

    def forward(self, codes, weights):
        return (self.table(codes) * weights[:, :, None]).sum(dim=1)


def test_integers_stay_beside_floats():
    net = Codes()
    codes = np.array([[0, 4], [2, 2], [1, 0]])
    (found,), _ = as_runner(net).run([codes, np.ones((3, 2))])
    table = net.table.weight.detach().numpy()
    np.testing.assert_allclose(found, table[codes].sum(axis=1), rtol=1e-6)


def test_one_input_of_integers_becomes_what_the_module_computes_in():
    net = nn.Linear(4, 2).double()
    whole = np.arange(8).reshape(2, 4)
    (found,), (spec,) = as_runner(net).run([whole])
    assert spec.dtype == "float64"
    np.testing.assert_allclose(found, whole @ net.weight.detach().numpy().T + net.bias.detach().numpy())


def test_bfloat16_is_read_as_float32():
    (found,), (spec,) = as_runner(nn.Linear(4, 2).bfloat16()).run([X])
    assert (found.dtype, spec.dtype) == (np.float32, "float32")


class Bad(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.what = what
        self.lstm = nn.LSTM(4, 3)

    def forward(self, x):
        if self.what == "changes":
            x += 1
        return {
            "changes": x,
            "nested": self.lstm(x[None]),
            "number": 1.0,
            "mean": x.mean(),
            "second": x.T,
            "nan": x / 0,
        }[self.what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("changes", "Bad: it changes its input in place"),
        ("nested", "output 'output_2' is a tuple: one array each"),
        ("number", "an output is a float"),
        ("mean", r"output 'output' has shape \(\)"),
        ("second", r"output 'output' has shape \(4, 64\).*the batch must be its first axis"),
        ("nan", "output 'output' is NaN or infinite for rows 0, 1, 2"),
    ],
)
def test_modules_that_break_their_contract(what, message):
    with pytest.raises(ModelFault, match=message):
        as_runner(Bad(what)).run([X])


# --- exported programs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder, batch = tmp_path_factory.mktemp("programs"), torch.export.Dim("batch")
    net = Detector().eval()
    example = (torch.zeros(4, 4), torch.zeros(4, 3))
    free = torch.export.export(net, example, dynamic_shapes=({0: batch}, {0: batch}))
    fixed = torch.export.export(net, example)
    torch.export.save(free, folder / "free.pt2")
    torch.export.save(fixed, folder / "fixed.pt2")
    return folder, net, free


@pytest.mark.parametrize(("name", "batch"), [("free", None), ("fixed", 4)])
def test_an_exported_file_of_several_inputs(programs, name, batch):
    folder, net, _ = programs
    runner = load_runner(folder / f"{name}.pt2", batch_size=16)
    assert (runner.fixed_batch, runner.name, len(runner.inputs)) == (batch, f"{name}.pt2", 2)
    assert [(spec.name, spec.shape, spec.dtype) for spec in runner.inputs] == [
        ("frame", (4,), "float32"),
        ("state", (3,), "float32"),
    ]
    outputs, _ = runner.run([X, H])
    for got, want in zip(outputs, expected(net), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    with pytest.raises(InvalidInput, match=r"input 'state' takes rows of shape \(3,\)"):
        runner.run([X, X])


def test_a_live_program(programs):
    outputs, _ = as_runner(programs[2], name="live").run([X, H])
    np.testing.assert_allclose(outputs[1], expected(programs[1])[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("top", "size"), [(48, 32), (20, 20), (1000, 256)])
def test_a_program_with_a_largest_batch(top, size):
    batch = torch.export.Dim("batch", max=top)
    program = torch.export.export(nn.Linear(4, 2).eval(), (torch.zeros(3, 4),), dynamic_shapes=({0: batch},))
    runner = as_runner(program)
    assert (runner.fixed_batch or runner.batch_size) == size
    (found,), _ = runner.run([X])
    weight, bias = (program.state_dict[key].detach().numpy() for key in ("weight", "bias"))
    np.testing.assert_allclose(found, X @ weight.T + bias, rtol=1e-5, atol=1e-6)


def test_a_program_with_the_batch_second():
    class Layers(nn.Module):
        def forward(self, x, state):
            return x + state.sum(dim=0), state

    program = torch.export.export(Layers(), (torch.zeros(3, 4), torch.zeros(2, 3, 4)))
    with pytest.raises(InvalidInput, match=r"first axes differ \('x' 3, 'state' 2\).*batch first in every input"):
        as_runner(program)


def test_a_program_of_a_number():
    class Scaled(nn.Module):
        def forward(self, x, factor):
            return x * factor

    with pytest.raises(InvalidInput, match="input '2.0' is no batch of rows"):
        as_runner(torch.export.export(Scaled(), (torch.zeros(3, 4), 2.0)))


def test_a_module_that_takes_few_rows_gets_no_more_than_its_batch_size():
    class Few(nn.Module):
        def forward(self, x):
            if len(x) > 8:
                raise ValueError("at most 8 rows")
            return 2 * x

    (outputs,), _ = as_runner(Few(), batch_size=8).run([X])
    np.testing.assert_array_equal(outputs, 2 * X)
    with pytest.raises(ModelFault, match="at most 8 rows"):
        as_runner(Few(), batch_size=9).run([X])
