"""The checks of mistakes as the audit runs them."""

import numpy as np
import pytest

from robust import as_data, as_model
from robust.check import Subject
from robust.mistakes.checks import CHECKS, GroupOptions, NeighbourOptions


@pytest.fixture
def subject():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1], 80)
    data = as_data(p, p.argmax(axis=1) ^ (np.arange(80) < 6), slices={"site": np.repeat(["a", "b"], 40)})
    seen = rng.dirichlet([1, 1], 60)
    return Subject(
        model=as_model(lambda x: x, output="probabilities"),
        task="classification",
        test=data,
        train=as_data(seen, seen.argmax(axis=1)),
    )


def test_codes_and_names():
    assert [(check.code, check.name) for check in CHECKS] == [
        ("MET031", "error_groups"),
        ("MET032", "label_errors"),
        ("MET033", "nearest_training_rows"),
    ]


def test_each_gives_one_measurement_under_its_own_name(subject):
    groups, labels, near = (check.run(subject, None if check.options is None else check.options()) for check in CHECKS)
    assert (groups.name, groups.value) == ("error_groups", pytest.approx(6 / 40))
    assert labels.name == "label_errors"
    # Labels were turned around in the test rows alone: but at the edge, all training rows nearby carry what was
    # predicted.
    assert (near.name, near.total, near.unit) == ("nearest_training_rows", 6, "share of mistakes")
    assert near.value >= 4 / 6
    assert "does not judge the model" in CHECKS[1].why


def test_neighbours_can_be_chosen(subject):
    found = CHECKS[2].run(subject, NeighbourOptions(k=1, most=2))
    assert [len(mistake.neighbours) for mistake in found.mistakes] == [1, 1]


def test_columns_can_be_chosen(subject):
    found = CHECKS[0].run(subject, GroupOptions(by=("site",), least=40))
    assert [column.by for column in found.columns] == ["site"]
