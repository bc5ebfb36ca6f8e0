"""Each property is seen to fail on a model made to fail it, at the level where it does, and is shrunk."""

import signal
import threading

import numpy as np
import pytest

from robust import as_data, as_model
from robust.fuzzing import fuzz

SEEN = np.random.default_rng(0).random((40, 6))
DATA = as_data(SEEN, schema={"bounds": (0, 1)})
WEIGHTS = np.arange(6.0) - 2.0


def honest(x):
    return x @ WEIGHTS


def only(found, property_, level=None, beside=()):
    """The first example of the one property that fails, but for those that must fail beside it."""
    assert {example.property for example in found.examples} - set(beside) == {property_}, found
    examples = [e for e in found.examples if e.property == property_ and level in (None, e.level)]
    assert examples, found
    return examples[0]


def test_nan_past_a_threshold_is_shrunk_to_one_feature():
    found = fuzz(lambda x: np.where(x[:, 3] > 0.7, np.nan, honest(x)), DATA, n=2000)
    example = only(found, "finite outputs", "inside")
    assert example.rows.tolist() == [[0, 0, 0, 1.0, 0, 0]]
    assert example.names == ((0, "x3", 1.0),)
    assert (found.failures == 0).status == "FAIL"
    assert int(found.failures) == sum(tally.failed for _, tally in found.levels) > 300


def test_two_features_that_fail_together_are_both_kept():
    found = fuzz(
        lambda x: np.where((x[:, 1] > 0.5) & (x[:, 4] > 0.5), np.inf, honest(x)), DATA, n=1000, levels="inside"
    )
    assert only(found, "finite outputs").rows.tolist() == [[0, 1.0, 0, 0, 1.0, 0]]


def test_a_failure_at_a_bound_alone_is_found_at_the_edges():
    found = fuzz(
        lambda x: honest(x) / np.where((x[:, 2] == 0) & np.signbit(x[:, 2]), 0.0, 1.0) + 0 * x[:, 0], DATA, n=4000
    )
    example = only(found, "finite outputs")
    assert example.level == "edges"
    assert np.signbit(example.rows[0, 2])


def test_a_neighbour_that_matters_is_found_and_takes_two_rows():
    found = fuzz(lambda x: honest(x - x.mean(axis=0)), DATA, n=1000, levels=["inside", "edges"])
    example = only(found, "batch invariance", "inside")
    assert {(example.level, example.kind) for example in found.examples} == {
        (level, kind) for level in ("inside", "edges") for kind in ("neighbours", "alone")
    }
    assert len(example.rows) == 2
    assert np.count_nonzero(example.rows) == 1


def test_a_row_of_nan_that_spoils_its_neighbours():
    found = fuzz(lambda x: honest(x) + (0 * x).sum(), DATA, n=1000)
    example = only(found, "finite outputs", "outside", beside=["batch invariance"])
    assert np.isnan(example.rows).sum() + np.isinf(example.rows).sum() == 1
    assert len(example.rows) == 2


def test_a_row_of_nan_that_moves_its_neighbours():
    found = fuzz(lambda x: honest(x) + np.isnan(x).any(), DATA, n=1000)
    example = only(found, "batch invariance", "outside")
    assert np.isnan(example.rows).sum() == 1
    assert len(example.rows) == 2


def test_input_that_is_changed():
    def greedy(x):
        x *= 2
        return honest(x)

    found = fuzz(greedy, DATA, n=500, levels=["inside"])
    example = only(found, "input unchanged", "inside")
    assert np.count_nonzero(example.rows) == 1
    assert example.rows.shape == (1, 6)


def test_input_of_a_torch_module_that_is_changed_behind_its_back():
    torch = pytest.importorskip("torch")

    class Greedy(torch.nn.Module):
        def forward(self, x):
            x.numpy()[:, 0] = 0.0
            return x.sum(dim=1)

    data = as_data(SEEN.astype(np.float32), schema={"bounds": (0, 1)})
    example = only(fuzz(as_model(Greedy(), task="regression"), data, n=500, levels=["inside"]), "input unchanged")
    assert example.rows.tolist() == [[1.0, 0, 0, 0, 0, 0]]


def test_dropout_that_stays_on():
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.dropout(x, 0.5, training=True).sum(dim=1)

    data = as_data(SEEN.astype(np.float32), schema={"bounds": (0, 1)})
    found = fuzz(as_model(Net(), task="regression"), data, n=500, levels=["inside"])
    assert {example.property for example in found.examples} >= {"determinism"}
    (example,) = [example for example in found.examples if example.property == "determinism"]
    assert np.count_nonzero(example.rows) <= 3


def test_an_exception_of_one_value():
    def picky(x):
        if (x[:, 5] > 0.8).any():
            raise RuntimeError("too bright")
        return honest(x)

    found = fuzz(picky, DATA, n=1000, levels=["inside"])
    example = only(found, "no exception")
    assert example.rows.tolist() == [[0, 0, 0, 0, 0, 1.0]]
    assert "too bright" in example.words
    # The rows that raise are counted, not the batches that they are in.
    assert 100 < int(found.failures) < 400


def test_an_exception_at_an_odd_batch():
    def even(x):
        if len(x) % 2 and len(x) > 2:
            raise ZeroDivisionError("odd")
        return honest(x)

    found = fuzz(even, DATA, n=1000)
    assert {example.property for example in found.examples} == {"no exception"}
    assert {example.rows.tolist() == np.zeros((3, 6)).tolist() for example in found.examples} == {True}


def test_padding_of_this_package_hides_nothing():
    torch = pytest.importorskip("torch")

    class Blocks(torch.nn.Module):
        def forward(self, x):
            return x.reshape(-1, 4, 6).sum(dim=2).reshape(-1, 1)

    data = as_data(SEEN.astype(np.float32), schema={"bounds": (0, 1)})
    found = fuzz(as_model(Blocks(), task="regression"), data, n=512, levels=["outside"])
    example = only(found, "no exception")
    assert (example.kind, len(example.rows), int(found.failures)) == ("RuntimeError", 1, 0) or len(example.rows) == 1


def test_a_module_that_takes_rows_in_one_piece_alone():
    torch = pytest.importorskip("torch")

    class Viewing(torch.nn.Module):
        def forward(self, x):
            return x.view(-1).reshape(len(x), -1).sum(dim=1)

    data = as_data(SEEN.astype(np.float32), schema={"bounds": (0, 1)})
    found = fuzz(as_model(Viewing(), task="regression"), data, n=100, levels=["outside"])
    # Gaps of equal length between all numbers are one piece to torch.
    assert {example.form.layout for example in found.examples} == {"fortran", "strided"}


def test_a_wrong_number_of_rows():
    found = fuzz(lambda x: honest(x)[: max(len(x) - 1, 1)], DATA, n=500, levels=["inside"])
    example = only(found, "shape")
    assert len(example.rows) == 2
    assert "(1,) for 2 rows" in example.words or "for 256 rows" in example.words


def test_another_number_of_columns():
    found = fuzz(
        lambda x: np.ones((len(x), 3 if (x[:, 0] > 0.9).any() and len(x) > 10 else 2)),
        as_data(SEEN * 0.5, schema={"bounds": (0, 1)}),
        n=1000,
        levels=["inside"],
    )
    example = only(found, "shape", beside=["batch invariance"])
    assert len(example.rows) == 11
    assert example.words == "it gives 3 numbers a row, on the data's rows 2"


def test_a_softmax_that_is_not_normalised():
    def scores(x):
        p = np.stack([x[:, 0], 1 - x[:, 0]], axis=1)
        return p * np.where(x[:, 1:2] > 0.5, 1.2, 1.0)

    model = as_model(scores, output="probabilities")
    found = fuzz(model, as_data(SEEN * [1, 0.4, 1, 1, 1, 1], schema={"bounds": (0, 1)}), n=1000, levels=["inside"])
    example = only(found, "probabilities")
    assert example.rows.tolist() == [[0, 1.0, 0, 0, 0, 0]]
    assert example.kind in ("sum", "range")


def test_probabilities_that_nobody_declared():
    def scores(x):
        p = np.stack([x[:, 0], 1 - x[:, 0]], axis=1)
        return np.where(x[:, 1:2] > 0.5, 3.0, p)

    data = as_data(SEEN * [1, 0.4, 1, 1, 1, 1], schema={"bounds": (0, 1)})
    found = fuzz(scores, data, n=500, levels=["inside"])
    only(found, "probabilities")
    assert any("held to be probabilities" in note for note in found.notes)


def test_float32_that_is_refused():
    def fussy(x):
        if x.dtype != np.float64:
            raise TypeError(f"float64 is needed, got {x.dtype}")
        return honest(x)

    found = fuzz(fussy, DATA, n=500)
    assert {example.property for example in found.examples} == {"no exception"}
    assert {example.form.dtype for example in found.examples} == {
        "float32",
        "float16",
        "int64",
        "int32",
        "uint8",
        "bool",
    }
    assert all(example.rows.tolist() == [[0.0] * 6] for example in found.examples)


def test_a_call_that_takes_too_long(monkeypatch):
    from robust.fuzzing import subject

    spent = [0.0]

    def slow(x):
        spent[0] += 0.001 + 1.0 * float((x[:, 2] > 0.9).any())
        return honest(x)

    monkeypatch.setattr(subject, "perf_counter", lambda: spent[0])
    found = fuzz(slow, DATA, n=600, budget=0.5, levels=["inside"])
    example = only(found, "time")
    assert example.rows.tolist() == [[0, 0, 1.0, 0, 0, 0]]
    assert "0.5 s are allowed" in example.words


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an alarm")
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="needs the main thread")
def test_a_call_that_hangs_is_given_up():
    def hanging(x):
        while len(x) == 7:
            pass
        return honest(x)

    found = fuzz(hanging, DATA, n=100, budget=0.05)
    example = only(found, "time")
    assert example.kind == "stopped"
    assert example.form.name == "7-rows"
    assert len(example.rows) == 7
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_refusing_what_is_outside_is_in_order_unless_the_user_says_otherwise():
    def strict(x):
        if not np.isfinite(x).all():
            raise ValueError("no numbers")
        return honest(x)

    found = fuzz(strict, DATA, n=1000)
    assert (found.failures == 0).status == "PASS"
    assert dict(found.refusals)["nan values"] == "ValueError: no numbers"
    answered = fuzz(strict, DATA, n=1000, may_refuse=False)
    assert {example.level for example in answered.examples} == {"outside"}
    assert np.count_nonzero(only(answered, "no exception").rows) == 1


def test_an_accident_is_no_refusal():
    table = np.arange(2.0)

    def lookup(x):
        with np.errstate(all="ignore"):
            return table[np.nan_to_num(np.abs(x[:, 0]), posinf=9).clip(0, 9).astype(int).clip(0)]

    found = fuzz(lookup, DATA, n=1000)
    assert {(example.property, example.kind, example.level) for example in found.examples} == {
        ("no exception", "IndexError", "outside")
    }
