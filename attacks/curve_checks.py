"""The check of the area under a robustness curve, and the budgets and the attack when nobody names them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from robust.attacks.accuracy_curve import robustness_curve
from robust.attacks.base import Attack
from robust.attacks.checks import default_eps
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.pgd import PGD
from robust.attacks.random_search import RandomSearch
from robust.attacks.square import Square
from robust.attacks.strengths import cascade
from robust.attacks.target import aim
from robust.attacks.transfer import Transfer
from robust.check import Check, Subject
from robust.data.budget import read_norm
from robust.errors import Inapplicable
from robust.measurement import Measurement
from robust.types import Norm

# Even steps, so that no single one holds most of the area, up to twice the usual budget.
_STEPS, _REACH = 8, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaOptions:
    """What a gate on the area under the robustness curve may set.

    Args:
        eps: Increasing budgets, in the data's units; none for eight even steps up to twice that of `robust_accuracy`.
        norm: `linf`, `l2` or `l1`.
        attack: `pgd`, `fgsm` or `noise`, the former two from the surrogate where the candidate gives no gradients; None
            for PGD, or what a model without gradients allows.
    """

    eps: tuple[float, ...] = ()
    norm: Literal["linf", "l2", "l1"] = "linf"
    attack: Literal["pgd", "fgsm", "noise"] | None = None


def _run(subject: Subject, options: AreaOptions) -> Measurement:
    """Draw the candidate's curve and take its area."""
    grid = options.eps or _budgets(subject)
    attack = _attack(subject, options.attack, read_norm(options.norm))
    curve = robustness_curve(subject.model, subject.test, attack, eps=grid, level=subject.level, seed=subject.seed)
    return curve.area()


def _budgets(subject: Subject) -> tuple[float, ...]:
    """Even steps around the usual budget, where it is one number for all features."""
    usual = default_eps(subject.test)
    if isinstance(usual, Mapping):
        raise Inapplicable(
            "needs eps, a list of budgets in the data's units: the features have different ranges, so that no number "
            "suits them all"
        )
    if usual == 0.0:
        raise Inapplicable("needs a feature that may move")
    return tuple(float(f"{usual * _REACH * step / _STEPS:.6g}") for step in range(1, _STEPS + 1))


def _attack(subject: Subject, name: str | None, norm: Norm) -> Attack:
    """The attack without a budget."""
    model, twin = subject.model, subject.surrogate
    borrowed = model.gradients is None and twin is not None
    if name == "noise":
        return RandomNoise(norm=norm)
    if name is not None or borrowed:
        climb: Attack = FGSM(norm=norm) if name == "fgsm" else PGD(norm=norm)
        return Transfer(attack=climb, surrogate=twin) if borrowed else climb
    own = with_own_gradients(model, subject.test, wanted=False)
    rungs = cascade(aim(own, subject.test), eps=1.0, norm=norm, strength="quick")
    # The quick cascade climbs in few steps, which a curve need not: it bisects the budgets. A search by scores is cheap
    # beside a walk by labels, which is its self-check.
    last = next((rung for rung in rungs if isinstance(rung, Square | RandomSearch)), rungs[-1])
    return PGD(norm=norm) if isinstance(last, PGD) else replace(last, eps=None)  # type: ignore[type-var]


CHECKS = (
    Check(
        code="ATK002",
        name="robustness_area",
        title="accuracy over all budgets",
        measure=robustness_curve,
        run=_run,
        options=AreaOptions,
        needs=frozenset({"targets", "classification"}),
        reach=(0.0, 1.0),
        why="Accuracy at one budget says nothing about the next: a model can hold up to the budget that was tested and "
        "break right after it. The area is the mean robust accuracy over all budgets, from none to the largest.",
        remedy="Look at where the curve falls. A fall at the smallest budgets is a model that is too steep: train on "
        "adversarial or noisy rows. A wide interval on many rows wants more budgets, where the curve falls. An INVALID "
        "pass means that the attack could not see: the self-check says at which budget.",
    ),
)
