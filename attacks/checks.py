"""The attack check of the catalogue, and what it does when nobody names an attack or a budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import Attack
from robust.attacks.fgsm import FGSM
from robust.attacks.noise import RandomNoise
from robust.attacks.pgd import PGD
from robust.attacks.transfer import Transfer
from robust.check import Check, Subject
from robust.data.budget import Eps, feature_eps, read_norm
from robust.data.dataset import Dataset
from robust.measurement import Measurement
from robust.measures.magnitude import require_moderate

# Of a bounded feature's range; 8/255 of an image's, the usual budget, is 3.1 %.
_OF_RANGE = 0.03
# Of an unbounded feature's standard deviation.
_OF_SPREAD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustAccuracyOptions:
    """What a gate on robust accuracy may set.

    Args:
        attack: `pgd`, `fgsm` or `noise`, the former two from the surrogate where the candidate gives no
            gradients; None for the cascade of `strength`.
        eps: Budget in the data's units, one number or numbers by feature; None for 3 % of a bounded feature's
            range, and a tenth of an unbounded one's standard deviation.
        norm: `linf`, `l2` or `l1`.
        strength: Without an attack: `quick`, `standard` or `thorough`.
        steps: Gradient steps of PGD.
        restarts: Random starts of PGD.
    """

    attack: Literal["pgd", "fgsm", "noise"] | None = None
    eps: float | dict[str, float] | None = None
    norm: Literal["linf", "l2", "l1"] = "linf"
    strength: Literal["quick", "standard", "thorough"] = "standard"
    steps: int = 40
    restarts: int = 1


def default_eps(data: Dataset) -> Eps:
    """A small budget in the data's own units.

    3 % of a bounded feature's range, 10 % of an unbounded one's standard deviation, for features that may move

    Args:
        data: The rows.

    Returns:
        One number where all features that may move have the same, else their numbers by feature name.

    Raises:
        InvalidInput: If features are so large that their squares overflow.

    >>> from robust.data.live import as_data
    >>> default_eps(as_data(np.array([[0.0], [1.0]]), schema={"bounds": (0, 1)}))
    0.03
    """
    require_moderate(data.x, f"features of {data.name}", smallest=0.0)
    schema = data.schema
    bounded = np.isfinite(schema.lower) & np.isfinite(schema.upper)
    budget = np.zeros(schema.width)
    budget[bounded] = _OF_RANGE * (schema.upper - schema.lower)[bounded]
    loose = np.asarray(schema.flat(data.x)[:, ~bounded], dtype=np.float64)
    known = ~np.isnan(loose)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, loose - np.where(known, loose, 0.0).sum(axis=0) / count, 0.0)
    budget[~bounded] = _OF_SPREAD * np.sqrt((centred**2).sum(axis=0) / count)
    moves = feature_eps(1.0, schema) > 0
    if len(np.unique(budget[moves])) <= 1:
        return float(budget[moves].max(initial=0.0))
    return {schema.names[j]: float(f"{budget[j]:.3g}") for j in np.flatnonzero(moves & (budget > 0))}


def _run(subject: Subject, options: RobustAccuracyOptions) -> Measurement:
    """Measure the candidate, with its surrogate's gradients where it has none."""
    eps = default_eps(subject.test) if options.eps is None else options.eps
    if isinstance(eps, Mapping):
        eps = dict(eps)
    borrowed = subject.model.gradients is None and subject.surrogate is not None
    level, seed = subject.level, subject.seed
    if options.attack is None:
        return robust_accuracy(
            subject.model,
            subject.test,
            eps=eps,
            norm=options.norm,
            strength=options.strength,
            surrogate=subject.surrogate if borrowed else None,
            level=level,
            seed=seed,
        )
    attack = _attack(options.attack, eps, options)
    if borrowed and attack.gradients:
        attack = Transfer(attack=attack, surrogate=subject.surrogate)
    return robust_accuracy(subject.model, subject.test, attack=attack, level=level, seed=seed)


def _attack(name: str, eps: Eps, options: RobustAccuracyOptions) -> Attack:
    """The named attack."""
    norm = read_norm(options.norm)
    if name == "noise":
        return RandomNoise(eps=eps, norm=norm)
    if name == "fgsm":
        return FGSM(eps=eps, norm=norm)
    return PGD(eps=eps, norm=norm, steps=options.steps, restarts=options.restarts)


CHECKS = (
    Check(
        code="ATK001",
        name="robust_accuracy",
        title="accuracy under attack",
        measure=robust_accuracy,
        run=_run,
        options=RobustAccuracyOptions,
        needs=frozenset({"targets", "classification"}),
        reach=(0.0, 1.0),
        why="A model that is right on the test rows may be wrong right beside them. Small changes that somebody "
        "chooses find those places; random noise seldom does.",
        remedy="Look at the rows that break first, and whether eps is a change that can happen. Train on adversarial "
        "rows (PGD), smooth the inputs, or narrow what the model accepts. An INVALID pass means hidden gradients: "
        'give the logits (output="logits"), or attack a twin with Transfer.',
    ),
)
