import numpy as np
import pytest
import torch

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.pgd import PGD
from robust.certified.accuracy_proved import certified_accuracy
from robust.certified.bracketing import BrokenProof, bracket
from robust.certified.smoothing import smoothed_accuracy
from robust.data.live import as_data
from robust.data.loading import load_data
from robust.errors import InvalidInput
from robust.evidence import Provenance
from robust.examples.catalogue import example_path
from robust.examples.digits_torch import small_cnn
from robust.measurement import Measurement
from robust.models.conversion import as_model
from robust.models.loading import load_model


@pytest.fixture(scope="module")
def digits():
    """The shipped CNN and its test rows, in [0, 1]."""
    from safetensors.torch import load_file

    folder = example_path("digits")
    net = small_cnn()
    net.load_state_dict(load_file(folder / "net.safetensors"))
    torch.set_num_threads(1)
    rows = load_data(folder / "test.npz")
    return as_model(net.eval(), output="logits", name="digits CNN"), as_data(rows.x, rows.y, schema={"bounds": (0, 1)})


@pytest.mark.parametrize("eps", [0.003, 0.01])
def test_the_digits_network_lies_between(digits, eps):
    model, data = digits
    data = data.rows(np.arange(120))
    found = bracket(certified_accuracy(model, data, eps=eps), robust_accuracy(model, data, attack=PGD(eps=eps)))
    assert 0.9 < found.certified.value <= found.attacked.value
    assert found.undecided == pytest.approx(found.attacked.value - found.certified.value)
    assert "which is proved" in found.facts[0].text


@pytest.mark.slow
@pytest.mark.parametrize("eps", [0.01, 0.03, 0.1])
def test_the_digits_network_lies_between_at_every_budget(digits, eps):
    model, data = digits
    found = bracket(certified_accuracy(model, data, eps=eps), robust_accuracy(model, data, attack=PGD(eps=eps)))
    assert found.certified.value <= found.attacked.value


def of(name, *rows, data="d", **options):
    return Measurement(
        name=name,
        value=float(np.mean(rows)),
        lower=0.0,
        upper=1.0,
        n=len(rows),
        method="test",
        row_values=np.array(rows, dtype=float),
        provenance=Provenance(data=(("rows", data),), options=tuple(options.items())),
    )


def test_a_row_both_proved_and_broken_is_an_error():
    with pytest.raises(BrokenProof, match="1 rows are proved to hold and broken by the attack, first at position 1"):
        bracket(of("certified_accuracy", 0, 1, 1), of("robust_accuracy", 1, 0, 1))


def test_figure_and_words():
    found = bracket(of("certified_accuracy", 0, 0, 1, 0), of("robust_accuracy", 1, 0, 1, 1))
    assert (found.certified.value, found.attacked.value, found.undecided) == (0.25, 0.75, 0.5)
    columns = {series.name: series.values for series in found.figure.columns}
    assert columns["y"] == ("certified", "attacked")
    assert columns["x"] == (0.25, 0.75)
    assert str(found) == "robust accuracy between 0.2500 (proved) and 0.7500 (attacked)"


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((of("robust_accuracy", 1), of("robust_accuracy", 1)), "the lower end got 'robust_accuracy'"),
        ((of("certified_accuracy", 1), of("robust_accuracy", 1, data="other")), "of different rows"),
        ((of("certified_accuracy", 1), of("robust_accuracy", 1, 1)), "the same rows at both ends"),
        (
            (of("certified_accuracy", 1, eps="0.1"), of("robust_accuracy", 1, eps="0.2")),
            "different budgets: 0.1 and 0.2",
        ),
    ],
)
def test_ends_that_do_not_belong_together(ends, told):
    with pytest.raises(InvalidInput, match=told):
        bracket(*ends)


def test_a_smoothed_certificate_is_no_end_of_the_models_own_bracket():
    model = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
    data = as_data(np.full((20, 1), 9.0), np.ones(20, dtype=int))
    smoothed = smoothed_accuracy(model, data, eps=1.0, draws=100)
    with pytest.raises(InvalidInput, match="says nothing about its smoothed twin"):
        bracket(smoothed, of("robust_accuracy", 1))


def test_both_ends_of_one_model():
    path = example_path("digits")
    net = load_model(path / "net.safetensors", factory="robust.examples.digits_torch:small_cnn", output="logits")
    rows = load_data(path / "test.npz", schema={"bounds": (0, 1)}).rows(np.arange(60))
    proved, attacked = certified_accuracy(net, rows, eps=0.01), robust_accuracy(net, rows, eps=0.01, strength="quick")
    found = bracket(proved, attacked)
    assert 0.9 < found.certified.value <= found.attacked.value <= 1
    with pytest.raises(InvalidInput, match="different budgets"):
        bracket(proved, robust_accuracy(net, rows, eps=0.02, strength="quick"))
    with pytest.raises(InvalidInput, match="different norms"):
        bracket(proved, robust_accuracy(net, rows, eps=0.01, norm="l2", strength="quick"))
