"""A curve whose search misses what the same search finds at one budget alone is no evidence."""

import numpy as np
import pytest

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.apgd import APGD
from robust.attacks.asked_alone import asked_alone
from robust.attacks.bim import BIM
from robust.attacks.fgsm import FGSM
from robust.attacks.pgd import PGD
from robust.attacks.target import aim
from robust.data.live import as_data

GRID = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.fixture(scope="module")
def rows(sides):
    return sides(200, noise=0.1)


def told(curve):
    return [next(check for check in point.validity if check.name == "enough steps") for point in curve]


@pytest.mark.parametrize("attack", [PGD(steps=4), BIM(steps=4), APGD(steps=4)])
def test_a_slit_that_few_steps_jump_over_makes_passes_invalid(narrow_band, rows, attack):
    curve = robustness_curve(narrow_band(width=0.01, at=0.6), rows, attack, eps=GRID)
    assert not any(check.passed for check in told(curve))
    assert all((point > 0.01).status == "INVALID" for point in curve)
    assert (curve.area() > 0.01).status == "INVALID"
    assert "40 steps at one budget alone break" in told(curve)[0].reason


@pytest.mark.parametrize("attack", [PGD(), PGD(steps=5, norm="l2"), APGD(steps=10, norm="l1")])
def test_plain_networks_pass(digits_model, digits, attack):
    grid = {"linf": [0.02, 0.05, 0.1], "l2": [0.2, 0.5, 1.0], "l1": [0.5, 1.0, 2.0]}[attack.norm]
    assert all(check.passed for check in told(robustness_curve(digits_model, digits, attack, eps=grid)))


def test_each_row_is_asked_about_a_budget_at_which_it_held(linear, monkeypatch):
    """Rows at distance i + 1/2 of a plane hold at the budgets up to i; exact answers break none of them there."""
    n = 30
    x = np.arange(n)[:, None] % 6 + 0.5
    target = aim(linear([[0.0], [1.0]]), as_data(x, np.ones(n, dtype=int)))
    grid = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    survived = np.array(grid)[:, None] < x[:, 0]
    seen = []

    def broken_at(self, part, eps, *, seed):
        assert (eps < part.x[:, 0]).all()
        seen.append((part.x[:, 0] - 0.5, eps))
        return eps > 4.0

    monkeypatch.setattr(PGD, "broken_at", broken_at)
    check = asked_alone(PGD(steps=100), target, survived, grid, seed=0)
    held, eps = seen[0]
    assert len(held) == 25  # those that hold at no budget above 0 are not asked
    assert 0.4 < (held == eps).mean() < 1
    assert eps.min() >= 1
    assert check.reason.startswith(f"100 steps at one budget alone break {(eps > 4).sum()} of 25 rows")
    assert asked_alone(FGSM(), target, survived, grid, seed=0) is None
    assert asked_alone(PGD(), target, survived & False, grid, seed=0) is None
