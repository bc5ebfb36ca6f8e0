"""The largest change of a regression's output within a budget: of nearly all rows, or how many go too far."""

import numpy as np

from robust.attacks.onnx_gradients import with_own_gradients
from robust.attacks.output_evidence import change_evidence, silent_outputs
from robust.attacks.output_quantile import quantile_of_rows, read_quantile
from robust.attacks.output_rungs import Pushed, output_rungs, push
from robust.attacks.output_self_checks import output_self_checks
from robust.attacks.output_target import Regression, aim_outputs, signs_of
from robust.attacks.row_bounds import RowBounds, RowsMeasurement, assemble_rows
from robust.attacks.strengths import Strength, read_strength
from robust.data.budget import Eps, read_norm, require_eps
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.intervals.clipping import clip
from robust.limits import is_number
from robust.measures.row_means import mean_interval, share_interval
from robust.models.conversion import as_model
from robust.predicting.metering import metered
from robust.types import FloatArray, Norm


def largest_output_change(
    model: object,
    data: object,
    *,
    eps: Eps,
    norm: str = "linf",
    output: int | str | None = None,
    direction: str = "both",
    quantile: float | None = 0.95,
    tolerance: float | None = None,
    strength: str = "standard",
    level: float = 0.95,
    seed: int = 0,
) -> RowsMeasurement:
    """Measure how far a small change of the input moves the output of a regression model.

    c_i = max |f(x'_i) − f(x_i)| over the rows that were found with ‖x'_i − x_i‖ ≤ eps inside the schema; the figure is
    the q-quantile of c, with `quantile=None` its mean, or with `tolerance` the share of rows with c_i > tolerance.
    Where the model raises, or gives no finite number, on the row or on a row that was found, c_i is infinite; such rows
    are named, the others go on

    It is a lower bound of the truth: an attack finds changes, it cannot prove that there are no larger ones. Each
    output is pushed up and down; noise and a cascade from cheap to strong are tried on every row, and what moves it
    farthest counts. Linear models are attacked through their closed form, tree ensembles through their leaves, exactly
    where that is feasible; ONNX files through a torch conversion; other models without gradients through a search that
    sees outputs alone, and slopes from differences where there are few features.

    Args:
        model: A regression model, or what `as_model` takes.
        data: Rows, or what `as_data` takes; targets are not used.
        eps: Budget in the data's units: a number, or numbers by feature name (the others stay).
        norm: Norm of `eps`: `linf`, `l2` or `l1`.
        output: Which output, by position or name; None for the one that moves farthest, row by row, of up to 16 in one
            unit.
        direction: `both`, or only `up` or `down`.
        quantile: q in (0, 1]: this share of the rows moves by at most the figure; 1 is the largest change of these
            rows, None the mean.
        tolerance: A change in units of the output, at least 0, that rows are counted by in place of the quantile.
        strength: `quick`, `standard` or `thorough`.
        level: Confidence of each one-sided bound, in (0.5, 1).
        seed: Seed of whatever is random; a row's numbers depend on its id alone.

    Returns:
        A change in the unit of the output, or a share, at least 0; lower is better. Bounds are order statistics, those
        of a bootstrap for a mean, and Clopper-Pearson's for a share; blocks or clusters where rows depend on each
        other. `rows` has c_i. Self-checks that fail (masked gradients, an attack that noise beats, …) make a pass
        INVALID.

    Raises:
        InvalidInput: If the model is no regression or has no such output, data lies outside its bounds, or an option is
            out of range.

    Source:
        The largest change in a ball is what a local Lipschitz constant bounds: Hein and Andriushchenko (2017), section
        2; bounds: Thompson (1936).

    >>> rows = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    >>> plane = as_model(lambda x: 3 * x[:, 0] - 4 * x[:, 1], task="regression", name="plane")
    >>> m = largest_output_change(plane, rows, eps=0.1, quantile=None)  # 0.1 · (|3| + |−4|)
    >>> round(m.value, 9), m.rows.round(9).tolist(), m.unit
    (0.7, [0.7, 0.7, 0.7], 'target')
    >>> round(largest_output_change(plane, rows, eps=0.1, norm="l2", quantile=1).value, 6)  # 0.1 · √(3² + 4²)
    0.5
    >>> largest_output_change(plane, rows, eps=0.1, tolerance=0.6).value  # all rows move by more
    1.0
    """
    known, name, signs = read_norm(norm), read_strength(strength), signs_of(direction)
    budget, tolerance = require_eps(eps), _read_tolerance(tolerance)
    if quantile is not None:
        quantile = read_quantile(quantile)
    model, data = as_model(model), as_data(data)
    with metered() as meter:
        regression = aim_outputs(with_own_gradients(model, data, wanted=False), data, output=output)
        pushes = pushed_outputs(regression, signs, eps=budget, norm=known, strength=name, seed=seed)
        pushed = np.max([one.farthest for one in pushes], axis=0)
        changes = regression.over_all(pushed, silent=np.inf)
        bounds = _bounds(changes, data, quantile=quantile, tolerance=tolerance, level=level, seed=seed)
        return assemble_rows(
            bounds,
            changes,
            name="largest_output_change",
            unit="target" if tolerance is None else "share",
            higher_is_better=False,
            models=(model,),
            data=data,
            meter=meter,
            seed=seed,
            options={
                "attack": pushes[0].rungs,
                "direction": direction,
                "eps": budget,
                "norm": known,
                "output": output,
                "quantile": quantile if tolerance is None else None,
                "tolerance": tolerance,
            },
            evidence=(
                *silent_outputs(regression, data, counted="moved without bound"),
                *change_evidence(
                    pushes,
                    changes,
                    data,
                    meter,
                    eps=budget,
                    norm=known,
                    strength=name,
                    outputs=regression.values.shape[1],
                    rule=(bounds.value, _word(quantile)) if tolerance is None else (tolerance, "tolerance"),
                ),
            ),
            validity=output_self_checks(pushes, seed=seed, bias="lowers"),
            row_values=_row_values(changes, quantile=quantile, tolerance=tolerance),
            reach=(0.0, np.inf if tolerance is None else 1.0),
        )


def pushed_outputs(
    regression: Regression, signs: tuple[float, ...], *, eps: Eps, norm: Norm, strength: Strength, seed: int
) -> list[Pushed]:
    """Push every output that is asked about every way that is.

    Args:
        regression: Model, rows and outputs.
        signs: The ways.
        eps: The budget.
        norm: Its norm.
        strength: How strong the attacks are.
        seed: Seed of whatever is random.
    """
    targets = [regression.target(output, sign) for output in regression.outputs for sign in signs]
    rungs = output_rungs(targets[0], eps=eps, norm=norm, strength=strength)
    return [push(target, rungs, seed=seed) for target in targets]


def _bounds(
    changes: FloatArray, data: Dataset, *, quantile: float | None, tolerance: float | None, level: float, seed: int
) -> RowBounds:
    """The figure and its bounds."""
    if tolerance is not None:
        return RowBounds.of(share_interval(changes > tolerance, data, level=level, seed=seed))
    if quantile is not None:
        return quantile_of_rows(changes, data, share=quantile, level=level, seed=seed)
    if np.isinf(changes).any():
        return RowBounds.known(np.inf, len(data))  # the mean of all rows like these is infinite, too
    return RowBounds.of(clip(mean_interval(changes, data, level=level, seed=seed), 0.0, np.inf))


def _word(quantile: float | None) -> str:
    return "mean" if quantile is None else f"{quantile:.4g} quantile"


def _row_values(changes: FloatArray, *, quantile: float | None, tolerance: float | None) -> FloatArray | None:
    """What the figure is the mean of; None for a quantile."""
    if tolerance is not None:
        return (changes > tolerance).astype(np.float64)
    return changes.copy() if quantile is None and np.isfinite(changes).all() else None


def _read_tolerance(tolerance: object) -> float | None:
    """Check a tolerance.

    Raises:
        InvalidInput: If it is no finite number of at least 0.
    """
    if tolerance is None:
        return None
    number = float(tolerance) if is_number(tolerance) else np.nan
    if not 0.0 <= number < np.inf:
        raise InvalidInput(f"tolerance got {tolerance!r}; a change of the output, at least 0, such as 5.0 is right")
    return number
