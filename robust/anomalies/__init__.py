"""Anomaly detection by reconstruction error or score."""

from robust.facade import lazy_names

__all__ = ["AnomalyReport", "anomaly_detection"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AnomalyReport": "robust.anomalies.anomaly_report",
        "anomaly_detection": "robust.anomalies.detecting",
    },
)
