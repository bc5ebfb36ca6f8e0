"""Residual analysis: what a model's errors still know."""

from robust.facade import lazy_names

__all__ = ["residual_autocorrelation", "unused_feature_correlation"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "residual_autocorrelation": "robust.residuals.autocorrelation_robust",
        "unused_feature_correlation": "robust.residuals.score_correlation",
    },
)
