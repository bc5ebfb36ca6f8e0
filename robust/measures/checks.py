"""The metric checks of the catalogue."""

from collections.abc import Callable

from robust.check import Check, Need, Subject
from robust.measurement import Measurement
from robust.measures.classification import accuracy, auc, brier, f1, log_loss, precision, recall
from robust.measures.error_quantiles import max_error, median_absolute_error
from robust.measures.regression import explained_variance, mae, mape, mse, r2, rmse, smape
from robust.measures.score_quality import average_precision, calibration_error

_WHY = {
    "accuracy": "The share of rows that are right is what most users feel first; it hides rare classes.",
    "f1": "Macro-F1 gives a rare class the same weight as a common one.",
    "log_loss": "Being sure and wrong costs more than being unsure; log-loss is what most classifiers are trained on.",
    "auc": "Ranking is what a threshold chosen later works on; the AUC needs no threshold.",
    "precision": "How far a prediction of a class can be trusted; the average gives a rare class the same weight.",
    "recall": "How much of each class is found; the average gives a rare class the same weight.",
    "brier": "Probabilities that are acted on must be near the truth: calibration and sharpness in one number.",
    "calibration_error": "A score of 0.9 should be right nine times in ten; trained networks are often too sure.",
    "average_precision": "Of a rare class the ROC curve flatters; precision against recall shows the false alarms.",
    "mse": "What most regression models are trained on; large errors weigh by their square.",
    "median_absolute_error": "The error of a typical row, whatever a few wild rows do.",
    "max_error": "The worst row that was seen, where one bad prediction is one too many.",
    "explained_variance": "The share of the variance that is explained, whatever the offset; below R² means a bias.",
    "mape": "Errors as shares of the target, for targets of different sizes that are never near 0.",
    "smape": "Errors as shares of both sizes, also for targets of 0; a wrong sign counts fully.",
    "rmse": "The typical error in the target's own unit, large errors weighing more.",
    "mae": "The typical error in the target's own unit, all errors weighing alike.",
    "r2": "The share of the target's variance that the model explains: 0 is no better than the mean.",
}
_CLASSIFICATION_REMEDY = (
    "Look at the confusion matrix and the most confident mistakes: similar classes, labels that are wrong, "
    "classes with few rows."
)
_CALIBRATION_REMEDY = (
    "Look at the reliability figure: scale the logits by one temperature fitted on held-out rows, or train with label "
    "smoothing; probabilities that are wrong in both directions need more data or another model."
)
_REGRESSION_REMEDY = (
    "Look at the rows with the largest errors, at the residual checks (RES), and at what a linear model reaches (BAS)."
)

#: Measures of classifiers that are defined for several labels a row.
_MULTILABEL = frozenset(
    {"accuracy", "f1", "log_loss", "brier", "calibration_error", "auc", "precision", "recall", "average_precision"}
)


def _runner(measure: Callable[..., Measurement]) -> Callable[[Subject, object], Measurement]:
    def run(subject: Subject, _options: object) -> Measurement:
        if measure is max_error:  # exact: nothing is drawn
            return measure(subject.model, subject.test, level=subject.level)
        return measure(subject.model, subject.test, level=subject.level, seed=subject.seed)

    return run


def _check(
    code: str,
    title: str,
    measure: Callable[..., Measurement],
    task: Need,
    remedy: str,
    *,
    by_request: bool = False,
    reach: tuple[float, float] | None = None,
) -> Check:
    name = measure.__name__
    return Check(
        code=code,
        name=name,
        title=title,
        measure=measure,
        run=_runner(measure),
        needs=frozenset({"targets", task} | ({"multilabel"} if name in _MULTILABEL else set[Need]())),
        by_request=by_request,
        reach=reach,
        why=_WHY[name],
        remedy=remedy,
    )


_SHARE = (0.0, 1.0)

CHECKS = (
    _check("MET001", "accuracy", accuracy, "classification", _CLASSIFICATION_REMEDY),
    _check("MET002", "macro-F1", f1, "classification", _CLASSIFICATION_REMEDY),
    _check("MET003", "log-loss", log_loss, "classification", _CLASSIFICATION_REMEDY),
    _check("MET004", "AUC", auc, "classification", _CLASSIFICATION_REMEDY),
    _check("MET005", "macro-precision", precision, "classification", _CLASSIFICATION_REMEDY),
    _check("MET006", "macro-recall", recall, "classification", _CLASSIFICATION_REMEDY),
    _check("MET007", "Brier score", brier, "classification", _CALIBRATION_REMEDY),
    _check("MET008", "calibration error", calibration_error, "classification", _CALIBRATION_REMEDY, reach=_SHARE),
    _check("MET009", "average precision", average_precision, "classification", _CLASSIFICATION_REMEDY, reach=_SHARE),
    _check("MET011", "RMSE", rmse, "regression", _REGRESSION_REMEDY),
    _check("MET012", "MAE", mae, "regression", _REGRESSION_REMEDY),
    _check("MET013", "R²", r2, "regression", _REGRESSION_REMEDY),
    _check("MET014", "MSE", mse, "regression", _REGRESSION_REMEDY),
    _check("MET015", "median absolute error", median_absolute_error, "regression", _REGRESSION_REMEDY),
    _check("MET016", "largest error", max_error, "regression", _REGRESSION_REMEDY),
    _check("MET017", "explained variance", explained_variance, "regression", _REGRESSION_REMEDY),
    _check("MET018", "MAPE", mape, "regression", _REGRESSION_REMEDY, by_request=True),
    _check("MET019", "sMAPE", smape, "regression", _REGRESSION_REMEDY, by_request=True),
)
