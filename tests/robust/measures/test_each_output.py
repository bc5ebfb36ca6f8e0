"""Several outputs of a regression model: which is drawn, and what each reaches by itself."""

import numpy as np
import pytest
from sklearn import metrics as sk

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Figure, Slices
from robust.measures.all_regression import regression_metrics
from robust.measures.each_output import worst_output
from robust.measures.error_quantiles import max_error, median_absolute_error
from robust.measures.regression import explained_variance, mae, mse, r2, rmse
from robust.measures.truth import score
from robust.metrics.regression import MAE
from robust.models.conversion import as_model
from robust.predicting.predictions import predict

MODEL = as_model(lambda x: x, name="m", task="regression")


def outputs(scales, n=60, seed=0):
    """Rows that hold their own predictions, and targets that miss them by so much."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(scales)))
    return x, x + rng.normal(size=x.shape) * scales


def scored(x, y):
    data = as_data((x, y))
    return score(MAE, predict(MODEL, data), data)


def figure(m):
    (found,) = (part for part in m.evidence if isinstance(part, Figure))
    return found


def drawn(found, name):
    return np.array(next(series.values for series in found.columns if series.name == name))


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("measure", [rmse, r2, mse, explained_variance, mae, median_absolute_error, max_error])
def test_the_worst_output_is_drawn_and_named(measure, bad):
    scales = np.full(3, 0.01)
    scales[bad] = 2.0
    x, y = outputs(scales)
    found = figure(measure(MODEL, (x, y)))
    assert f", output {bad + 1} of 3, the " in found.title
    assert ("lowest R²" in found.note) == (measure is not max_error and found.kind != "histogram")
    if found.kind == "histogram":
        np.testing.assert_allclose(drawn(found, "x"), y[:, bad] - x[:, bad], rtol=1e-5)
    else:
        np.testing.assert_allclose(drawn(found, "x"), x[:, bad], rtol=1e-5)
        other = y if "Target" in found.title else y - x
        np.testing.assert_allclose(drawn(found, "y"), other[:, bad], rtol=1e-5)


def test_opposite_errors_of_two_outputs_do_not_cancel_out_in_the_histogram():
    x, _ = outputs([1.0, 1.0])
    assert (np.abs(drawn(figure(mae(MODEL, (x, x + np.array([2.0, -2.0])))), "x")) > 1.9).all()


def test_one_output_has_no_number():
    x, y = outputs([0.5])
    for measure in (rmse, mse, mae):
        assert "output" not in figure(measure(MODEL, (x, y))).title


def test_the_worst_does_not_depend_on_units_but_the_largest_error_does():
    x, y = outputs([0.1, 1.0])
    units = np.array([1e6, 1.0])
    assert worst_output(scored(x, y)) == worst_output(scored(x * units, y * units)) == 1
    assert "output 1 of 2, the one with the largest error" in figure(max_error(MODEL, (x * units, y * units))).title


def test_constant_targets_are_the_worst_where_they_are_missed_and_no_error_where_not():
    x, y = outputs([0.1, 0.1])
    y[:, 0] = 2.0
    assert worst_output(scored(x, y)) == 0
    x[:, 0] = 2.0
    assert worst_output(scored(x, y)) == 1


def test_values_by_output_are_scikit_learns():
    x, y = outputs([0.1, 1.0, 3.0])
    found = regression_metrics(MODEL, (x, y))
    assert len(found.by_output) == 3
    for j, values in enumerate(found.by_output):
        truth, p = y[:, j], x[:, j]
        assert values == pytest.approx(
            {
                "mse": sk.mean_squared_error(truth, p),
                "rmse": sk.root_mean_squared_error(truth, p),
                "mae": sk.mean_absolute_error(truth, p),
                "r2": sk.r2_score(truth, p),
                "explained_variance": sk.explained_variance_score(truth, p),
                "mape": sk.mean_absolute_percentage_error(truth, p),
                "smape": np.mean(2 * np.abs(truth - p) / (np.abs(truth) + np.abs(p))),
                "median_absolute_error": sk.median_absolute_error(truth, p),
                "max_error": sk.max_error(truth, p),
            }
        )
    for name in ("mse", "rmse", "mae", "r2", "mape"):
        assert found[name].value == pytest.approx(np.mean([values[name] for values in found.by_output]))
        (table,) = (part for part in found[name].evidence if isinstance(part, Slices))
        held = {part.name: part.value for part in table.slices}
        assert held == pytest.approx({f"output {j + 1} of 3": v[name] for j, v in enumerate(found.by_output)})


def test_an_output_that_leaves_a_metric_undefined_keeps_the_others():
    x, y = outputs([0.1, 1.0])
    y[:, 0], y[0, 1] = 2.0, 0.0
    found = regression_metrics(MODEL, (x, y))
    with pytest.raises(InvalidInput, match="constant"):
        found["r2"]
    first, second = found.by_output
    assert {"r2", "explained_variance"}.isdisjoint(first)
    assert "mape" in first
    assert second["r2"] == pytest.approx(sk.r2_score(y[:, 1], x[:, 1]))
    assert "mape" not in second
    assert regression_metrics(MODEL, (x[:, :1], x[:, 0])).by_output == ()
