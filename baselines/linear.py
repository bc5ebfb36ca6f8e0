"""The yardstick: logistic or linear regression, fitted on the same training rows as the model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from robust.data.dataset import Dataset
from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput
from robust.measures.magnitude import require_moderate
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.types import AnyArray, FloatArray, Task

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_ITERATIONS = 2000


def fit_linear(train: Dataset, *, task: Task, schema: FeatureSchema) -> Model:
    """Fit the standard simple model: standardised features, then least squares or L2-penalised logistic regression.

    Text columns are one-hot encoded by their labels, missing values are replaced by the column's median; nothing is
    tuned. A label that the training rows lack counts as none of theirs.

    Args:
        train: Training rows with targets.
        task: What to fit.
        schema: Schema of the rows that the baseline will be asked about: its codes of text may be others.

    Returns:
        The fitted baseline as a model of rows under `schema`.

    Raises:
        InvalidInput: If the targets are not of the task, the training rows have one class only or numbers whose
            squares would overflow, or the schemas describe other features.
    """
    tables = code_tables(schema, train.schema)
    x, y = recoded(train.x, train.schema, {}), train.targets
    if task == "classification":
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim > 1 or (y.dtype.kind == "f" and bool((y != np.rint(y)).any())):
            raise InvalidInput(
                f"a baseline for classes needs one label a row, {train.name} has targets of shape {y.shape} and type "
                f"{y.dtype}, such as {y[0]}"
            )
        found = np.unique(y)
        if len(found) < 2:
            raise InvalidInput(f"a baseline needs two classes to fit, {train.name} has only {found.tolist()}")
    require_moderate(x, f"features of {train.name}")
    if task == "regression":
        if y.dtype.kind not in "fiub":
            raise InvalidInput(f"a baseline for regression needs numbers as targets, {train.name} has {y.dtype}")
        require_moderate(y.astype(np.float64), f"targets of {train.name}")
    estimator = _pipeline(train, task)
    estimator.fit(x, y)
    name = "logistic regression" if task == "classification" else "linear regression"
    inner = as_model(estimator, name=name)

    def forward(batch: AnyArray) -> AnyArray:
        return inner.forward(recoded(batch, schema, tables))

    def identity() -> str | None:
        own = inner.identity()
        return None if own is None else f"{own}/{sorted((j, table.tolist()) for j, table in tables.items())}"

    return replace(inner, forward=forward, identity=identity, gradients=None, columns=None)


def code_tables(source: FeatureSchema, target: FeatureSchema) -> dict[int, FloatArray]:
    """From one schema's codes of text to another's, by label.

    Args:
        source: Schema of the rows to be read.
        target: Schema whose codes are wanted.

    Returns:
        For each feature whose labels differ: the target's code of each source code, NaN where the target has no such
        label.

    Raises:
        InvalidInput: If the schemas describe other features, or a feature is text in one and numbers in the other.
    """
    if source.names != target.names or source.shape != target.shape:
        raise InvalidInput(
            f"train and test must have the same features in the same order, got {list(target.names)[:12]} and "
            f"{list(source.names)[:12]}"
        )
    known, wanted = dict(source.categories), dict(target.categories)
    for j in set(known) ^ set(wanted):
        kinds = ("text", "numbers") if j in wanted else ("numbers", "text")
        raise InvalidInput(
            f"feature {source.names[j]!r} is {kinds[0]} in train and {kinds[1]} in test: read both alike"
        )
    return {
        j: np.array([wanted[j].index(label) if label in wanted[j] else np.nan for label in labels])
        for j, labels in known.items()
        if labels != wanted[j]
    }


def recoded(x: AnyArray, schema: FeatureSchema, tables: Mapping[int, FloatArray]) -> FloatArray:
    """Rows as a table (n, d) in float64, with codes of text translated by `code_tables`.

    Args:
        x: Rows (n, *row shape).
        schema: Their schema.
        tables: Translations by feature; features without one stay as they are.
    """
    flat = schema.flat(x).astype(np.float64)
    for j, table in tables.items():
        codes = flat[:, j]
        present = ~np.isnan(codes)
        flat[present, j] = table[codes[present].astype(np.intp)]
    return flat


def _pipeline(data: Dataset, task: Task) -> "Pipeline":
    """Encode, impute, scale, fit."""
    # Imported when something is fitted: scikit-learn takes longer to load than a kept audit takes.
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    last = LogisticRegression(max_iter=_ITERATIONS) if task == "classification" else LinearRegression()
    # Always, and with columns that are empty in train kept: the test rows may lack other values than these.
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    coded = np.flatnonzero(data.schema.mask("categorical"))
    if not len(coded):
        return make_pipeline(impute, StandardScaler(), last)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(ColumnTransformer([("coded", encoder, coded)], remainder=impute), StandardScaler(), last)
