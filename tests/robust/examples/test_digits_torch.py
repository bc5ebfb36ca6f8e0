import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from robust.examples.catalogue import example_path
from robust.examples.digits_data import digits_split
from robust.examples.digits_torch import small_cnn


@pytest.fixture(scope="module")
def network():
    built = small_cnn()
    built.load_state_dict(load_file(example_path("digits") / "net.safetensors"), strict=True)
    return built.eval()


@pytest.fixture(scope="module")
def test_rows():
    test = digits_split().test
    return torch.from_numpy(test.x), torch.from_numpy(test.y)


def accuracy(network, x, y):
    with torch.no_grad():
        return float((network(x).argmax(dim=1) == y).double().mean())


def pgd(network, x, y, *, eps, steps=10):
    """Projected gradient ascent on the cross-entropy from the clean images, written out."""
    perturbed = x.clone()
    for _ in range(steps):
        perturbed.requires_grad_()
        loss = torch.nn.functional.cross_entropy(network(perturbed), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, perturbed)
        moved = perturbed.detach() + 2.5 * eps / steps * gradient.sign()
        perturbed = moved.clamp(x - eps, x + eps).clamp(0, 1)
    return perturbed


def test_parameters_by_hand(network):
    # 9·16 weights, 2·16 to normalise, 9·16·32 weights, 2·32 to normalise, 128·10 weights and 10 biases.
    assert sum(parameter.numel() for parameter in network.parameters()) == 144 + 32 + 4608 + 64 + 1280 + 10


def test_shipped_weights_read_at_least_97_percent(network, test_rows):
    assert accuracy(network, *test_rows) >= 0.97


def test_untrained_network_does_not(test_rows):
    torch.manual_seed(0)
    assert accuracy(small_cnn().eval(), *test_rows) < 0.4


def test_finding_gradient_attack_takes_many_rows_and_noise_of_its_size_takes_none(network, test_rows):
    x, y = test_rows
    sign = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], size=tuple(x.shape)).astype(np.float32))
    attacked = pgd(network, x, y, eps=0.1)
    assert float((attacked - x).abs().max()) <= 0.1 + 1e-6
    assert accuracy(network, (x + 0.1 * sign).clamp(0, 1), y) > 0.95
    assert accuracy(network, attacked, y) < 0.7


def test_finding_small_attack_takes_few(network, test_rows):
    assert accuracy(network, pgd(network, *test_rows, eps=0.03), test_rows[1]) > 0.93


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_network_can_be_exported_with_any_batch_size(network, test_rows):
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(network, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=shapes).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(test_rows[0][:7]), network(test_rows[0][:7]), rtol=1e-5, atol=1e-5)
