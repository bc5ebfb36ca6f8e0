"""Records built by hand: every kind of evidence, every verdict, bounds that are missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from robust.evidence import (
    Evidence,
    Fact,
    Figure,
    Finding,
    Flips,
    Rows,
    SelfCheck,
    Series,
    Slice,
    Slices,
    Values,
)
from robust.record.shape import (
    VERSION,
    Bounded,
    DataInfo,
    Entry,
    Gate,
    Host,
    ModelInfo,
    Noise,
    Record,
    Skipped,
    Times,
)
from robust.verdict import Status

MakeRecord = Callable[..., Record]
MakeEntry = Callable[..., Entry]


def _series(**columns: object) -> tuple[Series, ...]:
    return tuple(Series(name=name, values=tuple(values)) for name, values in columns.items())  # type: ignore[arg-type]


def _figures() -> dict[str, Figure]:
    labels = ("cat", "dog", "eel")
    grid = [0.0, 0.01, 0.02, 0.03]
    return {
        "line": Figure(
            kind="line",
            title="Accuracy under attack",
            x_title="eps",
            y_title="robust accuracy",
            columns=_series(
                x=grid * 2,
                y=[0.97, 0.8, 0.5, 0.2, 0.97, 0.96, 0.95, 0.94],
                lower=[0.95, 0.7, 0.4, 0.1, 0.95, 0.94, 0.93, 0.92],
                upper=[0.98, 0.9, 0.6, 0.3, 0.98, 0.98, 0.97, 0.96],
                series=["attack"] * 4 + ["noise"] * 4,
            ),
            rules=(("x", 0.025, "operating point"), ("y", 0.1, "chance")),
            note="one-sided bounds",
        ),
        "bar": Figure(
            kind="bar",
            title="F1 by class",
            x_title="class",
            y_title="F1",
            columns=_series(x=labels, y=[0.7, 0.8, 0.9], lower=[0.6, 0.7, 0.8], upper=[0.8, 0.9, 1.0]),
        ),
        "point": Figure(
            kind="point",
            title="Residuals",
            x_title="prediction",
            y_title="residual",
            columns=_series(x=[1.0, 2.0, 3.0], y=[0.1, -0.2, 0.3], series=["train", "test", "test"]),
        ),
        "interval": Figure(
            kind="interval",
            title="Drop by class",
            x_title="drop",
            y_title="class",
            columns=_series(y=labels, x=[0.1, 0.0, -0.1], lower=[0.0, -0.1, -0.2], upper=[0.2, 0.1, 0.0]),
            rules=(("x", 0.0, ""),),
        ),
        "matrix": Figure(
            kind="matrix",
            title="Confusion matrix",
            x_title="predicted",
            y_title="actual",
            columns=_series(
                x=labels * 3, y=[name for name in labels for _ in labels], value=[9.0, 1, 0, 0, 8, 2, 3, 0, 7]
            ),
        ),
        "histogram": Figure(
            kind="histogram",
            title="Loss of a row",
            x_title="nats",
            y_title="rows",
            columns=_series(x=[0.1, 0.1, 0.2, 0.5, 0.9, 1.5, 2.0, 2.5]),
        ),
    }


def _evidence() -> tuple[Evidence, ...]:
    return (
        Values(metric="accuracy", reference=0.9234, candidate=0.9051),
        Flips(right_to_wrong=241, wrong_to_right=58, n=10000, p=1.2e-28, rows=(17, "row-18")),
        Slices(
            by="site",
            measure="accuracy drop",
            level=0.95,
            slices=(Slice(name="site=north", n=1013, value=0.081, lower=0.0548, upper=0.1072, note="82 flips"),),
        ),
        Rows(what="wrong rows, most confident first", ids=(3, "b-4"), values=(0.99, 0.98), total=12),
        Fact(name="worst class", value="truck"),
        Fact(name="rows seen twice", value=7),
        Finding(text="Trucks lose eight times as much as the rest."),
    )


def _entry(
    code: str = "QNT001",
    *,
    status: Status | None = None,
    value: float | None = 0.0183,
    lower: float | None = 0.0155,
    upper: float | None = 0.0212,
    evidence: tuple[Evidence, ...] = (),
    needed_n: int | None = None,
    method: str = "tango-corrected",
    unit: str = "share",
    name: str = "degradation",
) -> Entry:
    gate = None
    if status is not None:
        gate = Gate(
            name=name,
            operator="<",
            limit=0.01,
            status=status,
            decided_by="upper",
            bound=upper,
            margin=None if upper is None else 0.01 - upper,
            needed_n=needed_n,
            reason=f"the reason of {status.lower()}",
        )
    return Entry(
        code=code,
        name=name,
        title="loss against the reference",
        gate=gate,
        measurement=Bounded(
            name=name,
            value=value,
            lower=lower,
            upper=upper,
            level=0.95,
            n=10000,
            unit=unit,
            higher_is_better=False,
            method=method,
            sizing={"class": "TangoSizing"},
            evidence=evidence,
            validity=(
                SelfCheck(name="two models", passed=True, reason="they differ", bias="lowers"),
                SelfCheck(name="quantized", passed=False, reason="no weight is", bias="lowers"),
            ),
            models=(("int8.onnx", "7d10b6f3"),),
            data=(("test.npz", "be54c1d9"),),
            seed=0,
            options=(("metric", "'accuracy'"),),
            forward_rows=20000,
            backward_rows=5,
        ),
    )


def _record(*entries: Entry, skipped: tuple[Skipped, ...] = (), **changes: object) -> Record:
    fields: dict[str, object] = {
        "version": VERSION,
        "robust": "0.1.0",
        "title": "int8 against float",
        "task": "classification",
        "level": 0.95,
        "seed": 0,
        "decide": "bound",
        "models": (
            ModelInfo(
                role="candidate",
                name="int8.onnx",
                framework="onnx",
                sha256="7d10b6f3" * 8,
                noise=Noise(rows=10000, decisions_changed=0, largest_difference=3e-8),
            ),
        ),
        "data": (
            DataInfo(
                role="test",
                name="test.npz",
                sha256="be54c1d9" * 8,
                rows=10000,
                row_shape=(1, 8, 8),
                features=("age", "sex"),
                unused=("humidity",),
                slices=("site",),
                ordered=True,
                grouped=False,
            ),
        ),
        "entries": entries,
        "skipped": skipped,
        "host": Host(
            python="3.11.7",
            platform="Linux",
            processor="a processor",
            cpu_features=("AVX2",),
            packages=(("numpy", "2.0.0"),),
        ),
        "exit_code": 0,
        "interrupted": False,
        "times": Times(
            started="2026-01-02T03:04:05+00:00",
            seconds=12.5,
            checks=(("accuracy", 1.25),),
            from_cache=("auc",),
        ),
    }
    return Record(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make_entry() -> MakeEntry:
    return _entry


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    return _record


@pytest.fixture(scope="session")
def figures() -> dict[str, Figure]:
    return _figures()


@pytest.fixture(scope="session")
def full_record() -> Record:
    """Every kind of evidence and figure, every status, a card without bounds, checks that did not run."""
    return _record(
        _entry("MET001", name="accuracy", status="PASS", evidence=tuple(_figures().values())),
        _entry("QNT001", status="FAIL", evidence=_evidence()),
        _entry("QNT001", status="INCONCLUSIVE", needed_n=13014, name="degradation_f1"),
        _entry("ATK001", status="INVALID", name="robust_accuracy"),
        _entry("RES001", value=None, lower=None, upper=None, method="none", name="unproved"),
        skipped=(
            Skipped(code="SEN001", name="flip_rate", title="flips", reason="needs a sweep"),
            Skipped(code="BAS001", name="gain", title="gain", reason="the model raised", failed=True, gated=True),
        ),
        exit_code=1,
    )


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the chart libraries, so that they are made once."""
    return tmp_path_factory.mktemp("charts")
