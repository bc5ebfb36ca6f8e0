import numpy as np
import pandas as pd
import pytest
import skops.io
from click.testing import CliRunner
from scipy.stats import pearsonr
from sklearn.linear_model import LinearRegression
from statsmodels.datasets import sunspots
from statsmodels.stats.diagnostic import acorr_ljungbox

from robust.examples.catalogue import example_path
from robust.examples.network import root_mean_square
from robust.examples.train_sunspots import FEATURES, TARGET, main, write_sunspots

FOLDER = example_path("sunspots")


@pytest.fixture(scope="module")
def train():
    return pd.read_csv(FOLDER / "train.csv")


@pytest.fixture(scope="module")
def held_out():
    return pd.read_csv(FOLDER / "test.csv")


@pytest.fixture(scope="module")
def residuals(held_out):
    assert skops.io.get_untrusted_types(file=FOLDER / "model.skops") == []
    model = skops.io.load(FOLDER / "model.skops")
    return held_out[TARGET].to_numpy() - model.predict(held_out[list(FEATURES)].to_numpy(float))


def ljung_box(errors):
    return float(acorr_ljungbox(errors, lags=[11])["lb_pvalue"].iloc[0])


def test_shipped_numbers_are_the_packages(train, held_out):
    series = sunspots.load_pandas().data
    counts = dict(zip(series["YEAR"].astype(int), series["SUNACTIVITY"], strict=True))
    together = pd.concat([train, held_out])
    assert list(together.columns) == ["year", "lag1", "lag2", "lag3", "lag9", "lag10", "lag11", "sunspots"]
    for row in together.to_dict("records"):
        assert row["sunspots"] == counts[row["year"]]
        assert all(row[f"lag{k}"] == counts[row["year"] - k] for k in (1, 2, 3, 9, 10, 11))


def test_years_are_in_order_and_the_test_years_come_last(train, held_out):
    assert list(train["year"]) == list(range(1711, 1890))
    assert list(held_out["year"]) == list(range(1890, 2009))


def test_rebuilding_gives_the_shipped_bytes(tmp_path):
    write_sunspots(tmp_path)
    for name in ("train.csv", "test.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_network_beats_the_line_and_last_years_count(train, held_out, residuals):
    line = LinearRegression().fit(train[list(FEATURES)].to_numpy(), train[TARGET])
    left = held_out[TARGET].to_numpy() - line.predict(held_out[list(FEATURES)].to_numpy())
    assert root_mean_square(residuals) < 0.95 * root_mean_square(left)
    assert root_mean_square(residuals) < 0.7 * root_mean_square((held_out[TARGET] - held_out["lag1"]).to_numpy())


def test_finding_residuals_are_autocorrelated_and_only_in_their_order(residuals):
    assert ljung_box(residuals) < 0.001
    shuffles = np.random.default_rng(0)
    assert np.median([ljung_box(shuffles.permutation(residuals)) for _ in range(25)]) > 0.2


def test_finding_residuals_correlate_with_the_last_cycle(held_out, residuals):
    assert pearsonr(residuals, held_out["lag9"]).pvalue < 1e-4


def test_a_model_that_forgets_all_but_last_year_would_be_caught(train, held_out):
    line = LinearRegression().fit(train[["lag1"]].to_numpy(), train[TARGET])
    left = held_out[TARGET].to_numpy() - line.predict(held_out[["lag1"]].to_numpy())
    assert ljung_box(left) < 1e-6


def test_command_rebuilds_a_model_like_the_shipped(tmp_path, held_out, residuals):
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "new")], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.startswith("119 test years: RMSE ")
    model = skops.io.load(tmp_path / "new" / "model.skops")
    rebuilt = held_out[TARGET].to_numpy() - model.predict(held_out[list(FEATURES)].to_numpy(float))
    assert root_mean_square(rebuilt) == pytest.approx(root_mean_square(residuals), rel=0.02)
