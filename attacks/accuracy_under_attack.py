"""Robust accuracy: the share of rows that are right and stay right under attack."""

from collections.abc import Callable
from typing import Any

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.fgsm import FGSM
from robust.attacks.flat_rows import flat_rows
from robust.attacks.foreign import Foreign
from robust.attacks.gradient_checks import gradient_checks
from robust.attacks.indicators import (
    beats_single_step,
    iterations_suffice,
    more_budget,
    planted_found,
    transfer_failure,
    unstable_loss,
    weaker_black_box,
)
from robust.attacks.keeping import resumable
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.outcome_evidence import outcome_evidence
from robust.attacks.pgd import STEPS
from robust.attacks.rungs import Outcome, plan, require_question, run_ladder
from robust.attacks.second_opinion import climbing, relations_passable, second_opinion
from robust.attacks.self_checks import (
    claims_hold,
    gradients_seen,
    plausible_units,
    repeats,
    room_to_move,
    strength,
    stronger_than_noise,
    unlimited_budget,
    unrounded_outputs,
)
from robust.attacks.smoothed_checks import smoothed_checks
from robust.attacks.square import Square
from robust.attacks.straight_step import stepped_over
from robust.attacks.target import Target, aim, classified
from robust.attacks.transfer import Transfer, twins
from robust.attacks.unanswered import clean_evidence, silent_evidence
from robust.data.budget import Eps
from robust.data.live import as_data
from robust.evidence import Fact, SelfCheck
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.row_means import share_interval
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.randomness import read_seed

# Of the search that gradients are compared with, on a sample of the rows that held.
_QUERIES = 100


def robust_accuracy(
    model: object,
    data: object,
    *,
    attack: Attack | Callable[..., Any] | None = None,
    eps: Eps | None = None,
    norm: str = "linf",
    strength: str = "standard",
    surrogate: object | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Measurement:
    """Measure the share of rows that a classifier gets right, and still gets right after an attack.

    (1/n) Σ 1[f(x_i) = y_i and f(x'_i) = y_i], with x'_i the attack's row inside the schema, ‖x'_i − x_i‖ ≤ eps

    It is an upper bound on the accuracy under the worst change of that size: an attack finds adversarial
    rows, it cannot prove that there are none. Given `eps` alone, a cascade runs from cheap to strong, each
    attack on the rows that are left, and a row that any of them breaks is broken: noise, FGSM, PGD;
    `standard` adds APGD on the margin loss and towards the nearest classes, `thorough` APGD towards nine
    classes and on the margin loss from four starts, a minimal-norm attack and Square. Linear models and
    trees are attacked through what they are, ONNX files through a torch conversion; a model without
    gradients meets the rows of its surrogate, a network fitted to its labels, a search that sees its
    scores, and a walk that sees its labels.

    A row on which the model raises, or gives no finite numbers, is not right; it is named, the others go on. If it does
    so on a row that an attack made inside budget and schema, that row is broken.

    Args:
        model: A classifier, or what `as_model` takes.
        data: Rows with true labels, or what `as_data` takes.
        attack: An attack with a budget, e.g. `PGD(eps=8 / 255)`; or, with `eps`, an attack of `foolbox.attacks` or
            any function `(model, x, y) -> x_adv`, whose rows are projected and judged afresh; or None, with `eps`.
        eps: A budget in the data's units: a number, or numbers by feature name (the others stay); in place of
            an attack.
        norm: Norm of `eps`: `linf`, `l2` or `l1`.
        strength: With `eps`: `quick`, `standard` or `thorough`.
        surrogate: With `eps`, a twin with gradients whose adversarial rows are handed to a model that has
            none; a model with gradients of its own is attacked with these.
        level: Confidence of each one-sided bound, in (0.5, 1).
        seed: Seed of whatever is random.

    Returns:
        The share, in [0, 1], higher is better; bounds are Clopper-Pearson's, or a bootstrap's where rows
        depend on each other. Self-checks that fail (masked gradients, random answers, an attack that noise
        beats, …) make a pass INVALID.

    Raises:
        InvalidInput: If neither or both of attack and eps are given, the attack is a template, the model
            gives no gradients to an attack that needs them, or is no classifier of these labels; or data
            outside its bounds.
        ModelFault: If the model breaks its contract otherwise, or answers no row.

    Source:
        Goodfellow, Shlens and Szegedy (2015); Madry et al. (2018); self-checks after Athalye, Carlini and
        Wagner (2018), section 3.1.

    >>> rows = np.array([[-3.0], [-0.5], [0.5], [3.0]])
    >>> sign = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
    >>> m = robust_accuracy(sign, (rows, [0, 0, 1, 1]), eps=1.0)
    >>> m.value, m.n, m.method  # rows at ±0.5 can be moved across 0, rows at ±3 cannot
    (0.5, 4, 'clopper-pearson')
    """
    model, data, seed = as_model(model), as_data(data), read_seed(seed)
    require_question(attack=attack, eps=eps, norm=norm, strength=strength, surrogate=surrogate)
    with metered() as meter, resumable():
        wanted = isinstance(attack, Attack) and attack.gradients
        if wanted or (attack is None and surrogate is None):
            model = with_own_gradients(model, data, wanted=wanted)
        target = aim(model, data, predictions=classified(model, data))
        ladder = plan(target, attack=attack, eps=eps, norm=norm, strength=strength, surrogate=surrogate)
        clean = target.scores(target.x, keep=True)
        right = ~target.wrong(clean, slice(None))
        robust = right.copy()
        outcome: Outcome | None = None
        checks: tuple[SelfCheck, ...] = ()
        part = target.part(right) if right.any() else None
        if part is not None:
            outcome = run_ladder(ladder, part, seed=seed)
            robust[right] = ~outcome.broken
            checks = _checked(outcome, part, seed=seed)
        return assemble(
            share_interval(robust, data, level=level, seed=seed),
            name="robust_accuracy",
            unit="share",
            higher_is_better=True,
            models=(model, *twins(ladder.strongest)),
            data=data,
            meter=meter,
            seed=seed,
            options={
                "attack": ladder.rungs if ladder.cascade else attack,
                "eps": ladder.strongest.eps,
                "norm": ladder.strongest.norm,
            },
            evidence=(
                *clean_evidence(target, clean),
                *silent_evidence(outcome, part),
                *outcome_evidence(outcome, part, data, right, meter, level=level, seed=seed),
                *(() if part is None else _facts(ladder.strongest, part, seed=seed)),
            ),
            validity=checks,
            row_values=robust.astype(np.float64),
        )


def _checked(outcome: Outcome, target: Target, *, seed: int) -> tuple[SelfCheck, ...]:
    """The self-checks that apply."""
    ladder = outcome.ladder
    attack = ladder.strongest
    checks = [room_to_move(attack, target), repeats(target, seed=seed)]
    climb = climbing(attack, target)
    if climb is not None:
        held = flat_rows(target) & ~outcome.broken
        checks += [gradients_seen(target, held, seed=seed), unlimited_budget(climb, target=target, seed=seed)]
        checks += gradient_checks(climb, target, [climb], seed=seed)[0]
        checks += smoothed_checks(climb, target, [climb], [outcome.broken], seed=seed)[0]
        if target.kind == "probabilities":
            checks.append(unrounded_outputs(target))
        over = stepped_over(climb, target, outcome.broken, seed=seed)
        checks += [] if over is None else [over]
    if attack.gradients:
        checks += _indicators(attack, target, outcome, seed=seed)
    if isinstance(attack, Foreign):
        checks.append(claims_hold(attack))
    if not ladder.cascade:
        opinion = second_opinion(attack, target, outcome.broken, seed=seed)
        checks += [] if opinion is None else [opinion]
    if ladder.floor is not None:
        checks.append(stronger_than_noise(outcome.floor, outcome.attacked))
    if target.data.schema.relations:
        stuck, budget = ~outcome.broken & ~outcome.moved, require_budget(attack)
        checks.append(relations_passable(target, stuck, eps=budget, norm=attack.norm, seed=seed))
    return (*checks, strength(attack), plausible_units(attack, target))


def _indicators(attack: Attack, target: Target, outcome: Outcome, *, seed: int) -> list[SelfCheck]:
    """Whether the search of the strongest attack could have failed."""
    # A cascade says how strong it was asked to be; an attack that somebody named may have fewer steps than it takes.
    least = 0 if outcome.ladder.cascade else STEPS
    found: list[SelfCheck | None] = [iterations_suffice(attack, target, outcome.broken, seed=seed, least=least)]
    if attack.gradients and not any(isinstance(rung, Square) for rung in outcome.ladder.rungs):
        box = Square(eps=require_budget(attack), norm=attack.norm, queries=_QUERIES)
        found.append(weaker_black_box(box, target, outcome.broken, seed=seed))
    if not isinstance(attack, FGSM):
        found.append(planted_found(attack, target, seed=seed))
        found.append(beats_single_step(attack, target, outcome.broken, seed=seed))
        found.append(more_budget(attack, target, outcome.broken, seed=seed))
    return [check for check in found if check is not None]


def _facts(attack: Attack, target: Target, *, seed: int) -> list[Fact]:
    """Indicators that a reader judges."""
    if isinstance(attack, Transfer):
        return [transfer_failure(attack, target, seed=seed)]
    return [unstable_loss(target, eps=require_budget(attack), norm=attack.norm, seed=seed)] if attack.gradients else []
