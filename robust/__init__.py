"""robust decides whether a machine-learning model may ship.

A question is one function, its answer a number with a proven bound, and the gate a plain assert:

    assert degradation(float_model, int8_model, test) < percent(1)
"""

from robust.facade import lazy_names

__version__ = "0.1.0"
__all__ = [
    "InvalidInput",
    "Measurement",
    "MissingExtra",
    "ModelFault",
    "Verdict",
    "accuracy",
    "as_data",
    "as_model",
    "auc",
    "degradation",
    "f1",
    "load_data",
    "load_model",
    "log_loss",
    "mae",
    "percent",
    "r2",
    "rmse",
]

_classification, _regression = "robust.measures.classification", "robust.measures.regression"
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "InvalidInput": "robust.errors",
        "Measurement": "robust.measurement",
        "MissingExtra": "robust.errors",
        "ModelFault": "robust.errors",
        "Verdict": "robust.verdict",
        "accuracy": _classification,
        "as_data": "robust.data.live",
        "as_model": "robust.models.conversion",
        "auc": _classification,
        "degradation": "robust.quantization.degradation_paired",
        "f1": _classification,
        "load_data": "robust.data.loading",
        "load_model": "robust.models.loading",
        "log_loss": _classification,
        "mae": _regression,
        "percent": "robust.limits",
        "r2": _regression,
        "rmse": _regression,
    },
)
