"""The metric checks of the catalogue."""

from collections.abc import Callable

from robust.check import Check, Need, Subject
from robust.measurement import Measurement
from robust.measures.classification import accuracy, auc, f1, log_loss
from robust.measures.regression import mae, r2, rmse

_WHY = {
    "accuracy": "The share of rows that are right is what most users feel first; it hides rare classes.",
    "f1": "Macro-F1 gives a rare class the same weight as a common one.",
    "log_loss": "Being sure and wrong costs more than being unsure; log-loss is what most classifiers are trained on.",
    "auc": "Ranking is what a threshold chosen later works on; the AUC needs no threshold.",
    "rmse": "The typical error in the target's own unit, large errors weighing more.",
    "mae": "The typical error in the target's own unit, all errors weighing alike.",
    "r2": "The share of the target's variance that the model explains: 0 is no better than the mean.",
}
_CLASSIFICATION_REMEDY = (
    "Look at the confusion matrix and the most confident mistakes: similar classes, labels that are wrong, "
    "classes with few rows."
)
_REGRESSION_REMEDY = (
    "Look at the rows with the largest errors, at the residual checks (RES), and at what a linear model reaches (BAS)."
)


def _runner(measure: Callable[..., Measurement]) -> Callable[[Subject, object], Measurement]:
    def run(subject: Subject, _options: object) -> Measurement:
        return measure(subject.model, subject.test, level=subject.level, seed=subject.seed)

    return run


def _check(code: str, title: str, measure: Callable[..., Measurement], task: Need, remedy: str) -> Check:
    name = measure.__name__
    return Check(
        code=code,
        name=name,
        title=title,
        measure=measure,
        run=_runner(measure),
        needs=frozenset({"targets", task}),
        why=_WHY[name],
        remedy=remedy,
    )


CHECKS = (
    _check("MET001", "accuracy", accuracy, "classification", _CLASSIFICATION_REMEDY),
    _check("MET002", "macro-F1", f1, "classification", _CLASSIFICATION_REMEDY),
    _check("MET003", "log-loss", log_loss, "classification", _CLASSIFICATION_REMEDY),
    _check("MET004", "AUC", auc, "classification", _CLASSIFICATION_REMEDY),
    _check("MET011", "RMSE", rmse, "regression", _REGRESSION_REMEDY),
    _check("MET012", "MAE", mae, "regression", _REGRESSION_REMEDY),
    _check("MET013", "R²", r2, "regression", _REGRESSION_REMEDY),
)
