import pickle

import numpy as np
import pytest
from scipy.stats import beta

from robust.errors import InvalidInput
from robust.intervals.bca import bca
from robust.intervals.exact import exact
from robust.intervals.interval import Interval, RootSizing, needed_n
from robust.intervals.resampling import SmoothOfMeans, distinct
from robust.intervals.vacuous import never_vacuous


def make(value=0.0, lower=-0.001, upper=0.001, n=1000):
    sizing = RootSizing(value=value, lower=lower, upper=upper, n=n)
    return Interval(value=value, lower=lower, upper=upper, level=0.95, n=n, method="bca-bootstrap", sizing=sizing)


def test_no_differing_row_by_hand():
    floored = never_vacuous(make(0.0, 0.0, 0.0, n=128), differing=0, units=128, effect=2.0, level=0.95)
    assert floored.upper == pytest.approx(2 * (1 - 0.05 ** (1 / 128)))
    assert floored.lower == -floored.upper
    assert floored.notes == ("0 of 128 rows differ: bound by Clopper-Pearson on the share of such rows",)
    assert floored.method == "bca-bootstrap"


def test_few_differing_rows_reach_the_beta_quantile():
    near = make(0.002, 0.001, 0.003)
    floored = never_vacuous(near, differing=4, units=1000, effect=1.5, level=0.95, anchor=0.0)
    assert floored.upper == pytest.approx(1.5 * beta.ppf(0.95, 5, 996))
    assert floored.lower == pytest.approx(-1.5 * beta.ppf(0.95, 5, 996))


def test_around_the_measured_value_without_an_anchor():
    near = make(0.002, 0.001, 0.003)
    floored = never_vacuous(near, differing=4, units=1000, effect=1.5, level=0.95)
    assert floored.upper == pytest.approx(0.002 + 1.5 * beta.ppf(0.95, 5, 996))


def test_ten_differing_rows_stand_on_their_own():
    interval = make()
    assert never_vacuous(interval, differing=10, units=1000, effect=1.0, level=0.95) is interval


def test_rows_that_differ_but_do_not_vary_prove_little():
    floored = never_vacuous(make(0.3, 0.3, 0.3, n=50), differing=50, units=50, effect=1.0, level=0.95)
    assert floored.upper == pytest.approx(0.3 + 1 - 0.05 ** (1 / 50))
    assert floored.notes[0].startswith("0 of 50 rows vary")


def test_an_interval_wider_than_the_floor_stays():
    wide = make(0.0, -0.5, 0.5)
    assert never_vacuous(wide, differing=1, units=1000, effect=1.0, level=0.95) is wide


def test_it_contains_the_interval_and_the_floor():
    lopsided = make(0.0, -0.5, 0.0001)
    floored = never_vacuous(lopsided, differing=1, units=1000, effect=1.0, level=0.95)
    assert floored.lower == -0.5
    assert floored.upper == pytest.approx(beta.ppf(0.95, 2, 999))


def test_without_a_largest_effect_nothing_is_proved():
    floored = never_vacuous(make(), differing=3, units=1000, effect=None, level=0.95, unit="clusters")
    assert (floored.lower, floored.upper) == (-np.inf, np.inf)
    assert floored.notes[0].startswith("3 of 1000 clusters differ: too few to prove anything")
    # The interval stands on its own with 10 differing clusters, at 3,334 rows; it is narrow enough by then.
    assert needed_n(floored.sizing, limit=0.0008, settles="below", n=1000) == 3334


def test_nothing_settles_without_a_differing_row_and_without_an_effect():
    floored = never_vacuous(make(0.0, 0.0, 0.0), differing=0, units=1000, effect=None, level=0.95)
    assert needed_n(floored.sizing, limit=0.5, settles="below", n=1000) is None


@pytest.mark.parametrize(("limit", "rows"), [(0.01, 299), (0.02, 149)])
def test_rows_without_a_difference_that_settle_a_limit(limit, rows):
    floored = never_vacuous(exact(0.0, 60), differing=0, units=60, effect=1.0, level=0.95)
    assert needed_n(floored.sizing, limit=limit, settles="below", n=60) == rows
    enough = never_vacuous(exact(0.0, rows), differing=0, units=rows, effect=1.0, level=0.95)
    assert enough.upper < limit


def test_units_grow_with_rows():
    floored = never_vacuous(exact(0.0, 600), differing=0, units=60, effect=1.0, level=0.95, unit="blocks")
    assert needed_n(floored.sizing, limit=0.01, settles="below", n=600) == pytest.approx(2990, abs=10)


def test_the_floor_lifts_where_enough_rows_differ():
    floored = never_vacuous(make(0.0, -0.001, 0.001), differing=5, units=1000, effect=1.0, level=0.95)
    assert floored.sizing.at(1999)[1] == pytest.approx(beta.ppf(0.95, 5 * 1.999 + 1, 995 * 1.999))
    assert floored.sizing.at(2000)[1] == pytest.approx(0.001 / np.sqrt(2))
    assert pickle.loads(pickle.dumps(floored)) == floored


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": 0}, "units got 0"),
        ({"differing": -1}, "differing got -1"),
        ({"differing": 11}, "differing got 11 of 10 rows; at most all of them"),
        ({"effect": -1.0}, r"effect got -1\.0"),
        ({"effect": float("nan")}, "effect got nan"),
        ({"level": 0.5}, r"level got 0\.5"),
        ({"anchor": float("inf")}, "anchor got inf"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"differing": 1, "units": 10, "effect": 1.0, "level": 0.95} | changes
    with pytest.raises(InvalidInput, match=message):
        never_vacuous(make(), **arguments)


def hits_of_few(n, differing, trials, seed, floor=True):
    """Paired accuracy through the bootstrap: flips in proportion 3 to 1, about ``differing`` of them."""
    rng = np.random.default_rng(seed)
    share = differing / n
    hits = np.zeros(2, dtype=int)
    for trial in range(trials):
        flips = rng.choice([1.0, -1.0, 0.0], size=n, p=[0.75 * share, 0.25 * share, 1 - share])
        values, counts = distinct(flips)
        statistic = SmoothOfMeans(values, lambda means: means[:, 0])
        interval = bca(statistic, counts, level=0.95, seed=trial, resamples=500)
        if floor:
            number = int((flips != 0).sum())
            interval = never_vacuous(interval, differing=number, units=n, effect=1.0, level=0.95, anchor=0.0)
        hits += [interval.lower <= share / 2, interval.upper >= share / 2]
    return hits


@pytest.mark.parametrize("differing", [0.5, 2, 5, 9])
def test_coverage_with_few_differing_rows_sample(differing, covers):
    assert all(covers(int(hits), 400, 0.95) for hits in hits_of_few(200, differing, 400, seed=0))


def test_without_the_floor_few_differing_rows_are_not_covered(covers):
    assert not covers(int(hits_of_few(200, 2, 400, seed=0, floor=False)[1]), 400, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 1000])
@pytest.mark.parametrize("differing", [0.2, 0.5, 1, 2, 3, 5, 7, 9, 12])
def test_coverage_with_few_differing_rows(n, differing, covers):
    assert all(covers(int(hits), 5000, 0.95) for hits in hits_of_few(n, differing, 5000, seed=1))
