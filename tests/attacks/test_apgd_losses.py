import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, logsumexp, softmax

from robust.attacks.apgd_losses import aimed_cotangent, loss_values

RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(6, 5))
Y = np.array([0, 4, 1, 3, 2, 2])
AIMS = np.array([1, 0, 2, 4, 0, 3])


def test_values_are_the_papers():
    for z, y, dlr, aimed in zip(
        LOGITS,
        Y,
        loss_values("dlr", LOGITS, Y, scale="logits"),
        loss_values("targeted", LOGITS, Y, scale="logits", aims=AIMS),
        strict=True,
    ):
        first, _, third = np.sort(z)[::-1][:3]
        assert dlr == pytest.approx((np.delete(z, y).max() - z[y]) / (first - third))
        assert aimed in (z - z[y])
    aimed = loss_values("targeted", LOGITS, Y, scale="logits", aims=AIMS)
    assert aimed[1] == pytest.approx(LOGITS[1, 0] - LOGITS[1, 4])


@pytest.mark.parametrize("scale", ["logits", "probabilities"])
@pytest.mark.parametrize("loss", ["dlr", "targeted"])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_derivatives_by_finite_differences(loss, scale, classes):
    outputs = LOGITS[:, :classes] if scale == "logits" else softmax(LOGITS[:, :classes] / 3, axis=1)
    y, aims = Y % classes, (Y % classes + 1) % classes
    flow = aimed_cotangent(loss, outputs, y, scale=scale, aims=aims)
    for i in range(len(outputs)):
        slope = approx_fprime(
            outputs[i],
            lambda v, i=i: loss_values(loss, v[None], y[i : i + 1], scale=scale, aims=aims[i : i + 1])[0],
            1e-7,
        )
        assert flow[i] == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_probabilities_say_what_logits_say():
    p = softmax(LOGITS, axis=1)
    for loss in ("dlr", "targeted", "margin", "log_margin", "even_cross_entropy"):
        logits, shares = (
            loss_values(loss, v, Y, scale=scale, aims=AIMS) for v, scale in ((LOGITS, "logits"), (p, "probabilities"))
        )
        assert shares == pytest.approx(logits), loss
    assert log_softmax(LOGITS, axis=1).shape == p.shape


def test_only_margins_depend_on_the_scale_of_the_logits():
    for factor in (1e-6, 1e4):
        for loss in ("dlr", "even_cross_entropy"):
            scaled = loss_values(loss, factor * LOGITS, Y, scale="logits")
            assert scaled == pytest.approx(loss_values(loss, LOGITS, Y, scale="logits"))


def test_the_cross_entropy_is_the_log_odds_of_an_error_at_one_scale():
    z = np.array([[10.0, 4.0, -10.0]])  # a range of 20, the common scale
    value = loss_values("cross_entropy", z, np.array([0]), scale="logits")
    assert value == pytest.approx(logsumexp([4.0, -10.0]) - 10.0)


def test_equal_logits_have_a_direction():
    flow = aimed_cotangent("dlr", np.zeros((1, 4)), np.array([2]), scale="logits")
    assert flow.tolist() == [[1, 0, -1, 0]]
    assert np.isfinite(aimed_cotangent("dlr", np.array([[1.0, 0, 0]]), np.array([0]), scale="probabilities")).all()
