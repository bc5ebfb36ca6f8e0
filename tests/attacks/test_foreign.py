"""Attacks of other libraries: what they give is projected, judged afresh, and what they claimed is told."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.base import adapter_of
from robust.models.conversion import as_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of parts of scipy that it imports by their old names
    import foolbox

RNG = np.random.default_rng(5)
X = RNG.uniform(0.2, 0.8, (200, 6)).astype(np.float32)
WEIGHT = np.array([2.0, -1.0, 0.5, 1.5, -2.0, 1.0])
Y = (np.median(X @ WEIGHT) < X @ WEIGHT).astype(int)
DATA = as_data((X, Y), schema={"bounds": (0, 1)})


def linear():
    return as_model(linear_module(), output="logits")


def linear_module():
    net = torch.nn.Linear(6, 2).double()
    with torch.no_grad():
        net.weight[:] = torch.from_numpy(np.stack([-WEIGHT, WEIGHT]) / 2)
        net.bias[:] = torch.tensor([0.5, -0.5]) * float(np.median(X @ WEIGHT))
    return net


def check(measured, name):
    return next(one for one in measured.validity if one.name == name)


def exact(eps):
    """Share that no move of eps a feature brings over the boundary: |w·x + b| > eps·‖w‖₁."""
    return float((np.abs(X @ WEIGHT - np.median(X @ WEIGHT)) > eps * np.abs(WEIGHT).sum()).mean())


@pytest.mark.parametrize("eps", [0.01, 0.03])
def test_a_foolbox_attack_finds_what_the_closed_form_says(eps):
    found = robust_accuracy(linear(), DATA, attack=foolbox.attacks.LinfPGD(steps=80), eps=eps)
    assert found.value == pytest.approx(exact(eps), abs=0.01)
    assert found.value == pytest.approx(robust_accuracy(linear(), DATA, attack=PGD(eps=eps)).value, abs=0.01)
    assert "foolbox LinfProjectedGradientDescentAttack" in check(found, "strength").reason
    assert check(found, "obeys budget and schema").passed
    assert found.provenance.cost.backward_rows > 0


def test_the_norm_of_a_foolbox_attack_is_its_own():
    found = robust_accuracy(linear(), DATA, attack=foolbox.attacks.L2PGD(steps=120), eps=0.1)
    apart = np.abs(X @ WEIGHT - np.median(X @ WEIGHT)) / np.linalg.norm(WEIGHT)
    assert found.value == pytest.approx(float((apart > 0.1).mean()), abs=0.01)
    with pytest.raises(InvalidInput, match="has its own, 'l2': leave norm out"):
        robust_accuracy(linear(), DATA, attack=foolbox.attacks.L2PGD(), eps=0.1, norm="l1")


def test_a_decision_attack_of_foolbox_on_a_model_without_gradients():
    model = LogisticRegression().fit(X, Y)
    data = as_data((X[:20], model.predict(X[:20])), schema={"bounds": (0, 1)})
    attack = foolbox.attacks.LinfAdditiveUniformNoiseAttack()
    assert 0 < robust_accuracy(model, data, attack=attack, eps=0.05).value <= 1
    with pytest.raises(ModelFault, match="LinfProjectedGradientDescentAttack raised while it attacked"):
        robust_accuracy(model, data, attack=foolbox.attacks.LinfPGD(), eps=0.05)


def far(model, x, y):
    """Goes where it likes."""
    step = torch.from_numpy(np.sign(WEIGHT)) * (1 - 2 * y[:, None])
    return x + 0.5 * step


def test_rows_outside_the_budget_do_not_count():
    found = robust_accuracy(linear(), DATA, attack=far, eps=0.02)
    assert found.value == pytest.approx(exact(0.02), abs=0.01)  # the same direction, as far as eps allows
    told = check(found, "obeys budget and schema")
    assert not told.passed
    assert "200 lay outside" in told.reason
    assert (found > 0.1).status == "INVALID"


def test_a_function_is_lent_the_module_in_evaluation_mode_and_leaves_nothing_behind():
    seen = []

    def attack(model, x, y):
        seen.append((type(model), model.training, type(x), y.dtype, x.shape[1:]))
        x = x.clone().requires_grad_()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        return x.detach() + 0.02 * x.grad.sign() + 1e-9 * torch.rand_like(x)

    model = linear()
    module = torch.nn.Linear(6, 2).double()
    module.train()
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = robust_accuracy(model, DATA, attack=attack, eps=0.02, seed=3)
    again = robust_accuracy(model, DATA, attack=attack, eps=0.02, seed=3)
    assert first.value == again.value == pytest.approx(exact(0.02), abs=0.01)
    assert seen[0] == (torch.nn.Linear, False, torch.Tensor, torch.int64, (6,))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert first.provenance.cost.backward_rows >= 200


def test_a_function_on_a_model_of_another_framework_gets_scores_and_labels():
    labels = np.where(Y == 1, "yes", "no")
    model = LogisticRegression(C=1e3).fit(X.astype(float), labels)

    def attack(scores, x, y):
        assert set(y) <= {"yes", "no"}
        assert scores(x).shape == (len(x), 2)
        sign = np.where(y == "yes", -1.0, 1.0)[:, None]
        return x + 0.03 * sign * np.sign(model.coef_)

    found = robust_accuracy(
        model, as_data((X.astype(float), labels), schema={"bounds": (0, 1)}), attack=attack, eps=0.03
    )
    gap = np.abs(model.decision_function(X.astype(float)))
    right = model.predict(X.astype(float)) == labels
    assert found.value == pytest.approx((right & (gap > 0.03 * np.abs(model.coef_).sum())).mean(), abs=0.011)


def test_a_curve_of_a_foolbox_attack_falls():
    curve = robustness_curve(linear(), DATA, foolbox.attacks.LinfPGD(steps=80), eps=[0.005, 0.02, 0.05])
    assert np.all(np.diff(curve.values) <= 0)
    assert curve.values == pytest.approx([exact(eps) for eps in (0.005, 0.02, 0.05)], abs=0.01)


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (far, {}, "far comes without a budget"),
        (5, {"eps": 0.1}, "attack got 5; an attack such as PGD"),
        (PGD, {"eps": 0.1}, "attack got <class"),
        (far, {"eps": -1.0}, "eps got -1.0"),
        (far, {"eps": 0.1, "norm": "l7"}, "norm got 'l7'"),
        (far, {"eps": 0.1, "surrogate": 1}, "surrogate got a model beside an attack of another library"),
        (foolbox.attacks.LinfPGD(), {"eps": {"x0": 0.1}}, "one budget for all features"),
    ],
)
def test_bad_input(attack, options, message):
    with pytest.raises(InvalidInput, match=message):
        robust_accuracy(linear(), DATA, attack=attack, **options)


def test_rows_of_another_shape_and_faults_name_the_attack():
    with pytest.raises(ModelFault, match=r"function returned rows of shape \(200, 5\), not \(200, 6\)"):
        robust_accuracy(linear(), DATA, attack=lambda m, x, y: x[:, :5], eps=0.1)
    with pytest.raises(ModelFault, match="function raised while it attacked Linear: ZeroDivisionError"):
        robust_accuracy(linear(), DATA, attack=lambda m, x, y: x / 0 if 1 // 0 else x, eps=0.1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: (x, 0.5), "function returned a tuple; an array or a tensor of shape (200, 6), the rows"),
        (lambda x: None, "function returned nothing; an array"),
        (lambda x: {"x": x}, "function returned a dict; an array"),
        (lambda x: "rows", "function returned a str; an array"),
        (lambda x: x.numpy().astype(complex), "function returned a ndarray that is no array of numbers"),
        (lambda x: [[1.0, 2.0], [3.0]], "function returned a list that is no array of numbers"),
        (lambda x: object(), "function returned a object that is no array of numbers"),
    ],
)
def test_what_is_no_array_of_rows_is_said(answer, words):
    with pytest.raises(ModelFault) as fault:
        robust_accuracy(linear(), DATA, attack=lambda m, x, y: answer(x), eps=0.1)
    assert words in str(fault.value)


@pytest.mark.parametrize("kind", [np.float64, object, np.float16, list])
def test_arrays_of_any_real_numbers_count(kind):
    def attack(model, x, y):
        rows = far(model, x, y).numpy()
        return rows.tolist() if kind is list else rows.astype(kind)

    assert robust_accuracy(linear(), DATA, attack=attack, eps=0.02).value == pytest.approx(exact(0.02), abs=0.01)


class Small(torch.nn.Module):
    """Finds no memory for more than 64 rows."""

    def __init__(self):
        super().__init__()
        self.inner = linear_module()

    def forward(self, x):
        if len(x) > 64:
            raise torch.OutOfMemoryError("out of memory")
        return self.inner(x)


@pytest.mark.parametrize("attack", [foolbox.attacks.LinfPGD(steps=80), far])
def test_an_attack_that_finds_no_memory_is_given_half_of_the_rows(attack):
    seen = []

    def function(model, x, y):
        seen.append(len(x))
        model(x)
        return far(model, x, y)

    call = function if attack is far else attack
    found = robust_accuracy(as_model(Small(), output="logits"), DATA, attack=call, eps=0.02)
    assert found.value == pytest.approx(exact(0.02), abs=0.01)
    told = [fact.text for fact in found.evidence if "ran out of memory" in getattr(fact, "text", "")]
    assert told == ["Small ran out of memory: it is asked about 50 rows a call at most from then on"]
    assert call is attack or seen[-4:] == [50] * 4


def test_a_function_whose_own_work_finds_no_memory_is_given_fewer_rows():
    seen = []

    def hungry(model, x, y):
        seen.append(len(x))
        if len(x) > 30:
            raise MemoryError
        return far(model, x, y)

    assert robust_accuracy(linear(), DATA, attack=hungry, eps=0.02).value == pytest.approx(exact(0.02), abs=0.01)
    assert seen == [200, 100, 50] + [25] * 8

    def insatiable(model, x, y):
        raise MemoryError

    with pytest.raises(ModelFault, match="insatiable raised while it attacked Linear: MemoryError"):
        robust_accuracy(linear(), DATA, attack=insatiable, eps=0.02)


def test_an_attack_that_changes_the_model_is_no_attack():
    def trains(model, x, y):
        with torch.no_grad():
            model.bias.add_(0.1)
        return far(model, x, y)

    with pytest.raises(ModelFault, match="trains changed the weights of Linear, which it still has"):
        robust_accuracy(linear(), DATA, attack=trains, eps=0.02)
    with pytest.raises(ModelFault, match="trains changed the weights"):
        robustness_curve(linear(), DATA, trains, eps=[0.01, 0.02])


class Touchy(torch.nn.Module):
    """Raises on rows whose first feature is large."""

    def __init__(self, limit):
        super().__init__()
        self.inner, self.limit = linear_module(), limit

    def forward(self, x):
        if (x[:, 0] > self.limit).any():
            raise ValueError("reading out of range")
        return self.inner(x)


@pytest.mark.parametrize("attack", [foolbox.attacks.LinfPGD(steps=80), far])
def test_where_the_module_raises_the_row_is_named_and_the_others_go_on(attack):
    seen = []

    def function(model, x, y):
        seen.append(len(x))
        moved = far(model, x, y)
        model(x + (moved - x).sign() * 0.02)
        return moved

    found = robust_accuracy(
        as_model(Touchy(0.77), output="logits"), DATA, attack=function if attack is far else attack, eps=0.02
    )
    clean, gap = X[:, 0] > 0.77, X @ WEIGHT - np.median(X @ WEIGHT)
    # Features are pushed with the sign of their weights, against the class: rows of class 0 reach the limit.
    pushed = X[:, 0].astype(float) + np.where(Y == 1, -0.02, 0.02) > 0.77
    broken = clean | pushed | (np.abs(gap) <= 0.02 * np.abs(WEIGHT).sum())
    assert found.value == pytest.approx(1.0 - broken.mean(), abs=0.011)
    texts = "\n".join(getattr(fact, "text", "") for fact in found.evidence)
    assert f"Touchy raises ValueError: reading out of range on {clean.sum()} of 200 rows as they are" in texts
    assert "Touchy raises ValueError: reading out of range on adversarial forms of" in texts
    told = check(found, "obeys budget and schema").reason
    assert f"with {(pushed & ~clean).sum()} it could not go on, since the model raised" in told
    assert call_sizes_fall(seen)


def call_sizes_fall(seen):
    """The first call has all rows; where it failed, each half is asked."""
    return not seen or (seen[1] == (seen[0] + 1) // 2 and min(seen) == 1)


def test_a_module_that_raises_on_every_row_of_an_attack_is_a_fault():
    def far_off(model, x, y):
        return model(x + 5.0)

    with pytest.raises(ModelFault, match="Touchy raised ValueError: reading out of range on every row that far_off"):
        robust_accuracy(as_model(Touchy(2.0), output="logits"), DATA, attack=far_off, eps=0.02)


def test_what_an_attack_hangs_on_a_module_is_taken_off_again():
    def meddles(module, x, y):
        module.register_forward_hook(lambda *parts: -parts[2])
        module.register_full_backward_hook(lambda *parts: None)
        module[0].forward = lambda rows: torch.zeros(len(rows), 2)
        module[1] = torch.nn.Softmax(dim=1)
        return far(module, x, y)

    module = torch.nn.Sequential(linear_module(), torch.nn.Identity())
    calls = []
    handle = module.register_forward_hook(lambda *_: calls.append(1))
    parts = list(module)
    found = robust_accuracy(as_model(module, output="logits"), DATA, attack=meddles, eps=0.02)
    assert found.value == pytest.approx(exact(0.02), abs=0.01)
    assert list(module) == parts
    assert "forward" not in vars(module[0])
    asked = len(calls)
    module(torch.from_numpy(X).double())
    assert len(calls) == asked + 1
    handle.remove()
    module(torch.from_numpy(X).double())
    assert len(calls) == asked + 1


def test_frozen_parameters_are_thawed_again():
    model = linear()

    def freezes(module, x, y):
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        return far(module, x, y)

    robust_accuracy(model, DATA, attack=freezes, eps=0.02)
    assert all(parameter.requires_grad for parameter in adapter_of(model).module.parameters())


def test_rows_that_are_no_numbers_are_given_back():
    infinite = robust_accuracy(linear(), DATA, attack=lambda m, x, y: x * float("inf"), eps=0.05)
    assert "0 lay outside, 200 were no numbers" in check(infinite, "obeys budget and schema").reason
    found = robust_accuracy(linear(), DATA, attack=lambda m, x, y: x * float("nan"), eps=0.05)
    assert found.value == 1.0
    assert "200 were no numbers" in check(found, "obeys budget and schema").reason
    assert (found > 0.5).status == "INVALID"


def test_an_attack_whose_norm_nobody_knows_is_named():
    attack = foolbox.attacks.LinearSearchBlendedUniformNoiseAttack()
    with pytest.raises(ModelFault, match="LinearSearchBlendedUniformNoiseAttack"):
        robust_accuracy(linear(), DATA, attack=attack, eps=0.1)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_foolbox_knows_a_range_that_holds_the_rows_and_the_budget(kind):
    # In double precision the ends of the range round past rows; and what the data span is no bound.
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    net = torch.nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        net.bias.zero_()
    x = np.abs(rng.normal(size=(60, 1))).astype(kind) + kind(0.1)
    model = as_model(net, output="logits")
    exact = robust_accuracy(model, (x, np.ones(60, dtype=int)), eps=0.5).value
    for size in (1, 7, 60):
        sized = replace(model, batch_size=size)
        attack = foolbox.attacks.LinfFastGradientAttack(random_start=False)
        found = robust_accuracy(sized, (x, np.ones(60, dtype=int)), attack=attack, eps=0.5)
        assert found.value == pytest.approx(exact)
