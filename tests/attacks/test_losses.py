import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, softmax

from robust.attacks.losses import cross_entropy_cotangent, even_cotangent, margin_cotangent, margins

RNG = np.random.default_rng(0)
Y = np.array([0, 2, 1, 3, 3])
LOGITS = 3 * RNG.normal(size=(5, 4))


def log_odds(z, y):
    p = softmax(z)
    return np.log((1 - p[y]) / p[y])


def test_logits_by_finite_differences():
    flow = cross_entropy_cotangent(LOGITS, Y, scale="logits")
    for z, y, found in zip(LOGITS, Y, flow, strict=True):
        assert found == pytest.approx(approx_fprime(z, log_odds, 1e-7, y), abs=1e-5)


def test_probabilities_by_finite_differences():
    p = softmax(LOGITS, axis=1)
    flow = cross_entropy_cotangent(p, Y, scale="probabilities")

    def loss(q, y):
        return np.log(q.sum() - q[y]) - np.log(q[y])

    for q, y, found in zip(p, Y, flow, strict=True):
        assert found == pytest.approx(approx_fprime(q, loss, 1e-9, y), rel=1e-4)


def test_margin_by_finite_differences():
    flow = margin_cotangent(LOGITS, Y)
    for z, y, found in zip(LOGITS, Y, flow, strict=True):
        slope = approx_fprime(z, lambda v, y=y: margins(v[None], np.array([y]))[0], 1e-7)
        assert found == pytest.approx(slope, abs=1e-5)


def test_direction_is_that_of_the_cross_entropy():
    p = softmax(LOGITS, axis=1)
    textbook = p - np.eye(4)[Y]
    flow = cross_entropy_cotangent(LOGITS, Y, scale="logits")
    assert flow * (1 - p[np.arange(5), Y])[:, None] == pytest.approx(textbook)
    # Through a softmax, the derivative by probabilities becomes the same derivative by logits.
    back = cross_entropy_cotangent(p, Y, scale="probabilities")
    assert p * (back - np.sum(back * p, axis=1, keepdims=True)) == pytest.approx(flow)
    assert log_softmax(LOGITS, axis=1).shape == flow.shape


def test_nothing_vanishes_for_a_row_that_the_model_is_sure_of():
    sure = np.array([[800.0, 0.0, -1.0]])
    assert softmax(sure)[0, 0] == 1.0
    flow = cross_entropy_cotangent(sure, np.array([0]), scale="logits")
    assert flow[0] == pytest.approx([-1, softmax([0.0, -1.0])[0], softmax([0.0, -1.0])[1]])


def test_probabilities_that_have_been_rounded_keep_what_is_left():
    flow = cross_entropy_cotangent(np.array([[1.0, 0.0], [1.0, 1e-40]]), np.array([0, 0]), scale="probabilities")
    assert flow[0].tolist() == [-1.0, 0.0]
    assert np.isfinite(flow).all()
    assert np.isfinite(flow.astype(np.float32)).all()


def test_margins_are_above_zero_exactly_for_wrong_rows():
    wrong = LOGITS.argmax(axis=1) != Y
    assert ((margins(LOGITS, Y) > 0) == wrong).all()


def test_invariant_under_a_shift_of_the_logits():
    shifted = cross_entropy_cotangent(LOGITS + 1000, Y, scale="logits")
    assert shifted == pytest.approx(cross_entropy_cotangent(LOGITS, Y, scale="logits"))


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 0.01, 1.0, 1e4])
def test_the_even_direction_does_not_know_the_scale(factor):
    assert even_cotangent(factor * LOGITS, Y, scale="logits") == pytest.approx(
        even_cotangent(LOGITS, Y, scale="logits"), rel=1e-9
    )
    even = cross_entropy_cotangent(1e-12 * LOGITS, Y, scale="logits")
    assert even[0, 1:] == pytest.approx([1 / 3] * 3)  # what small logits do to the cross-entropy


def test_the_even_direction_is_the_cross_entropy_of_logits_that_span_twenty():
    spread = np.ptp(LOGITS, axis=1, keepdims=True)
    expected = cross_entropy_cotangent(20 * LOGITS / spread, Y, scale="logits")
    assert even_cotangent(LOGITS, Y, scale="logits") == pytest.approx(expected)
    # Through a softmax, the derivative by probabilities becomes the same derivative by logits.
    p = softmax(LOGITS, axis=1)
    back = even_cotangent(p, Y, scale="probabilities")
    assert p * (back - np.sum(back * p, axis=1, keepdims=True)) == pytest.approx(expected)


def test_the_even_direction_is_finite_where_nothing_is_left():
    for scores in ([[1.0, 0.0, 0.0]], [[1.0, 1e-40, 0.0]], [[0.0, 1.0, 0.0]]):
        assert np.isfinite(even_cotangent(np.array(scores), np.array([0]), scale="probabilities")).all()
    equal = even_cotangent(np.zeros((1, 3)), np.array([1]), scale="logits")
    assert equal.tolist() == [[0.5, -1.0, 0.5]]
