"""Models and rows that the attack tests share."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn

from robust.data.live import as_data
from robust.models.conversion import as_model


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def foolbox():
    """The peer library; its import uses a name that scipy deprecates, which nothing here could change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("foolbox")


@pytest.fixture(scope="session")
def linear():
    """Logits x Wᵀ + b as a model, with its gradient."""

    def make(weights, bias=None, **options):
        weights = np.asarray(weights, dtype=np.float64)
        bias = np.zeros(len(weights)) if bias is None else np.asarray(bias, dtype=np.float64)

        def forward(x):
            return np.asarray(x, dtype=np.float64).reshape(len(x), -1) @ weights.T + bias

        def gradients(x, cotangent):
            outputs = forward(x)
            return outputs, (cotangent(outputs) @ weights).reshape(x.shape)

        options = {"output": "logits", **options}
        return as_model(forward, gradients=gradients, name="linear", **options)

    return make


@pytest.fixture(scope="session")
def fit():
    """Train a module on all rows at once; full batches, so that nothing but the seed matters."""

    def train(build, x, y, *, steps=150, rate=1e-2, loss=None):
        torch.manual_seed(0)
        net = build()
        dtype = next(net.parameters()).dtype
        inputs, labels = torch.tensor(np.array(x), dtype=dtype), torch.tensor(np.array(y))
        loss = nn.functional.cross_entropy if loss is None else loss
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(inputs), labels).backward()
            optimizer.step()
        return net.eval()

    return train


def small_net():
    """A CNN for 8 × 8 images."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


@pytest.fixture(scope="session")
def digits():
    """200 digits as images in [0, 1], float32."""
    source = load_digits()
    x = (source.images[:200] / 16).astype(np.float32)[:, None]
    return as_data(x, source.target[:200], schema={"bounds": (0, 1)}, name="digits")


@pytest.fixture(scope="session")
def cancer():
    """Standardised breast cancer, without bounds, float64."""
    x, y = load_breast_cancer(return_X_y=True)
    return as_data(StandardScaler().fit_transform(x), y, name="cancer")


@pytest.fixture(scope="session")
def digits_net(fit, digits):
    """A CNN trained until its loss is zero on every row."""
    return fit(small_net, digits.x, digits.y, steps=100)


@pytest.fixture(scope="session")
def digits_model(digits_net):
    return as_model(digits_net, output="logits", name="digits CNN")


@pytest.fixture(scope="session")
def cancer_net(fit, cancer):
    return fit(lambda: nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2)), cancer.x, cancer.y)


@pytest.fixture(scope="session")
def cancer_model(cancer_net):
    return as_model(cancer_net, output="logits", name="cancer MLP")


class NarrowBand(nn.Module):
    """Right on both sides of 0, but for a band around one distance from it."""

    def __init__(self, *, width: float, at: float) -> None:
        super().__init__()
        self.width, self.at = width, at
        self.mean = nn.Linear(8, 1, bias=False)
        nn.init.constant_(self.mean.weight, 1 / 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.mean(x)[:, 0]
        far = mean.abs()
        score = torch.sign(mean) * (far - 3.0 * torch.exp(-(((far - self.at) / self.width) ** 2)))
        return 4 * torch.stack([-score, score], 1)


@pytest.fixture(scope="session")
def narrow_band():
    """A model that is wrong only at a mean of about `at`, of either sign."""
    return lambda *, width, at: as_model(NarrowBand(width=width, at=at).eval(), output="logits")


@pytest.fixture(scope="session")
def sides():
    """Rows of 8 features around 1 and around -1, with their sign as label."""

    def make(n, *, noise):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 2, n)
        x = (2 * y - 1)[:, None] * (1 + 0.05 * rng.normal(size=(n, 1))) + noise * rng.normal(size=(n, 8))
        return as_data(x.astype(np.float32), y)

    return make
