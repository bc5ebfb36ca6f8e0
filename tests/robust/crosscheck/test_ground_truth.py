"""What models and data say about classes."""

import numpy as np
import pytest

from robust.crosscheck.ground_truth import said_classifier, shared_classes, truth_of_outputs
from robust.crosscheck.samples import Samples
from robust.errors import InvalidInput
from robust.models.conversion import as_model
from robust.tensors.spec import TensorSpec


def model(**options):
    return as_model(lambda x: x, **options)


def samples(*truth):
    spec = TensorSpec(name="x", shape=(1,), dtype="float64")
    return Samples(
        inputs=(np.zeros((3, 1)),), specs=(spec,), truth=truth or None, notes=(), name="t.npz", fingerprint=""
    )


@pytest.mark.parametrize(
    ("said", "models", "outputs", "found"),
    [
        (True, [], 1, True),
        (False, [model(output="logits")], 1, False),
        (None, [model(output="logits"), model()], 1, True),
        (None, [model(classes=["a", "b"])], 1, True),
        (None, [model(task="classification")], 1, True),
        (None, [model(task="regression"), model()], 1, False),
        (None, [model(task="regression"), model(output="logits")], 1, None),
        (None, [model(), lambda x: x, None], 1, None),
        # What a model says is about one output: others may be boxes or states.
        (None, [model(output="logits")], 2, None),
        (True, [model(output="logits")], 2, True),
    ],
)
def test_who_says_that_it_is_a_classifier(said, models, outputs, found):
    assert said_classifier(said, models, outputs=outputs) is found


def test_classes_of_both_models():
    assert shared_classes([model(), None]) is None
    assert shared_classes([model(), model(classes=[3, 4])]) == (3, 4)
    assert shared_classes([model(classes=[3, 4]), model(classes=[3, 4])]) == (3, 4)
    with pytest.raises(InvalidInput, match=r"\[3, 4\], the candidate's for \[4, 3\]"):
        shared_classes([model(classes=[3, 4]), model(classes=[4, 3])])


def test_labels_become_columns_of_the_classes():
    named = [model(classes=[30, 10, 20])]
    (found,) = truth_of_outputs(samples(np.array([10, 20, 30])), [3], named)
    assert found.tolist() == [1, 2, 0]
    (same,) = truth_of_outputs(samples(np.array([2, 0, 1])), [3], [model()])
    assert same.tolist() == [2, 0, 1]
    with pytest.raises(InvalidInput, match="labels that the models does not know|does not know"):
        truth_of_outputs(samples(np.array([10, 20, 40])), [3], named)


def test_outputs_without_ground_truth():
    assert truth_of_outputs(samples(), [3, 4], []) == (None, None)
    found = truth_of_outputs(samples(np.zeros((3, 3)), None), [3, 4], [])
    assert found[1] is None
    with pytest.raises(InvalidInput, match="t.npz has ground truth for 1 outputs, the models have 2"):
        truth_of_outputs(samples(np.zeros((3, 3))), [3, 4], [])


def test_text_needs_classes():
    with pytest.raises(InvalidInput, match="declare classes"):
        truth_of_outputs(samples(np.array(["a", "b", "a"])), [2], [model()])
