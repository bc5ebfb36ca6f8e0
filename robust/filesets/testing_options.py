"""What a `testing` section asks for."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

ReportFormat: TypeAlias = Literal["pdf", "html", "markdown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionParts:
    """Which figures of a regression model are asked for.

    Args:
        mse: Mean squared error.
        mae: Mean absolute error.
        r2: Coefficient of determination.
        scatter_plot: Pictures of targets and residuals against predictions.
    """

    mse: bool = True
    mae: bool = True
    r2: bool = True
    scatter_plot: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyParts:
    """Which figures of an anomaly detector are asked for.

    Args:
        reconstruction_error: Mean and spread of the errors of normal and of anomalous rows.
        threshold_analysis: Recommended threshold, what it reaches, and the table of thresholds.
    """

    reconstruction_error: bool = True
    threshold_analysis: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Testing:
    """A `testing` section; what it does not name is on.

    Args:
        enable: Whether anything is written.
        confusion_matrix: Whether `confusion_matrix_test.png` is written.
        roc_curve: Whether the ROC picture and `fpr_tpr_thresholds.csv` are written.
        class_histograms: Whether the histogram of score differences is written.
        error_analysis: Whether mistakes are looked into.
        save_errors: Whether mistakes are written to `error_samples/`.
        max_errors_per_class: Files of one true class.
        test_float: Whether the float model is judged, where one is given.
        test_quantized: Whether the model under test is judged beside it.
        compare_results: Whether the two are compared; None for where both are judged.
        regression_metrics: What is asked for of a regression model.
        anomaly_metrics: What is asked for of an anomaly detector.
        generate_report: Whether a report is written beside the files.
        report_format: Its format.
    """

    enable: bool = True
    confusion_matrix: bool = True
    roc_curve: bool = True
    class_histograms: bool = True
    error_analysis: bool = True
    save_errors: bool = True
    max_errors_per_class: int = 20
    test_float: bool = True
    test_quantized: bool = True
    compare_results: bool | None = None
    regression_metrics: RegressionParts = field(default_factory=RegressionParts)
    anomaly_metrics: AnomalyParts = field(default_factory=AnomalyParts)
    generate_report: bool = False
    report_format: ReportFormat = "html"

    #: No test, whatever a collector of tests takes the name for.
    __test__ = False
