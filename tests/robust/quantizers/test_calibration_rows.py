import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.quantizers.calibration_rows import calibration_findings, calibration_rows

X = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)


def texts(rows, test=None):
    return [finding.text for finding in calibration_findings(rows, test)]


@pytest.mark.parametrize("batch", [1, 7, 64, 100, 101, 500])
def test_steps_hold_every_row_once_in_order_and_are_as_equal_as_can_be(batch):
    steps = list(calibration_rows(X, batch=batch, fixed=None).batches())
    np.testing.assert_array_equal(np.concatenate(steps), X)
    sizes = {len(step) for step in steps}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_a_fixed_batch_takes_whole_batches_and_says_what_is_left_out():
    rows = calibration_rows(X, batch=64, fixed=10)
    assert [len(step) for step in rows.batches()] == [10] * 10
    assert "1 of 101 calibration rows were left out: the model takes exactly 10 at once" in texts(rows)
    with pytest.raises(InvalidInput, match="101 calibration rows, and the model takes exactly 128 at once"):
        calibration_rows(X, batch=64, fixed=128)


def test_the_digest_is_of_the_inputs_that_are_run():
    whole = calibration_rows(X, batch=64, fixed=None)
    changed = X.copy()
    changed[100, 2] += 1
    assert whole.digest() == calibration_rows((X, np.arange(101)), batch=5, fixed=None).digest()
    assert whole.digest() != calibration_rows(changed, batch=64, fixed=None).digest()
    assert calibration_rows(X, batch=64, fixed=10).digest() == calibration_rows(changed, batch=64, fixed=10).digest()


def test_few_rows_are_refused_and_told_with_the_probability_of_two_in_n_plus_one():
    with pytest.raises(InvalidInput, match=r" has no rows: at least 8 calibration rows, better 100, would be right"):
        calibration_rows(as_data(X).rows([]), batch=64, fixed=None)
    with pytest.raises(InvalidInput, match=r"has 7 calibration rows.*2/\(n \+ 1\) = 25%; at least 8, better 100"):
        calibration_rows(X[:7], batch=64, fixed=None)
    assert "2/(n + 1) = 22.2%" in texts(calibration_rows(X[:8], batch=64, fixed=None))[0]
    assert texts(calibration_rows(X, batch=64, fixed=None)) == []


@pytest.mark.parametrize("n", [8, 40])
def test_a_new_row_lies_outside_the_range_as_often_as_is_said(n):
    rng = np.random.default_rng(1)
    known, new = rng.normal(size=(20_000, n)), rng.normal(size=20_000)
    outside = np.mean((new < known.min(axis=1)) | (new > known.max(axis=1)))
    assert outside == pytest.approx(2 / (n + 1), abs=0.01)


def test_rows_without_a_range_are_refused():
    with pytest.raises(InvalidInput, match="all 20 calibration rows of data are equal"):
        calibration_rows(np.ones((20, 3)), batch=64, fixed=None)
    broken = X.copy()
    broken[[4, 9], 1] = np.nan
    with pytest.raises(InvalidInput, match="NaN in 2 of 101 calibration rows, first at position 4"):
        calibration_rows(broken, batch=64, fixed=None)


def test_rows_that_the_candidate_is_judged_on_are_leakage():
    rows = calibration_rows(X, batch=64, fixed=None)
    (told,) = texts(rows, as_data(X[40:60], np.zeros(20), name="test"))
    assert told.startswith("leakage: 20 of 20 rows of test are among the calibration rows of data")
    assert texts(rows, as_data(X[40:60] + 1, np.zeros(20))) == []
    assert texts(rows, as_data(np.zeros((20, 4)), np.zeros(20))) == []
