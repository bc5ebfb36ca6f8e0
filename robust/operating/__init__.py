"""Operating points: what a threshold on a score costs and buys, and how one is chosen."""

from robust.facade import lazy_names

__all__ = [
    "OperatingPoint",
    "at_threshold",
    "best_f1",
    "choose_threshold",
    "class_tables",
    "threshold_csv",
    "threshold_table",
    "write_threshold_files",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "OperatingPoint": "robust.operating.choosing",
        "at_threshold": "robust.operating.threshold_rates",
        "best_f1": "robust.operating.f1_search",
        "choose_threshold": "robust.operating.choosing",
        "class_tables": "robust.operating.class_thresholds",
        "threshold_csv": "robust.measures.threshold_lines",
        "threshold_table": "robust.measures.score_thresholds",
        "write_threshold_files": "robust.operating.threshold_files",
    },
)
