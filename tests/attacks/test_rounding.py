from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from robust.attacks.rounding import beyond, drawn_in, rounded_down

VALUES = st.floats(-1e6, 1e6, allow_subnormal=False)
BUDGETS = st.floats(1e-9, 1e3)


@settings(max_examples=300, deadline=None)
@given(VALUES, BUDGETS, st.sampled_from([np.float32, np.float64]), st.sampled_from([-1, 1]))
def test_sums_are_drawn_inside_exactly(value, eps, dtype, sign):
    x = np.array([[value]], dtype=dtype)
    budget = np.array([[eps]])
    z = (x + sign * rounded_down(budget, x.dtype)).astype(dtype)
    exact = abs(Fraction(float(z[0, 0])) - Fraction(float(x[0, 0]))) > Fraction(eps)
    assert bool(beyond(z, x, budget)[0, 0]) == exact
    inside = drawn_in(z.copy(), x, budget)
    assert abs(Fraction(float(inside[0, 0])) - Fraction(float(x[0, 0]))) <= Fraction(eps)
    # As few numbers as that takes: the next one outwards lies beyond.
    outwards = np.nextafter(inside, dtype(sign * np.inf))
    assert bool(beyond(outwards, x, budget)[0, 0]) or inside[0, 0] == z[0, 0]


def test_a_sum_that_rounds_outwards():
    one, eps = np.array([[1.0]]), np.array([[0.1]])
    assert (one + 0.1 - one)[0, 0] > 0.1
    assert drawn_in(one + 0.1, one, eps)[0, 0] == np.nextafter(1.1, 1)


def test_missing_values_are_never_beyond():
    missing = np.array([[np.nan]])
    assert not beyond(missing, missing, np.array([[0.0]])).any()


def test_what_is_no_rounding_error_goes_back():
    assert drawn_in(np.array([[5.0]]), np.array([[1.0]]), np.array([[0.5]]))[0, 0] == 1.0
