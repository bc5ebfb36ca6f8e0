"""Rebuild the diabetes example: data and model.

Run as `python -m robust.examples.train_diabetes --out robust/examples/diabetes`.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, train_test_split

from robust.examples.network import root_mean_square, tuned_network, write_model

# What can be had without drawing blood; the six serum values s1 … s6 are in the data, but not in the model.
FEATURES = ("age", "sex", "bmi", "bp")
TARGET = "target"
_TEST_SHARE = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class DiabetesReport:
    """What the rebuilt diabetes model does on the test rows.

    Args:
        rows: Number of test rows.
        rmse: Root mean square error of the network, in units of disease progression.
        linear_rmse: The same for least squares on the same features and training rows.
        serum_correlation: Pearson correlation of the residuals with s5 (log triglycerides), which is unused.
    """

    rows: int
    rmse: float
    linear_rmse: float
    serum_correlation: float


def diabetes_split() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split scikit-learn's 442 patients, in clinical units, into 243 for training and 199 for the test.

    Returns:
        Training and test rows, with the features, `s1` … `s6` and `target`; the index is the patient's
        position in scikit-learn's data set, and no patient is in both.

    Source:
        Efron, Hastie, Johnstone and Tibshirani (2004), table 1.

    >>> train, test = diabetes_split()
    >>> len(train), len(test)
    (243, 199)
    """
    patients = load_diabetes(as_frame=True, scaled=False).frame.astype({"age": int, "sex": int, TARGET: int})
    train, test = train_test_split(np.arange(len(patients)), test_size=_TEST_SHARE, random_state=0)
    return patients.iloc[np.sort(train)], patients.iloc[np.sort(test)]


def write_diabetes(out: Path) -> None:
    """Write `train.csv` and `test.csv`.

    Args:
        out: An existing folder.
    """
    for name, rows in zip(("train", "test"), diabetes_split(), strict=True):
        rows.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")


def build_diabetes(out: Path) -> DiabetesReport:
    """Write the diabetes example's data and model into a folder.

    Args:
        out: The folder; made if it is missing.

    Returns:
        The model's figures on the test rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_diabetes(out)
    train, test = diabetes_split()
    x, y = train[list(FEATURES)].to_numpy(float), train[TARGET].to_numpy(float)
    network = tuned_network(x, y, folds=KFold(5, shuffle=True, random_state=0))
    write_model(network, out / "model.skops")
    x_test, y_test = test[list(FEATURES)].to_numpy(float), test[TARGET].to_numpy(float)
    residuals = y_test - network.predict(x_test)
    return DiabetesReport(
        rows=len(test),
        rmse=root_mean_square(residuals),
        linear_rmse=root_mean_square(y_test - LinearRegression().fit(x, y).predict(x_test)),
        serum_correlation=float(np.corrcoef(residuals, test["s5"])[0, 1]),
    )


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("diabetes"),
    show_default=True,
    help="Folder to write to.",
)
def main(out: Path) -> None:
    """Rebuild the diabetes example's data and model."""
    report = build_diabetes(out)
    click.echo(
        f"{report.rows} test rows: RMSE {report.rmse:.2f}, linear {report.linear_rmse:.2f}; "
        f"residuals correlate with the unused s5 at {report.serum_correlation:.3f}"
    )


if __name__ == "__main__":
    main()
