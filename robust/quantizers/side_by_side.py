"""Calibrations of one float model compared on rows that none of them saw."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput, MissingExtra
from robust.evidence import Finding
from robust.metrics.catalogue import find_metric
from robust.models.base import Model
from robust.models.conversion import as_model
from robust.quantization.candidate_rows import CandidateRow, candidate_row
from robust.quantization.degradation_paired import degradation
from robust.quantizers.building import quantize
from robust.quantizers.calibration_rows import CalibrationRows, calibration_findings, calibration_rows
from robust.quantizers.candidate_table import CandidateTable
from robust.quantizers.recipe import NO_DISTRIBUTION, read_batch

#: What a candidate may be called, and how it is made.
WAYS = {
    "minmax": ("static", "minmax"),
    "entropy": ("static", "entropy"),
    "percentile": ("static", "percentile"),
    "qoperator": ("qoperator", "minmax"),
    "dynamic": ("dynamic", "minmax"),
    "weight-only": ("weight-only", "minmax"),
    "torchao": ("torchao", "minmax"),
}
USUAL = ("minmax", "entropy", "percentile", "dynamic")
_SHOWN = 5


def compare_calibrations(
    model: Any,
    calibration: Any,
    data: Any,
    *,
    methods: Sequence[str] = USUAL,
    metric: str = "accuracy",
    reference: Any = None,
    keep: Sequence[str] = (),
    per_channel: bool = True,
    batch: int = 64,
    level: float = 0.95,
    seed: int = 0,
    cache: str | Path | None = None,
) -> CandidateTable:
    """Build candidates in several ways and say what each loses, with intervals.

    Choose among them on validation rows: the best of several on test rows looks better than it is.

    Args:
        model: A float torch module or ONNX file.
        calibration: Training rows, as `quantize` takes them.
        data: Rows with targets on which candidates are judged, as `as_data` takes them; other rows than `calibration`.
        methods: Of `minmax`, `entropy`, `percentile` (static, with QDQ pairs), `qoperator`, `dynamic`, `weight-only`,
            `torchao`; `distribution` is refused.
        metric: Name of what may be lost.
        reference: What candidates are compared with; None for the float model. It is asked once.
        keep: Names of modules that stay in float.
        per_channel: One scale an output channel of a weight.
        batch: Rows a calibration step, at most.
        level: Confidence of each one-sided bound, in (0.5, 1), for each candidate by itself.
        seed: Seed of bootstraps, where one is used.
        cache: Folder of exports and candidates; None keeps them where the run keeps its predictions.

    Returns:
        A row a candidate: degradation (positive is worse) with bounds and flips, coverage, ROM. Ways that the model
        cannot be quantized in are in `.failed`; leakage, few calibration rows and layers left in float in `.findings`.

    Raises:
        InvalidInput: If a method is unknown, all of them fail, or rows or models do not fit.

    >>> import numpy as np
    >>> from robust.examples.catalogue import example_path
    >>> folder = example_path("digits")
    >>> rows = np.load(folder / "train.npz")["x"]
    >>> table = compare_calibrations(folder / "float.onnx", rows, str(folder / "test.npz"), methods=["minmax"])
    >>> table["minmax"].degradation.value < 0.01, table["minmax"].coverage.weights
    (True, 1.0)
    """
    ways = _ways(methods)
    float_model, test = as_model(model), as_data(data)
    judge = float_model if reference is None else as_model(reference)
    find_metric(metric)
    used = calibration_rows(calibration, batch=read_batch(batch), fixed=float_model.fixed_batch)
    rows, failed = [], []
    for name in ways:
        method, calibrate = WAYS[name]
        fine = per_channel or method in ("weight-only", "torchao")
        try:
            candidate = quantize(
                float_model,
                used.data,
                method=method,
                calibrate=calibrate,
                keep=keep,
                per_channel=fine,
                batch=batch,
                cache=cache,
            )
        except (InvalidInput, MissingExtra) as error:
            failed.append((name, str(error)))
            continue
        loss = degradation(judge, candidate, test, metric=metric, quantized=True, level=level, seed=seed)
        rows.append(candidate_row(name, candidate, loss, test))
    if not rows:
        raise InvalidInput("; ".join(f"{name}: {reason}" for name, reason in failed))
    return candidate_table(rows, judge, test, used, metric=metric, failed=failed, kept=bool(keep))


def candidate_table(
    rows: Sequence[CandidateRow],
    reference: Model,
    data: Dataset,
    calibration: CalibrationRows | None,
    *,
    metric: str,
    failed: Sequence[tuple[str, str]] = (),
    kept: bool = False,
) -> CandidateTable:
    """Candidates as a table, with what a reader must know of them.

    Args:
        rows: The candidates, at least one.
        reference: What they are compared with.
        data: Rows that they were judged on.
        calibration: Rows that ranges were taken from, or None.
        metric: Name of what may be lost.
        failed: Names of candidates that could not be built, and why.
        kept: Whether layers were left in float on purpose, so that this is nothing to tell.
    """
    told = [
        Finding(text=f"{row.name}: {check.reason}")
        for row in rows
        for check in row.degradation.validity
        if not check.passed
    ]
    wide = () if kept else tuple(finding for row in rows for finding in _left_in_float(row))
    return CandidateTable(
        reference=reference,
        metric=find_metric(metric).title,
        data=data,
        rows=tuple(rows),
        failed=tuple(failed),
        findings=(*(calibration_findings(calibration, data) if calibration else ()), *told, *wide),
    )


def _left_in_float(row: CandidateRow) -> Iterator[Finding]:
    """Says which layers a quantizer passed over, operator and node named."""
    share, content = row.coverage.weights, row.model.content
    if share is None or share >= 1:
        return
    layers = {layer.name: layer.kind for layer in row.coverage.layers if layer.weights and not layer.quantized}
    shown = [f"{name} ({kind})" for name, kind in layers.items()]
    if content is not None:
        from robust.quantizers.files_onnx import in_float

        shown = [f"{name} ({kind}, node {node!r})" for name, kind, node in in_float(content()) if name in layers]
    listed = ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
    yield Finding(text=f"{row.name} quantizes {100 * share:.4g} % of the weights; left in float: {listed}")


def _ways(methods: Sequence[str]) -> tuple[str, ...]:
    names = (methods,) if isinstance(methods, str) else tuple(methods)
    for name in names:
        if name == "distribution":
            raise InvalidInput(NO_DISTRIBUTION)
        if name not in WAYS:
            raise InvalidInput(f"methods must be of {', '.join(map(repr, WAYS))}, got {name!r}")
    if not names:
        raise InvalidInput(f"methods names none; {', '.join(map(repr, USUAL))} would be right")
    return tuple(dict.fromkeys(names))
