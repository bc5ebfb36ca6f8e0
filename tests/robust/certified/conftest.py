"""Networks and rows that the tests of proofs share."""

import numpy as np
import pytest
import torch
from torch import nn

from robust.certified.network_torch import torch_network
from robust.certified.perturbations import perturbations
from robust.data.budget import every_eps
from robust.data.live import as_data


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


class Residual(nn.Module):
    """x + f(x), with a functional ReLU and a constant normalisation."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)
        self.register_buffer("mean", torch.full((width,), 0.3))

    def forward(self, x):
        x = (x - self.mean) / 0.7
        return x + self.two(torch.relu(self.one(x)))


def build(kind, seed, *, dtype=torch.float32, gain=1.5):
    """A random network of a kind, its weights enlarged so that bounds matter, and its row shape."""
    torch.manual_seed(seed)
    if kind == "dense":
        net, shape = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3)), (5,)
    elif kind == "leaky":
        net, shape = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Linear(8, 4)), (4,)
    elif kind == "residual":
        net, shape = nn.Sequential(Residual(4), nn.ReLU(), Residual(4), nn.ReLU(), nn.Linear(4, 3)), (4,)
    elif kind == "pooled":
        net = nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 2, stride=1, groups=1),
            nn.ReLU(),
            nn.MaxPool2d(2, stride=1, padding=1),
            nn.Flatten(),
            nn.Linear(16, 3),
        )
        shape = (2, 4, 4)
    elif kind == "series":
        net = nn.Sequential(
            nn.Conv1d(2, 4, 3, stride=2, padding=2, dilation=2, groups=2),
            nn.LeakyReLU(0.1),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(8, 5),
            nn.ReLU(),
            nn.Linear(5, 2),
        )
        shape = (2, 8)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= gain
    return net.to(dtype).eval(), shape


def precision(net):
    """The type of its first parameter; float32 where it has none."""
    return next((parameter.dtype for parameter in net.parameters()), torch.float32)


@pytest.fixture(scope="session")
def make():
    return build


@pytest.fixture(scope="session")
def read():
    """A network and the changes of some rows."""

    def run(net, shape, x, *, eps, norm="linf", schema=None):
        dtype = precision(net)
        rows = np.asarray(x, dtype=np.float32 if dtype == torch.float32 else np.float64)
        data = as_data(rows.reshape(-1, *shape), np.zeros(len(rows), dtype=int), schema=schema)
        network = torch_network(net, shape, data.x.dtype)
        budget = every_eps(eps, data.schema)
        return network, perturbations(data.schema.flat(data.x), data.schema, eps=budget, norm=norm)

    return run


@pytest.fixture(scope="session")
def answer():
    """Outputs of a network for flat rows."""

    def run(net, shape, x):
        dtype = precision(net)
        with torch.no_grad():
            return net(torch.tensor(np.asarray(x)).to(dtype).reshape(-1, *shape)).double().numpy()

    return run


@pytest.fixture(scope="session")
def margins():
    """f_y − max f_j of each row."""

    def run(outputs, y):
        rows = np.arange(len(outputs))
        own = outputs[rows, y]
        rest = outputs.copy()
        rest[rows, y] = -np.inf
        return own - rest.max(axis=1)

    return run
