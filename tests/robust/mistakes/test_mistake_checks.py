"""The checks of mistakes as the audit runs them."""

import numpy as np
import pytest

from robust import as_data, as_model
from robust.check import Subject
from robust.mistakes.checks import CHECKS, GroupOptions


@pytest.fixture
def subject():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1], 80)
    data = as_data(p, p.argmax(axis=1) ^ (np.arange(80) < 6), slices={"site": np.repeat(["a", "b"], 40)})
    return Subject(model=as_model(lambda x: x, output="probabilities"), task="classification", test=data)


def test_codes_and_names():
    assert [(check.code, check.name) for check in CHECKS] == [("MET031", "error_groups"), ("MET032", "label_errors")]


def test_both_give_one_measurement_under_their_own_name(subject):
    groups, labels = (check.run(subject, None if check.options is None else check.options()) for check in CHECKS)
    assert (groups.name, groups.value) == ("error_groups", pytest.approx(6 / 40))
    assert labels.name == "label_errors"
    assert "does not judge the model" in CHECKS[1].why


def test_columns_can_be_chosen(subject):
    found = CHECKS[0].run(subject, GroupOptions(by=("site",), least=40))
    assert [column.by for column in found.columns] == ["site"]
