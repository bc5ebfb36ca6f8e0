"""The vocabulary of the checks catalogue: a check is a measure that the audit can run by itself.

A module that defines a measure ends with `CHECKS = (Check(…),)`; the audit finds it there. Nothing is registered.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from robust.data.dataset import Dataset
from robust.measurement import Measurement
from robust.models.base import Label, Model
from robust.types import Purpose

Need: TypeAlias = Literal[
    "reference",
    "train",
    "validation",
    "normal",
    "targets",
    "gradients",
    "surrogate",
    "order",
    "unused",
    "layers",
    "bits",
    "layer pair",
    "metadata",
    "classification",
    "regression",
    "multilabel",
    "anomaly",
]

_TASKS: dict[Purpose, str] = {
    "classification": "classifiers",
    "multilabel": "multi-label models",
    "regression": "regression models",
    "anomaly": "anomaly detectors",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What an audit is about.

    Args:
        model: The model under test.
        task: What it does, settled from the model and its predictions, or `anomaly` where normal rows are given.
        test: Rows that it is judged on.
        reference: What it is compared with, or None.
        surrogate: A differentiable twin from which attacks are transferred, or None.
        train: Training rows, or None.
        validation: Rows on which thresholds of a classifier are chosen, or None.
        normal: Held-out normal rows, on which the threshold of an anomaly detector is chosen, or None.
        anomalous: Labels that mean an anomaly.
        level: Confidence of each bound.
        seed: Seed of every check.
        absent: What was named but could not be loaded for want of an optional dependency: role and reason.
    """

    model: Model
    task: Purpose
    test: Dataset
    reference: Model | None = None
    surrogate: Model | None = None
    train: Dataset | None = None
    validation: Dataset | None = None
    normal: Dataset | None = None
    anomalous: tuple[Label, ...] = (1,)
    level: float = 0.95
    seed: int = 0
    absent: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One entry of the catalogue.

    Args:
        code: e.g. `RES003`: family and number.
        name: Name of the measure, which is also the gate's name in a config, e.g. `residual_autocorrelation`.
        title: A few words for a table.
        measure: The public measure function; its docstring says what it measures.
        run: Measures a subject with options; gives one measurement, or several for a check that reports a list.
        options: A frozen dataclass (all fields with defaults) of what a gate may set, e.g. `eps`.
        needs: Inputs without which the check does not apply, and the tasks that it is for (all, where none is named).
        reach: Smallest and largest value of an estimate, where they are known before anything is measured: a gate
            beyond them is refused at the start.
        by_request: Whether it runs only where a gate asks for it: a figure that differs from run to run, or one that
            is undefined on much honest data.
        why: Why it matters, in a sentence or two.
        remedy: What to do about a bad answer, in a sentence or two.
    """

    code: str
    name: str
    title: str
    measure: Callable[..., Any]
    run: Callable[[Subject, Any], "Measurement | Iterable[Measurement]"]
    why: str
    remedy: str
    options: type | None = None
    needs: frozenset[Need] = frozenset()
    reach: tuple[float, float] | None = None
    by_request: bool = False

    @property
    def tasks(self) -> tuple[Purpose, ...]:
        """The tasks that it is for; none where it is for all."""
        return tuple(task for task in _TASKS if task in self.needs)

    @property
    def audience(self) -> str:
        """Whom it is for, in words: `classifiers and regression models`; empty where it is for all."""
        return " and ".join(_TASKS[task] for task in self.tasks)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Inputs without which it does not apply."""
        return tuple(sorted(need for need in self.needs if need not in _TASKS))
