"""Learns from the data's own rows what a model's answers look like."""

import numpy as np

from robust.errors import InvalidInput, ModelFault
from robust.fuzzing.asking import Answer, Asker, OutOfMemory
from robust.fuzzing.domain import Domain
from robust.fuzzing.expected import Expected, expected_of
from robust.models.base import Model
from robust.models.foreign_errors import brief

#: Rows of the data that are asked, at most together and at most one by one.
_LEARNED, _SINGLE = 256, 32


def learned(model: Model, asker: Asker, domain: Domain) -> Expected:
    """The yardstick, from the data's own rows, which the model must take.

    Raises:
        ModelFault: If it answers none of those that are tried.
    """
    rows = domain.pool[:_LEARNED]
    try:
        answers = [asker.ask(rows)]
    except OutOfMemory:
        answers = []
    if not any(_usable(answer) for answer in answers):
        answers = [asker.ask(rows[i : i + 1]) for i in range(min(len(rows), _SINGLE))]
    usable = [
        answer.outputs[np.isfinite(answer.outputs).all(axis=1)] for answer in answers if answer.outputs is not None
    ]
    usable = [outputs for outputs in usable if len(outputs)]
    if usable:
        return expected_of(model, np.concatenate(usable))
    answer = answers[-1]
    if isinstance(answer.error, InvalidInput):
        raise InvalidInput(f"{model.name}: {answer.error}") from answer.error
    told = (
        f"raises {brief(answer.error)}" if answer.error is not None else answer.misshapen or "gives no finite outputs"
    )
    raise ModelFault(
        f"{model.name} {told} on the rows of the data themselves, each of {len(answers)} that were tried: a fuzz needs "
        "rows that the model takes (and one input; a model of several needs a wrapper that takes one)"
    ) from answer.error


def _usable(answer: Answer) -> bool:
    outputs = answer.outputs
    return outputs is not None and bool(np.isfinite(outputs).all(axis=1).any())
