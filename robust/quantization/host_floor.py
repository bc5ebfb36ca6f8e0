"""The noise floor of the host: what other threads, graph optimization or batches change in a degradation."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Evidence, Fact, Finding
from robust.measures.class_alignment import aligned
from robust.measures.details import sampled
from robust.measures.truth import Scored
from robust.measures.zero_reference import ROUNDING
from robust.models.base import Model
from robust.models.foreign_errors import PASSING, brief
from robust.models.host_facts import host_facts
from robust.models.host_settings import Setting, other_settings
from robust.predicting.calling import Caller, bind
from robust.predicting.predictions import interpret
from robust.predicting.settings import current_settings
from robust.quantization.yardsticks import Yardstick
from robust.types import FloatArray

#: Rows that are asked again at most.
ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFloor:
    """What other settings of the host change.

    Args:
        size: Largest change of the degradation itself, at least 0.
        rows: Rows that were asked again.
        settings: What was other, each by itself.
        at: Where the largest change was seen; empty where nothing changed.
        decisions: Decisions that changed at most, by model; empty where there are none.
        failed: Settings that could not be tried, and why.
    """

    size: float
    rows: int
    settings: tuple[str, ...]
    at: str
    decisions: tuple[tuple[str, int], ...]
    failed: tuple[str, ...] = ()

    def evidence(self) -> tuple[Evidence, ...]:
        """The floor in words, and a finding where decisions changed."""
        if not self.settings:
            why = f" ({'; '.join(self.failed)})" if self.failed else ""
            return (Fact(name="host floor", value=f"not measured: no other setting of the host could be tried{why}"),)
        tried = f"{', '.join(self.settings)} on {self.rows} rows"
        what = f"{self.size:.3g}, seen with {self.at}" if self.size else "0: nothing moves it"
        failed = f"; not tried: {'; '.join(self.failed)}" if self.failed else ""
        facts: list[Evidence] = [Fact(name="host floor", value=f"{what} (tried: {tried}{failed})")]
        for name, changed in self.decisions:
            if changed:
                facts.append(
                    Finding(
                        text=f"{name} changes up to {changed} of {self.rows} decisions with other settings of the "
                        f"host ({', '.join(self.settings)}): the degradation is known to ±{self.size:.3g} at best"
                    )
                )
        return tuple(facts)


def host_floor(yardstick: Yardstick, old: tuple[Model, Scored], new: tuple[Model, Scored], data: Dataset) -> HostFloor:
    """Ask both models again under other settings of the host, and see how far that moves the degradation.

    max over settings s of |D(s) − D|, where s holds for the reference, for the candidate, or for both

    Args:
        yardstick: By what they are compared.
        old: The reference and its answers, as they were scored.
        new: The candidate and its answers.
        data: The rows; at most 512 of them, evenly spaced, are asked again. Answers are kept by content and host.

    Returns:
        The floor; 0 with no settings where nothing can be other, as for plain callables.
    """
    keep = sampled(len(data), ROWS)
    rows = data if len(keep) == len(data) else data.rows(keep)
    failed: list[str] = []
    base = {"reference": _part(old[1], keep), "candidate": _part(new[1], keep)}
    again: dict[str, dict[str, Scored]] = {}
    for role, (model, scored) in (("reference", old), ("candidate", new)):
        again[role] = dict(_asked(yardstick, model, scored, rows, failed))
    try:
        first = _difference(yardstick, base["reference"], base["candidate"])
    except InvalidInput as error:  # the sampled rows lack a class, say
        return HostFloor(size=0.0, rows=len(rows), settings=(), at="", decisions=(), failed=(str(error),))
    size, at = 0.0, ""
    for name, reference, candidate in _pairs(base, again):
        try:
            moved = abs(_difference(yardstick, reference, candidate) - first)
        except InvalidInput as error:
            failed.append(f"{name}: {error}")
            continue
        if math.isfinite(moved) and moved > max(size, ROUNDING * max(1.0, abs(first))):
            size, at = moved, name
    decisions = tuple(
        (model.name, max((_changed(base[role], found) for found in again[role].values()), default=0))
        for role, (model, scored) in (("reference", old), ("candidate", new))
        if scored.predictions.task != "regression" and again[role]
    )
    return HostFloor(
        size=size,
        rows=len(rows),
        settings=tuple(dict.fromkeys(name for found in again.values() for name in found)),
        at=at,
        decisions=decisions,
        failed=tuple(dict.fromkeys(failed)),
    )


def _asked(
    yardstick: Yardstick, model: Model, scored: Scored, rows: Dataset, failed: list[str]
) -> Iterator[tuple[str, Scored]]:
    """Answers of one model under each other setting."""
    told = scored.predictions
    known = replace(
        model,
        task=told.task,
        output=None if told.kind == "labels" else told.kind,
        classes=told.classes or model.classes,
    )
    settings = other_settings(model)
    if not settings:
        return
    caller = bind(model, rows.schema)  # a live module is hashed for it, once
    for setting in settings:
        try:
            outputs = _outputs(caller, setting, rows)
            yield setting.name, yardstick.scored(interpret(known, outputs, rows.y), rows)
        except (InvalidInput, ModelFault) as error:
            failed.append(f"{model.name}, {setting.name}: {error}")


def _outputs(caller: Caller, setting: Setting, rows: Dataset) -> FloatArray:
    """Outputs under another setting, from the cache where this host was asked before."""
    cache = current_settings().cache
    key = caller.key("host floor", setting.name, repr(host_facts([caller.model])), rows.x)
    if key is not None and (kept := cache.get(key)) is not None:
        return kept
    try:
        other = setting.build()
    except PASSING:
        raise
    except Exception as error:
        raise ModelFault(f"cannot be run so: {brief(error)}") from error
    # It is not the model that its identity names.
    asked = Caller(model=other, schema=rows.schema, identity=None)
    outputs = asked.again(rows.x, size=other.fixed_batch or other.batch_size)
    if key is not None:
        cache.put(key, outputs)
    return outputs


def _pairs(
    base: Mapping[str, Scored], again: Mapping[str, Mapping[str, Scored]]
) -> Iterator[tuple[str, Scored, Scored]]:
    """Reference and candidate with each setting for one of them, and for both."""
    for name, found in again["candidate"].items():
        yield f"{name} for the candidate", base["reference"], found
    for name, found in again["reference"].items():
        yield f"{name} for the reference", found, base["candidate"]
        if name in again["candidate"]:
            yield f"{name} for both", found, again["candidate"][name]


def _part(scored: Scored, keep: FloatArray) -> Scored:
    """Some of the rows."""
    return Scored(
        truth=scored.truth[keep],
        prediction=scored.prediction[keep],
        predictions=replace(scored.predictions, outputs=scored.predictions.outputs[keep]),
    )


def _difference(yardstick: Yardstick, reference: Scored, candidate: Scored) -> float:
    """The degradation itself, without bounds."""
    old, new = (yardstick.value(yardstick.judged(part)) for part in aligned(reference, candidate))
    worse = old - new if yardstick.higher_is_better else new - old
    if not yardstick.relative:
        return worse
    return worse / abs(old) if old else math.nan


def _changed(before: Scored, after: Scored) -> int:
    """Rows whose decision is another."""
    changed = before.predictions.labels != after.predictions.labels
    return int(np.sum(changed if changed.ndim == 1 else changed.any(axis=1)))
