import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from robust.errors import InvalidInput
from robust.models.codes_torch import require_whole, takes_codes
from robust.models.conversion import as_model
from robust.models.row_types import row_type
from robust.models.runner import as_runner

CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


class Mixed(nn.Module):
    """A column of codes beside three of floats, and the same layers in either order of declaration."""

    def __init__(self, first="table", pick=lambda x: (x[:, 0], x[:, 1:])):
        super().__init__()
        self.pick = pick
        torch.manual_seed(0)
        layers = {"table": nn.Embedding(8, 4), "head": nn.Linear(7, 2)}
        for name in sorted(layers, key=lambda name: name != first):
            setattr(self, name, layers[name])

    def forward(self, x):
        codes, others = self.pick(x)
        return self.head(torch.cat([self.table(codes.long()).reshape(len(x), -1), others.reshape(len(x), -1)], 1))


class Doing(nn.Module):
    """A table, declared first, and other layers; `how` says what the module does with them."""

    def __init__(self, how, **layers):
        super().__init__()
        self.table = nn.Embedding(50, 4)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.how = how

    def forward(self, x):
        return self.how(self, x)


def rows(n=40):
    rng = np.random.default_rng(0)
    return np.column_stack([rng.integers(0, 8, n), rng.normal(size=(n, 3))]).astype(np.float32)


def own_outputs(net, x):
    with torch.no_grad():
        return net.eval()(torch.tensor(x)).numpy()


def test_floats_beside_codes_stay_floats_whatever_is_declared_first():
    x, flow = rows(), np.ones_like
    found = {first: as_model(Mixed(first)) for first in ("table", "head")}
    assert found["table"].gradients is not None
    np.testing.assert_allclose(found["table"].forward(x), own_outputs(Mixed(), x), rtol=1e-6)
    for one, other in zip(found["table"].gradients(x, flow), found["head"].gradients(x, flow), strict=True):
        np.testing.assert_array_equal(one, other)
    slopes = Mixed().head.weight.detach().numpy()[:, 4:].sum(axis=0)  # of the sum of both outputs, by hand
    np.testing.assert_allclose(found["table"].gradients(x, flow)[1], np.tile([0, *slopes], (len(x), 1)), rtol=1e-6)
    assert row_type(found["table"]).dtype == "float32"


def test_a_runner_keeps_floats_beside_codes_too():
    for given in (Mixed(), as_model(Mixed())):
        (found,), _ = as_runner(given).run([rows()])
        np.testing.assert_allclose(found, own_outputs(Mixed(), rows()), rtol=1e-6)


def later(net, x):
    """The codes go through a layer of their own before they meet the floats."""
    return net.head(torch.cat([net.inner(net.table(x[:, 0].long())), x[:, 1:]], 1))


@pytest.mark.parametrize(
    "net",
    [
        Mixed(),
        Mixed(pick=lambda x: torch.split(x, [1, 3], dim=1)),  # of one width only
        Mixed(pick=lambda x: (x[:, 0].clamp(0, 7) - 1, x[:, 1:])),  # no code of the table for a row of zeros
        Mixed(pick=lambda x: (x[:, :, 0], x[:, :, 1:])),  # rows with steps
        Doing(lambda net, x: net.norm(x[:, 1:]).sum(1) + net.table(x[:, 0].long()).sum(1), norm=nn.BatchNorm1d(3)),
        Doing(lambda net, x: net.table(x[:, 0].long()).sum(1) + x[:, 1:].sum(1)),  # no other layer at all
        Doing(later, inner=nn.Linear(4, 4), head=nn.Linear(7, 2)),
    ],
)
def test_modules_that_pick_their_codes_take_floats(net):
    assert not takes_codes(net, **CPU)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3)),
        nn.Sequential(nn.EmbeddingBag(9, 4), nn.Linear(4, 3)),
        Doing(lambda net, x: net.lstm(net.table(x))[0][:, -1], lstm=nn.LSTM(4, 3, batch_first=True)),
        # Places are looked up as well, by whole numbers that are not the rows; the table of places is short.
        Doing(lambda net, x: (net.place(torch.arange(x.shape[1])) + net.table(x)).sum(1), place=nn.Embedding(5, 4)),
        # Rounded by the module itself, and nothing else done with them: in half precision, floats would lose codes.
        Doing(lambda net, x: net.head(net.table(x.long()).flatten(1)), head=nn.Linear(12, 2)),
        Doing(
            lambda net, x: net.head((net.table(x.long()) * (x != 0)[..., None].float()).sum(1)), head=nn.Linear(4, 2)
        ),
        Doing(lambda net, x: net.table(net.still(x)).sum(1), still=nn.Dropout()),
    ],
)
def test_modules_of_codes_alone_take_codes(net):
    assert takes_codes(net, **CPU)
    assert as_model(net).gradients is None


def test_asking_leaves_the_module_as_it_is():
    def counted(net, x):
        net.calls += 1
        net.norm.running_mean.add_(1)
        return net.head(net.table(x.long()).sum(1))

    net = Doing(counted, norm=nn.BatchNorm1d(3), head=nn.LazyLinear(2)).train()
    net.calls = 0
    before = copy.deepcopy(net.norm.state_dict())
    assert takes_codes(net, **CPU)
    assert net.calls == 0
    assert net.training
    assert net.head.has_uninitialized_params()
    assert not net.table._forward_pre_hooks
    for name, tensor in net.norm.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def test_a_module_that_cannot_be_copied_or_called_is_one_of_codes():
    class Locked(Mixed):
        def __deepcopy__(self, memo):
            raise RuntimeError("not this one")

    assert takes_codes(Locked(), **CPU)
    assert takes_codes(Doing(lambda net, x: net.nothing(x)), **CPU)


def test_the_module_is_still_pickled_and_known_by_its_content():
    net, other = Mixed("table", pick=pick), Mixed("table", pick=pick)
    model = as_model(net)
    assert model.identity() == as_model(other).identity()
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(as_model(again).forward(rows()), model.forward(rows()))


def pick(x):
    return x[:, 0], x[:, 1:]


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf])
def test_codes_that_are_not_whole_are_refused_and_not_cut_off(wrong):
    net = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3))
    x = np.array([[1, 2], [3, 4], [5, 6.0]])
    wanted = as_model(net).forward(x.astype(int))
    np.testing.assert_array_equal(as_model(net).forward(x), wanted)
    x[1, 0] = wrong
    for call in (lambda: as_model(net).forward(x), lambda: as_runner(net).run([x])):
        with pytest.raises(InvalidInput, match=rf"Sequential starts with an embedding .*, got {wrong}: give codes"):
            call()


def test_whole_numbers_of_any_type_are_codes():
    for array in (np.array([[1, 2]]), np.array([[True]]), np.array([[1.0, -0.0]]), np.zeros((0, 2))):
        require_whole(array, "words")


class Scaled(torch.nn.Embedding):
    """As many language models have it: a table with a forward of its own."""

    def forward(self, input):  # noqa: A002 - torch's own name
        return super().forward(input) * 8.0


def test_a_table_with_a_forward_of_its_own_is_one():
    words = torch.nn.Sequential(Scaled(9, 4), torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    model = as_model(words, output="logits", task="classification")
    x = np.random.default_rng(0).integers(0, 9, (5, 3))
    with torch.no_grad():
        expected = words(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.forward(x), expected, rtol=1e-6)
    np.testing.assert_allclose(model.forward(x.astype(float)), expected, rtol=1e-6)
    with pytest.raises(InvalidInput, match="Sequential starts with an embedding and takes whole numbers"):
        model.forward(x + 0.5)


class Binned(torch.nn.Module):
    """Makes codes of its numbers by itself."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(12, 4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.table((x * 10).round().long().clamp(0, 11)).mean(1))


class Far(torch.nn.Module):
    """Picks columns by numbers that no small row has."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(12, 4)
        self.head = torch.nn.Linear(73, 2)

    def forward(self, x):
        return self.head(torch.cat([self.table(x[:, 69].long()), x[:, :69]], 1))


@pytest.mark.parametrize(("module", "width"), [(Binned, 3), (Far, 70)])
def test_rows_that_are_no_codes_reach_a_module_that_makes_some(module, width):
    torch.manual_seed(0)
    net, rng = module().eval(), np.random.default_rng(0)
    x = rng.random((40, width)).astype(np.float32)
    if module is Far:
        x[:, 69] = rng.integers(0, 12, 40)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(as_model(net, output="logits").forward(x), expected, rtol=1e-5, atol=1e-6)
    for batch_size in (40, 7):
        np.testing.assert_allclose(as_runner(net, batch_size=batch_size).run([x])[0][0], expected, rtol=1e-5, atol=1e-6)
