"""The smallest change of the input that moves a regression's output by an amount: its median over the rows."""

from collections.abc import Mapping

import numpy as np

from robust.attacks.base import Attack, require_budget
from robust.attacks.minimal_checks import budgeted, noise_below, smaller_than_noise
from robust.attacks.minimal_median import median_of_norms
from robust.attacks.minimal_sizes import sizes_of
from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.output_change import pushed_outputs
from robust.attacks.output_evidence import least_evidence, silent_outputs
from robust.attacks.output_least_search import LeastPush, least_pushes, least_rungs, widest_space
from robust.attacks.output_rungs import Pushed
from robust.attacks.output_self_checks import output_self_checks
from robust.attacks.output_target import Regression, aim_outputs, signs_of
from robust.attacks.projection import Space, space_of
from robust.attacks.row_bounds import RowsMeasurement, assemble_rows
from robust.attacks.strengths import Strength
from robust.data.budget import Eps, feature_eps, read_eps, read_norm, read_share
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.intervals.clopper_pearson import clopper_pearson_bounds
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.types import BoolArray, FloatArray

# A fixed budget that does what the search says takes so much more shows that the search has missed rows; so many may.
_MORE, _FEW, _LEVEL = 1.25, 0.05, 0.95


def minimal_perturbation_for_change(
    model: object,
    data: object,
    *,
    change: float,
    norm: str = "l2",
    units: Eps | None = None,
    output: int | str | None = None,
    direction: str = "both",
    level: float = 0.95,
    seed: int = 0,
) -> RowsMeasurement:
    """Measure the smallest change of the input that moves the output by an amount: its median over the rows.

    median_i min ‖x'_i − x_i‖ over the rows that were found inside the schema with |f(x'_i) − f(x_i)| ≥ change; inf
    where none was found, 0 where the model raises, or gives no finite number, on the row as it is (it is named, the
    others go on). Where it does so on a row that was found, that row has moved far enough.

    It is an upper bound of the true median. Along gradients, or slopes from differences where a model gives none and
    has few features, a step of the linearised model is tried, then `DDN` in l2, `FMN` in linf and l1; rows without a
    gradient start from the edge of their plateau; tree ensembles and other models are searched at bisected budgets. The
    smallest of what these, noise and an attack of a fixed budget find counts. Features without bounds are moved by up
    to ten times what the data span.

    Args:
        model: A regression model, or what `as_model` takes.
        data: Rows, or what `as_data` takes; targets are not used.
        change: How far the output has to move, above 0, in its own unit.
        norm: `linf`, `l2` or `l1`: the norm of the change of the input.
        units: Units of the features by name, such as `{"age": 10, "dose": 0.5}`: the change is then measured as
            ‖(δ_j/unit_j)‖, and other features stay. None counts all features in their own units.
        output: Which output, by position or name; None for the one that is easiest to move, of up to 16 in one unit.
        direction: `both` for the easier one, or only `up` or `down`.
        level: Confidence of each one-sided bound, in (0.5, 1).
        seed: Seed of whatever is random.

    Returns:
        The median, above 0, higher is better; bounds are order statistics (Thompson 1936). `rows` has the norm of each
        row. Self-checks that fail make a pass INVALID.

    Raises:
        InvalidInput: If the model is no regression or has no such output, data lies outside its bounds, or an option is
            out of range.

    Source:
        Moosavi-Dezfooli, Fawzi and Frossard (2016), equation 2, with a change of the output for one of the decision.

    >>> rows = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0], [5.0, 0.0]])
    >>> plane = as_model(lambda x: 3 * x[:, 0] - 4 * x[:, 1], task="regression", name="plane")
    >>> m = minimal_perturbation_for_change(plane, rows, change=10.0)
    >>> round(m.value, 2), m.unit  # 10 / √(3² + 4²)
    (2.0, 'l2 norm')
    """
    known, signs, amount = read_norm(norm), signs_of(direction), read_share(change, "change")
    scale = read_eps(units)
    if scale is not None and not isinstance(scale, Mapping):
        raise InvalidInput(f"units got {units!r}; units by feature name such as {{'age': 10, 'dose': 0.5}} are right")
    model, data = as_model(model), as_data(data)
    with metered() as meter:
        regression = aim_outputs(with_own_gradients(model, data, wanted=False), data, output=output)
        eps = feature_eps(1.0 if scale is None else scale, data.schema)
        x = data.schema.flat(data.x)
        space = widest_space(space_of(data.schema, x.dtype, eps=eps, norm=known), x)
        targets = [regression.target(j, sign, by=amount) for j in regression.outputs for sign in signs]
        rungs = least_rungs(targets[0], space, units=scale, norm=known)
        found = [least_pushes(target, space, rungs, seed=seed) for target in targets]
        norms = np.min([one.least for one in found], axis=0)
        by_noise = np.min([_noise_norms(one, space, seed=seed) for one in found], axis=0)
        lucky, norms = by_noise < norms, np.minimum(norms, by_noise)
        pushes = _at_typical_budget(regression, signs, rungs[-1], space, norms, strength="standard", seed=seed)
        by_budget = np.min([_reached_norms(push, space, amount) for push in pushes], axis=0) if pushes else norms
        checks = _checked(pushes, lucky, by_budget < norms / _MORE, seed=seed)
        # A row without an answer needs no change at all.
        norms = regression.over_all(np.minimum(norms, by_budget), silent=0.0)
        median = median_of_norms(norms, data, level=level, seed=seed)
        return assemble_rows(
            median,
            norms,
            name="minimal_perturbation_for_change",
            unit=f"{known} norm" if scale is None else f"{known} norm in the units given",
            higher_is_better=True,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            options={"attack": rungs, "change": amount, "direction": direction, "output": output, "units": scale},
            evidence=(
                *silent_outputs(regression, data, counted="moved by no change at all"),
                *least_evidence(found, norms, data, meter, change=amount, norm=known, median=median.value),
            ),
            validity=checks,
            reach=(0.0, np.inf),
        )


def _noise_norms(found: LeastPush, space: Space, *, seed: int) -> FloatArray:
    """Norms of smaller changes that noise finds, inf where it finds none (n,)."""
    rows = noise_below(found.target, space, found.least, seed=seed)
    sizes = sizes_of(space, found.target.x, rows)
    return np.where(sizes > 0, sizes, np.inf)


def _at_typical_budget(
    regression: Regression,
    signs: tuple[float, ...],
    attack: Attack,
    space: Space,
    norms: FloatArray,
    *,
    strength: Strength,
    seed: int,
) -> list[Pushed]:
    """What attacks of the median norm reach; none where nothing may move."""
    if not (space.eps > 0).any():
        return []
    target = regression.target(regression.outputs[0], signs[0])
    eps = require_budget(budgeted(attack, target, space, norms))
    return pushed_outputs(regression, signs, eps=eps, norm=space.norm, strength=strength, seed=seed)


def _reached_norms(push: Pushed, space: Space, amount: float) -> FloatArray:
    """Norms of the changes with which a fixed budget moved the output far enough, inf where it did not (n,)."""
    sizes = sizes_of(space, push.target.x, push.rows)
    return np.where(push.farthest >= amount, sizes, np.inf)


def _checked(pushes: list[Pushed], lucky: BoolArray, missed: BoolArray, *, seed: int) -> tuple[SelfCheck, ...]:
    """The self-checks: those of a largest change at a typical budget, and whether that or noise finds less."""
    if not pushes:
        return (SelfCheck(name="room to move", passed=False, reason="no feature may move", bias="raises"),)
    n, count = len(missed), int(missed.sum())
    passed = clopper_pearson_bounds(count, n, _LEVEL)[0] <= _FEW
    reason = f"of {n} rows, attacks of a fixed budget move {count} with a clearly smaller change than the search"
    if not passed:
        reason += ": it has not looked everywhere"
    fixed = SelfCheck(name="smaller than a fixed budget", passed=passed, reason=reason, bias="raises")
    return (*output_self_checks(pushes, seed=seed, bias="raises"), smaller_than_noise(lucky), fixed)
