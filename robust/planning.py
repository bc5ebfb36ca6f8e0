"""From a config to a plan: loads models and data, settles the task, reads the gates."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robust.anomalies.anomaly_scores import as_detector, row_scores
from robust.anomalies.labelling import anomalous_rows, refuse_anomalies
from robust.auditing.deferring import deferred_model
from robust.auditing.discovery import discover
from robust.auditing.empty_gates import refuse_empty
from robust.auditing.gates import build_gates
from robust.auditing.host import describe_host
from robust.auditing.keeping import Store
from robust.auditing.running import Plan
from robust.check import Subject
from robust.config import Config
from robust.data.dataset import Dataset
from robust.data.loading import load_data
from robust.data.schema import FeatureSchema
from robust.errors import InvalidInput, MissingExtra, ModelFault
from robust.measures.class_alignment import aligned
from robust.measures.truth import score, truth_of
from robust.metrics.catalogue import find_metric
from robust.models.base import Label, Model
from robust.models.loading import load_model
from robust.predicting.cache import ArrayCache
from robust.predicting.predictions import predict
from robust.predicting.settings import Settings, using
from robust.record.shape import Host
from robust.types import Purpose, Task


def build_plan(config: Config, *, folder: Path | None, trust: bool = False, shards: int = 1) -> Plan:
    """Load everything that a config names.

    Args:
        config: The config.
        folder: Working folder for the cache; None keeps nothing.
        trust: Whether model files that can run code may be loaded.
        shards: Pieces that predictions are cut into.

    Returns:
        The plan.

    Raises:
        InvalidInput: If a file, a table or a gate is not understood.
        ModelFault: If a model cannot predict the test rows.
    """
    if not config.models.candidate:
        raise InvalidInput("no model to audit: name one with --candidate, or candidate in [models]")
    if not config.data.test:
        raise InvalidInput("no data to audit on: name it with --data, or test in [data]")
    if not 0.5 < config.level < 1:
        raise InvalidInput(f"level is the confidence of a one-sided bound, in (0.5, 1), got {config.level}")
    if config.seed < 0:
        raise InvalidInput(f"seed must be a whole number of at least 0, got {config.seed}")
    checks = discover()
    gates = build_gates(config.gates, checks)
    models, data = config.models, config.data
    if models.reference and Path(models.reference).resolve() == Path(models.candidate).resolve():
        raise InvalidInput(f"candidate and reference are the same file {models.candidate}: nothing would be compared")
    shelf = _Shelf(store=Store(None if folder is None else folder / "results"), host=describe_host(), trust=trust)
    candidate = shelf.model(config, models.candidate, models.factory)
    reference = shelf.model(config, models.reference, models.reference_factory) if models.reference else None
    surrogate: Model | None = None
    absent: tuple[tuple[str, str], ...] = ()
    if models.surrogate:
        try:
            surrogate = shelf.model(config, models.surrogate, models.surrogate_factory)
        except MissingExtra as error:
            # The rest of the audit stands without a twin; the checks that want it say what is missing.
            absent = (("surrogate", str(error)),)
    train = _data(config, data.train) if data.train else None
    # Text columns become codes: test rows take the labels' order from the training rows, so that both are coded alike.
    # A model that was fitted on named columns is given the labels themselves and may know how to take new ones.
    coded = train is not None and candidate.columns is None
    test = _data(config, data.test, schema=train.schema if coded and train is not None else None)
    coding = test.schema if candidate.columns is None else None
    validation = _data(config, data.validation, schema=coding) if data.validation else None
    normal = _normal(config, data.normal, schema=coding) if data.normal else None
    anomalous = _anomalous(data.anomalous, normal)
    # Kept where the checks will look for it: the candidate is asked once.
    arrays = ArrayCache(None if folder is None else folder / "cache")
    others = {"reference": reference, "surrogate": surrogate}
    with using(Settings(cache=arrays, shards=shards)):
        named = {role: model for role, model in others.items() if model is not None}
        if normal is None:
            task: Purpose = _settled_task(candidate, named, test, {"training": train, "validation": validation})
        else:
            # Whatever it gives is no class: a reconstruction or a score.
            candidate = _detector(candidate, test, normal, anomalous)
            task = "anomaly"
    for gate in gates:
        refuse_empty(gate.name, gate.check, gate.options, gate.operator, gate.limit, task=task)
    subject = Subject(
        model=candidate,
        task=task,
        test=test,
        reference=reference,
        surrogate=surrogate,
        train=train,
        validation=validation,
        normal=normal,
        anomalous=anomalous,
        level=config.level,
        seed=config.seed,
        absent=absent,
    )
    return Plan(
        subject=subject,
        checks=checks,
        gates=gates,
        title=config.title or f"Audit of {candidate.name}",
        folder=folder,
        shards=shards,
        require_gates=config.require_gates,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """Where models come from: their files, or what is remembered of them until they are called."""

    store: Store
    host: Host
    trust: bool

    def model(self, config: Config, path: str, factory: str | None) -> Model:
        table = config.models
        classes: Sequence[object] | None = table.classes

        def load() -> Model:
            return load_model(
                path,
                factory=factory,
                trust=self.trust,
                task=table.task,
                output=table.output,
                classes=classes,
                batch_size=table.batch_size,
            )

        if self.trust:
            # A file that runs code is what the code makes of it today; its hash alone does not tell.
            return load()
        options = (table.task, table.output, table.classes, table.batch_size)
        return deferred_model(path, load, options=options, factory=factory, store=self.store, host=self.host)


def _settled_task(
    candidate: Model, others: Mapping[str, Model], test: Dataset, more: Mapping[str, Dataset | None]
) -> Task:
    """The candidate's task, once every model has predicted the test rows and all targets fit what they predict.

    Where one does not, each check that needs it would fail for the same reason: that is one error, before all.
    """
    predictions = predict(candidate, test)
    metric = find_metric("rmse" if predictions.task == "regression" else "accuracy")
    own = None if test.y is None else score(metric, predictions, test)
    # A model that gives labels alone, of which nothing was declared, may know more than it said of the test rows.
    for role, rows in more.items():
        if rows is None or rows.y is None or predictions.found:
            continue
        try:
            truth_of(predictions, rows)
        except InvalidInput as error:
            raise InvalidInput(f"the {role} rows {rows.name}: {error}") from error
    for role, model in others.items():
        try:
            answers = predict(model, test)
            theirs = None if test.y is None else score(metric, answers, test)
            if role == "reference" and own is not None and theirs is not None:
                aligned(theirs, own)
        except (InvalidInput, ModelFault) as error:
            raise type(error)(f"the {role}: {error}") from error
    return predictions.task


def _anomalous(labels: Sequence[Label] | None, normal: Dataset | None) -> tuple[Label, ...]:
    """Labels that mean an anomaly."""
    if labels is not None and normal is None:
        raise InvalidInput(
            f"anomalous got {list(labels)}, for an anomaly detector, whose threshold is chosen on normal rows: give "
            "these too (--normal, or normal in [data])"
        )
    return (1,) if labels is None else tuple(labels)


def _detector(candidate: Model, test: Dataset, normal: Dataset, anomalous: tuple[Label, ...]) -> Model:
    """The candidate as an anomaly detector, once it has scored the test rows and their labels are understood."""
    judged = as_detector(candidate)
    row_scores(judged, test, None)
    anomalous_rows(test, anomalous)
    refuse_anomalies(normal, anomalous)
    return candidate if candidate.task is not None else replace(candidate, task="regression")


def _normal(config: Config, path: str, *, schema: FeatureSchema | None) -> Dataset:
    """Load normal rows, which need no targets: a file may lack that column."""
    try:
        return _data(config, path, schema=schema)
    except InvalidInput:
        with suppress(InvalidInput):
            return _data(config, path, schema=schema, labelled=False)
        raise


def _data(config: Config, path: str, *, schema: FeatureSchema | None = None, labelled: bool = True) -> Dataset:
    """Load rows; the schema is that of other rows, or what the config says."""
    table = config.data
    spec: dict[str, Any] = dict(table.schema)
    if table.bounds is not None:
        spec["bounds"] = table.bounds
    if table.relations is not None:
        spec["relations"] = table.relations
    return load_data(
        path,
        target=table.target if labelled else None,
        schema=schema or spec or None,
        unused=table.unused,
        slices=table.slices,
        order=table.order,
        groups=table.groups,
        ids=table.ids,
    )
