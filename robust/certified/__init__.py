"""The certified side: rows that are proved to stay right for every change, not only for those that were tried."""

from robust.facade import lazy_names

__all__ = ["Bracket", "bracket", "certified_accuracy", "smoothed_accuracy"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Bracket": "robust.certified.bracketing",
        "bracket": "robust.certified.bracketing",
        "certified_accuracy": "robust.certified.accuracy_proved",
        "smoothed_accuracy": "robust.certified.smoothing",
    },
)
