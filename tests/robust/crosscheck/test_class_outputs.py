"""What may be probabilities, and labels as one-hot rows."""

import numpy as np
import pytest

from robust.crosscheck.class_outputs import is_one_hot, may_be_probabilities, one_hot
from robust.errors import InvalidInput


def softmax(n=50, k=10, seed=0, sharpness=3.0):
    z = sharpness * np.random.default_rng(seed).normal(size=(n, k))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_probabilities_in_every_precision():
    p = softmax()
    assert may_be_probabilities(p)
    assert may_be_probabilities(p.astype(np.float16).astype(float))
    assert may_be_probabilities(np.rint(p * 256) / 256, step=1 / 256)


@pytest.mark.parametrize(
    "rows",
    [
        softmax()[:, :9],
        softmax() * 1.02,
        softmax() - 0.1,
        np.log(softmax()),
        np.ones((5, 1)),
        np.zeros((5, 4)),
        np.array([[0.5, 0.5], [1.5, -0.5]]),
    ],
)
def test_what_is_none(rows):
    assert not may_be_probabilities(rows)


def test_a_coarse_step_does_not_excuse_everything():
    assert not may_be_probabilities(np.full((4, 10), 0.12), step=0.5)


def test_one_hot_rows():
    assert is_one_hot(np.eye(4)[[0, 3, 1]])
    for rows in (np.zeros((2, 3)), np.ones((2, 2)), np.eye(3) * 0.9, np.ones((3, 1))):
        assert not is_one_hot(rows)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float32, bool])
def test_labels_become_rows(kind):
    rows = one_hot(np.array([1, 0, 1]).astype(kind), 3, what="labels")
    assert rows.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert is_one_hot(rows)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([0, 3], r"labels \[3\], the output has 3 classes: 0 … 2"),
        ([-1, 0], r"labels \[-1\]"),
        ([0.5, 1.0], "no whole number"),
        ([np.nan, 1.0], "no whole number"),
        (["a", "b"], "no whole number"),
    ],
)
def test_labels_that_are_none(labels, match):
    with pytest.raises(InvalidInput, match=match):
        one_hot(np.array(labels), 3, what="the truth")
