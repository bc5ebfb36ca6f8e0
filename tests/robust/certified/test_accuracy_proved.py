import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.certified import accuracy_proved
from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.unsupported import Unsupported
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Rows, Values
from robust.measures.classification import accuracy
from robust.models.base import adapter_of
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.predicting.settings import Settings, using


@pytest.fixture(scope="module")
def net():
    """A small network fitted to two moons, nearly."""
    torch.manual_seed(0)
    x = torch.rand(300, 2) * 2 - 1
    y = (x[:, 1] > torch.sin(3 * x[:, 0]) / 2).long()
    module = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    return module.eval(), as_data(x.numpy(), y.numpy(), names=["a", "b"], schema={"bounds": (-1, 1)}, name="moons")


def test_the_measurement(net):
    module, data = net
    model = as_model(module, output="logits", name="net")
    with metered() as meter:
        found = certified_accuracy(model, data, eps=0.05)
    clean = accuracy(model, data).value
    assert 0.5 < found.value < clean
    assert (found.name, found.unit, found.higher_is_better, found.method) == (
        "certified_accuracy",
        "share",
        True,
        "clopper-pearson",
    )
    assert found.n == len(data)
    assert found.row_values.mean() == found.value
    assert found.lower < found.value < found.upper
    (values,) = [part for part in found.evidence if isinstance(part, Values)]
    assert (values.reference, values.candidate) == (clean, found.value)
    facts = {part.name: part.value for part in found.evidence if isinstance(part, Fact)}
    assert (
        facts["rows proved by interval bounds"] + facts["rows proved by linear bounds alone"] == found.row_values.sum()
    )
    assert "it is proved that no change within ±0.05 of every feature" in facts["what a pass means"]
    assert "float32 sums, in any order" in facts["arithmetic"]
    (rows,) = [part for part in found.evidence if isinstance(part, Rows)]
    assert rows.total == round(clean * len(data)) - found.row_values.sum()
    assert dict(found.provenance.options) == {"eps": "0.05", "method": "None", "norm": "'linf'"}
    assert meter.backward_rows == 0


def test_methods_are_ordered_and_budgets_too(net):
    module, data = net
    model = as_model(module, output="logits")
    values = {
        method: [certified_accuracy(model, data, eps=eps, method=method).value for eps in (0.01, 0.05, 0.2)]
        for method in ("interval", "linear", None)
    }
    assert values["linear"] == values[None]
    assert values["interval"][1] < values["linear"][1]
    for found in values.values():
        assert found == sorted(found, reverse=True)


def test_a_proof_is_kept_until_anything_changes(net, monkeypatch):
    module, data = net
    calls = []
    own = accuracy_proved.prove_rows
    monkeypatch.setattr(accuracy_proved, "prove_rows", lambda *a, **k: (calls.append(1), own(*a, **k))[1])
    model = as_model(copy.deepcopy(module), output="logits")
    free = as_data(data.x, data.y, names=["a", "b"])
    with using(Settings()):
        first = certified_accuracy(model, data, eps=0.05).row_values
        np.testing.assert_array_equal(first, certified_accuracy(model, data, eps=0.05).row_values)
        assert len(calls) == 1
        for other in (
            {"eps": 0.06},
            {"eps": {"a": 0.05}},
            {"eps": 0.05, "norm": "l2"},
            {"eps": 0.05, "method": "linear"},
        ):
            certified_accuracy(model, data, **other)
        certified_accuracy(model, free, eps=0.05)
        assert len(calls) == 6
        with torch.no_grad():
            next(iter(adapter_of(model).module.parameters())).mul_(1.01)
        certified_accuracy(model, data, eps=0.05)
        assert len(calls) == 7


def test_one_feature_alone_and_immutable_ones(net):
    module, data = net
    model = as_model(module, output="logits")
    both = certified_accuracy(model, data, eps=0.1).row_values
    one = certified_accuracy(model, data, eps={"a": 0.1}).row_values
    fixed = as_data(data.x, data.y, names=["a", "b"], schema={"bounds": (-1, 1), "b": {"immutable": True}})
    np.testing.assert_array_equal(one, certified_accuracy(model, fixed, eps=0.1).row_values)
    assert (one >= both).all()
    assert one.sum() > both.sum()
    found = certified_accuracy(model, data, eps={"a": 0.1})
    assert "±0.1 of a, inside" in str(found.evidence)


def test_bounds_cut_what_must_be_proved(net):
    module, data = net
    model = as_model(module, output="logits")
    free = as_data(data.x, data.y)
    assert certified_accuracy(model, data, eps=0.3).value > certified_accuracy(model, free, eps=0.3).value


def test_a_model_with_one_output_and_probabilities():
    rows = np.array([[-3.0], [-0.5], [0.5], [3.0]], dtype=np.float32)
    module = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    with torch.no_grad():
        module[0].weight.fill_(2.0)
        module[0].bias.fill_(0.0)
    found = certified_accuracy(as_model(module, output="probabilities"), as_data(rows, [0, 0, 1, 1]), eps=1.0)
    assert found.row_values.tolist() == [1, 0, 0, 1]
    logit = as_model(nn.Sequential(module[0]), output="logits")
    assert certified_accuracy(logit, as_data(rows, [0, 0, 1, 1]), eps=0.4).value == 1.0


def test_a_constant_model_and_a_wrong_one():
    module = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        module[0].weight.zero_()
        module[0].bias.copy_(torch.tensor([1.0, 0.0]))
    data = as_data(np.zeros((10, 2), dtype=np.float32), np.zeros(10, dtype=int))
    assert certified_accuracy(as_model(module, output="logits"), data, eps=1e3).value == 1.0
    wrong = as_data(np.zeros((10, 2), dtype=np.float32), np.ones(10, dtype=int))
    assert certified_accuracy(as_model(module, output="logits"), wrong, eps=0.0).value == 0.0


def test_no_room_makes_a_pass_invalid(net):
    module, data = net
    found = certified_accuracy(as_model(module, output="logits"), data, eps=0.0)
    assert (found > 0.5).status == "INVALID"
    assert "no change at all" in str(found.evidence)


def test_dependent_rows_get_a_bootstrap(net):
    module, data = net
    timed = as_data(data.x, data.y, order=np.arange(len(data)), schema={"bounds": (-1, 1)})
    assert "block" in certified_accuracy(as_model(module, output="logits"), timed, eps=0.05).method


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"eps": -1.0}, "eps got -1.0"),
        ({"eps": {"c": 1.0}}, "there is no feature"),
        ({"eps": 0.1, "norm": "l3"}, "norm got 'l3'"),
        ({"eps": 0.1, "method": "magic"}, "method got 'magic'; None or one of 'interval', 'linear', 'smoothing'"),
        ({"eps": 0.1, "sigma": 0.1}, 'belongs to method="smoothing"'),
        ({"eps": 0.1, "level": 0.4}, "level got 0.4"),
    ],
)
def test_what_is_refused(net, options, told):
    module, data = net
    with pytest.raises(InvalidInput, match=told):
        certified_accuracy(as_model(module, output="logits"), data, **options)


def test_models_that_nothing_is_known_of():
    data = as_data(np.ones((6, 1)), np.ones(6, dtype=int))
    with pytest.raises(Unsupported, match=r"sign \(callable\) has no bounds here.*smoothing"):
        certified_accuracy(as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign"), data, eps=1.0)
    with pytest.raises(InvalidInput, match="needs a classifier"):
        certified_accuracy(
            as_model(lambda x: x[:, 0] * 1.5, task="regression"), as_data(np.ones((5, 1)), np.ones(5)), eps=1
        )
    outside = as_data(np.ones((6, 1)), np.arange(6) % 2, schema={"bounds": (0, 1)}).with_x(np.full((6, 1), 2.0))
    fitted = LogisticRegression().fit(np.arange(6.0)[:, None], np.arange(6) % 2)
    with pytest.raises(InvalidInput, match="breaks its schema"):
        certified_accuracy(fitted, outside, eps=1.0)


@pytest.mark.parametrize("seed", [1.5, -1, None, "a", True, float("nan"), [1]])
def test_seeds_that_are_none_are_refused_though_nothing_is_random(net, seed):
    module, data = net
    with pytest.raises(InvalidInput, match="seed got .* a whole number of at least 0 would be right"):
        certified_accuracy(as_model(module, output="logits"), data, eps=0.05, seed=seed)
    with pytest.raises(InvalidInput, match="seed got .* a whole number of at least 0 would be right"):
        robust_accuracy(as_model(module, output="logits"), data, eps=0.05, seed=seed)


@pytest.mark.parametrize("method", [None, "interval", "linear"])
def test_a_row_without_an_answer_is_wrong_and_the_others_go_on(method):
    line = nn.Linear(1, 2)
    with torch.no_grad():
        line.weight.copy_(torch.tensor([[-2.0], [2.0]]))
        line.bias.zero_()
    x = np.array([[-3.0], [-0.5], [0.5], [3.0], [3e38]], dtype=np.float32)  # 6e38 is no number of single precision
    model = as_model(line, task="classification", output="logits", name="line")
    m = certified_accuracy(model, as_data(x, [0, 0, 1, 1, 1], ids=list("abcde")), eps=1.0, method=method)
    assert m.row_values.tolist() == [1, 0, 0, 1, 0]
    assert m.evidence[0].text == "line gives NaN or infinity on 1 of 5 rows as they are: they count as wrong"
    assert m.evidence[1].ids == ("e",)
