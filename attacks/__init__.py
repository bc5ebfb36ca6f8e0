"""Attacks: how small a change breaks a model, under the user's own rules."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust.attacks.accuracy_under_attack import robust_accuracy as robust_accuracy
    from robust.attacks.accuracy_curve import robustness_curve as robustness_curve
    from robust.attacks.fgsm import FGSM as FGSM
    from robust.attacks.noise import RandomNoise as RandomNoise
    from robust.attacks.pgd import PGD as PGD
    from robust.attacks.transfer import Transfer as Transfer

_HOME = {
    "FGSM": "robust.attacks.fgsm",
    "PGD": "robust.attacks.pgd",
    "RandomNoise": "robust.attacks.noise",
    "Transfer": "robust.attacks.transfer",
    "robust_accuracy": "robust.attacks.accuracy_under_attack",
    "robustness_curve": "robust.attacks.accuracy_curve",
}
__all__ = ["FGSM", "PGD", "RandomNoise", "Transfer", "robust_accuracy", "robustness_curve"]  # noqa: RUF022


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
