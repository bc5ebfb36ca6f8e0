"""Rebuild the sunspots example: data and model.

Run as `python -m robust.examples.train_sunspots --out robust/examples/sunspots`.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit
from statsmodels.datasets import sunspots
from statsmodels.stats.diagnostic import acorr_ljungbox

from robust.examples.network import root_mean_square, tuned_network, write_model

# The network sees three years back. A solar cycle takes about eleven: lags near that are there, but unused.
FEATURES = ("lag1", "lag2", "lag3")
UNUSED_LAGS = (9, 10, 11)
TARGET = "sunspots"
_LAST_TRAINING_YEAR = 1889


@dataclass(frozen=True, slots=True, kw_only=True)
class SunspotsReport:
    """What the rebuilt sunspots model does on the test years.

    Args:
        rows: Number of test years.
        rmse: Root mean square error of the one-year forecasts, in sunspots.
        linear_rmse: The same for a linear autoregression on the same lags and training years.
        ljung_box: p-value of the Ljung-Box test that no residual autocorrelation up to lag 11 differs from 0.
    """

    rows: int
    rmse: float
    linear_rmse: float
    ljung_box: float


def sunspots_split() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay the yearly sunspots out as one-step forecasts: 1711 to 1889 to train on, 1890 to 2008 to test on.

    lag k of year t = sunspots of year t − k

    Returns:
        Training and test rows in the order of the years, with `year`, `lag1` … `lag3`, `lag9` … `lag11` and
        `sunspots`.

    >>> train, test = sunspots_split()
    >>> len(train), len(test), bool(test["lag1"].iloc[0] == train["sunspots"].iloc[-1])
    (179, 119, True)
    """
    series = sunspots.load_pandas().data
    years, counts = series["YEAR"].astype(int), series["SUNACTIVITY"]
    lags = {f"lag{k}": counts.shift(k) for k in (1, 2, 3, *UNUSED_LAGS)}
    rows = pd.DataFrame({"year": years, **lags, TARGET: counts}).dropna()
    early = rows["year"] <= _LAST_TRAINING_YEAR
    return rows[early], rows[~early]


def write_sunspots(out: Path) -> None:
    """Write `train.csv` and `test.csv`.

    Args:
        out: An existing folder.
    """
    for name, rows in zip(("train", "test"), sunspots_split(), strict=True):
        rows.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")


def build_sunspots(out: Path) -> SunspotsReport:
    """Write the sunspots example's data and model into a folder.

    Args:
        out: The folder; made if it is missing.

    Returns:
        The model's figures on the test years.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_sunspots(out)
    train, test = sunspots_split()
    x, y = train[list(FEATURES)].to_numpy(float), train[TARGET].to_numpy(float)
    network = tuned_network(x, y, folds=TimeSeriesSplit(5))
    write_model(network, out / "model.skops")
    x_test, y_test = test[list(FEATURES)].to_numpy(float), test[TARGET].to_numpy(float)
    residuals = y_test - network.predict(x_test)
    return SunspotsReport(
        rows=len(test),
        rmse=root_mean_square(residuals),
        linear_rmse=root_mean_square(y_test - LinearRegression().fit(x, y).predict(x_test)),
        ljung_box=float(acorr_ljungbox(residuals, lags=[max(UNUSED_LAGS)])["lb_pvalue"].iloc[0]),
    )


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("sunspots"),
    show_default=True,
    help="Folder to write to.",
)
def main(out: Path) -> None:
    """Rebuild the sunspots example's data and model."""
    report = build_sunspots(out)
    click.echo(
        f"{report.rows} test years: RMSE {report.rmse:.2f}, linear {report.linear_rmse:.2f}; "
        f"Ljung-Box p {report.ljung_box:.1e}"
    )


if __name__ == "__main__":
    main()
