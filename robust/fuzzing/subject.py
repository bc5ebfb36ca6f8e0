"""A model as it is called by whoever deploys it: below what this package does to be kind to it.

Elsewhere a torch module is called on batches that are filled up to 32 rows, all models get private rows in one piece
and of the right type: that makes measurements repeat, and would hide here what is looked for.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from robust.data.schema import FeatureSchema
from robust.fuzzing.batch_forms import LAYOUTS, Layout
from robust.models.base import Model
from robust.predicting.calling import bind
from robust.types import AnyArray, BoolArray

#: How Python code says no: what else it raises (IndexError, KeyError, ZeroDivisionError, …) is an accident.
REFUSALS: tuple[type[BaseException], ...] = (ValueError, TypeError, ArithmeticError, NotImplementedError)


class KillsProcess(Exception):
    """A batch that the model was not given, since a process of its own died of it; never a way to say no."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What one call gave.

    Args:
        outputs: As the model gave them.
        seconds: Inside the model.
        changed: Whether the model changed its input in a way that the memory it was given does not show.
    """

    outputs: object
    seconds: float
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A model under test.

    Args:
        model: What it is, and what it declares.
        native: Rows (b, *row shape) of the data as the model's user would hand them over: its own number type.
        ask: One call on exactly these rows.
        own: Number type that `native` gives; None where rows become something else, such as a DataFrame.
        typed: Whether the framework itself refuses other number types.
        refusals: Exceptions by which it says no.
        layouts: Layouts of memory that reach the model as they are.
        exact: Whether calls reach the model as they are; else they are made as elsewhere in this package.
        labelled: Features whose labels the model gets in place of their codes (d,).
        during: Entered around many calls: what would else be done for each.
        before: Shown each batch before `ask`, outside its time; raises `KillsProcess` for what must not be asked.
    """

    model: Model
    native: Callable[[AnyArray], AnyArray]
    ask: Callable[[AnyArray], Asked]
    own: str | None
    typed: bool
    refusals: tuple[type[BaseException], ...]
    layouts: frozenset[Layout]
    exact: bool
    labelled: BoolArray
    during: Callable[[], AbstractContextManager[None]] = nullcontext
    before: Callable[[AnyArray], None] | None = None

    @property
    def name(self) -> str:
        """Of the model."""
        return self.model.name

    def refuses(self, error: BaseException) -> bool:
        """Whether an exception is a clear refusal."""
        return isinstance(error, self.refusals) or type(error).__module__.partition(".")[0] == "onnxruntime"


def subject_of(model: Model, schema: FeatureSchema, dtype: "np.dtype[np.generic]") -> Subject:
    """Find the call that a model is deployed with.

    Args:
        model: The model.
        schema: Of the rows.
        dtype: Number type of the rows.
    """
    owner = getattr(model.forward, "__self__", None)
    if model.framework == "torch" and owner is not None:
        from robust.fuzzing.subject_torch import torch_subject

        if (found := torch_subject(model, owner, schema)) is not None:
            return found
    if model.framework == "onnx" and owner is not None:
        from robust.fuzzing.subject_onnx import onnx_subject

        if (found := onnx_subject(model, owner, schema)) is not None:
            return found
    return _plain_subject(model, schema, dtype)


def _plain_subject(model: Model, schema: FeatureSchema, dtype: "np.dtype[np.generic]") -> Subject:
    """A function, an estimator, or a model whose own call is not known."""
    frame = model.columns is not None
    known = model.framework in ("callable", "sklearn")
    caller = bind(model, schema) if frame else None

    def ask(rows: AnyArray) -> Asked:
        given: Any = rows if caller is None else caller.decoded(rows)
        kept = None if caller is None else given.copy()
        start = perf_counter()
        outputs = model.forward(given)
        seconds = perf_counter() - start
        return Asked(outputs=outputs, seconds=seconds, changed=kept is not None and not given.equals(kept))

    labelled = np.zeros(schema.width, dtype=bool)
    if frame:
        labelled[[j for j, _ in schema.categories]] = True
    return Subject(
        model=model,
        native=np.ascontiguousarray,
        ask=ask,
        own=str(dtype) if known and not frame else None,
        typed=not known,
        refusals=REFUSALS if known else (*REFUSALS, RuntimeError, IndexError),
        layouts=frozenset(LAYOUTS) if known and not frame else frozenset(),
        exact=known,
        labelled=labelled,
    )
