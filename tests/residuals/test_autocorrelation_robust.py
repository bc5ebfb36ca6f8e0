"""The public measure of autocorrelation: its evidence, its errors, and the bad models that it must catch."""

import numpy as np
import pytest
from scipy.signal import lfilter

from robust.check import Subject
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Slices
from robust.models.conversion import as_model
from robust.residuals import residual_autocorrelation
from robust.residuals.autocorrelation_robust import CHECKS, AutocorrelationOptions

ZERO = as_model(lambda x: 0 * x[:, 0], task="regression", name="zero")


def ar(rows, phi, seed=0):
    return lfilter([1.0], [1.0, -phi], np.random.default_rng(seed).standard_normal(rows + 100))[100:]


def series(e, **parts):
    parts.setdefault("order", np.arange(len(e)))
    return as_data(np.zeros((len(e), 1)), e, **parts)


def evidence(m, kind):
    return [item for item in m.evidence if isinstance(item, kind)]


def fact(m, start):
    return next(item.value for item in evidence(m, Fact) if item.name.startswith(start))


def test_a_model_that_ignores_the_past_fails():
    m = residual_autocorrelation(ZERO, series(ar(500, 0.5)))
    assert (m < 0.2).status == "FAIL"
    assert not m.higher_is_better
    text = evidence(m, Finding)[0].text
    assert text.startswith("residuals 1 row apart lean the same way (autocorrelation +0.")
    assert "past rows hold information" in text
    opposite = residual_autocorrelation(ZERO, series(ar(500, -0.5)))
    assert "lean opposite ways (autocorrelation −0." in evidence(opposite, Finding)[0].text.replace("-", "−")
    assert fact(m, "robust joint p") < 1e-6
    assert fact(m, "automatic portmanteau p") < 1e-6


def test_a_model_that_uses_the_past_passes():
    e = ar(2001, 0.5)
    data = as_data(e[:-1, None], e[1:], order=np.arange(2000))
    m = residual_autocorrelation(as_model(lambda x: 0.5 * x[:, 0], task="regression"), data)
    assert (m < 0.2).status == "PASS"
    assert evidence(m, Finding) == []


def test_few_rows_are_inconclusive_and_say_how_many_would_do():
    verdict = residual_autocorrelation(ZERO, series(ar(60, 0.0))) < 0.2
    assert verdict.status == "INCONCLUSIVE"


def test_the_value_is_the_largest_over_the_lags_and_signs_are_kept():
    e = ar(400, -0.6)
    d = e - e.mean()
    m = residual_autocorrelation(ZERO, series(e))
    r = np.array([d[k:] @ d[:-k] / (d @ d) for k in range(1, 11)])
    assert m.value == pytest.approx(np.abs(r).max())
    (table,) = evidence(m, Slices)
    assert table.slices[0].name == "lag 1"
    assert table.slices[0].value == pytest.approx(r[0])
    assert r[0] < -0.4
    assert all(part.lower <= part.value <= part.upper for part in table.slices)


def test_row_order_does_not_matter_but_time_does():
    e = ar(300, 0.5)
    mixed = np.random.default_rng(1).permutation(300)
    m, again = (
        residual_autocorrelation(ZERO, series(e)),
        residual_autocorrelation(ZERO, series(e[mixed], order=mixed)),
    )
    assert (again.value, again.lower, again.upper) == pytest.approx((m.value, m.lower, m.upper))
    wrong = residual_autocorrelation(ZERO, series(e[mixed]))
    assert wrong.value < m.value / 2


def test_a_constant_error_is_no_autocorrelation():
    e = np.random.default_rng(2).standard_normal(300)
    m, shifted = residual_autocorrelation(ZERO, series(e)), residual_autocorrelation(ZERO, series(e + 50))
    assert shifted.value == pytest.approx(m.value)
    assert fact(shifted, "mean residual") == pytest.approx(50, abs=0.2)


def test_a_limit_of_nothing_decides_nothing():
    measured = residual_autocorrelation(ZERO, series(ar(200, 0.5)))
    with pytest.raises(InvalidInput, match="decides nothing: it lies from 0 to 1"):
        _ = measured >= 0


def test_one_lag_and_several():
    e = lfilter([1.0], [1.0, *[0.0] * 11, -0.7], np.random.default_rng(3).standard_normal(700))[100:]
    seasonal = residual_autocorrelation(ZERO, series(e), lag=12)
    assert (seasonal > 0.4).status == "PASS"
    assert residual_autocorrelation(ZERO, series(e), lag=(1, 12)).value == seasonal.value
    assert (residual_autocorrelation(ZERO, series(e), lag=[1, 5]) < 0.3).status == "PASS"


def test_groups_are_judged_inside():
    rng = np.random.default_rng(4)
    groups, time = np.repeat([f"g{i}" for i in range(60)], 20), np.tile(np.arange(20), 60)
    offsets = np.repeat(3 * rng.standard_normal(60), 20)
    honest = residual_autocorrelation(ZERO, series(offsets + rng.standard_normal(1200), order=time, groups=groups))
    assert (honest < 0.2).status == "PASS"
    assert honest.method == "cluster-robust"
    assert fact(honest, "share of residual variance between groups") > 0.8
    inside = np.concatenate([ar(20, 0.6, seed=i) for i in range(60)])
    bad = residual_autocorrelation(ZERO, series(offsets + inside, order=time, groups=groups))
    assert (bad < 0.2).status == "FAIL"


def test_classifiers_have_pearson_residuals():
    rng = np.random.default_rng(5)
    drift = np.sin(np.arange(1000) / 30)
    y = (rng.random(1000) < 1 / (1 + np.exp(-3 * drift))).astype(int)
    model = as_model(lambda x: np.full((len(x), 2), 0.5), output="probabilities")
    m = residual_autocorrelation(model, series(y))
    assert (m < 0.2).status == "FAIL"
    assert "Pearson" in fact(m, "residual")


def test_few_mistakes_prove_nothing():
    labels = np.zeros(500, dtype=int)
    labels[[3, 77, 200, 201]] = 1
    model = as_model(lambda x: np.zeros(len(x), dtype=int), task="classification", classes=[0, 1])
    verdict = residual_autocorrelation(model, series(labels)) < 0.2
    assert verdict.status == "INCONCLUSIVE"


def test_uneven_spacing_is_said():
    e = ar(100, 0.0)
    assert "a lag counts rows" in fact(residual_autocorrelation(ZERO, series(e, order=np.arange(100) ** 2)), "uneven")
    even = residual_autocorrelation(ZERO, series(e, order=np.arange(100) * 0.1))
    assert not any(item.name == "uneven spacing" for item in evidence(even, Fact))


def test_figures_stay_small():
    m = residual_autocorrelation(ZERO, series(ar(5000, 0.3)))
    acf, line = evidence(m, Figure)
    assert len(acf.columns[0].values) == 10
    assert len(line.columns[0].values) == 400
    assert "means of 400 blocks" in line.note


ROWS = np.random.default_rng(6).standard_normal(120)


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        (as_data(np.zeros((120, 1)), ROWS), {}, "order="),
        (series(ROWS, order=np.repeat(np.arange(60), 2)), {}, "ties"),
        (series(ROWS[:30]), {}, "at least 50 rows"),
        (series(ROWS), {"lag": 70}, "at least 140 rows"),
        (series(ROWS), {"lag": 0}, "whole numbers of at least 1"),
        (series(ROWS), {"lag": True}, "whole numbers of at least 1"),
        (series(ROWS), {"lag": 1.5}, "whole numbers of at least 1"),
        (series(ROWS), {"lag": ()}, "whole numbers of at least 1"),
        (series(ROWS), {"lag": "season"}, "'auto'"),
        (series(ROWS), {"level": 0.4}, "level"),
        (series(np.ones(120)), {}, "do not vary"),
        (series(ROWS, groups=np.repeat(np.arange(4), 30)), {}, "4 of 4 groups"),
        (series(ROWS, groups=np.repeat(np.arange(30), 4)), {}, "0 of 30 groups"),
        (series(ROWS, groups=np.repeat(np.arange(20), 6)), {"lag": 5}, "0 of 20 groups"),
    ],
)
def test_errors(data, options, match):
    with pytest.raises(InvalidInput, match=match):
        residual_autocorrelation(ZERO, data, **options)


def test_the_check_runs_with_its_options():
    (check,) = CHECKS
    subject = Subject(model=ZERO, task="regression", test=series(ar(300, 0.5)))
    assert check.run(subject, check.options()).value == residual_autocorrelation(ZERO, subject.test).value
    alone = check.run(subject, AutocorrelationOptions(lag=3))
    assert alone.value == residual_autocorrelation(ZERO, subject.test, lag=3).value
