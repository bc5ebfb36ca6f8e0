"""Figures of the folder: what they hold, and what they leave out and say."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from robust import as_model
from robust.evidence import Figure
from robust.filesets.testing_figures import area_under, confusion_picture, roc_picture, shown_area
from robust.measures.score_thresholds import threshold_table
from robust.operating.class_thresholds import class_tables


def column(figure: Figure, name):
    return next(series.values for series in figure.columns if series.name == name)


def test_rows_are_actual_and_named_with_their_sums_and_the_asymmetry_is_said():
    figure = confusion_picture(np.array([[95, 3, 2], [1, 97, 2], [2, 1, 97]]), ("A", "B", "C"))
    assert (figure.x_title, figure.y_title) == ("predicted", "actual")
    assert column(figure, "y")[::3] == ("A (100)", "B (100)", "C (100)")
    assert column(figure, "value")[1] == 3.0  # actual A, predicted B
    assert "289 of 300 right, 11 wrong" in figure.note
    assert "most often A is taken for B (3, back 1)" in figure.note


def test_of_many_classes_those_with_mistakes_are_kept():
    counts = np.diag(np.full(60, 10))
    counts[50, 55] = 4
    figure = confusion_picture(counts, tuple(map(str, range(60))))
    assert len(column(figure, "value")) == 40 * 40
    assert {"50", "55"} <= set(column(figure, "x"))
    assert "the 40 classes with the most mistakes of 60" in figure.note


def test_areas_are_those_of_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(300) < 0.3, rng.integers(0, 12, 300) / 11
    assert area_under(threshold_table(truth, scores)) == pytest.approx(roc_auc_score(truth, scores))


def test_roc_curves_run_from_corner_to_corner_beside_chance():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 9
    p = rng.dirichlet(np.ones(10), 200)
    p[np.arange(200), y] += 0.4
    model = as_model(lambda x: x / x.sum(axis=1, keepdims=True), output="probabilities", task="classification")
    figure = roc_picture(class_tables(model, (p, y)))
    series, x, t = (np.array(column(figure, name)) for name in ("series", "x", "y"))
    names = list(dict.fromkeys(series.tolist()))
    assert len(names) == 8  # six classes, pooled, chance: as many as there are colours
    assert names[-2].startswith("micro-average: AUC 0.")
    assert names[-1].startswith("chance")
    for name in names:
        own = series == name
        assert (x[own][0], t[own][0], x[own][-1], t[own][-1]) == (0, 0, 1, 1)
        assert (np.diff(x[own]) >= 0).all()
    assert "the 6 smallest areas of 9 classes; without 9" in figure.note


@pytest.mark.parametrize(
    ("area", "text"),
    [
        (0.5, "0.5000"),
        (0.99994, "0.9999"),
        (0.99998, "0.99998"),
        (1.0, "1.0000"),
        (2e-5, "0.00002"),
        (1e-12, "< 0.00000001"),
    ],
)
def test_only_a_perfect_area_is_shown_as_one(area, text):
    assert shown_area(area) == text


def test_the_legend_does_not_round_an_imperfect_area_up_to_one():
    score = np.arange(1000) / 1000
    y = np.r_[np.zeros(500, dtype=int), np.ones(500, dtype=int)]
    y[[499, 500]] = 1, 0  # one of 250,000 pairs in the wrong order
    model = as_model(lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]), output="probabilities", task="classification")
    names = set(column(roc_picture(class_tables(model, (score[:, None], y))), "series"))
    assert "1: AUC 0.999996" in names
