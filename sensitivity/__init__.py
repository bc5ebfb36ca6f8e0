"""Sensitivity: what a model's answers do when inputs change."""

from robust.facade import lazy_names

__all__ = [
    "PartialDependence",
    "Sweep",
    "dependence_range",
    "flip_curve",
    "flip_rate",
    "partial_dependence",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "PartialDependence": "robust.sensitivity.dependence_curve",
        "Sweep": "robust.sensitivity.sweep",
        "dependence_range": "robust.sensitivity.feature_ranking",
        "flip_curve": "robust.sensitivity.sweep_flips",
        "flip_rate": "robust.sensitivity.sweep_flips",
        "partial_dependence": "robust.sensitivity.friedman2001",
    },
)
