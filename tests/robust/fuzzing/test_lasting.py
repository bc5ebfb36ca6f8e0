"""What a model keeps from one call to the next, and what it does to NaN, odd memory and equal rows at once."""

import numpy as np
import pytest

from robust import as_data
from robust.errors import InvalidInput
from robust.fuzzing import fuzz, replay

SEEN = np.random.default_rng(0).random((40, 6))
DATA = as_data(SEEN, schema={"bounds": (0, 1)})


def honest(x):
    return x.sum(axis=1) + 0.5


class Poisoned:
    """Answers otherwise, for good, once it has seen a missing value."""

    def __init__(self, then=lambda answer: -answer):
        self.then, self.seen = then, False

    def __call__(self, x):
        self.seen |= bool(np.isnan(x).any())
        return self.then(honest(x)) if self.seen else honest(x)


def drop(answer):
    raise RuntimeError("closed")


def test_an_answer_that_changes_for_good_is_found_and_fails_again_in_a_new_model(tmp_path):
    found = fuzz(Poisoned(), DATA, n=4000, save=tmp_path)
    lasting = [example for example in found.examples if example.kind == "for good"]
    assert [(example.property, example.level) for example in lasting] == [("determinism", "outside")]
    assert np.isnan(lasting[0].rows).any()
    assert "stays so: the answers differ by 1" in lasting[0].words
    again = replay(lasting[0].path, Poisoned())
    assert again.fails
    assert again.words == lasting[0].words
    assert not replay(lasting[0].path, honest).fails
    assert not any(example.kind == "for good" for example in fuzz(Poisoned(), DATA, n=4000, levels="inside").examples)


def test_a_model_that_raises_from_then_on_is_found():
    found = fuzz(Poisoned(drop), DATA, n=4000)
    words = [example.words for example in found.examples if example.kind == "for good"]
    assert words == ["after these rows, another that it took raises RuntimeError: closed"]


def test_an_answer_that_never_repeats_is_another_failure():
    rng = np.random.default_rng(0)
    found = fuzz(lambda x: honest(x) + rng.normal(size=len(x)), DATA, n=400)
    assert "asked twice" in {example.kind for example in found.examples}
    assert "for good" not in {example.kind for example in found.examples}


def test_the_time_of_day_is_no_lasting_change():
    calls = [0]

    def flaky(x):
        calls[0] += 1
        return honest(x) + (calls[0] % 97 == 0)

    assert "for good" not in {example.kind for example in fuzz(flaky, DATA, n=20_000).examples}


@pytest.mark.parametrize("odd", [lambda x: x.dtype == np.float32, lambda x: not x.flags["C_CONTIGUOUS"]])
def test_nan_in_an_odd_type_or_order_of_memory(odd):
    def model(x):
        if odd(x) and np.isnan(x).any():
            raise KeyError("missing")
        return honest(x)

    found = fuzz(model, DATA, n=400)
    assert {(e.property, e.level, e.kind.split(",")[0]) for e in found.examples} == {
        ("no exception", "outside", "KeyError")
    }
    assert np.isnan(found.examples[0].rows).sum() == 1

    def refusing(x):
        if np.isnan(x).any():
            raise ValueError("no NaN")
        return honest(x)

    said = fuzz(refusing, DATA, n=400)
    assert (said.failures == 0).status == "PASS"
    assert dict(said.refusals) == {"nan values": "ValueError: no NaN"}


def test_equal_rows():
    def model(x):
        alike = len(x) > 1 and (x == x[0]).all()
        return np.where(alike, np.nan, honest(x))

    found = fuzz(model, DATA, n=400, levels="edges")
    assert {(e.property, e.kind) for e in found.examples} >= {("finite outputs", "nan")}
    assert fuzz(honest, DATA, n=400, levels="edges").failures == 0


def test_an_empty_batch_has_as_many_columns_as_ever():
    def model(x, empty=(0, 2)):
        return np.stack([honest(x)] * 3, axis=1) if len(x) else np.zeros(empty)

    found = fuzz(model, DATA, n=100, levels="outside")
    assert [(e.property, e.kind) for e in found.examples] == [("shape", "columns")]
    assert fuzz(lambda x: model(x, (0, 3)), DATA, n=100).failures == 0
    assert fuzz(lambda x: model(x, (0,)), DATA, n=100).failures == 0  # an empty list says nothing of columns


def test_a_number_next_to_a_round_one_is_not_written_as_the_round_one():
    rows = as_data(SEEN * 180, names=list("abcdef"), schema={"bounds": (0, 180)})

    def model(x):
        if (x[:, 2] == np.nextafter(180, 200)).any():
            raise KeyError("c")
        return honest(x)

    example = fuzz(model, rows, n=4000, levels="outside").examples[0]
    assert str(example).endswith("; 1 row: c = 180.00000000000003")


def test_failing_batches_are_saved_in_a_folder(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a\n1\n")
    for save in (file, tmp_path / "found.npz", 3):
        with pytest.raises(InvalidInput, match=r"folder"):
            fuzz(honest, DATA, n=10, save=save)
    assert not (tmp_path / "found.npz").exists()
