"""The `testing/` folder: pictures, tables, reports and samples of one test, under their expected names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.filesets.advising import advice
from robust.filesets.anomaly_files import anomaly_files
from robust.filesets.claimed_names import RESULTS, always, of_classifier, of_detector, of_regression
from robust.filesets.classification_files import ClassifierTest, classification_files
from robust.filesets.folder_writer import FolderWriter
from robust.filesets.idle_roles import COMPARISON, OPERATING, tell_idle
from robust.filesets.mistake_files import mistake_files
from robust.filesets.plain_results import as_json, described, plain_measurement, plain_model
from robust.filesets.quantized_comparison import ModelComparison
from robust.filesets.regression_files import regression_files
from robust.filesets.report_parts import report_sections
from robust.filesets.report_pdf import require_pdf
from robust.filesets.testing_options import Testing
from robust.filesets.testing_report import written_report
from robust.measures.classification import accuracy, f1
from robust.mistakes.wrong_rows import judge_rows
from robust.models.base import Label, Model
from robust.models.conversion import as_model
from robust.operating.choosing import OperatingPoint, choose_threshold
from robust.operating.threshold_rates import ThresholdRates, at_threshold
from robust.predicting.predictions import predict
from robust.quantization.coverage import quantized_coverage
from robust.quantization.degradation_paired import degradation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TestingFolder:
    """What was written and what it says.

    Args:
        folder: The folder.
        files: Files written, `test_results.json` last.
        skipped: What was not written, and why.
        text: The figures in words, as they are printed.
        json: What `test_results.json` holds.
        advice: What to do next.
    """

    folder: Path
    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]
    text: str
    json: str
    advice: tuple[str, ...]

    #: No test, whatever a collector of tests takes the name for.
    __test__ = False


def write_testing(
    model: Any,
    data: Any,
    folder: str | os.PathLike[str] = "testing",
    *,
    testing: Testing | None = None,
    reference: Any = None,
    train: Any = None,
    validation: Any = None,
    normal: Any = None,
    anomalous: Label | Sequence[Label] = 1,
    positive: Label | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> TestingFolder:
    """Test a model and write everything down under the names that embedded tool chains use.

    Classification: `confusion_matrix_test.png`, `One_vs_Rest_MultiClass_ROC_test.png`,
    `Histogram_Class_Score_differences_test.png`, `fpr_tpr_thresholds.csv` (and one a class),
    `classification_report.txt`, `error_samples/error_001.csv` …; regression: `actual_vs_predicted_test.png`,
    `residuals_test.png`, `regression_report.txt`; anomaly detection (where `normal` is given):
    `anomaly_scores_test.png`, `anomaly_ROC_test.png`, `anomaly_report.txt`, thresholds; always `test_results.json`.

    Args:
        model: The model under test; anything `as_model` takes, or for anomaly detection `anomaly_detection`.
        data: Test rows that `as_data` takes, with targets.
        folder: Where to; made where it lacks. Files that an earlier run wrote there and this one does not are removed,
            if nobody changed them since; all others are left alone.
        testing: What is asked for; None for everything.
        reference: The float model that a quantized one is compared with, or None.
        train: Training rows, or None.
        validation: Rows on which a threshold is chosen, or None.
        normal: Normal rows that an anomaly detector's threshold is chosen on, or None.
        anomalous: Labels that mean an anomaly.
        positive: The class whose score the threshold is on; None for the second of two.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of bootstraps and simulated tests.

    Returns:
        Files, text and advice.

    Raises:
        InvalidInput: If a comparison is asked for without `reference`, `testing` is not enabled, something does not
            fit, or the folder cannot be written to, or holds a file that no run wrote under a name that this one
            needs; then nothing is written.
        MissingExtra: If a report as PDF is asked for and the library that makes it is not installed.
        ModelFault: If a model breaks its contract.
    """
    asked = Testing() if testing is None else testing
    if not asked.enable:
        raise InvalidInput("testing is not enabled (enable: False): nothing is written")
    if asked.generate_report and asked.report_format == "pdf":
        require_pdf()  # before the test, which may take long
    rows = as_data(data)
    writer = FolderWriter(Path(folder))
    writer.claim(always(asked))
    if positive is not None and validation is None:
        raise InvalidInput(
            f"positive got {positive!r}, the class of a threshold, which validation rows choose: give both"
        )
    if normal is not None:
        writer.claim(of_detector(asked))
        tell_idle(writer, rows, judged="an anomaly detector", train=train, validation=validation, reference=reference)
        return _anomalies(writer, model, rows, as_data(normal, name="normal"), asked, anomalous, level=level, seed=seed)
    judged, other, compared = _roles(model, reference, asked)
    results = described(judged, rows, level=level, seed=seed)
    task = predict(judged, rows).task
    results["task"] = task
    if task == "regression":
        writer.claim(of_regression(asked))
        tell_idle(writer, rows, judged="a regression model", train=train, validation=validation)
        report = regression_files(writer, judged, rows, asked.regression_metrics, level=level, seed=seed)
        if compared and other is not None:
            drop = degradation(other, judged, rows, metric="rmse", level=level, seed=seed)
            results["comparison"] = {"float": plain_model(other), "degradation": plain_measurement(drop)}
            return _done(writer, results | report.results, [report.text, str(drop)], (), asked, judged, rows)
        return _done(writer, results | report.results, [report.text], (), asked, judged, rows)
    given = compared and other is not None
    names = of_classifier(asked, judge_rows(judged, rows), writer.folder, compared=given, train=train is not None)
    writer.claim(names)
    test = classification_files(writer, judged, rows, asked, level=level, seed=seed)
    results |= test.results
    parts = [test.text]
    known = None if train is None else as_data(train, name="train")
    if asked.error_analysis:
        mistakes = mistake_files(writer, judged, rows, known, asked, level=level, seed=seed)
        results |= mistakes.results
        parts.append("\n".join(mistakes.lines))
    if validation is not None:
        parts.append(_operating(writer, judged, rows, validation, positive, results, level=level, seed=seed))
    comparison = None
    if compared and other is not None:
        comparison = _compared(other, judged, rows, test, level=level, seed=seed)
        writer.put(COMPARISON, f"{comparison.text}\n{comparison.bounds}\n")
        results["comparison"] = {
            "float": plain_model(other),
            "float_accuracy": plain_measurement(comparison.accuracies[0]),
            "degradation": plain_measurement(comparison.degradation),
        }
        parts.append(f"{comparison.text}\n{comparison.bounds}")
    said = advice(
        accuracy=test.metrics["accuracy"],
        table=test.metrics.table,
        counts=test.counts,
        drop=None if comparison is None else comparison.degradation,
        train_accuracy=_train_accuracy(judged, known),
    )
    return _done(writer, results, parts, said, asked, judged, rows)


def _roles(model: Any, reference: Any, asked: Testing) -> tuple[Model, Model | None, bool]:
    """The model that is judged, the float one beside it, and whether they are compared."""
    compare = asked.compare_results
    if compare and reference is None:
        raise InvalidInput("compare_results needs the float model beside the quantized one: give it (--float)")
    if compare and not (asked.test_float and asked.test_quantized):
        raise InvalidInput("compare_results needs both test_float and test_quantized: one of them is off")
    if not asked.test_float and not asked.test_quantized:
        raise InvalidInput("test_float and test_quantized are both off: one of them would be right")
    if reference is None:
        return as_model(model), None, False
    if not asked.test_quantized:
        return as_model(reference), None, False
    if not asked.test_float:
        return as_model(model), None, False
    return as_model(model), as_model(reference), compare is not False


def _operating(
    writer: FolderWriter,
    model: Model,
    data: Dataset,
    validation: Any,
    positive: Label | None,
    results: dict[str, Any],
    *,
    level: float,
    seed: int,
) -> str:
    """The threshold that validation rows recommend, and what it reaches on the test rows."""
    try:
        point = choose_threshold(model, as_data(validation, name="validation"), positive=positive)
        rates = at_threshold(model, data, point, level=level, seed=seed)
    except InvalidInput as error:
        writer.skip(OPERATING, str(error))
        return f"no {OPERATING}: {error}"
    results["operating_point"] = _plain_point(point, rates)
    failed = [check.reason for m in rates for check in m.validity if not check.passed]
    return "\n".join([f"operating point: {point!r}", *(f"  {m}" for m in rates), *dict.fromkeys(failed)])


def _plain_point(point: OperatingPoint, rates: ThresholdRates) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "positive": str(point.positive),
        "rule": point.rule,
        "validation": {"name": point.validation, "sha256": point.fingerprint},
        "reached": {m.name: plain_measurement(m) for m in rates},
    }


def _compared(
    other: Model, model: Model, data: Dataset, test: ClassifierTest, *, level: float, seed: int
) -> ModelComparison:
    return ModelComparison(
        accuracies=(accuracy(other, data, level=level, seed=seed), test.metrics["accuracy"]),
        f1s=(f1(other, data, level=level, seed=seed), test.metrics["f1"]),
        degradation=degradation(other, model, data, level=level, seed=seed),
        coverages=(quantized_coverage(other, data), quantized_coverage(model, data)),
    )


def _train_accuracy(model: Model, train: Dataset | None) -> float | None:
    return None if train is None or train.y is None else float(1.0 - judge_rows(model, train).wrong.mean())


def _anomalies(
    writer: FolderWriter,
    model: Any,
    data: Dataset,
    normal: Dataset,
    asked: Testing,
    anomalous: Label | Sequence[Label],
    *,
    level: float,
    seed: int,
) -> TestingFolder:
    found = anomaly_files(
        writer, model, data, normal, asked.anomaly_metrics, anomalous=anomalous, level=level, seed=seed
    )
    results = {"format": "robust-testing", "version": 1, "task": "anomaly detection", "level": level, "seed": seed}
    results["data"] = {"name": data.name, "rows": len(data), "sha256": data.fingerprint}
    results["normal"] = {"name": normal.name, "rows": len(normal), "sha256": normal.fingerprint}
    return _done(writer, results | found.results, [found.text], (), asked, None, data)


def _done(
    writer: FolderWriter,
    results: dict[str, Any],
    parts: Sequence[str],
    said: tuple[str, ...],
    asked: Testing,
    model: Model | None,
    data: Dataset,
) -> TestingFolder:
    """Write the report and the summary last, and clear away what an earlier run left."""
    if asked.generate_report:
        pictures = [path for path in writer.written if path.suffix == ".png"]
        lines = [line for part in parts[1:] for line in part.splitlines()]
        found = [*results.get("findings", ()), *lines]
        sections = report_sections(model, data, results, text=found, pictures=pictures, advice=said)
        writer.put(*written_report(sections, asked.report_format, title=f"Test on {data.name}"))
    content = as_json(
        results
        | {
            "advice": list(said),
            "files": sorted([*writer.names(), RESULTS]),
            "not_written": dict(writer.skipped),
        }
    )
    writer.put(RESULTS, content)
    writer.finish()
    blocks = [part.strip("\n") for part in (*parts, "\n".join(said)) if part.strip()]
    return TestingFolder(
        folder=writer.folder,
        files=tuple(writer.written),
        skipped=tuple(writer.skipped),
        text="\n\n".join(blocks),
        json=content,
        advice=said,
    )
