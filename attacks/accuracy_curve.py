"""The robustness curve: robust accuracy as the budget grows, from one search over all budgets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from robust.attacks.asked_alone import asked_alone
from robust.attacks.base import Attack, Swept
from robust.attacks.curve_joint import RobustnessCurve
from robust.attacks.curve_search import kept_sweep, sure_sweep
from robust.attacks.flat_rows import flat_rows
from robust.attacks.foreign import template
from robust.attacks.gradient_checks import gradient_checks
from robust.attacks.keeping import resumable
from robust.attacks.noise import RandomNoise
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.outcome_evidence import NAMES
from robust.attacks.rungs import FLOOR_DRAWS
from robust.attacks.second_opinion import climbing, opinion_of_curve, others_of_curve
from robust.attacks.self_checks import (
    gradients_seen,
    known_ranges,
    plausible_units,
    repeats,
    room_to_move,
    strength,
    stronger_than_noise,
    unlimited_budget,
)
from robust.attacks.smoothed_checks import smoothed_checks
from robust.attacks.straight_step import stepped_over_in_curve
from robust.attacks.target import Target, aim
from robust.attacks.transfer import twins
from robust.attacks.unanswered import curve_evidence
from robust.attacks.unlimited import sampled
from robust.data.budget import read_eps, read_norm
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import Fact, SelfCheck, Values
from robust.measures.assembling import assemble
from robust.measures.row_means import share_interval
from robust.models.base import Model, require_gradients
from robust.models.conversion import as_model
from robust.predicting.metering import metered


def robustness_curve(
    model: object,
    data: object,
    attack: Attack | Callable[..., Any],
    *,
    eps: Sequence[float],
    norm: str = "linf",
    level: float = 0.95,
    seed: int = 0,
) -> RobustnessCurve:
    """Measure robust accuracy at several budgets.

    At each eps: the share of rows that are right, and that the attack breaks at no budget up to eps

    A row broken at one budget is broken at every larger one, so the curve falls. FGSM takes one gradient pass
    for all budgets, noise scales the same draws, PGD bisects the grid row by row; each costs a fraction of a
    run a budget.

    Args:
        model: A classifier, or what `as_model` takes.
        data: Rows with true labels, or what `as_data` takes.
        attack: A template such as `FGSM()` or `PGD(norm="l2")`: the curve supplies the budgets; or an attack of
            another library, as `robust_accuracy` takes them.
        eps: Increasing budgets (k,), at least 0, in the data's units.
        norm: Norm of the budgets of a function; other attacks have their own.
        level: Confidence of each one-sided bound, in (0.5, 1), each for its own point.
        seed: Seed of whatever is random.

    Returns:
        The curve, whose points are measurements in [0, 1], higher is better; their cost is that of the whole
        curve. Its `band` holds at all budgets at once, `area()` is the mean robust accuracy over all budgets,
        `margin(limits)` the smallest distance above limits, and `figure()` draws it.

    Raises:
        InvalidInput: If the attack has a budget of its own, budgets do not increase, the model gives no
            gradients to an attack that needs them, or is no classifier of these labels; or data outside its
            bounds.

    >>> rows = np.array([[-3.0], [-0.5], [0.5], [3.0]])
    >>> sign = as_model(lambda x: (x[:, 0] > 0).astype(int), name="sign")
    >>> robustness_curve(sign, (rows, [0, 0, 1, 1]), RandomNoise(), eps=[0.1, 1, 10]).values.tolist()
    [1.0, 0.5, 0.0]
    >>> curve = robustness_curve(sign, (rows, [0, 0, 1, 1]), RandomNoise(), eps=[1, 2, 4])
    >>> curve.area().value  # two rows break between 0 and 1, two between 2 and 4: (2 x 0.5 + 2 x 3) / 4 / 4
    0.4375
    """
    model, data = as_model(model), as_data(data)
    attack = _template(attack, norm)
    grid = _grid(attack, eps)
    with metered() as meter, resumable():
        if attack.gradients:
            model = with_own_gradients(model, data, wanted=True)
            require_gradients(model)
        model = _pinned(model)
        target = aim(model, data)
        swept = sure_sweep(attack, target, grid, seed=seed)
        checks = _checks(attack, target, swept, grid, seed=seed)
        silent = meter.unanswered_rows > 0
        told = curve_evidence(attack, target, swept.survived, grid, silent=silent, seed=seed)
        clean = float(swept.survived[0].mean())
        points = []
        for k, budget in enumerate(grid):
            hits = swept.survived[k + 1]
            facts = (
                Values(metric="accuracy", reference=clean, candidate=float(hits.mean()), names=NAMES),
                Fact(name="eps", value=budget),
                Fact(name="attack", value=repr(attack.at(budget))),
            )
            points.append(
                assemble(
                    share_interval(hits, data, level=level, seed=seed),
                    name="robust_accuracy",
                    unit="share",
                    higher_is_better=True,
                    models=(model, *twins(attack)),
                    data=data,
                    meter=meter,
                    seed=seed,
                    options={"attack": attack, "eps": budget},
                    evidence=(*told[k], *facts),
                    validity=checks[k],
                    row_values=hits.astype(np.float64),
                )
            )
        return RobustnessCurve(
            name="eps", grid=np.array(grid), points=tuple(points), survived=swept.survived, data=data, seed=seed
        )


def _pinned(model: Model) -> Model:
    """The model with its content hash taken once, since live weights are hashed anew each time they are asked."""
    identity = model.identity()
    return replace(model, identity=lambda: identity)


def _template(attack: object, norm: str) -> Attack:
    """An attack of this package, or one of another library."""
    if not isinstance(attack, Attack):
        return template(attack, norm=norm)
    if read_norm(norm) not in ("linf", attack.norm):
        raise InvalidInput(f"norm got {norm!r}, but {attack!r} has its own; leaving norm out would be right")
    return attack


def _grid(attack: Attack, eps: Sequence[float]) -> list[float]:
    """The budgets, checked."""
    if attack.eps is not None:
        raise InvalidInput(
            f"{attack!r} has a budget of its own, but a curve supplies it; leaving eps out would be right"
        )
    if not hasattr(eps, "__len__") or isinstance(eps, str | Mapping) or len(eps) == 0:
        raise InvalidInput(f"eps got {eps!r}; a list of increasing budgets such as [0.01, 0.03, 0.1] would be right")
    grid = []
    for value in eps:
        budget = read_eps(value)
        if not isinstance(budget, float):
            raise InvalidInput(f"eps got {value!r} in a curve; one number for all features would be right")
        grid.append(budget)
    if not all(a < b for a, b in pairwise(grid)):
        raise InvalidInput(f"eps got {grid}; increasing budgets would be right")
    return grid


def _checks(
    attack: Attack, target: Target, swept: Swept, grid: list[float], *, seed: int
) -> list[tuple[SelfCheck, ...]]:
    """The self-checks of each point; noise and the unlimited budget are tried on a sample of the rows."""
    right = swept.survived[0]
    if not right.any():
        return [()] * len(grid)
    part = target.part(right)
    shared: tuple[SelfCheck, ...] = (strength(attack),)
    told: list[tuple[SelfCheck, ...]] = [()] * len(grid)
    climb = climbing(attack, part)
    flat = np.zeros(len(part), dtype=bool)
    if climb is not None:
        flat = swept.flat[right] if attack.gradients else flat_rows(part)
        shared = (*shared, unlimited_budget(climb, target=part, seed=seed))
        budgets, broken = [climb.at(budget) for budget in grid], ~swept.survived[1:, right]
        looks = smoothed_checks(budgets[-1], part, budgets, list(broken), seed=seed)
        over = stepped_over_in_curve(climb, part, ~broken, grid, seed=seed)
        alone = asked_alone(climb, part, ~broken, grid, seed=seed)
        shared = shared if alone is None else (*shared, alone)
        slopes = gradient_checks(climb, part, budgets, seed=seed)
        told = [(*a, *b, *([c] if c else [])) for a, b, c in zip(slopes, looks, over, strict=True)]
    sample, ranges = sampled(part, seed=seed), known_ranges(part)
    noise = None
    if not isinstance(attack, RandomNoise):
        floor = RandomNoise(norm=attack.norm, draws=FLOOR_DRAWS)
        noise = kept_sweep(floor, part.part(sample), grid, seed=seed)
    others = others_of_curve(attack, part, grid[-1])
    opinions = [kept_sweep(other, part.part(sample), grid, seed=seed) for other in others]
    shared = (*shared, repeats(part, seed=seed))
    checks = []
    for k, budget in enumerate(grid):
        held = swept.survived[k + 1][right]
        mine = attack.at(budget)
        own = [room_to_move(mine, part), plausible_units(mine, part, ranges)] if budget > 0 else []
        opinion = opinion_of_curve(mine, others, held[sample], [one.survived[k + 1] for one in opinions])
        own += [] if opinion is None or budget == 0 else [opinion]
        if noise is not None:
            own.append(stronger_than_noise(~noise.survived[k + 1], ~held[sample]))
        if climb is not None:
            own += [*told[k], gradients_seen(part, held & flat, seed=seed)]
        checks.append((*shared, *own))
    return checks
