"""Counts, seeds, interrupts and memory of a fuzz."""

import numpy as np
import pytest

from robust import as_data, as_model
from robust.fuzzing import fuzz
from robust.fuzzing.asking import OutOfMemory
from robust.predicting.metering import metered

SEEN = np.random.default_rng(0).random((40, 6))
DATA = as_data(SEEN, schema={"bounds": (0, 1)})
WEIGHTS = np.arange(6.0) - 2.0


def honest(x):
    return x @ WEIGHTS


def test_the_rows_do_not_depend_on_the_batch_size_or_on_n():
    def rows_of(n, size):
        asked = []

        def model(x):
            asked.append(x.copy())
            return honest(x)

        fuzz(as_model(model, batch_size=size), DATA, n=n, levels=["edges"])
        return {row.tobytes() for batch in asked for row in batch}

    whole = rows_of(600, 256)
    assert rows_of(600, 100) - whole <= rows_of(600, 64)
    assert len(rows_of(300, 256) - whole) < 60  # what neighbours are replaced by


def test_the_same_seed_gives_the_same_result():
    def model(x):
        return np.where(x[:, 3] > 0.7, np.nan, honest(x))

    one, other, third = (fuzz(model, DATA, n=1000, seed=seed) for seed in (3, 3, 4))
    assert one.table() == other.table() != third.table()
    assert str(one) == str(other)


def test_half_of_the_rows_are_inside_and_the_meter_counts_all():
    with metered() as meter:
        found = fuzz(honest, DATA, n=1001)
    counts = {level: tally.rows for level, tally in found.levels}
    sizes, types, orders, alike = 1 + 2 + 3 + 7 + 31 + 33, 6 * 8, 5 * 8, 8
    forms = sizes + types + orders + alike
    forms += sizes + 2 * 8 + orders  # once more with NaN, where the type has one
    assert counts["inside"] + counts["edges"] + counts["outside"] - forms == 1001
    assert counts["inside"] == 500
    assert meter.forward_rows > 1001


def test_ctrl_c_keeps_what_was_found():
    calls = [0]

    def model(x):
        calls[0] += 1
        if calls[0] == 12:
            raise KeyboardInterrupt
        return np.where(x[:, 3] > 2, np.nan, honest(x))

    found = fuzz(model, DATA, n=100_000)
    assert found.interrupted
    assert 0 < found.failures.n < 100_000
    verdict = found.failures == 0
    assert (verdict.status, verdict.reason.partition(":")[0]) == ("INVALID", "finished")


def test_a_failure_stays_one_when_it_is_interrupted():
    calls = [0]

    def model(x):
        calls[0] += 1
        if calls[0] == 30:
            raise KeyboardInterrupt
        return np.where(x[:, 3] > 0.5, np.nan, honest(x))

    found = fuzz(model, DATA, n=100_000)
    assert (found.failures <= 0).status == "FAIL"


def test_ctrl_c_before_anything_was_finished_is_handed_on():
    def model(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuzz(model, DATA, n=10)


def test_a_level_without_rows_makes_a_pass_invalid():
    verdict = fuzz(honest, DATA, n=1).failures == 0
    assert verdict.status == "INVALID"
    assert "no row was run at the levels" in verdict.reason
    assert (fuzz(honest, DATA, n=1, levels=["inside"]).failures == 0).status == "PASS"


def test_too_many_failures_end_a_level():
    found = fuzz(lambda x: np.where(x[:, 0] > 0.1, np.nan, 1.0), DATA, n=50_000, levels=["inside"])
    assert 1000 <= int(found.failures) < 1300
    assert "+" in found.table()


def test_smaller_batches_where_memory_runs_out():
    sizes = []

    def model(x):
        sizes.append(len(x))
        if len(x) > 64:
            raise MemoryError("too large")
        return honest(x)

    found = fuzz(model, DATA, n=1000, levels=["inside"])
    assert (found.failures == 0).status == "PASS"
    assert [note for note in found.notes if "memory" in note] == [
        "not enough memory for larger batches: 64 rows a call from then on"
    ]
    assert sizes.count(256) == 1
    assert issubclass(OutOfMemory, Exception)
