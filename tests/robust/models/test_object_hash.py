import copy
import functools
import importlib
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from robust.models.object_hash import object_hash

X, Y = load_iris(return_X_y=True)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(plain)
def test_a_copy_hashes_alike(value):
    assert object_hash(value) == object_hash(copy.deepcopy(value)) == object_hash(pickle.loads(pickle.dumps(value)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), ("1", 1), (b"a", "a"), ([1, 2], (1, 2)), ([1, [2]], [[1], 2]), ([], {}),
        (0.0, -0.0),
        ("ab", ["a", "b"]), (np.zeros(2), np.zeros((2, 1))), (np.zeros(2), np.zeros(2, dtype="f4")),
        (np.float32(1), np.float64(1)), ({1: 2}, {2: 1}), (len, max), (np.exp, np.log), (int, float),
        (functools.partial(max, 1), functools.partial(max, 2)), (None, 0), (np.array(["a"]), np.array(["b"])),
    ],
)  # fmt: skip
def test_different_things_hash_differently(one, other):
    assert None not in (object_hash(one), object_hash(other))
    assert object_hash(one) != object_hash(other)


def test_what_does_not_matter_does_not_count():
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert object_hash(fortran) == object_hash(np.arange(6.0).reshape(2, 3))
    assert object_hash({3, 1, 2}) == object_hash({1, 2, 3})
    shared = [1]
    assert object_hash([shared, shared]) == object_hash([[1], [1]])


def test_bytes_between_the_fields_of_a_record_do_not_count():
    kind = np.dtype({"names": ["a"], "formats": ["u1"], "offsets": [0], "itemsize": 8})
    one, other = np.zeros(8, "u1").view(kind), np.full(8, 255, "u1").view(kind)
    other["a"] = 0
    assert object_hash(one) == object_hash(other)


def test_cycles_end():
    loop = [1]
    loop.append(loop)
    other = [2]
    other.append(other)
    assert object_hash(loop) != object_hash(other)


def test_what_cannot_be_read_has_no_hash():
    import threading

    assert object_hash(threading.Lock()) is None
    assert object_hash([1, {"a": threading.Lock()}]) is None


ESTIMATORS = [
    LogisticRegression(max_iter=500),
    make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=5, random_state=0)),
    RandomForestClassifier(3, random_state=0),
    GradientBoostingClassifier(n_estimators=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_estimators_hash_by_what_they_learned(estimator):
    from sklearn.base import clone

    first, again = clone(estimator).fit(X, Y), clone(estimator).fit(X, Y)
    changed = X.copy()
    changed[0] += 1
    assert object_hash(first) == object_hash(again) == object_hash(pickle.loads(pickle.dumps(first))) is not None
    first.predict(X)
    assert object_hash(first) == object_hash(again)
    assert object_hash(clone(estimator).fit(changed, Y)) != object_hash(first)


def scale(factor):
    def times(x):
        return x * factor

    return times


def test_functions_count_by_what_they_do():
    assert object_hash(scale(2)) == object_hash(scale(2))
    assert object_hash(scale(2)) != object_hash(scale(3))
    assert object_hash(lambda x: x + 1) != object_hash(lambda x: x + 2)
    assert object_hash(lambda x, k=1: x + k) != object_hash(lambda x, k=2: x + k)
    assert object_hash(FunctionTransformer(scale(2))) != object_hash(FunctionTransformer(scale(3)))


FACTOR = 2


def reads_a_global(x):
    return x * FACTOR


def calls_another(x):
    return reads_a_global(x)


def test_globals_that_a_function_reads_count(monkeypatch):
    before = object_hash(calls_another)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)
    assert object_hash(calls_another) != before


def test_classes_count_by_what_they_define():
    def make(factor):
        class Local:
            def predict(self, x):
                return x * factor

            @property
            def size(self):
                return factor

        return Local()

    assert object_hash(make(2)) == object_hash(make(2))
    assert object_hash(make(2)) != object_hash(make(3))


def test_an_edit_of_the_users_module_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    hashes = []
    for factor in (2, 3):
        (tmp_path / "users_helper.py").write_text(f"def act(x):\n    return x * {factor}\n")
        (tmp_path / "users_model.py").write_text(
            "import users_helper\n\ndef predict(x):\n    return users_helper.act(x)\n"
        )
        for name in ("users_helper", "users_model"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        importlib.invalidate_caches()
        hashes.append(object_hash(importlib.import_module("users_model").predict))
    assert None not in hashes
    assert hashes[0] != hashes[1]
