"""The files that a test may write over, named before it writes the first."""

import re
from pathlib import Path

from robust.filesets import anomaly_files, classification_files, mistake_files, regression_files
from robust.filesets.idle_roles import COMPARISON
from robust.filesets.testing_options import Testing
from robust.mistakes.sample_files import FOLDER, capped, sample_name
from robust.mistakes.wrong_rows import Judged

RESULTS = "test_results.json"
_EXTENSIONS = {"markdown": "md", "html": "html", "pdf": "pdf"}
_CLASS_TABLES = re.compile(r"fpr_tpr_thresholds_[0-9]+_[A-Za-z0-9_-]{1,40}\.csv")


def always(testing: Testing) -> list[str]:
    """Names that every test writes.

    Args:
        testing: What is asked for.
    """
    report = [f"report.{_EXTENSIONS[testing.report_format]}"] if testing.generate_report else []
    return [RESULTS, *report]


def of_classifier(testing: Testing, judged: Judged, folder: Path, *, compared: bool, train: bool) -> list[str]:
    """Names that the test of a classifier may write.

    Args:
        testing: What is asked for.
        judged: Its predictions.
        folder: Where to.
        compared: Whether it is compared with another.
        train: Whether its training rows are known.
    """
    own, mistakes = classification_files, mistake_files
    names = [own.REPORT]
    names += [own.MATRIX] if testing.confusion_matrix else []
    if testing.roc_curve:
        names += [own.ROC, own.THRESHOLDS]
        names += [path.name for path in folder.glob("*.csv") if _CLASS_TABLES.fullmatch(path.name)]
    names += [own.HISTOGRAM] if testing.class_histograms else []
    names += [COMPARISON] if compared else []
    if testing.error_analysis:
        names += [mistakes.GROUPS, mistakes.LABELS, *([mistakes.NEIGHBOURS] if train else [])]
        samples = len(capped(judged, testing.max_errors_per_class)) if testing.save_errors else 0
        names += [f"{FOLDER}/{sample_name(number)}" for number in range(1, samples + 1)]
    return names


def of_regression(testing: Testing) -> list[str]:
    """Names that the test of a regression model may write.

    Args:
        testing: What is asked for.
    """
    own = regression_files
    return [own.REPORT, *([own.SCATTER, own.RESIDUALS] if testing.regression_metrics.scatter_plot else [])]


def of_detector(testing: Testing) -> list[str]:
    """Names that the test of an anomaly detector may write.

    Args:
        testing: What is asked for.
    """
    own, parts = anomaly_files, testing.anomaly_metrics
    names = [own.REPORT, *([own.SCORES] if parts.reconstruction_error else [])]
    return names + ([own.ROC, own.RULES, own.THRESHOLDS] if parts.threshold_analysis else [])
