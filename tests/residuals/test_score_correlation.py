"""Correlation with unused columns: oracles, simulated size and power, and models that left a feature out."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import pearsonr, rankdata, spearmanr
from statsmodels.api import OLS, add_constant
from statsmodels.stats.multitest import multipletests

from robust.check import Subject
from robust.data.dataset import Column
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, Figure, Finding, Slices
from robust.measures.row_sampling import Sampling
from robust.models.conversion import as_model
from robust.residuals import unused_feature_correlation
from robust.residuals.column_terms import column_terms
from robust.residuals.correlation_evidence import holm
from robust.residuals.correlations import correlate, input_table, orthonormal, without
from robust.residuals.score_correlation import CHECKS, UnusedFeatureOptions

FIRST = as_model(lambda x: x[:, 0], task="regression", name="first")


def terms(values):
    return column_terms(Column(name="z", values=np.asarray(values)))


def rows(n):
    return Sampling(kind="rows", labels=np.arange(n))


def evidence(m, kind):
    return [item for item in m.evidence if isinstance(item, kind)]


def left_out(n, strength, *, shape=lambda z: z, seed=0, **parts):
    """A target of which the model knows x alone, and not z."""
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((2, n))
    y = x + strength * shape(z) + rng.standard_normal(n)
    return as_data(x[:, None], y, unused={"z": z, "noise": rng.standard_normal(n)}, **parts)


# --- the terms and their correlations against outside values


def test_linear_and_rank_terms_are_pearson_and_nearly_spearman():
    rng = np.random.default_rng(0)
    e, z = rng.standard_normal((2, 400))
    e = e + 0.3 * z
    found = correlate(e, terms(z), rows(400))
    assert found.labels[:2] == ("linear", "rank")
    assert found.values[0] == pytest.approx(pearsonr(e, z).statistic)
    assert found.values[1] == pytest.approx(-pearsonr(e, np.cos(np.pi * (rankdata(z) - 0.5) / 400)).statistic)
    assert found.values[1] == pytest.approx(spearmanr(e, z).statistic, abs=0.05)


def test_errors_are_whites_at_no_correlation():
    rng = np.random.default_rng(1)
    z = rng.standard_normal(300)
    e = rng.standard_normal(300) * (1 + np.abs(z))
    found = correlate(e, terms(z), rows(300))
    # The slope of a regression on a constant alone is 0: HC0 about the null is Σ e²z²/(Σ z²)².
    c, d = e - e.mean(), z - z.mean()
    slope_error = np.sqrt(np.sum(c**2 * d**2)) / np.sum(d**2)
    assert found.null_errors[0] == pytest.approx(slope_error * d.std() / c.std(), rel=0.01)


def test_clustered_errors_are_those_of_statsmodels():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(30), 10)
    z = rng.standard_normal(30)[groups] + rng.standard_normal(300)
    e = rng.standard_normal(30)[groups] + rng.standard_normal(300)
    found = correlate(e, terms(z), Sampling(kind="groups", labels=groups))
    fit = OLS(e, add_constant(z)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert found.errors[0] * e.std() / z.std() == pytest.approx(fit.bse[1], rel=0.05)
    assert found.dof[0] == 29


def test_projection_gives_the_partial_correlation():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((500, 2))
    z, e = x @ [1.0, -0.5] + rng.standard_normal(500), x @ [0.7, 0.2] + rng.standard_normal(500)
    basis = orthonormal(np.column_stack([np.ones(500), x]))
    left, right = without(e, basis), without(z, basis)
    fit = OLS(e, add_constant(np.column_stack([z, x]))).fit()
    t = fit.tvalues[1]
    assert pearsonr(left, right).statistic == pytest.approx(t / np.sqrt(t**2 + fit.df_resid))


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(4).random(12) / 5
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_terms_of_each_kind_of_column():
    assert terms([0.0, 1.0] * 10).labels == ("linear",)
    assert terms([0.0, 1.0, 2.0] * 10).labels == ("linear", "rank", "U-shape of rank")
    assert terms(np.ones(20)).labels == ()
    text = terms(["a"] * 12 + ["b"] * 12 + ["c"] * 5 + ["d"] * 5)
    assert text.labels == ("= a", "= b", "any other value")
    assert text.values.sum(axis=0).tolist() == [12, 12, 10]
    assert terms([f"id {i}" for i in range(40)]).labels == ()
    missing = terms([np.nan, *range(19)])
    assert missing.known.sum() == 19
    huge = terms(np.linspace(1e200, 2e200, 20))
    assert np.isfinite(huge.values).all()


def test_inputs_are_projected_out_only_with_ten_rows_a_regressor():
    rng = np.random.default_rng(5)
    assert input_table(as_data(rng.standard_normal((200, 2)))).shape == (200, 11)
    assert input_table(as_data(rng.standard_normal((60, 2)))).shape == (60, 3)
    assert input_table(as_data(rng.standard_normal((25, 2)))) is None


# --- the measure


def test_a_model_that_left_out_a_feature_fails():
    m = unused_feature_correlation(FIRST, left_out(500, 0.5))
    assert (m < 0.1).status == "FAIL"
    assert m.value == pytest.approx(0.5 / np.sqrt(1.25), abs=0.08)
    text = evidence(m, Finding)[0].text
    assert text.startswith("residuals rise with z (correlation +0.4")
    assert text.endswith("remains, so the model could use this column")
    assert [part.name for part in evidence(m, Slices)[0].slices] == ["z", "noise"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (np.square, "residuals are lowest in the middle of the range of z"),
        (lambda z: -np.square(z), "residuals are highest in the middle of the range of z"),
        (lambda z: 2 * np.sin(2.5 * z), "residuals rise and fall by turns as z grows"),
    ],
    ids=["U-shape", "arch", "wave"],
)
def test_effects_without_a_slope_are_found(shape, words):
    data = left_out(1500, 0.6, shape=shape)
    m = unused_feature_correlation(FIRST, data)
    assert abs(pearsonr(data.targets - data.x[:, 0], data.unused[0].values).statistic) < 0.2
    assert (m < 0.1).status == "FAIL"
    assert words in evidence(m, Finding)[0].text


def test_an_honest_model_passes_with_enough_rows():
    m = unused_feature_correlation(FIRST, left_out(6000, 0.0, seed=1))
    assert (m < 0.1).status == "PASS"
    assert evidence(m, Finding) == []


def test_variance_that_follows_a_column_is_no_finding():
    rng = np.random.default_rng(6)
    z = rng.standard_normal(3000)
    data = as_data(np.zeros((3000, 1)), rng.standard_normal(3000) * np.exp(z / 2), unused={"z": z})
    assert evidence(unused_feature_correlation(FIRST, data), Finding) == []


def test_a_column_that_stands_for_an_underfitted_input_is_told_apart():
    rng = np.random.default_rng(7)
    x = rng.standard_normal(2000)
    z = 0.8 * x + 0.6 * rng.standard_normal(2000)
    data = as_data(x[:, None], 2 * x + rng.standard_normal(2000), unused={"z": z})
    m = unused_feature_correlation(FIRST, data)
    assert (m < 0.1).status == "FAIL"
    assert "may only underfit an input" in evidence(m, Finding)[0].text


def test_text_columns():
    rng = np.random.default_rng(8)
    site = rng.choice(["north", "south", "west"], 900)
    y = rng.standard_normal(900) + 1.0 * (site == "south")
    m = unused_feature_correlation(FIRST, as_data(np.zeros((900, 1)), y, unused={"site": site}))
    assert (m < 0.1).status == "FAIL"
    assert "residuals are higher where site = south" in evidence(m, Finding)[0].text
    assert evidence(m, Figure)[1].columns[0].values[-1] == "south"


def test_row_order_and_units_do_not_matter():
    data = left_out(300, 0.3)
    mixed = np.random.default_rng(9).permutation(300)
    m, again = (unused_feature_correlation(FIRST, one) for one in (data, data.rows(mixed)))
    scaled = as_data(data.x, data.targets, unused={"z": -1e6 * data.unused[0].values, "n": data.unused[1].values})
    other = unused_feature_correlation(FIRST, scaled)
    for found in (again, other):
        assert (found.value, found.lower, found.upper) == pytest.approx((m.value, m.lower, m.upper))


def test_group_columns_are_judged_by_group():
    rng = np.random.default_rng(10)
    group = np.repeat(np.arange(12), 100)
    level = rng.standard_normal(12)[group]
    y = rng.standard_normal(12)[group] + rng.standard_normal(1200)
    free = unused_feature_correlation(FIRST, as_data(np.zeros((1200, 1)), y, unused={"level": level}))
    held = unused_feature_correlation(FIRST, as_data(np.zeros((1200, 1)), y, unused={"level": level}, groups=group))
    assert held.method == "cluster-robust"
    assert held.lower < free.lower
    few = as_data(np.zeros((400, 1)), y[:400], unused={"level": level[:400]}, groups=group[:400])
    assert (unused_feature_correlation(FIRST, few) < 0.9).status == "INCONCLUSIVE"


def test_rare_values_prove_nothing():
    rng = np.random.default_rng(11)
    flag = np.zeros(500)
    flag[:4] = 1
    m = unused_feature_correlation(FIRST, as_data(np.zeros((500, 1)), rng.standard_normal(500), unused={"flag": flag}))
    assert (m < 0.9).status == "INCONCLUSIVE"
    assert any("4 rows differ" in str(item.value) for item in evidence(m, Fact))


def test_unmeasurable_columns_and_missing_values_are_said():
    data = left_out(400, 0.5)
    z = np.array(data.unused[0].values)
    z[:50] = np.nan
    columns = {"z": z, "constant": np.ones(400)}
    m = unused_feature_correlation(FIRST, as_data(data.x, data.targets, unused=columns))
    facts = {item.name: item.value for item in evidence(m, Fact)}
    assert facts["rows without a value of z, left out"] == 50
    assert next(value for name, value in facts.items() if name.startswith("columns not measurable")) == "constant"
    assert not m.validity[0].passed
    assert (m < 0.1).status == "FAIL"


def test_figures_show_a_sample_chosen_by_row_id():
    data = left_out(1000, 0.5)
    one, two = (
        unused_feature_correlation(FIRST, data.rows(order)) for order in (np.arange(1000), np.arange(1000)[::-1])
    )
    shown = [evidence(m, Figure)[1] for m in (one, two)]
    assert len(shown[0].columns[0].values) == 310
    assert sorted(shown[0].columns[0].values) == pytest.approx(sorted(shown[1].columns[0].values))


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        (as_data(np.zeros((40, 1)), np.arange(40.0)), {}, "unused="),
        (left_out(40, 0.5), {"features": ["height"]}, "height"),
        (left_out(40, 0.5), {"features": []}, "would be right"),
        (left_out(20, 0.5), {}, "at least 30"),
        (left_out(40, 0.5), {"level": 1.0}, "level"),
        (as_data(np.zeros((40, 1)), np.arange(40.0), unused={"c": np.ones(40)}), {}, "varies on enough rows"),
    ],
)
def test_errors(data, options, match):
    with pytest.raises(InvalidInput, match=match):
        unused_feature_correlation(FIRST, data, **options)


def test_the_check_runs_with_its_options():
    (check,) = CHECKS
    subject = Subject(model=FIRST, task="regression", test=left_out(200, 0.5))
    assert check.run(subject, check.options()).value == unused_feature_correlation(FIRST, subject.test).value
    noise = check.run(subject, UnusedFeatureOptions(features=("noise",)))
    assert noise.value == unused_feature_correlation(FIRST, subject.test, features=["noise"]).value


# --- simulated size and coverage


def independent(rng, n):
    return rng.standard_normal(n), rng.standard_normal(n), rows(n), 0.0


def heavy(rng, n):
    z = rng.standard_normal(n)
    return rng.standard_t(3, n) * np.exp(z / 2), z, rows(n), 0.0


def grouped(rng, n):
    owner = np.arange(n) // 20
    draw = rng.standard_normal((2, n // 20))
    return (
        draw[0][owner] / 2 + rng.standard_normal(n),
        draw[1][owner],
        Sampling(kind="groups", labels=owner),
        0.0,
    )


def in_time(rng, n):
    e, z = lfilter([1.0], [1.0, -0.5], rng.standard_normal((2, n + 100)), axis=1)[:, 100:]
    return e, z, Sampling(kind="time", labels=np.arange(n)), 0.0


def correlated(rng, n):
    z = rng.standard_normal(n)
    return 0.3 * z + np.sqrt(0.91) * rng.standard_normal(n), z, rows(n), 0.3


SCENARIOS = [independent, heavy, grouped, in_time, correlated]


def misses(scenario, n, repeats, seed):
    rng, below, above = np.random.default_rng(seed), 0, 0
    for _ in range(repeats):
        e, z, sampling, truth = scenario(rng, n)
        found = correlate(e, terms(z), sampling)
        sizes = np.abs(found.values)
        below += (sizes - found.reach(1 - 0.05 / (2 * len(sizes)))).max() > truth
        above += (sizes + found.reach(0.95)).max() < truth
    return below / repeats, above / repeats


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_bounds_hold_on_a_sample_of_simulations(scenario):
    assert max(misses(scenario, 400, 60, seed=12)) < 9 / 60


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_bounds_hold(scenario, n):
    assert max(misses(scenario, n, 1000, seed=13)) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_sampling_of_some_rows():
    time = Sampling(kind="time", labels=np.array([3, 1, 0, 2]))
    assert time.take(np.array([True, False, True, True])).labels.tolist() == [2, 0, 1]
    groups = Sampling(kind="groups", labels=np.array([0, 1, 2, 2]))
    assert groups.take(np.array([True, False, True, True])).labels.tolist() == [0, 1, 1]
