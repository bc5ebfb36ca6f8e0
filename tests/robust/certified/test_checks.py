"""The bracket as a check of the audit: on networks that can be read, beside an attack on the same rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from robust.auditing.discovery import discover
from robust.certified import checks
from robust.certified.checks import CHECKS, CertifiedAccuracyOptions
from robust.check import Subject
from robust.data.live import as_data
from robust.errors import Inapplicable
from robust.evidence import Fact, Figure, Finding
from robust.models.conversion import as_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
Y = (X[:, 0] > 0).astype(int)
LINEAR = LogisticRegression().fit(X, Y)


def run(model, data, **options):
    subject = Subject(model=as_model(model), task="classification", test=data)
    return CHECKS[0].run(subject, CertifiedAccuracyOptions(**options))


def facts(m):
    return {item.name: item.value for item in m.evidence if isinstance(item, Fact)}


def test_the_audit_finds_it():
    assert "ATK020" in [check.code for check in discover()]


def test_both_ends_meet_the_closed_form_on_a_linear_model():
    m = run(LINEAR, as_data(X, Y), eps=0.2)
    margin = (X @ LINEAR.coef_[0] + LINEAR.intercept_[0]) * (2 * Y - 1)
    taken = np.unique(np.linspace(0, 299, 256).round().astype(int))
    closed = float(np.mean(margin[taken] > 0.2 * np.abs(LINEAR.coef_).sum()))
    assert m.value == pytest.approx(closed)
    assert facts(m)["accuracy that an attack left"] == pytest.approx(closed, abs=1e-4)
    assert facts(m)["rows taken"] == "256 of 300, evenly spaced"
    assert next(item.text for item in m.evidence if isinstance(item, Finding)).startswith(
        "robust accuracy at eps 0.2 in linf lies between"
    )
    assert any(isinstance(item, Figure) and "proved" in item.title for item in m.evidence)
    assert [check.passed for check in m.validity if check.name == "bracket"] == [True]
    assert m.n == 256


def test_all_rows_are_taken_where_there_are_few():
    assert run(LINEAR, as_data(X[:50], Y[:50])).n == 50
    assert run(LINEAR, as_data(X, Y), rows=300).n == 300


def test_a_model_without_bounds_did_not_run():
    with pytest.raises(
        Inapplicable, match="needs a candidate that bounds are known of: .*; KNeighborsClassifier has none here"
    ):
        run(KNeighborsClassifier().fit(X, Y), as_data(X, Y))


def test_ends_that_contradict_each_other_make_a_pass_invalid(monkeypatch):
    own = checks.robust_accuracy
    flipped = LogisticRegression().fit(X, Y)
    flipped.coef_, flipped.intercept_ = -LINEAR.coef_, -LINEAR.intercept_

    def of_another(model, data, **options):
        other = own(as_model(flipped), data, **options)
        honest = own(model, data, **options)
        return checks.replace(other, provenance=honest.provenance)

    monkeypatch.setattr(checks, "robust_accuracy", of_another)
    m = run(LINEAR, as_data(X, Y), eps=0.1)
    assert (m > 0.1).status == "INVALID"
    assert "proved to hold and broken by the attack" in next(check.reason for check in m.validity if not check.passed)
