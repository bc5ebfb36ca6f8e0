"""Rows that a model cannot answer because they have missing values: the data is named, not the model."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.models.conversion import as_model
from robust.predicting.missing import missing_rows, missing_words
from robust.predicting.predictions import predict

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def with_gaps(*places):
    x = X.copy()
    for place in places:
        x[place] = np.nan
    return as_data(x, Y, names=["age", "height", "weight"])


def test_words():
    data = with_gaps((5, 1), (7, 1), (7, 2))
    rows = missing_rows(data.x)
    assert np.flatnonzero(rows).tolist() == [5, 7]
    assert missing_words(data.x, rows, data.schema).startswith(
        "the data has missing values (NaN) in rows 5, 7 (counted from 0), columns 'height', 'weight'"
    )
    assert not missing_rows(X.astype(int)).any()


def test_answers_that_are_nan_because_the_rows_are():
    linear = as_model(lambda x: x @ np.ones((3, 2)), output="logits", batch_size=16)
    with pytest.raises(InvalidInput, match=r"first at position 41: .* in row 41 \(counted from 0\), column 'height'"):
        predict(linear, with_gaps((41, 1)))


def test_a_model_that_gives_nan_for_whole_rows_is_at_fault():
    faulty = as_model(lambda x: np.log(x @ np.ones((3, 2)) * 0 - 1 + 0 * x[:, :1]), output="logits")
    with np.errstate(invalid="ignore"), pytest.raises(ModelFault, match="gives NaN or infinity for 60 of 60 rows"):
        predict(faulty, with_gaps((41, 1)))


def test_a_model_that_raises_on_missing_values():
    model = as_model(LogisticRegression().fit(X, Y))
    with pytest.raises(InvalidInput, match=r"raised ValueError: .* in row 9 \(counted from 0\), column 'weight'"):
        predict(model, with_gaps((9, 2)))


def test_a_model_that_takes_them_is_not_disturbed():
    data = with_gaps((9, 2))
    model = as_model(HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(data.x, Y))
    assert predict(model, data).outputs.shape == (60, 2)
