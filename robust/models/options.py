"""What a user says about a model: read and checked once, at the public edge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import get_args

import numpy as np

from robust.errors import InvalidInput
from robust.models.base import Label, Model
from robust.types import Output, Task

DEFAULT_BATCH = 256
_TASKS: Mapping[str | None, Task | None] = {None: None} | {name: name for name in get_args(Task)}
_OUTPUTS: Mapping[str | None, Output | None] = {None: None} | {name: name for name in get_args(Output)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was said about a model; None where nothing was said.

    Args:
        name: Shown in reports.
        task: `classification` or `regression`.
        classes: Labels behind the outputs' columns.
        output: What the outputs are.
        batch_size: Rows a call at most.
    """

    name: str | None = None
    task: Task | None = None
    classes: tuple[Label, ...] | None = None
    output: Output | None = None
    batch_size: int | None = None

    @property
    def known_task(self) -> Task | None:
        """The task as said, or as the outputs give it away: probabilities and logits belong to classes."""
        if self.task is None and (self.output in ("probabilities", "logits") or self.classes is not None):
            return "classification"
        return self.task

    @property
    def known_output(self) -> Output | None:
        """The kind of output as said, or as the task gives it away."""
        return "values" if self.output is None and self.task == "regression" else self.output

    @property
    def rows(self) -> int:
        """Rows a call at most."""
        return DEFAULT_BATCH if self.batch_size is None else self.batch_size


def read_options(
    *,
    name: str | None,
    task: str | None,
    classes: Sequence[object] | None,
    output: str | None,
    batch_size: object,
) -> Options:
    """Check what a user says about a model.

    Raises:
        InvalidInput: On an unknown task or output, on classes that are no labels, on a batch size below 1.
    """
    if batch_size is not None and (
        isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1
    ):
        raise InvalidInput(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    return Options(
        name=name,
        task=_TASKS[_known("task", task, _TASKS)],
        classes=None if classes is None else read_labels(classes),
        output=_OUTPUTS[_known("output", output, _OUTPUTS)],
        batch_size=None if batch_size is None else int(batch_size),
    )


def read_labels(classes: Sequence[object]) -> tuple[Label, ...]:
    """Class labels as Python ints and strings.

    Raises:
        InvalidInput: If there are fewer than two, or one is neither a whole number nor a text.
    """
    if isinstance(classes, (str, bytes)) or not hasattr(classes, "__len__"):
        raise InvalidInput(f"classes must be a sequence of labels such as [0, 1] or ['cat', 'dog'], got {classes!r}")
    found = tuple(_label(item) for item in classes)
    if len(found) < 2:
        raise InvalidInput(f"classes must be at least two labels, got {list(found)}")
    return found


def refuse_reordered(name: str, own: Sequence[Label], said: Sequence[Label] | None) -> None:
    """Refuse the labels that an estimator was fitted on in another order than its own, which its outputs have.

    Raises:
        InvalidInput: If they are a permutation; new names, which are not, are welcome.
    """
    ours, theirs = [str(label) for label in own], [str(label) for label in said or own]
    if ours != theirs and sorted(ours) == sorted(theirs):
        raise InvalidInput(
            f"{name} was fitted on the classes {list(own)}, which is the order of its outputs; "
            f"classes={list(said or ())} would take one for another: leave classes out"
        )


def override(model: Model, options: Options) -> Model:
    """The model with what was said about it; the very same object where nothing was said.

    Raises:
        InvalidInput: If the outputs of a scikit-learn model are renamed (which method makes them is settled
            already), or its classes reordered.
    """
    if model.framework == "sklearn" and model.classes is not None:
        refuse_reordered(model.name, model.classes, options.classes)
    if options.output not in (None, model.output) and model.framework == "sklearn":
        raise InvalidInput(
            f"the outputs of {model.name} are {model.output}, not {options.output}: "
            f"convert the estimator itself with as_model(estimator, output={options.output!r})"
        )
    said = {
        "name": options.name,
        # Names of columns, or what they are, make no single label of several.
        "task": options.task if model.task == "multilabel" else options.known_task,
        "classes": options.classes,
        "output": options.known_output,
        "batch_size": options.batch_size,
    }
    changes = {key: value for key, value in said.items() if value is not None and value != getattr(model, key)}
    return replace(model, **changes) if changes else model  # type: ignore[arg-type]


def _known(option: str, value: str | None, known: Mapping[str | None, object]) -> str | None:
    if value not in known:
        names = ", ".join(repr(name) for name in known if name is not None)
        raise InvalidInput(f"{option} must be one of {names}, got {value!r}")
    return value


def _label(item: object) -> Label:
    """A label as Python's own type: numpy's would not survive JSON."""
    if isinstance(item, str):
        return str(item)
    if isinstance(item, (Integral, np.bool_)):
        return int(item)
    if isinstance(item, float) and item.is_integer():
        return int(item)
    raise InvalidInput(f"a class label must be a whole number or a text, got {item!r}")
