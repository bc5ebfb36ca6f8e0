from dataclasses import replace

import numpy as np
import pytest

from robust.attacks.apgd import APGD
from robust.attacks.apgd_climb import _lengths
from robust.data.live import as_data
from robust.models.conversion import as_model
from robust.predicting.metering import metered


def test_checkpoints_are_the_papers():
    # p = 0.22, 0.41, 0.57, …: each distance 0.03 shorter than the one before it, and no shorter than 0.06.
    lengths = _lengths(100, False)
    assert np.flatnonzero(lengths).tolist() == [22, 41, 57, 70, 80, 87, 93, 99]
    assert lengths[lengths > 0].tolist() == [22, 19, 16, 13, 10, 7, 6, 6]
    assert np.flatnonzero(_lengths(100, True)).tolist() == list(range(4, 101, 4))
    for steps in (1, 2, 3, 10):
        for sparse in (False, True):
            lengths = _lengths(steps, sparse)
            assert lengths.sum() <= steps
            assert len(lengths) == steps + 1


def places(steps, eps, peak):
    """Where the points go whose loss has its peak inside the ball, one feature; nothing is ever broken."""
    seen = []

    def gradients(x, cotangent):
        seen.append(float(x[0, 0]))
        z = np.hstack([np.zeros((len(x), 1)), -((x - peak) ** 2) - 1.0])
        return z, cotangent(z)[:, 1:] * -2 * (x - peak)

    model = as_model(lambda x: gradients(x, np.zeros_like)[0], gradients=gradients, output="logits")
    data = as_data(np.zeros((1, 1)), [0])
    model = replace(model, forward=lambda x: np.hstack([np.zeros((len(x), 1)), -((x - peak) ** 2) - 1.0]))
    APGD(eps=eps, steps=steps, loss="margin").perturb(model, data)
    return np.array(seen)


def test_steps_shrink_until_the_peak_is_found():
    x = places(100, 1.0, 0.3)
    # Steps of two budgets jump from end to end; those after the last checkpoint are 2⁻⁷ as long.
    assert np.abs(x[-6:] - 0.3).max() < 0.05
    assert np.abs(x[-6:] - 0.3).max() < 0.3 * np.abs(x[2:20] - 0.3).max()
    fixed = places(20, 1.0, 0.3)
    assert np.abs(fixed[-3:] - 0.3).max() >= np.abs(x[-3:] - 0.3).max()


def test_the_first_two_steps_by_hand():
    # x₁ = Π(x₀ + 2): the end of the ball. x₂ = Π(x₁ + ¾(Π(x₁ − 2) − x₁) + ¼(x₁ − x₀)) with Π(x₁ − 2) = −1.
    x = places(10, 1.0, 0.3)
    assert abs(x[0]) <= 1
    ahead = 1.0 if x[0] < 0.3 else -1.0
    assert x[1] == pytest.approx(ahead)
    assert x[2] == pytest.approx(np.clip(ahead + 0.75 * (-2 * ahead) + 0.25 * (ahead - x[0]), -1, 1))


def steps_of(slope, *, loss="margin", restarts=1):
    """Backward passes a row where the outputs never change, and the gradient is `slope`; none is ever broken."""
    n, outputs = 6, np.array([0.0, -1.0, -2.0])

    def forward(x):
        return np.tile(outputs, (len(x), 1))

    def gradients(x, _):
        return forward(x), np.full(x.shape, slope)

    model = as_model(forward, gradients=gradients, output="logits")
    data = as_data(np.zeros((n, 4)), np.zeros(n, dtype=int))
    with metered() as meter:
        moved = APGD(eps=1.0, steps=30, loss=loss, restarts=restarts).perturb(model, data)
    return meter.backward_rows / n, moved


@pytest.mark.parametrize("loss", ["margin", "cross_entropy", "targeted"])
def test_a_start_without_a_gradient_is_left_at_once(loss):
    # One step tells that nothing moves the row; other losses ask for the margin's gradient too. Two other classes.
    runs, asked = (2, 2) if loss == "targeted" else (1, 1 if loss == "margin" else 2)
    passes, moved = steps_of(0.0, loss=loss)
    assert passes == runs * asked
    assert np.abs(moved).max() <= 1
    assert steps_of(0.0, loss=loss, restarts=3)[0] == 3 * passes
    # Where there is a slope, all the steps are made.
    assert steps_of(1e-9, loss=loss)[0] == runs * 30


def test_a_row_that_is_flat_only_later_goes_on():
    # Flat from 0.4 on: a start below climbs onto the plateau and stays, one on it leaves; both see the same loss.
    def forward(x):
        return np.hstack([np.full((len(x), 1), 2.0), np.minimum(x, 0.4)])

    def gradients(x, cotangent):
        return forward(x), cotangent(forward(x))[:, 1:] * (x < 0.4)

    model = as_model(forward, gradients=gradients, output="logits")
    data = as_data(np.zeros((200, 1)), np.zeros(200, dtype=int))
    with metered() as meter:
        moved = APGD(eps=1.0, steps=12, loss="margin").perturb(model, data)[:, 0]
    # Starts are uniform in [−1, 1]: three in ten lie on the plateau and take one step.
    assert meter.backward_rows == pytest.approx(200 * (0.3 * 1 + 0.7 * 12), rel=0.1)
    assert (moved >= 0.4).all()
