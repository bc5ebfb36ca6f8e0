"""Fuzzing: does a model hold at all, on random input inside its schema, at its edges and outside?"""

from robust.facade import lazy_names

__all__ = ["batches", "fuzz", "replay", "rows"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "batches": "robust.fuzzing.strategies",
        "fuzz": "robust.fuzzing.random_attack",
        "replay": "robust.fuzzing.example_files",
        "rows": "robust.fuzzing.strategies",
    },
)
