import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from robust.models.conversion import as_model
from robust.models.module_hash import module_identity, module_weights


class Net(nn.Module):
    def __init__(self, *, slope=1.0, act=torch.relu):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)
        self.register_buffer("shift", torch.zeros(3))
        self.slope, self.act = slope, act

    def forward(self, x):
        return self.second(self.act(self.first(x))) * self.slope + self.shift


def test_equal_modules_hash_alike_and_every_part_counts():
    assert module_identity(Net()) == module_identity(Net()) == module_identity(copy.deepcopy(Net())) is not None
    changed = [Net() for _ in range(3)]
    with torch.no_grad():
        changed[0].first.weight[3, 2] = torch.nextafter(changed[0].first.weight[3, 2], torch.tensor(9.0))
        changed[1].shift[0] = 1
        changed[2].first.weight.data = changed[2].first.weight.data.double()
    every = [
        Net(),
        *changed,
        Net(slope=2.0),
        Net(act=torch.tanh),
        Net(act=lambda x: x + 1),
        Net(act=lambda x: x + 2),
    ]
    assert len({module_identity(module) for module in every}) == len(every)


def test_modes_and_gradients_do_not_count():
    module = Net()
    before = module_identity(module)
    module.eval()
    module(torch.zeros(2, 4)).sum().backward()
    assert module_identity(module) == before


def test_a_live_module_is_hashed_again_at_each_call():
    module = Net()
    model = as_model(module)
    first = model.identity()
    with torch.no_grad():
        module.second.bias[0] += 1
    assert model.identity() != first
    assert model.weights() != as_model(Net()).weights()


def test_settings_of_torchs_own_layers_count():
    assert module_identity(nn.LeakyReLU(0.1)) != module_identity(nn.LeakyReLU(0.2))
    assert module_identity(nn.Conv2d(1, 1, 1, stride=1)) != module_identity(nn.Conv2d(1, 1, 1, stride=2))
    assert module_identity(nn.ReLU()) != module_identity(nn.Tanh())


def test_hooks_and_replaced_methods_count():
    plain, hooked, replaced = Net(), Net(), Net()
    hooked.first.register_forward_hook(lambda module, x, y: y * 2)
    replaced.forward = lambda x: x
    assert len({module_identity(module) for module in (plain, hooked, replaced)}) == 3


def test_code_of_the_class_counts(monkeypatch):
    before = module_identity(Net())
    monkeypatch.setattr(Net, "forward", lambda self, x: x)
    assert module_identity(Net()) != before


def test_modules_and_tensors_in_plain_attributes_count():
    def make(value):
        module = Net()
        module.extra = [nn.Linear(2, 2)]
        nn.init.constant_(module.extra[0].weight, value)
        nn.init.zeros_(module.extra[0].bias)
        module.table = torch.full((2,), float(value))
        return module

    assert module_identity(make(1)) == module_identity(make(1)) is not None
    assert module_identity(make(1)) != module_identity(make(2))


def test_weights_are_content_and_not_names():
    one, other = nn.Sequential(nn.Linear(2, 2)), nn.ModuleDict({"a": nn.Linear(2, 2)})
    other["a"].load_state_dict(one[0].state_dict())
    assert module_weights(one) == module_weights(other)
    assert module_weights(one) != module_weights(nn.Sequential(nn.Linear(2, 2)))
    assert module_weights(nn.ReLU()) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_precision_can_be_read(dtype):
    assert module_identity(nn.Linear(2, 2).to(dtype)) is not None


def test_what_cannot_be_read_has_no_identity():
    module = Net()
    module.lock = __import__("threading").Lock()
    assert module_identity(module) is None
    with torch.device("meta"):
        assert module_identity(nn.Linear(2, 2)) is None
        assert module_weights(nn.Linear(2, 2)) is None


PROGRAM = """
import torch
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from torch import nn
from robust.models.module_hash import module_identity, module_weights
from robust.models.object_hash import object_hash

X, Y = load_iris(return_X_y=True)
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
found = (module_identity(net), module_weights(net), object_hash(forest), object_hash({"a", "b", "c"}))
"""


def test_hashes_are_equal_in_another_process():
    """Another order of sets, other addresses: Python's own hashes are seeded differently there."""
    here: dict[str, object] = {}
    exec(PROGRAM, here)
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM + "print(found)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip() == repr(here["found"])
    assert None not in here["found"]


def test_an_exported_program_that_is_alive_hashes_by_its_graph():
    def export(bias):
        net = nn.Linear(3, 2)
        nn.init.ones_(net.weight)
        nn.init.constant_(net.bias, bias)
        return as_model(torch.export.export(net, (torch.zeros(4, 3),)))

    assert export(1.0).weights() == export(1.0).weights() != export(2.0).weights()
    assert export(1.0).identity() == export(1.0).identity()
    assert export(1.0).identity() is None or export(1.0).identity() != export(2.0).identity()


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_are_known_by_their_parameters(kind):
    def made(seed, **options):
        torch.manual_seed(seed)
        return kind(3, 4, **options)

    first = module_identity(made(0))
    assert first is not None
    assert first == module_identity(made(0)) == module_identity(copy.deepcopy(made(0)))
    assert len({first, module_identity(made(1)), module_identity(made(0, batch_first=True))}) == 3
