import numpy as np
import pandas as pd
import pytest
import skops.io
from click.testing import CliRunner
from scipy.stats import pearsonr
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from robust.examples.catalogue import example_path
from robust.examples.network import root_mean_square
from robust.examples.train_diabetes import FEATURES, TARGET, diabetes_split, main, write_diabetes

FOLDER = example_path("diabetes")
SERUM = ["s1", "s2", "s3", "s4", "s5", "s6"]


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


def test_shipped_rows_are_the_packages_each_once(train, held_out):
    source = load_diabetes(as_frame=True, scaled=False).frame
    together = pd.concat([train, held_out])
    assert list(together.columns) == list(source.columns)
    in_order = [np.array(sorted(map(tuple, table.to_numpy(float)))) for table in (together, source)]
    np.testing.assert_array_equal(*in_order)
    assert len(held_out) == 199


def test_splits_are_disjoint():
    train, test = diabetes_split()
    assert sorted([*train.index, *test.index]) == list(range(442))


def test_rebuilding_gives_the_shipped_bytes(tmp_path):
    write_diabetes(tmp_path)
    for name in ("train.csv", "test.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_model_beats_the_mean_but_hardly_the_line(train, held_out, residuals):
    x, x_test = train[list(FEATURES)].to_numpy(float), held_out[list(FEATURES)].to_numpy(float)
    y, y_test = train[TARGET].to_numpy(), held_out[TARGET].to_numpy()
    line = root_mean_square(y_test - LinearRegression().fit(x, y).predict(x_test))
    assert root_mean_square(residuals) < 0.85 * root_mean_square(y_test - y.mean())
    assert root_mean_square(residuals) == pytest.approx(line, rel=0.05)


def test_finding_residuals_correlate_with_serum_values_the_model_does_not_see(held_out, residuals):
    p_values = {column: pearsonr(residuals, held_out[column]).pvalue for column in SERUM}
    assert {column for column, p in p_values.items() if p < 0.05 / len(SERUM)} == {"s3", "s4", "s5"}


def test_features_it_does_see_leave_nothing_behind(held_out, residuals):
    assert all(pearsonr(residuals, held_out[column]).pvalue > 0.05 / len(FEATURES) for column in FEATURES)


def test_a_model_without_bmi_would_be_caught(train, held_out):
    kept = ["age", "sex", "bp"]
    line = LinearRegression().fit(train[kept].to_numpy(float), train[TARGET])
    left = held_out[TARGET].to_numpy() - line.predict(held_out[kept].to_numpy(float))
    assert pearsonr(left, held_out["bmi"]).pvalue < 1e-6


@pytest.mark.slow
def test_command_rebuilds_a_model_like_the_shipped(tmp_path, held_out, residuals):
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "new")], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.startswith("199 test rows: RMSE ")
    model = skops.io.load(tmp_path / "new" / "model.skops")
    rebuilt = held_out[TARGET].to_numpy() - model.predict(held_out[list(FEATURES)].to_numpy(float))
    assert root_mean_square(rebuilt) == pytest.approx(root_mean_square(residuals), rel=0.02)
