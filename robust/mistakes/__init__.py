"""Mistakes of a classifier: where they gather, which labels look wrong, which training rows are alike."""

from robust.facade import lazy_names

__all__ = [
    "ErrorGroups",
    "LabelErrors",
    "NearestRows",
    "error_groups",
    "label_errors",
    "nearest_training_rows",
    "save_error_samples",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ErrorGroups": "robust.mistakes.grouped_errors",
        "LabelErrors": "robust.mistakes.suspected_labels",
        "NearestRows": "robust.mistakes.nearest_rows",
        "error_groups": "robust.mistakes.grouped_errors",
        "label_errors": "robust.mistakes.suspected_labels",
        "nearest_training_rows": "robust.mistakes.nearest_rows",
        "save_error_samples": "robust.mistakes.sample_files",
    },
)
