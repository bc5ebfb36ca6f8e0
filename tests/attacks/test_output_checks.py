import numpy as np
import pytest

from robust.attacks.output_checks import CHECKS, LargestOutputChangeOptions, MinimalChangeOptions
from robust.auditing.discovery import discover
from robust.check import Subject
from robust.data.live import as_data
from robust.models.conversion import as_model

X = np.random.default_rng(0).normal(size=(70, 3))
W = np.array([1.0, -2.0, 0.5])
SUBJECT = Subject(model=as_model(lambda x: x @ W, task="regression"), task="regression", test=as_data(X, X @ W))
LARGEST, LEAST = CHECKS


def test_the_audit_finds_them():
    found = {check.code: check for check in discover()}
    assert found["ATK010"].name == "largest_output_change"
    assert found["ATK011"].by_request
    assert all(check.tasks == ("regression",) for check in CHECKS)


def test_the_largest_change_by_its_options():
    m = LARGEST.run(SUBJECT, LargestOutputChangeOptions())
    assert m.value == pytest.approx((0.1 * X.std(axis=0) * np.abs(W)).sum(), rel=0.01)
    named = LARGEST.run(SUBJECT, LargestOutputChangeOptions(eps={"x1": 0.5}, norm="l2", direction="up", quantile=1))
    assert named.value == pytest.approx(1.0)
    assert LARGEST.run(SUBJECT, LargestOutputChangeOptions(eps=0.1, tolerance=0.3)).value == 1.0


def test_the_smallest_perturbation_by_its_options():
    m = LEAST.run(SUBJECT, MinimalChangeOptions())
    assert m.value == pytest.approx(0.1 * (X @ W).std() / np.linalg.norm(W), rel=0.01)
    named = LEAST.run(SUBJECT, MinimalChangeOptions(change=1, norm="linf", units={"x0": 1.0, "x1": 2.0}, output=0))
    assert named.value == pytest.approx(1 / 5, rel=0.01)
