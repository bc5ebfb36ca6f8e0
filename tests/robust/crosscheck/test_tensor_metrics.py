"""Figures of two tensors: by hand, against numpy, SciPy and scikit-learn, and the traps of the printed formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial.distance import cosine
from sklearn import metrics as sk

from robust.crosscheck.tensor_metrics import EPS, as_rows, tensor_metrics, tied_rows
from robust.errors import InvalidInput

SHAPES = array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=5)
VALUES = st.floats(-1e3, 1e3, width=32)


def both(seed=0, n=30, k=7, noise=0.3):
    rng = np.random.default_rng(seed)
    r = rng.normal(size=(n, k))
    return r, r + noise * rng.normal(size=(n, k))


def test_by_hand():
    # r − p = (1, −1, 2, 0): squares 1, 1, 4, 0; ‖p‖² = 1 + 9 + 4 + 4; ‖r‖² = 4 + 4 + 16 + 4.
    r, p = np.array([[2.0, 2.0], [4.0, 2.0]]), np.array([[1.0, 3.0], [2.0, 2.0]])
    m = tensor_metrics(r, p, classes=True)
    assert m.samples == 2
    assert m.items == 2
    assert m.mse == 1.5
    assert m.rmse == math.sqrt(1.5)
    assert m.mae == 1.0
    assert m.mean == 0.5
    assert m.std == pytest.approx(math.sqrt(1.5 - 0.25))
    assert m.var == pytest.approx((6 - 4 * 0.25) / 3)
    assert m.l2r == pytest.approx(math.sqrt(6) / (math.sqrt(18) + EPS), rel=1e-15)
    assert m.l2r_reference == pytest.approx(math.sqrt(6 / 28))
    assert m.nse == pytest.approx(1 - 1.5 / (0.75 + EPS))
    assert m.cos == pytest.approx((2 + 6 + 8 + 4) / math.sqrt(28 * 18))
    # Largest columns: 0 (a tie, the first) and 0 against 1 and 0 (a tie).
    assert m.acc == 0.5
    assert m.f1 == pytest.approx((2 * 1 / (2 + 1) + 0) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_against_the_printed_formulas_in_numpy(seed):
    ref, pred = both(seed)
    m = tensor_metrics(ref, pred, classes=True)
    difference = (ref - pred).astype(np.float64)
    eps = np.finfo(np.float32).eps
    assert m.rmse == pytest.approx(np.sqrt((difference**2).mean()))
    assert m.mae == pytest.approx(np.abs(difference).mean())
    assert m.mean == pytest.approx(np.mean(ref - pred))
    assert m.std == pytest.approx(np.std(ref - pred))
    assert m.var == pytest.approx(np.var(ref - pred, dtype=np.float64, ddof=1))
    norm = np.sqrt(np.sum(np.square(pred).flatten())) + eps
    assert m.l2r == pytest.approx(np.sqrt(np.sum(np.square(ref - pred))) / norm)
    assert m.nse == pytest.approx(1 - np.mean((ref - pred) ** 2) / ((np.std(ref) ** 2) + eps))
    dot = np.dot(ref.flatten(), pred.flatten())
    assert m.cos == pytest.approx(dot / (np.linalg.norm(ref) * np.linalg.norm(pred)))


@pytest.mark.parametrize("seed", range(5))
def test_against_other_libraries(seed):
    ref, pred = both(seed, noise=0.8)
    m = tensor_metrics(ref, pred, classes=True)
    actual, found = ref.argmax(axis=1), pred.argmax(axis=1)
    assert m.acc == sk.accuracy_score(actual, found)
    assert m.f1 == pytest.approx(sk.f1_score(actual, found, average="macro"))
    assert m.mse == pytest.approx(sk.mean_squared_error(ref.ravel(), pred.ravel()))
    assert m.mae == pytest.approx(sk.mean_absolute_error(ref.ravel(), pred.ravel()))
    assert m.cos == pytest.approx(1 - cosine(ref.ravel(), pred.ravel()))
    # The efficiency is R² over all numbers, but for what the formula adds to the variance.
    assert m.nse == pytest.approx(sk.r2_score(ref.ravel(), pred.ravel()), abs=1e-5)


@settings(max_examples=200, deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=VALUES)))
def test_a_tensor_agrees_with_itself(x):
    m = tensor_metrics(x, x, classes=True)
    assert (m.rmse, m.mae, m.mse, m.l2r, m.mean, m.std) == (0, 0, 0, 0, 0, 0)
    assert m.acc == m.f1 == (None if m.items == 1 else 1.0)
    assert m.nse in (None, 1.0)
    assert (m.nse is None) == (x.min() == x.max())
    assert m.cos is None if not x.any() else m.cos == pytest.approx(1.0)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 12), st.integers(2, 6))
def test_scikit_learn_says_the_same(data, n, k):
    r, p = (data.draw(arrays(np.float64, (n, k), elements=VALUES)) for _ in range(2))
    m = tensor_metrics(r, p, classes=True)
    actual, found = r.argmax(axis=1), p.argmax(axis=1)
    assert m.acc == sk.accuracy_score(actual, found)
    assert m.f1 == pytest.approx(sk.f1_score(actual, found, average="macro", zero_division=0))
    assert m.mse == pytest.approx(sk.mean_squared_error(r.ravel(), p.ravel()))
    assert m.rmse == pytest.approx(sk.root_mean_squared_error(r.ravel(), p.ravel()))
    assert m.mae == pytest.approx(sk.mean_absolute_error(r.ravel(), p.ravel()))
    if min(np.linalg.norm(r), np.linalg.norm(p)) > 1e-12:  # scikit-learn takes smaller vectors for zeros
        similar = sk.pairwise.cosine_similarity(r.reshape(1, -1), p.reshape(1, -1))[0, 0]
        assert m.cos == pytest.approx(similar, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.data(), SHAPES)
def test_symmetries(data, shape):
    r, p = (data.draw(arrays(np.float32, shape, elements=VALUES)) for _ in range(2))
    one, other = tensor_metrics(r, p, classes=False), tensor_metrics(p, r, classes=False)
    for name in ("rmse", "mae", "std"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)
    assert one.mean == pytest.approx(-other.mean, abs=1e-9)
    order = np.random.default_rng(0).permutation(len(r))
    again = tensor_metrics(r[order], p[order], classes=False)
    for name in ("rmse", "mae", "l2r", "mean", "std"):
        assert getattr(again, name) == pytest.approx(getattr(one, name), rel=1e-9, abs=1e-9)


def test_l2r_is_asymmetric_and_its_twin_says_so():
    r = np.array([[3.0, 4.0]])
    assert tensor_metrics(r, 2 * r, classes=False).l2r == pytest.approx(0.5, rel=1e-6)
    assert tensor_metrics(r, r / 2, classes=False).l2r == pytest.approx(1.0, rel=1e-6)
    assert tensor_metrics(r, 2 * r, classes=False).l2r_reference == pytest.approx(1.0)
    zero = tensor_metrics(r, 0 * r, classes=False)
    assert zero.l2r == pytest.approx(5 / EPS)
    assert zero.cos is None
    assert any("l2r: the prediction is 0 everywhere" in note for note in zero.notes)
    assert any("cos: the prediction is 0 everywhere" in note for note in zero.notes)


@pytest.mark.parametrize(
    ("kind", "r", "p", "error"),
    [
        (np.uint8, [0, 255], [1, 254], 1.0),
        (np.int8, [-128, 127], [127, -128], 255.0),
        (np.float16, [60000, -60000], [-60000, 60000], 120000.0),
        (np.bool_, [False, True], [True, False], 1.0),
    ],
)
def test_the_difference_does_not_wrap_around(kind, r, p, error):
    m = tensor_metrics(np.array([r], dtype=kind), np.array([p], dtype=kind), classes=False)
    assert m.mae == pytest.approx(error, rel=1e-3)
    assert m.rmse == pytest.approx(error, rel=1e-3)


def test_a_constant_reference_has_no_efficiency():
    r = np.full((4, 3), 0.25)
    for p in (r, r + 1e-3):
        m = tensor_metrics(r, p, classes=False)
        assert m.nse is None
        assert any("nse: the reference is 0.25 everywhere" in note for note in m.notes)


def test_a_reference_that_hardly_varies_is_told():
    r = 1 + 1e-5 * np.arange(6.0).reshape(3, 2)
    m = tensor_metrics(r, r + 1e-3, classes=False)
    assert m.nse is not None
    assert any("no larger than what the formula adds" in note for note in m.notes)


def test_cos_is_blind_to_scale_and_the_others_are_not():
    r = both()[0]
    m = tensor_metrics(r, 100 * r, classes=True)
    assert m.cos == pytest.approx(1.0)
    assert m.acc == 1.0
    assert m.l2r == pytest.approx(0.99)


@pytest.mark.parametrize("zero", ["r", "p", "both"])
def test_cos_of_a_zero_vector_is_not_guessed(zero):
    x, o = np.ones((2, 2)), np.zeros((2, 2))
    m = tensor_metrics(o if zero != "p" else x, o if zero != "r" else x, classes=False)
    assert m.cos is None
    assert m.l2r_reference is None if zero != "p" else m.l2r_reference == 1.0


def test_extra_axes_are_flattened_for_the_classes():
    r = np.eye(3).reshape(3, 1, 1, 3)
    assert tensor_metrics(r, r, classes=True).acc == 1.0
    assert tensor_metrics(r, np.roll(r, 1, axis=3), classes=True).acc == 0.0


def test_one_number_a_row_has_no_accuracy():
    m = tensor_metrics(np.zeros((5, 1)), np.ones((5, 1)), classes=True)
    assert m.acc is m.f1 is None
    assert any("one number a row is no choice" in note for note in m.notes)


def test_a_regressor_has_no_accuracy():
    assert tensor_metrics(*both(), classes=False).acc is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e101])
@pytest.mark.parametrize("side", [0, 1])
def test_rows_that_are_no_numbers_are_refused(bad, side):
    pair = [array.copy() for array in both()]
    pair[side][3, 2] = bad
    with pytest.raises(InvalidInput, match=rf"{['reference', 'prediction'][side]} holds .* in row 3, item 2"):
        tensor_metrics(*pair, classes=True)


@pytest.mark.parametrize(
    ("r", "p", "match"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "3 numbers a row in 2 rows, the prediction 4 in 2"),
        (np.zeros((2, 3)), np.zeros((3, 3)), "in 2 rows, the prediction 3 in 3"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "at least one row"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "at least one row of at least one number"),
        (np.array(1.0), np.array(1.0), r"shape \(\)"),
        (np.array([["a"]]), np.array([["a"]]), "numbers would be right"),
        (np.ones((1, 1), dtype=complex), np.ones((1, 1)), "type complex128"),
    ],
)
def test_shapes_that_do_not_fit(r, p, match):
    with pytest.raises(InvalidInput, match=match):
        tensor_metrics(r, p, classes=False)


def test_large_values_do_not_overflow():
    r = np.array([[1e99, 2e99]])
    m = tensor_metrics(r, 2 * r, classes=False)
    assert m.cos == pytest.approx(1.0)
    assert m.l2r == pytest.approx(0.5)


def test_a_single_number_has_no_sample_variance():
    assert tensor_metrics(np.ones((1, 1)), np.zeros((1, 1)), classes=False).var is None


def test_ties_are_counted():
    assert tied_rows(np.array([[1.0, 1.0], [0.0, 1.0], [2.0, 2.0]])) == 2
    assert as_rows("x", np.zeros((2, 3, 4))).shape == (2, 12)
