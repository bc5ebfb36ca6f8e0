import numpy as np
import pytest
from scipy.stats import norm

from robust.errors import InvalidInput
from robust.intervals.newcombe import newcombe
from robust.intervals.tango import tango_bounds


@pytest.mark.parametrize(
    ("table", "bounds"),
    [((8993, 241, 58, 708), (0.015489, 0.021172)), ((1822, 26, 12, 140), (0.001828, 0.012328))],
)
def test_worked_values(table, bounds):
    assert newcombe(*table, level=0.95) == pytest.approx(bounds, abs=1e-6)


def test_published_interval():
    # Airway hyper-responsiveness, Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850.
    assert newcombe(1, 1, 7, 12, level=0.975) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_the_correction_of_phi_widens():
    corrected = newcombe(1822, 26, 12, 140, level=0.95)
    plain = newcombe(1822, 26, 12, 140, level=0.95, continuity=False)
    assert corrected[0] < plain[0] < plain[1] < corrected[1]


def test_it_agrees_roughly_with_tango():
    rng = np.random.default_rng(1)
    z = float(norm.ppf(0.95))
    for _ in range(50):
        n = 2000
        a, b, c, d = rng.multinomial(n, [0.85, 0.03, 0.02, 0.10])
        ours = newcombe(int(a), int(b), int(c), int(d), level=0.95)
        assert ours == pytest.approx(tango_bounds(b, c, n, z, correction=0.0), abs=7e-4)


def test_exchanging_the_models_mirrors_the_interval():
    lower, upper = newcombe(80, 9, 4, 7, level=0.95)
    assert newcombe(80, 4, 9, 7, level=0.95) == pytest.approx((-upper, -lower))


def test_a_constant_column_leaves_no_correlation():
    lower, upper = newcombe(10, 0, 0, 0, level=0.95)
    assert upper == -lower == pytest.approx(norm.ppf(0.95) ** 2 / (10 + norm.ppf(0.95) ** 2))


@pytest.mark.parametrize(
    ("table", "level", "message"),
    [
        ((0, 0, 0, 0), 0.95, "0 rows in all"),
        ((1, -1, 0, 0), 0.95, "b got -1"),
        ((1, 1, 0.5, 0), 0.95, r"c got 0\.5"),
        ((1, 1, 1, 1), 0.5, r"level got 0\.5"),
    ],
)
def test_bad_input(table, level, message):
    with pytest.raises(InvalidInput, match=message):
        newcombe(*table, level=level)
