"""Advice: each rule speaks where its number calls for it, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from robust import Measurement
from robust.filesets.advising import advice
from robust.filesets.quantized_comparison import ModelComparison
from robust.measures.class_table import ClassTable


def measured(value, lower=None, upper=None, name="accuracy"):
    return Measurement(
        name=name,
        value=value,
        lower=value if lower is None else lower,
        upper=value if upper is None else upper,
        n=100,
        method="clopper-pearson",
    )


def table_of(counts, names=("a", "b", "c")):
    counts = np.asarray(counts)
    return ClassTable(
        names=tuple(names[: len(counts)]),
        hits=np.diag(counts),
        predicted=counts.sum(axis=0),
        actual=counts.sum(axis=1),
        rows=int(counts.sum()),
        right=int(np.trace(counts)),
        multilabel=False,
    )


def test_a_good_model_needs_no_advice():
    counts = np.diag([100, 100, 100])
    assert advice(accuracy=measured(1.0), table=table_of(counts), counts=counts, drop=measured(0.0, -0.01, 0.01)) == ()


def test_low_accuracy_names_its_number_and_depends_on_the_training_rows():
    first, second = advice(accuracy=measured(0.8123))
    assert "0.8123" in first
    assert "quality of the data set" in first
    assert "larger model" in second
    assert "does not generalise" in advice(accuracy=measured(0.8), train_accuracy=0.99)[1]
    assert "fits neither" in advice(accuracy=measured(0.8), train_accuracy=0.7)[1]


def test_a_weak_class_names_what_it_is_taken_for_and_its_balance():
    counts = np.array([[100, 0, 0], [2, 98, 0], [0, 6, 4]])
    (text,) = advice(accuracy=measured(0.95), table=table_of(counts), counts=counts)
    assert text.startswith("Class c is weak, F1 0.5714 and recall 0.4000 of 10 rows")
    assert "balance the classes, it has 10 rows where classes have 70 on average" in text
    assert "6 of its 6 mistakes are taken for b: see how alike the two are." in text
    assert "?." not in text
    assert "error samples" in text


def test_a_class_below_the_others_by_more_than_chance_is_weak_although_its_f1_is_high():
    counts = np.array([[1000, 0], [100, 900]])
    (text,) = advice(accuracy=measured(0.95), table=table_of(counts), counts=counts)
    assert text.startswith("Class b is weak, F1 0.9474")
    assert "not few" in text


def test_many_weak_classes_are_counted():
    counts = np.ones((8, 8), dtype=int)
    found = advice(table=table_of(counts, tuple("abcdefgh")), counts=counts)
    assert len(found) == 6
    assert found[-1].startswith("3 more classes are weak")


@pytest.mark.parametrize(
    ("drop", "speaks"),
    [
        (measured(0.02, -0.01, 0.05), True),
        (measured(0.004, 0.001, 0.008), True),
        (measured(0.004, -0.001, 0.008), False),
        (measured(-0.02, -0.03, -0.01), False),
    ],
)
def test_a_drop_calls_for_advice_where_it_is_large_or_proved(drop, speaks):
    found = advice(drop=drop)
    assert len(found) == (3 if speaks else 0)
    if speaks:
        assert "QAT" in found[0]
        assert "calibrate" in found[1]
        assert "higher precision" in found[2]
        assert f"{100 * drop.value:.2f} percentage points" in found[0]


def test_the_block_of_the_worked_example():
    found = ModelComparison(
        accuracies=(measured(0.992), measured(0.988)),
        f1s=(measured(0.992, name="f1"), measured(0.988, name="f1")),
        degradation=measured(0.992 - 0.988, -0.01, 0.02, name="degradation"),
        coverages=(0.0, 0.98),
    )
    # Indentation apart, the printed block: percentage points, not the relative drop, which would be 0.403 %.
    assert [line.strip() for line in found.text.splitlines()] == [
        "Float32 Model:",
        "Accuracy: 99.2%",
        "F1-Score: 0.992",
        "INT8 Quantized Model:",
        "Accuracy: 98.8%",
        "F1-Score: 0.988",
        "Degradation: 0.4%",
    ]
    better = replace(found, degradation=measured(-0.0001, -0.01, 0.01, name="degradation"))
    assert better.text.endswith("Degradation: 0.0%")


@pytest.mark.parametrize(
    ("coverages", "titles"),
    [
        ((0.0, 1.0), ("Float32 Model:", "INT8 Quantized Model:")),
        ((0.0, 0.001), ("Float32 Model:", "INT8 Quantized Model:")),
        ((0.0, 0.0), ("Float32 Model:", "Candidate Model (no quantized weights):")),
        ((None, None), ("Float Model:", "Candidate Model:")),
        ((0.5, None), ("Float Model (50% quantized weights):", "Candidate Model:")),
    ],
)
def test_models_are_called_what_they_are_known_to_be(coverages, titles):
    found = ModelComparison(
        accuracies=(measured(0.9), measured(0.8)),
        f1s=(measured(0.9, name="f1"), measured(0.8, name="f1")),
        degradation=measured(0.1, 0.0, 0.2, name="degradation"),
        coverages=coverages,
    )
    lines = found.text.splitlines()
    assert (lines[0], lines[3]) == titles
