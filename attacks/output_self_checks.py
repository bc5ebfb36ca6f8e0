"""What a figure on how far outputs move must survive before a pass is believed.

Each of these faults can only have hidden larger changes: it makes the largest change too small, and the smallest
perturbation that moves an output too large.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import msgspec
import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.gradient_checks import gradient_checks
from robust.attacks.indicators import ROWS, steps_of, with_steps
from robust.attacks.linear_exact import best_moves
from robust.attacks.noise import RandomNoise
from robust.attacks.output_plateaus import FromEdges, edge_slopes, flat_at
from robust.attacks.output_rungs import Pushed, black_box, is_odd, push_space, pushed_rows
from robust.attacks.output_target import OutputTarget
from robust.attacks.output_trees import TreeOutput
from robust.attacks.projection import Space
from robust.attacks.self_checks import plausible_units, room_to_move
from robust.attacks.unlimited import sampled
from robust.data.budget import scaled_eps
from robust.evidence import SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.intervals.mcnemar import mcnemar_p
from robust.models.conversion import as_model
from robust.predicting.calling import bind
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

_FEW, _LEVEL = 0.05, 0.95
# Share of planted changes that may be missed, as in the checks of robust accuracy.
_MISSED, _DRAWS = 0.5, 10
_QUERIES, _WIDER, _SMALL = 100, 1.5, 0.1
# What one search found is more than what another did where it is by so much, and by more than rounding.
_MORE, _CLEAR = 0.05, 16.0
# Twice the steps, or a search that sees outputs alone, may add so much to the changes, taken together.
_UNDONE = 0.1
# An attack must come so near to the closed form of a linear model.
_EXACT = 0.99
# Relative difference of two answers to one question that is still the same answer.
_REPEATS = 1e-5


def output_self_checks(
    pushes: Sequence[Pushed], *, seed: int, bias: Literal["raises", "lowers"]
) -> tuple[SelfCheck, ...]:
    """The self-checks that apply.

    Args:
        pushes: How far the attacks pushed each output each way; those with the largest changes are looked at closely.
        seed: Seed of whatever is random, and of samples of the rows.
        bias: Which way a fault moves the figure.

    Returns:
        The checks.
    """
    lead = max(pushes, key=lambda push: float(push.farthest.mean()))
    attack, target = _strongest(lead), lead.target
    checks = [room_to_move(attack, target)]
    if not checks[0].passed:
        return (msgspec.structs.replace(checks[0], bias=bias),)
    if attack.gradients and target.caller.model.gradients is not None:
        checks.append(_gradients_seen(pushes, seed=seed))
        # A step that is not small beside what outputs span is misled where they are clipped, honestly.
        small = attack.at(scaled_eps(require_budget(attack), _SMALL))
        checks += gradient_checks(attack, target, [attack], steps=[small], seed=seed)[0]
        checks.append(_no_weaker_than_search(lead, attack, seed=seed))
    if attack.gradients:
        checks += [_closed_form(attack, target, seed=seed), _enough_steps(lead, attack, seed=seed)]
        checks += [_planted(lead, attack, seed=seed), _more_budget(lead, attack, seed=seed)]
    checks.append(_stronger_than_noise(pushes))
    if target.data.schema.relations:
        checks.append(_relations_passable(pushes, attack, seed=seed))
    told = [msgspec.structs.replace(check, bias=bias) if check.bias == "raises" else check for check in checks]
    return (*told, _same_twice(lead), _strength(attack, target), plausible_units(attack, target))


def _strongest(push: Pushed) -> Attack:
    """The rung that the figure rests on: the last with gradients, or that reads trees, else the last."""
    for rung in reversed(push.rungs):
        if (rung.gradients and not isinstance(rung, FromEdges)) or isinstance(rung, TreeOutput):
            return rung
    return push.rungs[-1]


def _strength(attack: Attack, target: OutputTarget) -> SelfCheck:
    """What kind of evidence a pass is."""
    if isinstance(attack, TreeOutput):
        text = "the model's own trees: a bound of what can be done, tight where the search ended with a proof"
    elif attack.gradients and target.caller.model.gradients is not None:
        text = "gradients of the model itself: a bound of what can be done, as every attack gives"
    else:
        text = "what the model answers, asked many times: a bound of what can be done, and a loose one"
    return SelfCheck(name="strength", passed=True, reason=text, bias="none")


def _gradients_seen(pushes: Sequence[Pushed], *, seed: int) -> SelfCheck:
    """Whether the output moves by jumps from rows without a gradient, so that nothing leads an attack there."""
    hidden, flat_rows = 0.0, 0.0
    for push in pushes:
        part = push.target.part(sampled(push.target, seed=seed))
        flat_rows = max(flat_rows, float(flat_at(part, part.x).mean()))
        jumps = ~edge_slopes(part, seed=seed)[2].any(axis=1)
        hidden = max(hidden, float(jumps.sum()) / len(part))
    passed = hidden <= _FEW
    reason = (
        f"{flat_rows:.0%} of the rows have a gradient of exactly zero, {hidden:.0%} one where their output moves, too"
    )
    if not passed:
        reason += ": the model hides its gradients"
    return SelfCheck(name="gradients", passed=passed, reason=reason, bias="raises")


def _stronger_than_noise(pushes: Sequence[Pushed]) -> SelfCheck:
    """Whether noise of the same budget moves more rows farther than the attack does, by more than chance explains."""
    floor = np.max([push.floor for push in pushes], axis=0)
    attacked = np.max([push.attacked for push in pushes], axis=0)
    target = pushes[0].target
    lucky, found = int(_clearly(floor, attacked, target).sum()), int(_clearly(attacked, floor, target).sum())
    beaten = lucky > found and mcnemar_p(lucky, found) <= 2 * (1 - _LEVEL)
    reason = f"of {len(floor)} rows, the attack moves {found} clearly farther than noise, noise {lucky} farther than it"
    if beaten:
        reason += ": what random noise beats is no evidence"
    return SelfCheck(name="stronger than noise", passed=not beaten, reason=reason, bias="raises")


def _planted(push: Pushed, attack: Attack, *, seed: int) -> SelfCheck:
    """Whether the attack gets as far as the best of ten other draws, which plant a change that is there."""
    rows, part = _sample(push, seed=seed)
    noise = RandomNoise(eps=require_budget(attack), norm=attack.norm, draws=_DRAWS)
    planted = pushed_rows(noise, part, seed=seed + 1)[1]
    there = _clearly(planted, np.zeros(len(rows)), part)
    missed = int((there & _clearly(planted, push.attacked[rows], part)).sum())
    passed = _rare(missed, int(there.sum()), share=_MISSED)
    reason = f"of {there.sum()} planted changes, the attack reached {there.sum() - missed}"
    if not passed:
        reason += ": it misses changes that are there"
    return SelfCheck(name="planted rows", passed=passed, reason=reason, bias="raises")


def _no_weaker_than_search(push: Pushed, attack: Attack, *, seed: int) -> SelfCheck:
    """Whether a search that sees outputs alone does not move rows farther than gradients could."""
    rows, part = _sample(push, seed=seed)
    box = black_box(part, require_budget(attack), attack.norm, queries=_QUERIES)
    by_gradients = [reached for rung, reached in zip(push.rungs, push.reached, strict=True) if rung.gradients]
    # Features that move by steps or jump are the search's own: there gradients are not expected to do as well.
    champion = (
        push.attacked
        if is_odd(part, push_space(part, require_budget(attack), attack.norm))
        else np.max(by_gradients, 0)
    )
    found, led = pushed_rows(box, part, seed=seed)[1].sum(), champion[rows].sum()
    passed = bool(found <= (1.0 + _UNDONE) * led + _rounding(part).sum())
    reason = f"{type(box).__name__}, which sees outputs alone, moves {len(rows)} rows by {found:.4g} in all, "
    reason += f"gradients by {led:.4g}"
    if not passed:
        reason += ": gradients that see less than outputs are masked"
    return SelfCheck(name="stronger than black-box", passed=passed, reason=reason, bias="raises")


def _relations_passable(pushes: Sequence[Pushed], attack: Attack, *, seed: int) -> SelfCheck:
    """Whether a search that keeps the schema's relations moves outputs of rows that the attacks left alone."""
    stuck = np.flatnonzero(np.all([np.all(_same(push.rows, push.target.x), axis=1) for push in pushes], axis=0))
    n, target, passed = len(pushes[0].target), pushes[0].target, True
    reason = f"{len(stuck)} of {n} rows stayed where they were"
    if len(stuck) > _FEW * n:
        part = target.part(stuck[sampled(target.part(stuck), seed=seed, most=ROWS)])
        box = black_box(part, require_budget(attack), attack.norm, queries=_QUERIES)
        moved = int((pushed_rows(box, part, seed=seed)[1] > _rounding(part)).sum())
        passed = moved / len(part) * len(stuck) <= _FEW * n
        reason += f"; a search among rows that keep the relations moves the outputs of {moved} of {len(part)} of them"
    if not passed:
        reason += ": the attacks do not know how to move along them"
    return SelfCheck(name="relations", passed=passed, reason=reason, bias="raises")


def _enough_steps(push: Pushed, attack: Attack, *, seed: int) -> SelfCheck:
    """Whether twice as many steps would not have moved the rows much farther."""
    rows, part = _sample(push, seed=seed)
    steps, before = steps_of(attack), push.farthest[rows]
    after = before
    if steps is not None:
        after = np.maximum(pushed_rows(with_steps(attack, 2 * steps), part, seed=seed)[1], before)
    passed = bool(after.sum() <= (1.0 + _UNDONE) * before.sum() + _rounding(part).sum())
    reason = f"twice as many steps move {len(rows)} rows by {after.sum():.4g} in all, instead of {before.sum():.4g}"
    if not passed:
        reason += ": it had not converged"
    return SelfCheck(name="enough steps", passed=passed, reason=reason, bias="raises")


def _more_budget(push: Pushed, attack: Attack, *, seed: int) -> SelfCheck:
    """Whether rows move at least as far with half as much budget again; a warning where they do not."""
    rows, part = _sample(push, seed=seed)
    wider = attack.at(scaled_eps(require_budget(attack), _WIDER))
    reached = pushed_rows(wider, part, seed=seed)[1]
    less = int(_clearly(push.reached[push.rungs.index(attack)][rows], reached, part).sum())
    passed = _rare(less, len(rows))
    reason = f"of {len(rows)} rows, {less} move less far at {_WIDER:g} times the budget"
    if not passed:
        reason += ": a search that more room makes worse depends on luck"
    return SelfCheck(name="more budget", passed=passed, reason=reason, bias="none")


def _closed_form(attack: Attack, target: OutputTarget, *, seed: int) -> SelfCheck:
    """Whether the attack finds the optimum of a linear model with a typical gradient of this one, under these rules."""
    part = target.part(sampled(target, seed=seed, most=ROWS))
    space, name = push_space(part, require_budget(attack), attack.norm), "closed form"
    given = part.caller.model.gradients is not None
    slopes = part.gradient(part.x, slice(None))[1] if given else np.zeros(part.x.shape)
    weights = np.median(np.abs(slopes), axis=0) * np.where(np.arange(slopes.shape[1]) % 2, -1.0, 1.0)
    if not (weights * space.eps).any() or is_odd(part, space) or np.isnan(part.x).any():
        reason = "not asked: no typical gradient, or features that are missing, move by steps or depend on each other"
        return SelfCheck(name=name, passed=True, reason=reason, bias="raises")
    short = int(
        (pushed_rows(attack, _linear(part, weights), seed=seed)[1] < _EXACT * _best(part, weights, space)).sum()
    )
    reason = f"on a linear model with a typical gradient, {len(part) - short} of {len(part)} rows reach the closed form"
    return SelfCheck(name=name, passed=short == 0, reason=reason, bias="raises")


def _linear(target: OutputTarget, weights: FloatArray) -> OutputTarget:
    """The same rows, way and rules, and a linear model in place of the model."""

    def forward(x: AnyArray) -> FloatArray:
        return np.asarray(x.reshape(len(x), -1).astype(np.float64) @ weights[:, None])

    def gradients(x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        outputs = forward(x)
        return outputs, (cotangent(outputs) * weights).reshape(x.shape)

    model = as_model(forward, gradients=gradients, task="regression", name="linear", batch_size=target.batch)
    base = forward(target.x)[:, 0]
    return replace(target, caller=bind(model, target.data.schema), base=base, output=0)


def _best(target: OutputTarget, weights: FloatArray, space: Space) -> FloatArray:
    """How far a linear model can be pushed, in closed form (n,)."""
    x, slope = target.x.astype(np.float64), target.sign * weights * space.eps
    with np.errstate(over="ignore"):
        low, high = (
            np.divide(bound - x, space.eps, out=np.zeros(x.shape), where=space.eps > 0)
            for bound in (space.lower, space.upper)
        )
    slopes = np.broadcast_to(slope, x.shape)
    moves = best_moves(slopes, np.minimum(low, 0.0), np.maximum(high, 0.0), norm=space.norm)
    return np.asarray(np.sum(slopes * moves, axis=1))


def _same_twice(push: Pushed) -> SelfCheck:
    """Whether the model, asked twice about the rows that were found, answers the same."""
    target = push.target
    first, second = target.changes(push.rows), target.changes(push.rows)
    # Rows without an answer have moved infinitely far, both times.
    with np.errstate(invalid="ignore"):
        gap = np.abs(first - second) / (1.0 + np.abs(first) + np.abs(target.base))
    differ = int(((first != second) & ~(gap <= _REPEATS)).sum())
    reason = f"asked again, the model answers otherwise on {differ} of {len(target)} rows that were found"
    return SelfCheck(name="same answer twice", passed=differ == 0, reason=reason, bias="either")


def _clearly(one: FloatArray, other: FloatArray, target: OutputTarget) -> BoolArray:
    """Where one change is larger than another, by more than a little and more than rounding (m,)."""
    return np.asarray(one > (1.0 + _MORE) * other + _rounding(target))


def _rounding(target: OutputTarget) -> FloatArray:
    """Changes that are rounding, by row (n,)."""
    return np.asarray(_CLEAR * np.finfo(np.float32).eps * np.abs(target.base))


def _sample(push: Pushed, *, seed: int) -> tuple[IntArray, OutputTarget]:
    """Some rows, picked by their ids."""
    rows = sampled(push.target, seed=seed, most=ROWS)
    return rows, push.target.part(rows)


def _same(rows: AnyArray, x: AnyArray) -> BoolArray:
    return np.asarray((rows == x) | (np.isnan(rows) & np.isnan(x)))


def _rare(count: int, n: int, *, share: float = _FEW) -> bool:
    """Whether a share explains a count, at a level of 95 %."""
    return n == 0 or clopper_pearson_bounds(count, n, _LEVEL)[0] <= share
