"""Attacks: how small a change breaks a model, under the user's own rules."""

from robust.facade import lazy_names

__all__ = ["FGSM", "PGD", "RandomNoise", "Transfer", "fuzz", "robust_accuracy", "robustness_curve"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FGSM": "robust.attacks.fgsm",
        "PGD": "robust.attacks.pgd",
        "RandomNoise": "robust.attacks.noise",
        "Transfer": "robust.attacks.transfer",
        "fuzz": "robust.fuzzing.random_attack",
        "robust_accuracy": "robust.attacks.accuracy_under_attack",
        "robustness_curve": "robust.attacks.accuracy_curve",
    },
)
