"""The standard cascade against the public library at the same budgets, and budgets far below the spread of features."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.preprocessing import StandardScaler
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.apgd import APGD
from robust.attacks.fgsm import FGSM
from robust.attacks.hop_skip_jump import HopSkipJump
from robust.attacks.pgd import PGD
from robust.attacks.square import Square
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.conversion import as_model
from robust.models.loading import load_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of parts of scipy that it imports by their old names
    import foolbox

ATTACKS = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD, "l1": foolbox.attacks.L1PGD}


@pytest.fixture(scope="module")
def digits_rows():
    return load_data(example_path("digits") / "test.npz", schema={"bounds": (0, 1)})


@pytest.fixture(scope="module")
def shipped():
    path = example_path("digits") / "net.safetensors"
    return load_model(path, factory="robust.examples.digits_torch:small_cnn", output="logits")


def best_of_five(model, data, norm, eps):
    """Share that foolbox's PGD with 40 steps leaves, the worst of five restarts row by row."""
    module = model.forward.__self__.adapter.module if hasattr(model.forward.__self__, "adapter") else None
    module = module or model.forward.__self__.module
    wrapped = foolbox.PyTorchModel(module.eval(), bounds=(0, 1), device="cpu")
    x, y = torch.tensor(np.array(data.x)), torch.tensor(np.array(data.y))
    held = wrapped(x).argmax(dim=1).eq(y)
    for restart in range(5):
        torch.manual_seed(restart)
        held &= ~ATTACKS[norm](steps=40)(wrapped, x, y, epsilons=eps)[2]
    return float(held.float().mean())


CASES = [("linf", 0.03), ("linf", 0.06), ("linf", 0.1), ("l2", 0.3), ("l2", 0.8), ("l1", 1.0), ("l1", 3.0)]


@pytest.mark.parametrize(("norm", "eps"), CASES)
def test_the_standard_cascade_leaves_no_more_than_foolbox_s_best_of_five(shipped, digits_rows, norm, eps):
    few = digits_rows.rows(np.arange(200))
    ours = robust_accuracy(shipped, few, eps=eps, norm=norm)
    assert ours.value <= best_of_five(shipped, few, norm, eps)


@pytest.fixture(scope="module")
def cancer_table():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x).astype(np.float32)
    return as_data(x, y)


@pytest.fixture(scope="module")
def cancer_mlp(cancer_table):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))
    x, y = torch.tensor(np.array(cancer_table.x)), torch.tensor(np.array(cancer_table.y))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return as_model(net.eval(), output="logits")


@pytest.mark.parametrize(
    "make", [FGSM, PGD, APGD, lambda eps: Square(eps=eps, queries=50), lambda eps: HopSkipJump(eps=eps, steps=1)]
)
def test_no_feature_moves_by_more_than_a_tiny_budget(cancer_table, cancer_mlp, make):
    few = cancer_table.rows(np.arange(60))
    moved = make(eps=1e-6).perturb(cancer_mlp, few, seed=1)
    assert np.abs(moved.astype(np.float64) - few.x.astype(np.float64)).max() <= 1e-6
    assert robust_accuracy(cancer_mlp, few, eps=1e-6).value == pytest.approx(
        float((np.argmax(cancer_mlp.forward(np.array(few.x)), axis=1) == few.y).mean())
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("strength", ["quick", "standard", "thorough"])
def test_tables_of_few_classes_run(classes, strength):
    if classes == 3:
        x, y = load_iris(return_X_y=True)
    else:
        x, y = make_classification(150, 6, n_informative=5, n_redundant=0, n_classes=classes, random_state=0)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(x.shape[1], 16), nn.Tanh(), nn.Linear(16, classes))
    rows, labels = torch.tensor(x.astype(np.float32)), torch.tensor(y)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(rows), labels).backward()
        optimizer.step()
    data = as_data(x.astype(np.float32), y).rows(np.arange(0, 150, 3))
    found = robust_accuracy(as_model(net.eval(), output="logits"), data, eps=0.1, strength=strength)
    assert 0 <= found.value <= 1
    assert (found > found.value - 0.3).status != "INVALID"
