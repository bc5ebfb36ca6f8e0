"""The attack checks of the catalogue, and what they do when nobody names an attack or a budget."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from robust.attacks.accuracy_under_attack import robust_accuracy
from robust.attacks.base import Attack
from robust.attacks.fgsm import FGSM
from robust.attacks.minimal_rows import minimal_perturbation
from robust.attacks.noise import RandomNoise
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.pgd import PGD
from robust.attacks.transfer import Transfer
from robust.check import Check, Subject
from robust.data.budget import Eps, as_budget, feature_eps, read_norm
from robust.data.dataset import Dataset
from robust.errors import Inapplicable
from robust.evidence import Fact
from robust.measurement import Measurement
from robust.measures.details import sampled
from robust.measures.magnitude import require_moderate

# Of a bounded feature's range; 8/255 of an image's, the usual budget, is 3.1 %.
_OF_RANGE = 0.03
# Of an unbounded feature's standard deviation.
_OF_SPREAD = 0.1
# Rows whose smallest change is searched for unasked: so many, or as many as have so many numbers together.
_ROWS, _FEW_ROWS, _NUMBERS = 512, 32, 2**20


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalPerturbationOptions:
    """What a gate on the smallest change may set.

    Args:
        norm: `l2`, `linf` or `l1`, in the data's own units.
        rows: Rows at most, evenly spaced: every one of them is searched for its own smallest change. None for 512 of
            few features, and fewer of many.
    """

    norm: Literal["l2", "linf", "l1"] = "l2"
    rows: int | None = None


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
        return as_budget(budget[moves].max(initial=0.0))
    return {schema.names[j]: as_budget(float(f"{budget[j]:.3g}")) for j in np.flatnonzero(moves & (budget > 0))}


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


def _run_minimal(subject: Subject, options: MinimalPerturbationOptions) -> Measurement:
    """Look for the smallest changes of the candidate's rows."""
    n, most = len(subject.test), options.rows
    if most is None:
        most = min(_ROWS, max(_FEW_ROWS, _NUMBERS // subject.test.schema.width))
    most = max(most, 1)
    data = subject.test if n <= most else subject.test.rows(sampled(n, most))
    model = with_own_gradients(subject.model, data, wanted=False)
    if model.gradients is None:
        raise Inapplicable(
            "needs a candidate that gives gradients: a torch module, a linear model, or an ONNX file of operators that "
            "are converted to torch"
        )
    found = minimal_perturbation(model, data, norm=options.norm, level=subject.level, seed=subject.seed)
    if len(data) == n:
        return found
    return replace(
        found, evidence=(*found.evidence, Fact(name="rows taken", value=f"{len(data)} of {n}, evenly spaced"))
    )


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
    Check(
        code="ATK003",
        name="minimal_perturbation",
        title="smallest change that breaks half of the rows",
        measure=minimal_perturbation,
        run=_run_minimal,
        options=MinimalPerturbationOptions,
        needs=frozenset({"targets", "classification"}),
        reach=(0.0, float("inf")),
        why="Robust accuracy answers for one budget. The smallest change that breaks a row says how far the rows are "
        "from a mistake, without choosing a budget, in the data's own units. It takes a candidate that gives "
        "gradients, or an ONNX file that is converted.",
        remedy="Compare it with the noise of your sensors and with the steps in which inputs are stored: where the "
        "median is below them, a mistake needs no attacker. Look at the most fragile rows first.",
    ),
)
