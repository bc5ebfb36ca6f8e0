"""The yardstick against scikit-learn's own pipelines; text whose codes differ; gaps that only the test rows have."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from robust.baselines.linear import code_tables, fit_linear, recoded
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.predicting.cache import ArrayCache
from robust.predicting.predictions import predict
from robust.predicting.settings import Settings, using


def numbers(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1, 100, 0.01]
    return x, x[:, 0] + x[:, 1] / 100 + 0.1 * rng.normal(size=n)


def answers(train, rows, task):
    return predict(fit_linear(train, task=task, schema=rows.schema), rows).outputs


def test_regression_is_least_squares():
    x, y = numbers()
    found = answers(as_data(x[:150], y[:150]), as_data(x[150:], y[150:]), "regression")
    expected = LinearRegression().fit(x[:150], y[:150]).predict(x[150:])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9)


def test_classification_is_scikit_learns_standardised_logistic_regression():
    x, y = numbers()
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-0.5, 0.5])]
    train, test = as_data(x[:150], labels[:150]), as_data(x[150:], labels[150:])
    own = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x[:150], labels[:150])
    np.testing.assert_allclose(answers(train, test, "classification"), own.predict_proba(x[150:]), atol=1e-9)
    assert predict(fit_linear(train, task="classification", schema=test.schema), test).classes == (
        "high",
        "low",
        "middle",
    )


def test_images_and_several_targets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2, 3, 1))
    y = np.c_[x[:, 0, 0, 0], -x[:, 1, 2, 0]]
    found = answers(as_data(x[:40], y[:40]), as_data(x[40:], y[40:]), "regression")
    np.testing.assert_allclose(found, y[40:], atol=1e-9)


def cities(n=120, seed=0, among=("Bonn", "Oslo", "Rom")):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"city": rng.choice(among, n), "size": rng.normal(size=n)})
    return frame, frame["city"].map({"Bonn": 0.0, "Oslo": 10.0, "Rom": -5.0, "Ulm": 2.0}).to_numpy() + frame[
        "size"
    ].to_numpy()


def test_text_is_read_by_its_labels_whatever_their_codes():
    train, y = cities()
    test, z = cities(seed=1, among=("Oslo", "Rom"))  # no Bonn: Oslo has code 0 here
    own = make_pipeline(
        make_column_transformer((OneHotEncoder(sparse_output=False), ["city"]), remainder="passthrough"),
        StandardScaler(),
        LinearRegression(),
    ).fit(train, y)
    for rows, targets in ((test, z), (train, y)):
        found = answers(as_data(train, y), as_data(rows, targets), "regression")
        np.testing.assert_allclose(found[:, 0], own.predict(rows), atol=1e-9)
        np.testing.assert_allclose(found[:, 0], targets, atol=1e-9)


def test_a_label_that_train_lacks_counts_as_none_of_its_labels():
    train, y = cities()
    test, z = cities(seed=1, among=("Oslo", "Rom", "Ulm"))
    found = answers(as_data(train, y), as_data(test, z), "regression")[:, 0]
    own = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["city"]), remainder="passthrough"
        ),
        StandardScaler(),
        LinearRegression(),
    ).fit(train, y)
    np.testing.assert_allclose(found, own.predict(test), atol=1e-9)


def test_other_codes_are_not_answered_from_the_cache():
    # Code 0 is Bonn in one set and Oslo in the other; the numbers are the same.
    train, y = cities()
    data = as_data(train, y)
    one = as_data(pd.DataFrame({"city": ["Bonn"], "size": [0.0]}), [0.0])
    other = as_data(pd.DataFrame({"city": ["Oslo"], "size": [0.0]}), [0.0])
    np.testing.assert_array_equal(one.x, other.x)
    with using(Settings(cache=ArrayCache())):
        assert answers(data, one, "regression")[0, 0] == pytest.approx(0.0, abs=1e-9)
        assert answers(data, other, "regression")[0, 0] == pytest.approx(10.0)


def test_missing_values_become_the_training_median_even_where_train_has_none():
    x, y = numbers()
    test = x[150:].copy()
    test[3, 1] = np.nan
    filled = test.copy()
    filled[3, 1] = np.median(x[:150, 1])
    found = answers(as_data(x[:150], y[:150]), as_data(test, y[150:]), "regression")
    np.testing.assert_allclose(found[:, 0], LinearRegression().fit(x[:150], y[:150]).predict(filled), rtol=1e-9)


def test_a_column_without_any_value_in_train_is_no_obstacle():
    x, y = numbers()
    x[:, 2] = np.nan
    found = answers(as_data(x[:150], y[:150]), as_data(x[150:], y[150:]), "regression")
    own = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), LinearRegression()).fit(
        x[:150], y[:150]
    )
    np.testing.assert_allclose(found[:, 0], own.predict(x[150:]), rtol=1e-9)


def test_a_missing_text_is_a_label_of_its_own_if_train_has_some():
    train, y = cities()
    train.loc[::7, "city"] = None
    y = np.where(train["city"].isna(), 30.0, y)
    test = pd.DataFrame({"city": [None, "Rom"], "size": [0.0, 0.0]})
    found = answers(as_data(train, y), as_data(test, [0.0, 0.0]), "regression")[:, 0]
    assert found[0] > 25
    assert found[1] < 0


def test_tables_translate_what_differs_alone():
    one = as_data(pd.DataFrame({"a": ["x", "z"], "b": ["p", "q"], "c": [1.0, 2.0]}))
    other = as_data(pd.DataFrame({"a": ["y", "x"], "b": ["p", "q"], "c": [1.0, 2.0]}))
    tables = code_tables(one.schema, other.schema)
    assert list(tables) == [0]
    np.testing.assert_array_equal(tables[0], [0.0, np.nan])
    np.testing.assert_array_equal(recoded(one.x, one.schema, tables), [[0, 0, 1], [np.nan, 1, 2]])
    assert code_tables(one.schema, one.schema) == {}


def test_schemas_that_cannot_be_compared_are_refused():
    text = as_data(pd.DataFrame({"a": ["x", "y"]}), [0, 1])
    number = as_data(pd.DataFrame({"a": [1.0, 2.0]}), [0, 1])
    with pytest.raises(InvalidInput, match="feature 'a' is text in train and numbers in test"):
        fit_linear(text, task="classification", schema=number.schema)
    with pytest.raises(InvalidInput, match="feature 'a' is numbers in train and text in test"):
        fit_linear(number, task="classification", schema=text.schema)
    other = as_data(pd.DataFrame({"b": [1.0, 2.0]}), [0, 1])
    with pytest.raises(InvalidInput, match=r"same features in the same order, got \['a'\] and \['b'\]"):
        fit_linear(number, task="classification", schema=other.schema)


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        ("classification", np.linspace(0.5, 3, 6), "needs one label a row, train.csv has targets of .* float64"),
        ("classification", np.zeros((6, 2), dtype=int), r"needs one label a row, train.csv has .* shape \(6, 2\)"),
        ("regression", list("aabbcc"), "needs numbers as targets, train.csv has <U1"),
    ],
)
def test_targets_of_another_task_are_the_training_rows_fault(task, targets, message):
    data = as_data(np.arange(12.0).reshape(6, 2), targets, name="train.csv")
    with pytest.raises(InvalidInput, match=message):
        fit_linear(data, task=task, schema=data.schema)


def test_a_column_of_whole_labels_is_fitted():
    x, y = numbers()
    data = as_data(x, (y > 0).astype(float)[:, None])
    assert predict(fit_linear(data, task="classification", schema=data.schema), data).classes == (0, 1)


def test_one_class_cannot_be_fitted():
    data = as_data(np.zeros((5, 2)), [1] * 5)
    with pytest.raises(InvalidInput, match=r"a baseline needs two classes to fit, data has only \[1\]"):
        fit_linear(data, task="classification", schema=data.schema)
