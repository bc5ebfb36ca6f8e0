import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from robust.errors import InvalidInput
from robust.models.conversion import as_model


def total(x):
    return x.sum(axis=1)


def test_a_callable_gives_float64_and_no_identity():
    model = as_model(total)
    outputs = model.forward(np.ones((2, 3), dtype=np.float32))
    assert outputs.tolist() == [3, 3]
    assert outputs.dtype == np.float64
    assert (model.name, model.framework, model.gradients, model.identity()) == (
        "total",
        "callable",
        None,
        None,
    )
    assert as_model(lambda x: [[1, 2]]).forward(np.ones(1)).tolist() == [[1, 2]]


def test_two_closures_are_never_taken_for_each_other():
    models = [as_model(lambda x, k=k: x * k) for k in (1, 2)]
    assert [model.identity() for model in models] == [None, None]


def test_a_model_passes_through_and_takes_what_is_said():
    model = as_model(total, batch_size=64)
    assert as_model(model) is model
    assert as_model(model, name=model.name, batch_size=64) is model
    said = as_model(model, name="n", task="classification", classes=["a", "b"], output="logits", batch_size=8)
    assert (said.name, said.task, said.classes, said.output, said.batch_size) == (
        "n",
        "classification",
        ("a", "b"),
        "logits",
        8,
    )
    assert as_model(model, output="logits").batch_size == 64


def test_gradients_of_a_callable_are_the_users():
    def slope(x, cotangent):
        outputs = total(x)[:, None]
        return outputs, np.repeat(cotangent(outputs), x.shape[1], axis=1)

    model = as_model(total, gradients=slope)
    assert model.gradients is slope
    assert as_model(as_model(total), gradients=slope).gradients is slope
    assert as_model(model).gradients is slope


def test_what_is_said_implies_the_rest():
    assert as_model(total, task="regression").output == "values"
    assert as_model(total, output="logits").task == "classification"
    assert as_model(total, classes=[0, 1]).task == "classification"
    assert as_model(total).task is None


def test_labels_become_python_types():
    assert as_model(total, classes=np.array([2, 1])).classes == (2, 1)
    assert as_model(total, classes=np.array(["b", "a"])).classes == ("b", "a")
    assert as_model(total, classes=np.array([False, True])).classes == (0, 1)
    assert {type(label) for label in as_model(total, classes=np.array([0.0, 1.0])).classes} == {int}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "clustering"}, "task must be one of 'classification', 'regression', 'multilabel', got 'clustering'"),
        ({"output": "scores"}, "output must be one of 'probabilities', 'logits', 'values', got 'scores'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, got 2.5"),
        ({"classes": "ab"}, r"classes must be a sequence of labels such as \[0, 1\]"),
        ({"classes": [1]}, "classes must be at least two labels"),
        ({"classes": [0.5, 1]}, "a class label must be a whole number or a text, got 0.5"),
        ({"classes": [1, 1]}, "classes must differ"),
        ({"task": "regression", "output": "logits"}, "regression model has output 'values'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InvalidInput, match=message):
        as_model(total, **options)


@pytest.mark.parametrize("thing", [3, None, [1, 2], np.ones(3), b"bytes", {"a": 1}])
def test_what_is_no_model_is_named(thing):
    with pytest.raises(InvalidInput, match=f"{type(thing).__name__} is no model: pass a torch module"):
        as_model(thing)


def test_a_class_is_not_its_instance():
    with pytest.raises(InvalidInput, match="LogisticRegression is a class, not a model"):
        as_model(LogisticRegression)
    with pytest.raises(InvalidInput, match="type is no model"):
        as_model(dict)


def test_a_path_is_loaded(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        as_model(tmp_path / "missing.onnx")
    with pytest.raises(InvalidInput, match="does not exist"):
        as_model(str(tmp_path / "missing.skops"))


def test_no_framework_is_imported_for_a_callable():
    import subprocess

    program = (
        "import sys; from robust.models.conversion import as_model; as_model(lambda x: x);"
        "print([name for name in ('torch', 'sklearn', 'onnxruntime', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
