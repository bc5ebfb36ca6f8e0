"""Runs the checks that apply and gathers the record."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from robust import __version__
from robust.auditing.applicability import lacking
from robust.auditing.gates import GateSpec, build_options
from robust.auditing.host import describe_host
from robust.auditing.keeping import Results, Store, noise_key, result_key
from robust.auditing.noise import host_noise
from robust.auditing.outcome import exit_code
from robust.check import Check, Subject
from robust.data.dataset import Dataset
from robust.errors import Inapplicable, InvalidInput, MissingExtra, ModelFault
from robust.measurement import Measurement
from robust.models.base import Model
from robust.predicting.cache import ArrayCache
from robust.predicting.settings import Settings, using
from robust.record.codec import bounded, gate, measurement
from robust.record.shape import VERSION, DataInfo, Entry, Host, ModelInfo, Noise, Record, Skipped, Times
from robust.verdict import decide_by


class Progress(Protocol):
    """Told what the audit is doing."""

    def begin(self, total: int) -> None:
        """So many checks will run."""
        ...

    def check(self, code: str, title: str) -> None:
        """A check starts."""
        ...

    def done(self) -> None:
        """The check has ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An audit to run.

    Args:
        subject: Models and data.
        checks: The catalogue.
        gates: Gates; a check that has one runs once a gate, with the gate's options.
        title: Title of the report.
        folder: Working folder for the cache; None keeps nothing.
        shards: Pieces that predictions are cut into.
        require_gates: Whether an audit in which no gate was evaluated is an error.
    """

    subject: Subject
    checks: tuple[Check, ...]
    gates: tuple[GateSpec, ...] = ()
    title: str = "Audit"
    folder: Path | None = None
    shards: int = 1
    require_gates: bool = False


@dataclass(slots=True)
class _Ledger:
    """What has been gathered so far."""

    entries: list[Entry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    seconds: list[tuple[str, float]] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    interrupted: bool = False
    refused: bool = False


def run_audit(plan: Plan, progress: Progress, *, stopped: Callable[[], bool] = lambda: False) -> Record:
    """Run an audit.

    Every result is kept as soon as it stands. On Ctrl-C the record holds what was measured until then and says so.

    Args:
        plan: What to run.
        progress: Told what is going on.
        stopped: Whether Ctrl-C was pressed, though a model's own code may have swallowed it.

    Returns:
        The record.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    subject, host, ledger = plan.subject, describe_host(), _Ledger()
    store = Store(None if plan.folder is None else plan.folder / "results")
    arrays = ArrayCache(None if plan.folder is None else plan.folder / "cache")
    jobs = _jobs(plan, ledger)
    infos: list[ModelInfo] = []
    ran = 0
    with using(Settings(cache=arrays, shards=plan.shards)):
        try:
            progress.begin(len(jobs))
            infos = _model_infos(subject, store, host)
            for check, spec, options in jobs:
                _heed(stopped)
                progress.check(check.code, check.title)
                before = time.perf_counter()
                _run_one(check, spec, options, subject, store, host, ledger)
                ledger.seconds.append((spec.name if spec else check.name, time.perf_counter() - before))
                ran += 1
                progress.done()
            _heed(stopped)
        except KeyboardInterrupt:
            ledger.interrupted = True
            ledger.skipped += [
                _not_run(check, spec, "interrupted before it was measured") for check, spec, _ in jobs[ran:]
            ]
    return Record(
        version=VERSION,
        robust=__version__,
        title=plan.title,
        task=subject.task,
        level=subject.level,
        seed=subject.seed,
        decide=decide_by.get(),
        models=tuple(infos),
        data=_data_infos(subject),
        entries=tuple(ledger.entries),
        skipped=tuple(ledger.skipped),
        host=host,
        exit_code=exit_code(
            ledger.entries,
            ledger.skipped,
            gated=bool(plan.gates) or plan.require_gates,
            interrupted=ledger.interrupted,
            refused=ledger.refused,
        ),
        interrupted=ledger.interrupted,
        times=Times(
            started=started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 3),
            checks=tuple((name, round(seconds, 3)) for name, seconds in ledger.seconds),
            from_cache=tuple(ledger.cached),
        ),
    )


def _heed(stopped: Callable[[], bool]) -> None:
    """Stop where Ctrl-C was pressed, also if it was swallowed."""
    if stopped():
        raise KeyboardInterrupt


def _jobs(plan: Plan, ledger: _Ledger) -> list[tuple[Check, GateSpec | None, Any]]:
    """What will run: each check once, or once a gate; those that lack an input are listed as not run."""
    jobs: list[tuple[Check, GateSpec | None, Any]] = []
    for check in plan.checks:
        specs = [spec for spec in plan.gates if spec.check is check]
        missing = lacking(check, plan.subject)
        if missing is None and check.by_request and not specs:
            missing = "runs only where a gate asks for it"
        if missing is not None:
            gated: list[GateSpec | None] = [*specs] or [None]
            ledger.skipped += [_not_run(check, spec, missing) for spec in gated]
        elif specs:
            jobs += [(check, spec, spec.options) for spec in specs]
        else:
            jobs.append((check, None, build_options(check, {}, gate=check.name)))
    return jobs


def _run_one(
    check: Check, spec: GateSpec | None, options: Any, subject: Subject, store: Store, host: Host, ledger: _Ledger
) -> None:
    """Measure, or take what was measured before; then judge."""
    key = result_key(check, options, subject, host)
    name = spec.name if spec else check.name
    results = store.get(key, Results)
    if results is None:
        try:
            found = check.run(subject, options)
            # Inside: a check may give its measurements one by one, and fail at any of them.
            measured: Sequence[Measurement] = [found] if isinstance(found, Measurement) else list(found)
        except (InvalidInput, MissingExtra, ModelFault) as error:
            failed = not isinstance(error, Inapplicable)
            ledger.skipped.append(_not_run(check, spec, str(error), failed=failed))
            return
        if not measured:
            ledger.skipped.append(_not_run(check, spec, "it gave no measurement", failed=True))
            return
        results = tuple(bounded(m) for m in measured)
        store.put(key, results)
    else:
        ledger.cached.append(name)
    for i, result in enumerate(results):
        judged = None
        if spec is not None and i == 0:
            try:
                judged = gate(spec.name, spec.judge(measurement(result)))
            except InvalidInput as error:
                ledger.refused = True
                ledger.skipped.append(_not_run(check, spec, str(error), failed=True))
        ledger.entries.append(Entry(code=check.code, name=name, title=check.title, measurement=result, gate=judged))


def _not_run(check: Check, spec: GateSpec | None, reason: str, *, failed: bool = False) -> Skipped:
    """A check, or a gate on it, that gave no answer."""
    name = spec.name if spec else check.name
    return Skipped(code=check.code, name=name, title=check.title, reason=reason, failed=failed, gated=spec is not None)


def _model_infos(subject: Subject, store: Store, host: Host) -> list[ModelInfo]:
    """The models that take part, with their noise on this host."""
    infos = []
    for role, model in (
        ("candidate", subject.model),
        ("reference", subject.reference),
        ("surrogate", subject.surrogate),
    ):
        if model is None:
            continue
        key = noise_key(model, subject, host)
        noise = store.get(key, Noise)
        if noise is None:
            with suppress(InvalidInput, ModelFault):  # the checks that need this model will say why
                noise = host_noise(model, subject.test)
                store.put(key, noise)
        infos.append(_model_info(role, model, noise))
    return infos


def _model_info(role: Any, model: Model, noise: Noise | None) -> ModelInfo:
    return ModelInfo(role=role, name=model.name, framework=model.framework, sha256=model.identity() or "", noise=noise)


def _data_infos(subject: Subject) -> tuple[DataInfo, ...]:
    def describe(role: Any, data: Dataset) -> DataInfo:
        return DataInfo(
            role=role,
            name=data.name,
            sha256=data.fingerprint,
            rows=len(data),
            row_shape=tuple(data.x.shape[1:]),
            features=data.names[:100],
            unused=tuple(column.name for column in data.unused),
            slices=tuple(column.name for column in data.slices),
            ordered=data.order is not None,
            grouped=data.groups is not None,
        )

    others = (("train", subject.train), ("validation", subject.validation), ("normal", subject.normal))
    return (describe("test", subject.test), *(describe(role, data) for role, data in others if data is not None))
