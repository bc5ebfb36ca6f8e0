"""Rows on which a model raises are found by halves; others are answered where somebody goes on without these."""

from dataclasses import replace

import numpy as np
import pytest

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.predicting.cache import ArrayCache
from robust.predicting.calling import bind
from robust.predicting.metering import metered
from robust.predicting.one_call import sort_out
from robust.predicting.row_faults import NotRepeatable, Raised, RowFault
from robust.predicting.settings import Settings, using

ROWS = np.random.default_rng(0).normal(size=(50, 2))


class Odd:
    """The sum of each row; raises for some, gives NaN for others, and remembers the sizes of calls."""

    def __init__(self, bad=(), nan=()):
        self.bad, self.nan, self.sizes = ROWS[list(bad)], ROWS[list(nan)], []

    def __call__(self, x):
        self.sizes.append(len(x))
        for row in self.bad:
            if (x == row).all(axis=1).any():
                raise ValueError(f"no row {row[0]:.3f}")
        nan = np.zeros(len(x), dtype=bool)
        for row in self.nan:
            nan |= (x == row).all(axis=1)
        return np.where(nan, np.nan, x.sum(axis=1))

    def gradients(self, x, cotangent):
        values = self(x)[:, None]
        return values, np.ones_like(x) * cotangent(values)


def asked(odd, *, lenient=True, **options):
    model = as_model(odd, gradients=odd.gradients, name="m", **options)
    return replace(bind(model, as_data(ROWS).schema), lenient=lenient)


@pytest.mark.parametrize("bad", [{0}, {7}, {3, 4, 5}, {0, 9}, set(range(10)), set()])
def test_rows_that_raise_are_found_whichever_they_are(bad):
    calls = []

    def ask(part):
        calls.append(part)
        if bad & set(range(part.start, part.stop)):
            raise Raised from ValueError(str(min(bad)))
        return list(range(part.start, part.stop))

    answered, raising = sort_out(slice(0, 10), ask)
    assert {row for row, _ in raising} == bad
    assert sorted(row for _, rows in answered for row in rows) == sorted(set(range(10)) - bad)
    assert len(calls) <= 1 + 2 * 4 * max(len(bad), 1)
    _, first = sort_out(slice(0, 10), ask, first=True)
    assert [row for row, _ in first] == ([min(bad)] if bad else [])


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_strict_caller_names_the_first_row_and_what_it_raised(size):
    with pytest.raises(RowFault, match=rf"m raised ValueError: no row {ROWS[17, 0]:.3f} on the row at position 17$"):
        asked(Odd(bad=[17, 30]), lenient=False, batch_size=size).outputs(ROWS)
    with pytest.raises(RowFault, match=r"NaN or infinity for 1 of \d+ rows, first at position 30"):
        asked(Odd(nan=[30]), lenient=False, batch_size=size).outputs(ROWS)


def test_it_is_found_in_few_calls():
    odd = Odd(bad=[200 % 50])
    with pytest.raises(RowFault):
        asked(odd, lenient=False).outputs(ROWS)
    assert len(odd.sizes) <= 2 + 2 * 6


def test_a_row_in_a_fixed_batch_is_named_too():
    model = Model(name="m", framework="onnx", forward=Odd(bad=[9]), fixed_batch=8)
    with pytest.raises(RowFault, match="on the row at position 9$"):
        bind(model, as_data(ROWS).schema).outputs(ROWS)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_lenient_caller_answers_the_others(size):
    caller = asked(Odd(bad=[0, 17], nan=[30]), batch_size=size)
    with metered() as meter:
        found = caller.outputs(ROWS)
    silent = np.isnan(found[:, 0])
    assert np.flatnonzero(silent).tolist() == [0, 17, 30]
    np.testing.assert_allclose(found[~silent, 0], ROWS[~silent].sum(axis=1))
    assert meter.unanswered_rows == 3
    assert "raises, or gives NaN or infinity, on some rows" in meter.findings()[0].text
    assert caller.unanswered(ROWS[17]) == f"raises ValueError: no row {ROWS[17, 0]:.3f}"
    assert caller.unanswered(ROWS[30]) == "gives NaN or infinity"
    assert caller.unanswered(ROWS[1]) is None
    # A row alone has as many columns as the others.
    assert caller.outputs(ROWS[17:18]).shape == (1, 1)


def test_a_lenient_gradient_has_none_where_there_is_no_answer():
    caller = asked(Odd(bad=[0, 17, 18]))
    weights = np.arange(1.0, 51.0)[:, None]
    values, slope = caller.gradient(ROWS, lambda outputs, block: weights[block] * np.ones_like(outputs))
    silent = np.isin(np.arange(50), [0, 17, 18])
    np.testing.assert_array_equal(np.isnan(values[:, 0]), silent)
    np.testing.assert_array_equal(slope, np.where(silent[:, None], 0.0, weights * np.ones((1, 2))))


def test_a_gradient_that_cannot_be_had_is_no_missing_answer():
    odd = Odd()

    def gradients(x, cotangent):
        if (x == ROWS[12]).all(axis=1).any():
            raise RuntimeError("no backward")
        return odd.gradients(x, cotangent)

    model = as_model(odd, gradients=gradients, name="m")
    caller = replace(bind(model, as_data(ROWS).schema), lenient=True)
    with pytest.raises(
        ModelFault, match=r"while its gradient was taken: RuntimeError: no backward on the row at .* 12"
    ):
        caller.gradient(ROWS, lambda outputs, _: np.ones_like(outputs))


def test_answers_with_gaps_are_none_for_those_who_want_them_all():
    odd = Odd(bad=[4])
    model = Model(name="m", framework="callable", forward=odd, identity=lambda: "known")
    with using(Settings(cache=ArrayCache())):
        lenient = replace(bind(model, as_data(ROWS).schema), lenient=True)
        first = lenient.outputs(ROWS, keep=True)
        made = len(odd.sizes)
        np.testing.assert_array_equal(lenient.outputs(ROWS, keep=True), first)
        assert len(odd.sizes) == made
        with pytest.raises(RowFault):
            bind(model, as_data(ROWS).schema).outputs(ROWS, keep=True)


def test_what_the_data_is_to_blame_for_stays_so():
    with_gap = ROWS.copy()
    with_gap[5, 1] = np.nan
    with pytest.raises(InvalidInput, match=r"missing values \(NaN\) in row 5"):
        asked(Odd(), lenient=False).outputs(with_gap)


def test_answers_that_change_are_told_apart():
    class Drifting:
        calls = 0

        def __call__(self, x):
            self.calls += 1
            return x.sum(axis=1) + self.calls

    with pytest.raises(NotRepeatable, match="is not deterministic"):
        bind(as_model(Drifting(), name="m"), as_data(ROWS).schema).outputs(ROWS, keep=True)
