"""The yardstick: logistic or linear regression, fitted on the same training rows as the model."""

from dataclasses import replace

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.types import AnyArray, Task

_ITERATIONS = 2000


def fit_linear(train: Dataset, *, task: Task) -> Model:
    """Fit the standard simple model: standardised features, then least squares or L2-penalised logistic regression.

    Text columns are one-hot encoded, missing values are replaced by the column's median; nothing is tuned.

    Args:
        train: Training rows with targets.
        task: What to fit.

    Returns:
        The fitted baseline as a model.

    Raises:
        InvalidInput: If the training rows have one class only.
    """
    x, y = _flat(train, train.x), train.targets
    if task == "classification":
        found = np.unique(y)
        if len(found) < 2:
            raise InvalidInput(f"a baseline needs two classes to fit, {train.name} has only {found.tolist()}")
        estimator: Pipeline = _pipeline(train, LogisticRegression(max_iter=_ITERATIONS))
    else:
        estimator = _pipeline(train, LinearRegression())
    estimator.fit(x, y)
    name = "logistic regression" if task == "classification" else "linear regression"
    inner = as_model(estimator, name=name)

    def forward(batch: AnyArray) -> AnyArray:
        return inner.forward(_flat(train, batch))

    return replace(inner, forward=forward, gradients=None, columns=None)


def _flat(data: Dataset, x: AnyArray) -> AnyArray:
    """Rows as a table (n, d) in float64."""
    return data.schema.flat(x).astype(np.float64)


def _pipeline(data: Dataset, last: LogisticRegression | LinearRegression) -> Pipeline:
    """Encode, impute, scale, fit."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder

    steps: list[object] = []
    coded = np.flatnonzero(data.schema.mask("categorical"))
    if len(coded):
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        steps.append(ColumnTransformer([("coded", encoder, coded)], remainder=SimpleImputer(strategy="median")))
    elif np.isnan(_flat(data, data.x)).any():
        steps.append(SimpleImputer(strategy="median"))
    return make_pipeline(*steps, StandardScaler(), last)
