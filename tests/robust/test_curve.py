import numpy as np
import pytest

from robust.curve import Curve
from robust.errors import InvalidInput
from robust.measurement import Measurement


def point(value):
    return Measurement(name="m", value=value, lower=value - 0.1, upper=value + 0.2, n=9, method="test")


def test_arrays_and_measurements():
    curve = Curve(name="eps", grid=[0, 1, 2], points=(point(0.9), point(0.5), point(0.1)))
    assert curve.values.tolist() == [0.9, 0.5, 0.1]
    assert curve.lower == pytest.approx([0.8, 0.4, 0.0])
    assert curve.upper == pytest.approx([1.1, 0.7, 0.3])
    assert curve.eps is curve.grid
    assert [p.value for p in curve] == [0.9, 0.5, 0.1]
    assert curve[1].value == 0.5
    assert len(curve) == 3
    assert repr(curve) == "Curve(eps=[0.0, 1.0, 2.0], values=[0.9, 0.5, 0.1])"


def test_eps_belongs_to_curves_over_eps():
    curve = Curve(name="change of age", grid=np.array([1.0]), points=(point(0.5),))
    with pytest.raises(AttributeError, match="runs over change of age, not eps"):
        _ = curve.eps


def test_the_grid_cannot_be_written_to():
    grid = np.array([0.0, 1.0])
    curve = Curve(name="eps", grid=grid, points=(point(0.5), point(0.4)))
    grid[0] = 7
    assert curve.grid[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        curve.grid[0] = 1


def test_errors():
    with pytest.raises(InvalidInput, match="got 1 for a grid of shape"):
        Curve(name="eps", grid=[0, 1], points=(point(0.5),))
    with pytest.raises(InvalidInput, match="one measurement a grid point"):
        Curve(name="eps", grid=[], points=())
    with pytest.raises(InvalidInput, match="must increase"):
        Curve(name="eps", grid=[1, 1], points=(point(0.5), point(0.5)))
