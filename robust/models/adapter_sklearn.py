"""A fitted scikit-learn estimator or pipeline as a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.models.base import Gradients, Label, Model
from robust.models.linear_gradients import linear_gradients
from robust.models.object_hash import object_hash
from robust.models.options import Options, read_labels, refuse_reordered
from robust.models.perceptron_gradients import perceptron_gradients
from robust.models.sklearn_labels import is_multilabel, label_columns, label_scores
from robust.types import AnyArray, FloatArray, Output, Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SklearnAdapter:
    """A fitted estimator, asked through one of its methods.

    Args:
        estimator: The estimator or pipeline.
        method: `predict_proba`, `decision_function` or `predict`.
        codes: For a classifier that only predicts labels: the labels, so that its vote becomes a column of
            ones.
        seen: For a classifier of several labels a row: the values of each that were seen in training.
    """

    estimator: Any
    method: str
    codes: AnyArray | None = None
    seen: tuple[AnyArray, ...] | None = None

    def forward(self, x: Any) -> FloatArray:
        """Outputs of one batch, an array or a DataFrame."""
        outputs = getattr(self.estimator, self.method)(x)
        if self.codes is not None:
            return np.asarray(np.asarray(outputs)[:, None] == self.codes, dtype=np.float64)
        if self.seen is not None and self.method == "predict_proba":
            return label_scores(outputs, self.seen)
        outputs = np.asarray(outputs, dtype=np.float64)
        if self.method == "decision_function" and outputs.ndim == 1:
            return np.stack([np.zeros_like(outputs), outputs], axis=1)  # a margin z is the logits (0, z)
        return outputs

    def identity(self) -> str | None:
        """Content hash of the fitted estimator as it is now."""
        return object_hash((self.method, self.estimator), plain=_plain)

    def weights(self) -> str | None:
        """Content hash of the fitted estimator: its numbers cannot be told from its options."""
        return self.identity()


def sklearn_model(estimator: Any, options: Options) -> Model:
    """Wrap a fitted estimator or pipeline.

    A classifier gives probabilities if it can, else decision values as logits (a binary margin z becomes the
    columns 0 and z), else its vote as probabilities 0 and 1; anything else gives `predict`. A classifier fitted on an
    indicator matrix is a multi-label model: the probability or decision value of each label, else its zeros and ones.

    Args:
        estimator: Fitted, with `predict`.
        options: What the user said about it; `output` chooses between probabilities and logits.

    Raises:
        InvalidInput: If it is not fitted, cannot predict, cannot do what the options say, or predicts several outputs
            of more than two classes.
    """
    name = _name(estimator)
    _require_fitted(estimator, name)
    found: Any = getattr(estimator, "classes_", None)
    task: Task | None = "classification" if _is(estimator, "is_classifier") else None
    if _is(estimator, "is_regressor"):
        task = "regression"
    seen: tuple[AnyArray, ...] | None = None
    if task == "classification" and is_multilabel(estimator):
        task, seen = "multilabel", label_columns(estimator, name)
    # Probabilities, logits and names of columns suit labels as well as classes: only a task that was said can differ.
    wanted = options.task if task == "multilabel" else options.known_task
    if wanted not in (None, task):
        raise InvalidInput(f"{name} is a {_kind(task)}, and cannot be used for {wanted}")
    method, output = _method(estimator, task, options.output, name)
    classes: tuple[Label, ...] | None = None
    if task == "classification":
        if not isinstance(found, np.ndarray) or found.ndim != 1:
            raise InvalidInput(f"{name} is a classifier without classes_: pass a function that gives its probabilities")
        classes = _classes(found, options.classes, name)
    elif seen is not None and options.classes is not None:
        if len(options.classes) != len(seen):
            raise InvalidInput(f"{name} was fitted on {len(seen)} labels, got {len(options.classes)} names of them")
        classes = options.classes
    adapter = SklearnAdapter(
        estimator=estimator,
        method=method,
        codes=found if task == "classification" and method == "predict" else None,
        seen=seen,
    )
    columns = getattr(estimator, "feature_names_in_", None)
    return Model(
        name=options.name or name,
        framework="sklearn",
        forward=adapter.forward,
        task=task,
        output=output,
        classes=classes,
        batch_size=options.rows,
        columns=None if columns is None else tuple(str(column) for column in columns),
        gradients=None if seen is not None else _gradients(estimator, method, columns),
        identity=adapter.identity,
        weights=adapter.weights,
    )


def _gradients(estimator: Any, method: str, columns: AnyArray | None) -> Gradients | None:
    """In closed form where the model is linear or a perceptron."""
    linear = linear_gradients(estimator, method=method, columns=columns)
    return linear or perceptron_gradients(estimator, method=method, columns=columns)


def _method(estimator: Any, task: Task | None, wanted: Output | None, name: str) -> tuple[str, Output | None]:
    """The method that gives the outputs, and what they are; None for the zeros and ones of several labels."""
    if task not in ("classification", "multilabel"):
        if wanted not in (None, "values"):
            raise InvalidInput(f"{name} is a {_kind(task)}: its outputs are values, not {wanted}")
        return "predict", "values"
    ways: dict[Output, str] = {"probabilities": "predict_proba", "logits": "decision_function"}
    offered: list[Output] = [output for output, method in ways.items() if hasattr(estimator, method)]
    if wanted is None and not offered and task == "multilabel":
        return "predict", None
    if wanted is None:
        wanted = offered[0] if offered else "probabilities"
        return (ways[wanted] if offered else "predict"), wanted
    if wanted not in offered:
        raise InvalidInput(f"{name} gives no {wanted}; it gives {' and '.join(offered) or 'class labels alone'}")
    return ways[wanted], wanted


def _classes(found: AnyArray, said: tuple[Label, ...] | None, name: str) -> tuple[Label, ...]:
    """Labels of the columns: the estimator's own, or as many new names."""
    own = read_labels(found.tolist())
    if said is not None and len(said) != len(own):
        raise InvalidInput(f"{name} was fitted on {len(own)} classes {list(own)}, got {len(said)}: {list(said)}")
    refuse_reordered(name, own, said)
    return own if said is None else said


def _require_fitted(estimator: Any, name: str) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, type):
        raise InvalidInput(f"{estimator.__name__} is a class, not a model: pass a fitted {estimator.__name__}()")
    if not hasattr(estimator, "predict"):
        raise InvalidInput(f"{name} cannot predict: pass an estimator or a pipeline that ends in one")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InvalidInput(f"{name} is not fitted: call fit(x, y) before it is judged") from error


def _is(estimator: Any, question: str) -> bool:
    """scikit-learn's own answer to `is_classifier` or `is_regressor`."""
    from sklearn import base

    ask: Callable[[Any], bool] = getattr(base, question)
    return bool(ask(estimator))


def _plain(value: object) -> object:
    """A nearest-neighbour tree without its counters, which each prediction moves."""
    if type(value).__module__ in ("sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree"):
        state = value.__getstate__()
        if isinstance(state, tuple):
            return ("neighbours", type(value).__name__, *state[:5])
    return value


def _kind(task: Task | None) -> str:
    names: dict[Task | None, str] = {
        "classification": "classifier",
        "multilabel": "classifier of several labels a row",
        "regression": "regressor",
        None: "model that is no classifier",
    }
    return names[task]


def _name(estimator: Any) -> str:
    """Class name; a pipeline is named by its last step."""
    steps = getattr(estimator, "steps", None)
    return type(estimator).__name__ if not steps else f"Pipeline({type(steps[-1][1]).__name__})"
