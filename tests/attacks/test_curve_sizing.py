import numpy as np
import pytest

from robust.attacks.curve_sizing import BracketSizing, MarginSizing, bounded_sizing
from robust.intervals.clopper_pearson import ProportionSizing
from robust.intervals.interval import RootSizing
from robust.measurement import Measurement
from robust.record.codec import bounded, measurement

LOW, HIGH = np.array([0.0, 0.5, 0.5, 0.75]), np.array([0.25, 0.75, 1.0, 1.0])
ROOT = RootSizing(value=0.5, lower=0.1, upper=1.1, n=9)


def margin():
    shares = tuple(ProportionSizing(k=k, n=100, level=0.95) for k in (90.0, 70.0))
    wide = tuple(ProportionSizing(k=k, n=100, level=0.97) for k in (90.0, 70.0))
    return MarginSizing(lowers=shares, uppers=wide, limits=(0.8, 0.5))


def test_a_bracket_takes_one_bound_of_each_and_stays_a_share():
    other = RootSizing(value=0.9, lower=0.8, upper=1.1, n=9)
    sizing = BracketSizing(low=ROOT, high=other)
    assert sizing.at(9) == pytest.approx((0.1, 1.0))
    assert sizing.at(36) == pytest.approx((0.3, 1.0))
    assert sizing.at(900) == pytest.approx((0.46, 0.92))
    assert BracketSizing(low=RootSizing(value=0.1, lower=-1.0, upper=1.0, n=4), high=other).at(4)[0] == 0.0


def test_a_margin_is_the_smallest_on_each_side():
    lower, upper = margin().at(100)
    assert lower == min(one.at(100)[0] - limit for one, limit in zip(margin().lowers, (0.8, 0.5), strict=True))
    assert upper == min(one.at(100)[1] - limit for one, limit in zip(margin().uppers, (0.8, 0.5), strict=True))
    assert margin().at(10**7) == pytest.approx((0.1, 0.1), abs=1e-3)


@pytest.mark.parametrize(
    "sizing",
    [bounded_sizing(LOW, HIGH, level=0.9), BracketSizing(low=ROOT, high=ROOT), margin()],
    ids=lambda sizing: type(sizing).__name__,
)
def test_a_record_keeps_it(sizing):
    m = Measurement(name="area", value=0.1, lower=-1.0, upper=1.0, n=100, method="m", sizing=sizing, reach=(-1.0, 1.0))
    assert measurement(bounded(m)).sizing == sizing
