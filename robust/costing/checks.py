"""The cost checks of the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from robust.check import Check, Subject
from robust.costing.timing import latency
from robust.costing.whole_model import ModelCost, cost
from robust.measurement import Measurement

_REMEDY = (
    "Look at the layers with the largest share: fewer channels or a smaller input there, depthwise or low-rank layers, "
    "8-bit weights and activations; where operators are listed as uncounted, count them by hand or export without them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """What a gate on the latency may set.

    Args:
        batch_size: Rows a call; 0 for 1, or the file's own fixed batch.
        runs: Timed calls.
        warmup: Calls before them.
    """

    batch_size: int = 0
    runs: int = 30
    warmup: int = 3


@lru_cache(maxsize=1)
def _counted(subject: Subject) -> ModelCost:
    """All figures of a subject: an audit asks for them one by one, and a count runs the model."""
    return cost(subject.model, data=subject.test)


def _figure(name: str) -> Callable[[Subject, object], Measurement]:
    def run(subject: Subject, _options: object) -> Measurement:
        found: Measurement = getattr(_counted(subject), name)
        return found

    return run


def _latency(subject: Subject, options: LatencyOptions) -> Measurement:
    size = options.batch_size or subject.model.fixed_batch or 1
    return latency(
        subject.model, subject.test, batch_size=size, runs=options.runs, warmup=options.warmup, level=subject.level
    )


def _check(code: str, name: str, title: str, why: str) -> Check:
    return Check(
        code=code,
        name=name,
        title=title,
        measure=cost,
        run=_figure(name),
        needs=frozenset({"layers"}),
        why=why,
        remedy=_REMEDY,
    )


CHECKS = (
    _check(
        "MET021",
        "macc",
        "multiply-accumulates",
        "Work of one inference, the same on every device; it says how two models compare, not how long one takes.",
    ),
    _check(
        "MET022", "parameters", "parameters", "Weights and biases: what training had to settle, and what is stored."
    ),
    _check(
        "MET023",
        "rom",
        "weights in memory",
        "Weights and constants at their stored width must fit the flash of the device, beside everything else in it.",
    ),
    _check(
        "MET024",
        "ram",
        "activations in memory",
        "The fullest step of a run decides how much working memory a device needs, however small the model is.",
    ),
    Check(
        code="MET025",
        name="latency",
        title="latency on this host",
        measure=latency,
        run=_latency,
        options=LatencyOptions,
        by_request=True,
        why="A model that answers too late is wrong, however accurate; times hold for this host alone.",
        remedy=(
            "Look at the longest layers; fix the number of threads and keep other work off the host before comparing; "
            "measure on the target device before deciding."
        ),
    ),
)
