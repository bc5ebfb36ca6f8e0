"""What other settings of the host change in a value limits what can be asked of it."""

import math

import pytest

from robust.errors import InvalidInput
from robust.evidence import Provenance
from robust.intervals.interval import RootSizing
from robust.measurement import Measurement
from robust.record.codec import bounded, measurement
from robust.verdict import decide_by

FLOOR = 0.5


def measured(value=3.0, lower=2.0, upper=4.0, **options):
    return Measurement(name="m", value=value, lower=lower, upper=upper, n=10, method="t", unit="u", **options)


@pytest.mark.parametrize(
    ("comparison", "limit", "status"),
    [
        ("__lt__", 4.4, "INVALID"),  # 4 < 4.4, but 4.5 is not
        ("__lt__", 4.5, "INVALID"),
        ("__le__", 4.5, "PASS"),
        ("__lt__", 4.6, "PASS"),
        ("__lt__", 1.6, "INVALID"),  # 2 >= 1.6, but 1.5 is not
        ("__lt__", 1.5, "FAIL"),
        ("__le__", 1.5, "INVALID"),
        ("__lt__", 3.5, "INCONCLUSIVE"),
        ("__gt__", 1.6, "INVALID"),
        ("__gt__", 1.4, "PASS"),
        ("__gt__", 4.4, "INVALID"),
        ("__gt__", 4.5, "FAIL"),
        ("__ge__", 1.5, "PASS"),
    ],
)
def test_a_verdict_must_hold_for_a_bound_that_the_host_moved(comparison, limit, status):
    verdict = getattr(measured(resolution=FLOOR), comparison)(limit)
    assert verdict.status == status
    assert "(host floor 0.5)" in verdict.line()
    if status == "INVALID":
        assert verdict.reason.startswith("host floor: another setting of the host moves the value by up to 0.5")
        assert getattr(measured(), comparison)(limit).status in ("PASS", "FAIL")


def test_a_limit_below_the_floor_is_invalid():
    around = measured(0.1, -0.2, 0.4, resolution=FLOOR)
    for limit in (0.3, 0.0, -0.1, 0.45):
        assert (around < limit).status == "INVALID"
    assert "more than the limit 0.3" in (around < 0.3).reason
    # Far beyond it, the loss is one on any host.
    assert (measured(resolution=FLOOR) < 0.3).status == "FAIL"


def test_deciding_by_the_value_does_not_override_it():
    token = decide_by.set("value")
    try:
        assert (measured(resolution=FLOOR) < 3.4).status == "INVALID"
        assert (measured(resolution=FLOOR) < 3.6).status == "PASS"
    finally:
        decide_by.reset(token)


def test_needed_n_counts_with_it():
    sizing = RootSizing(value=3.0, lower=2.0, upper=4.0, n=10)
    plain, moved = measured(sizing=sizing), measured(sizing=sizing, resolution=0.25)
    assert plain.needed_n(3.5) == 41
    assert moved.needed_n(3.5) == plain.needed_n(3.25) == 161
    assert moved.needed_n(2.5) == plain.needed_n(2.75)
    assert moved.needed_n(3.2) is None


def test_it_scales_with_the_measurement_and_is_kept_in_a_record():
    m = measured(resolution=FLOOR)
    assert ((-2 * m) + 1).resolution == 1.0
    assert (m / 2).resolution == 0.25
    assert measurement(bounded(m)).resolution == FLOOR
    assert measurement(bounded(measured())).resolution == 0.0
    host = (("cpu_features", "avx2 avx512_vnni"),)
    assert measurement(bounded(measured(provenance=Provenance(host=host)))).provenance.host == host


@pytest.mark.parametrize("resolution", [-1.0, math.inf, math.nan])
def test_it_is_a_finite_size(resolution):
    with pytest.raises(InvalidInput, match="resolution is a finite number of at least 0"):
        measured(resolution=resolution)
