"""Honest models are never called invalid; hidden gradients, and attacks that do not look, always are."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import Attack
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.self_checks import stronger_than_noise
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.examples.catalogue import example_path
from robust.models.conversion import as_model
from robust.models.loading import load_model


def flat_digits(digits):
    return as_data(digits.x.reshape(len(digits), -1), digits.y, schema={"bounds": (0, 1)})


def adversarially_trained(digits):
    """An MLP trained on single-step adversarial rows."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = torch.tensor(np.array(digits.x)), torch.tensor(np.array(digits.y))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(150):
        start = (x + torch.empty_like(x).uniform_(-0.1, 0.1)).clamp(0, 1).requires_grad_()
        (slope,) = torch.autograd.grad(nn.functional.cross_entropy(net(start), y), start)
        batch = torch.clamp(start.detach() + 0.1 * slope.sign(), 0, 1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(batch), y).backward()
        optimizer.step()
    return net.eval()


class Constant(nn.Module):
    """Says the same of every row, and has an honest gradient of zero."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(5, 2).double()
        with torch.no_grad():
            self.line.weight.zero_()
            self.line.bias.copy_(torch.tensor([2.0, 0.0]))

    def forward(self, x):
        return self.line(x)


class Bumps(nn.Module):
    """Radial bases at given points: as curved as an honest model gets."""

    def __init__(self, centres, width):
        super().__init__()
        self.centres, self.width = torch.tensor(centres), width
        self.line = nn.Linear(len(centres), 2)

    def forward(self, x):
        return self.line(torch.exp(-(torch.cdist(x, self.centres) ** 2) / (2 * self.width**2)))


class FewBits(nn.Module):
    """Numbers rounded to a grid, whose gradients pass straight through: a quantization-aware-trained layer."""

    def __init__(self, bits, top):
        super().__init__()
        self.top, self.most = top, 2**bits - 1

    def forward(self, x):
        return torch.fake_quantize_per_tensor_affine(x, self.top / self.most, 0, 0, self.most)


class Half(nn.Module):
    """A network that computes in bfloat16."""

    def __init__(self, net):
        super().__init__()
        self.net = net.to(torch.bfloat16)

    def forward(self, x):
        return self.net(x.to(torch.bfloat16)).float()


@pytest.fixture(scope="module")
def few_bits(fit, digits):
    """Honest models whose numbers have few bits, down to budgets that are far smaller than one stair."""
    table, flat = load_iris(return_X_y=True), flat_digits(digits)
    iris = as_data(
        MinMaxScaler(clip=True).fit_transform(table[0]).astype(np.float32), table[1], schema={"bounds": (0, 1)}
    )
    models = {}
    for where, data, classes in (("iris", iris, 3), ("digits", flat, 10)):
        width = data.x.shape[1]

        def net(*quantized, width=width, classes=classes):
            first, second = quantized or (nn.Identity(), nn.Identity())
            return nn.Sequential(first, nn.Linear(width, 32), nn.ReLU(), second, nn.Linear(32, classes))

        nets = {
            "8-bit inputs and activations": fit(lambda net=net: net(FewBits(8, 1.0), FewBits(8, 6.0)), data.x, data.y),
            "4-bit inputs": fit(lambda net=net: net(FewBits(4, 1.0), nn.Identity()), data.x, data.y),
            "bfloat16": Half(fit(net, data.x, data.y)).eval(),
        }
        for name, module in nets.items():
            models[f"{name}, {where}"] = (as_model(module, output="logits"), data)
    return models


@pytest.mark.parametrize("make", [FGSM(), PGD(steps=5), PGD(steps=5, norm="l2")], ids=repr)
def test_honest_models_of_few_bits_are_never_invalid(few_bits, make):
    invalid = {}
    for name, (model, data) in few_bits.items():
        for eps in (0.001, 0.01, 0.03):
            m = robust_accuracy(model, data, attack=make.at(eps))
            if faults(m) or (m > m.value - 0.2).status != "PASS":
                invalid[name, eps] = faults(m)
    assert invalid == {}


@pytest.fixture(scope="module")
def honest(fit, digits, cancer, digits_net, cancer_net):
    """Models of different kinds, several trained to zero loss, each with rows and a budget that leaves most right."""
    iris_x, iris_y = load_iris(return_X_y=True)
    iris = as_data(iris_x, iris_y)
    folder = example_path("digits")
    test = load_data(folder / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(200))
    shipped = load_model(folder / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    flat = flat_digits(digits)
    sharp = fit(lambda: nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2)), cancer.x, cancer.y, steps=400)
    binary = fit(
        lambda: nn.Linear(30, 1),
        cancer.x,
        cancer.y,
        loss=lambda z, y: nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.float()),
    )
    tanh = fit(lambda: nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)).double(), iris_x, iris_y, steps=200)
    rare_x = np.random.default_rng(0).uniform(0, 1, (600, 5))
    rare_y = np.random.default_rng(1).uniform(size=600) < 1 / (1 + np.exp(3.5 - rare_x[:, 0]))
    rare = as_data(rare_x, rare_y.astype(int), schema={"bounds": (0, 1)})
    moon_x, moon_y = make_moons(300, noise=0.1, random_state=0)
    moons = as_data(moon_x.astype(np.float32), moon_y)
    bumps = fit(lambda: Bumps(moons.x[::4], 0.1), moons.x, moon_y, steps=300)
    return {
        "radial bases": (as_model(bumps, output="logits"), moons, 0.1),
        "logistic regression of a rare event": (as_model(LogisticRegression().fit(rare_x, rare_y)), rare, 0.05),
        "a constant": (as_model(Constant().eval(), output="logits"), rare, 0.05),
        "CNN trained to zero loss": (as_model(digits_net, output="logits"), digits, 0.02),
        "the same with a softmax": (
            as_model(nn.Sequential(digits_net, nn.Softmax(1)), output="probabilities"),
            digits,
            0.02,
        ),
        "shipped CNN": (shipped, test, 0.02),
        "adversarially trained MLP": (as_model(adversarially_trained(digits), output="logits"), digits, 0.05),
        "MLP on a table": (as_model(cancer_net, output="logits"), cancer, 0.05),
        "MLP trained to zero loss on a table": (as_model(sharp, output="logits"), cancer, 0.05),
        "sigmoid": (as_model(nn.Sequential(binary, nn.Sigmoid()), output="probabilities"), cancer, 0.05),
        "tanh in double precision": (as_model(tanh, output="logits"), iris, 0.05),
        "logistic regression": (as_model(LogisticRegression(max_iter=500).fit(flat.x, flat.y)), flat, 0.02),
        "sharp logistic regression behind a scaler": (
            as_model(make_pipeline(StandardScaler(), LogisticRegression(C=1e5, max_iter=5000)).fit(iris_x, iris_y)),
            iris,
            0.05,
        ),
        "support vectors": (as_model(LinearSVC(dual=False).fit(cancer.x, cancer.y)), cancer, 0.05),
    }


def faults(m):
    return [check for check in m.validity if not check.passed and check.bias != "none"]


@pytest.mark.parametrize("make", [None, FGSM(), PGD(steps=5), PGD(steps=5, norm="l2")], ids=repr)
def test_honest_models_are_never_invalid(honest, make):
    assert len(honest) >= 12
    invalid = {}
    for name, (model, data, eps) in honest.items():
        m = robust_accuracy(model, data, eps=eps) if make is None else robust_accuracy(model, data, attack=make.at(eps))
        if faults(m) or (m > m.value - 0.2).status == "INVALID":
            invalid[name] = faults(m)
    assert invalid == {}


def test_honest_curves_are_never_invalid(honest):
    for model, data, eps in honest.values():
        for point in robustness_curve(model, data, FGSM(), eps=[eps / 2, eps]):
            assert faults(point) == []


class Rounds(nn.Module):
    """Rounds its input, so that every gradient is zero."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(torch.round(x * 16) / 16)


class Hot(nn.Module):
    """A softmax of logits that are far too large: all probabilities are exactly 0 or 1."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.softmax(self.net(x) * 1e4, dim=1)


class Steep(nn.Module):
    """A saturated sigmoid between input and network: the gradient underflows nearly everywhere."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(torch.sigmoid((x - 0.47) * 2e4))


class Ripple(nn.Module):
    """A fine ripple on the input: its slope is all that a gradient sees, and it leads nowhere."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x + 1e-3 * torch.sin(1e4 * x))


class WideRipple(Ripple):
    """A ripple as wide as half the budget: a slope to a small step, and a maze to an attack."""

    def forward(self, x):
        return self.net(x + 0.01 * torch.sin(1e3 * x))


class Turned(torch.autograd.Function):
    """The identity, whose gradient is scrambled or reversed."""

    @staticmethod
    def forward(ctx, x, turn):
        ctx.turn = turn
        return x.clone()

    @staticmethod
    def backward(ctx, flow):
        return ctx.turn(flow), None


class Turns(nn.Module):
    """A network whose gradients have been turned."""

    def __init__(self, net, turn):
        super().__init__()
        self.net, self.turn = net, turn

    def forward(self, x):
        return self.net(Turned.apply(x, self.turn))


MASKED = [
    "rounds",
    "hot softmax",
    "hot softmax called logits",
    "steep sigmoid",
    "ripple",
    "wide ripple",
    "reversed gradient",
    "scrambled gradient",
]


@pytest.fixture(scope="module")
def masked(fit, digits, digits_net):
    black_and_white = (digits.x > 0.47).astype(np.float32)
    steep = fit(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), black_and_white, digits.y)
    return {
        "rounds": as_model(Rounds(digits_net), output="logits"),
        "hot softmax": as_model(Hot(digits_net), output="probabilities"),
        "hot softmax called logits": as_model(Hot(digits_net), output="logits"),
        "steep sigmoid": as_model(Steep(steep), output="logits"),
        "ripple": as_model(Ripple(digits_net), output="logits"),
        "wide ripple": as_model(WideRipple(digits_net), output="logits"),
        "reversed gradient": as_model(Turns(digits_net, torch.neg), output="logits"),
        "scrambled gradient": as_model(Turns(digits_net, lambda flow: torch.sin(1e4 * flow)), output="logits"),
    }


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("attack", [None, FGSM(eps=0.02), PGD(eps=0.02, steps=10)], ids=repr)
def test_a_pass_of_a_masked_model_is_invalid(masked, digits, name, attack):
    given = {"eps": 0.02} if attack is None else {"attack": attack}
    m = robust_accuracy(masked[name], digits.rows(np.arange(100)), **given)
    assert m.value > 0.8
    verdict = m > 0.5
    assert verdict.status == "INVALID"
    assert "gradient" in str(verdict)
    # What is already below its floor is a real failure, since masking can only have raised it: here, because a
    # third of the labels are wrong.
    labels = np.where(np.arange(100) % 3 == 0, (digits.y[:100] + 1) % 10, digits.y[:100])
    spoiled = robust_accuracy(masked[name], as_data(digits.x[:100], labels, schema={"bounds": (0, 1)}), **given)
    assert spoiled.value < 0.67
    assert (spoiled > 0.9).status == "FAIL"
    assert (spoiled > 0.3).status == "INVALID"
    low = robust_accuracy(masked[name], digits.rows(np.arange(60)), attack=RandomNoise(eps=0.9, draws=5))
    assert (low > 0.99).status == "FAIL"


@pytest.mark.parametrize("name", ["rounds", "hot softmax", "ripple"])
def test_so_is_a_point_of_its_curve(masked, digits, name):
    for attack in (FGSM(), PGD(steps=5)):
        curve = robustness_curve(masked[name], digits, attack, eps=[0.02, 0.04])
        assert [(point > 0.5).status for point in curve] == ["INVALID", "INVALID"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle(Attack):
    """Claims to follow gradients, and stays where it is."""

    eps: float | None = None
    norm: str = "linf"

    @property
    def gradients(self):
        return True

    def at(self, eps):
        return replace(self, eps=eps)

    def search(self, target, space, *, seed):
        return target.x.copy()


def test_an_attack_that_does_not_look_is_caught(digits, digits_model):
    m = robust_accuracy(digits_model, digits, attack=Idle(eps=0.1))
    assert m.value == 1
    assert (m > 0.9).status == "INVALID"
    caught = {"unlimited budget", "planted rows", "iterative beats single step", "straight step"}
    assert {check.name for check in faults(m)} == caught
    strong = robust_accuracy(digits_model, digits, attack=Idle(eps=0.5))
    beaten = {"stronger than noise", "stronger than black-box", "smoothed gradients"}
    assert {check.name for check in faults(strong)} == caught | beaten


def test_an_attack_that_noise_beats_is_caught(linear):
    # A bowl: the gradient at the rows points outwards, where the answer stays; noise falls into the well beside it.
    model = linear([[0.0, 0.0], [1.0, 0.0]])

    def forward(x):
        return np.stack([np.zeros(len(x)), np.where(np.abs(x[:, 0] - 0.4) < 0.3, -1.0, 1.0)], axis=1)

    def gradients(x, cotangent):
        outputs = forward(x)
        return outputs, cotangent(outputs)[:, 1:] * np.array([[1.0, 0.0]])

    trap = type(model)(name="trap", framework="callable", forward=forward, output="logits", gradients=gradients)
    data = as_data(np.zeros((50, 2)), np.ones(50, dtype=int))
    m = robust_accuracy(trap, data, attack=FGSM(eps=1.0))
    assert m.value == 1
    assert "stronger than noise" in {check.name for check in faults(m)}
    assert (m > 0.5).status == "INVALID"


def test_relations_that_send_every_row_back_are_no_pass(linear):
    tens = np.random.default_rng(0).integers(1, 6, 100)
    whole = {"kind": "integer"}
    data = as_data(
        np.column_stack([tens, 10 * tens]).astype(float),
        np.ones(100, dtype=int),
        names=["tens", "units"],
        schema={"tens": whole, "units": whole, "relations": ["units = 10 * tens"]},
    )
    m = robust_accuracy(linear([[0.0] * 2, [1.0, 1.0]]), data, eps=1)  # ten units are out of reach
    assert m.value == 1
    assert "relations" in {check.name for check in faults(m)}
    assert (m > 0.5).status == "INVALID"


def test_a_schema_that_lets_nothing_move_is_no_pass(linear):
    data = as_data(np.ones((50, 1)), np.ones(50, dtype=int), schema={"x0": {"immutable": True}})
    m = robust_accuracy(linear([[0.0], [1.0]]), data, eps=5)
    assert (m > 0.5).status == "INVALID"
    assert "no feature may move" in str(m > 0.5)


def test_scores_are_asked_whether_gradients_see_less(digits, digits_model):
    def asked(m):
        return [check for check in m.validity if check.name == "stronger than black-box"]

    (found,) = asked(robust_accuracy(digits_model, digits.rows(np.arange(60)), attack=PGD(eps=0.05)))
    assert found.passed
    assert found.reason.startswith("Square, which sees scores alone, breaks ")
    # Gradients that point the wrong way leave what a search by scores breaks.
    turned = as_model(Turns(digits_model.forward.__self__.module, torch.neg), output="logits")
    (found,) = asked(robust_accuracy(turned, digits.rows(np.arange(60)), attack=PGD(eps=0.15, steps=5)))
    assert not found.passed
    assert asked(robust_accuracy(digits_model, digits.rows(np.arange(60)), attack=RandomNoise(eps=0.05))) == []


def test_a_budget_in_other_units_is_pointed_out(digits, digits_model):
    m = robust_accuracy(digits_model, digits, attack=FGSM(eps=8.0))
    (units,) = [check for check in m.validity if check.name == "units"]
    assert not units.passed
    assert units.bias == "none"
    assert "exceeds the range 0 … 1" in units.reason


def test_rounded_probabilities_are_pointed_out(digits, digits_net, masked):
    warm = robust_accuracy(masked["hot softmax"], digits, attack=FGSM(eps=0.02))
    (logits,) = [check for check in warm.validity if check.name == "logits"]
    assert not logits.passed
    assert logits.bias == "none"
    assert 'output="logits"' in logits.reason


@pytest.mark.parametrize(
    ("lucky", "found", "passed"), [(4, 3, True), (4, 0, True), (5, 0, False), (12, 3, False), (0, 9, True)]
)
def test_one_row_more_by_luck_is_no_fault(lucky, found, passed):
    # One-sided exact McNemar: 4 to none has p = 1/16, 5 to none 1/32, 12 to 3 576/32768.
    both = np.zeros(40, dtype=bool)
    both[:20] = True
    noise, attacked = both.copy(), both.copy()
    noise[20 : 20 + lucky] = True
    attacked[40 - found :] = True
    assert stronger_than_noise(noise, attacked).passed is passed
