"""The search for the smallest change that moves an output by an amount: walks along slopes, or bisected budgets."""

from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.base import Attack, adversarial_rows
from robust.attacks.ddn import DDN
from robust.attacks.fmn import FMN
from robust.attacks.keeping import kept
from robust.attacks.minimal_linear import LinearStep
from robust.attacks.minimal_moves import moves_in
from robust.attacks.minimal_norm import MinimalNorm, verified
from robust.attacks.minimal_sizes import dual_norms, sizes_of
from robust.attacks.near_points import near_points
from robust.attacks.output_plateaus import FromEdges, edge_slopes, flat_at, slopes_at
from robust.attacks.output_rungs import black_box
from robust.attacks.output_slopes import differenced, few_features
from robust.attacks.output_target import OutputTarget
from robust.attacks.output_trees import TreeOutput, regression_trees
from robust.attacks.projection import Space
from robust.attacks.unlimited import BEYOND, full_ranges
from robust.data.budget import Eps, as_budget
from robust.types import AnyArray, FloatArray, IntArray, Norm

# Budgets of a bisection, from the whole range down by this factor each; and queries of a search at each of them.
_BUDGETS, _FACTOR, _QUERIES = 128, 0.93, 300
# Where features are few: so many queries, and so many more for each feature.
_FLOOR, _EACH = 40, 10
# Of the straight way back.
_HALVINGS = 10
# Steps of linearised models.
_NEWTON = 8
# Share of the rows that walks may have missed before none of what they found is trusted.
_FEW = 0.05
# Share of the features' ranges over which slopes are measured.
_REACH = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeastPush:
    """The smallest changes that move one output one way by an amount.

    Args:
        target: Output, way, amount and rows.
        space: Norm, units and schema.
        rungs: What searched.
        norms: Norms after each of them, inf where nothing was found (rungs, n).
        rows: The rows that were found, else the originals (n, d).
    """

    target: OutputTarget
    space: Space
    rungs: tuple[Attack, ...]
    norms: FloatArray
    rows: AnyArray

    @property
    def least(self) -> FloatArray:
        """The smallest norms (n,)."""
        return np.asarray(self.norms[-1])


def least_rungs(target: OutputTarget, space: Space, *, units: Eps | None, norm: Norm) -> tuple[Attack, ...]:
    """The attacks: a step and a walk along gradients or measured slopes, a search at bisected budgets without any.

    Behind measured slopes comes that search, too: steps and plateaus have no slope that leads anywhere.

    Args:
        target: Output and rows.
        space: Norm, units and schema.
        units: What the norm is counted in, by name; None for the data's own units.
        norm: The norm.
    """
    model, unit = target.caller.model, 1.0 if units is None else units
    if model.gradients is not None or (regression_trees(model) is None and few_features(space)):
        walk: Attack = DDN(eps=units) if norm == "l2" else FMN(eps=units, norm=norm)
        walks: tuple[Attack, ...] = (LinearStep(eps=units, norm=norm), walk)
        if model.gradients is None:
            moving = int((space.eps > 0).sum())
            return (*walks, black_box(target, unit, norm, queries=min(_QUERIES, _FLOOR + _EACH * moving)))
        flat = model.gradients is not None and bool(flat_at(target, target.x).any())
        return (FromEdges(eps=unit, norm=norm), *walks) if flat else walks
    if regression_trees(model) is not None:
        return (TreeOutput(eps=unit, norm=norm),)
    return (black_box(target, unit, norm, queries=_QUERIES),)


def least_pushes(target: OutputTarget, space: Space, rungs: tuple[Attack, ...], *, seed: int) -> LeastPush:
    """Run the attacks.

    Args:
        target: Output, way, amount and rows.
        space: Norm, units and schema.
        rungs: The attacks, see `least_rungs`.
        seed: Seed of whatever is random.
    """
    least, best = np.full(len(target), np.inf), target.x.copy()
    norms: list[FloatArray] = []
    aimed = target
    if target.caller.model.gradients is None and isinstance(rungs[0], MinimalNorm):
        aimed = differenced(target, space, reach=_REACH * np.minimum(full_ranges(target), _span(target)))
    for rung in rungs:
        if isinstance(rung, MinimalNorm):
            rows = verified(rung, aimed, space, seed=seed)[0]
        elif isinstance(rung, FromEdges):
            rows = _stepped_from_edges(target, space, seed=seed)
            flat = flat_at(target, target.x) & ~np.any((rows != target.x) & ~np.isnan(rows), axis=1)
            if flat.any():
                rows[flat] = _bisected(rung, target.part(flat), space, seed=seed)
        elif norms:
            rows = _left_over(rung, target, space, least, seed=seed)
        else:
            rows = _bisected(rung, target, space, seed=seed)
        there = target.wrong(target.scores(rows), slice(None))
        sizes = np.where(there, sizes_of(space, target.x, rows), np.inf)
        better = sizes < least
        best[better], least = rows[better], np.minimum(least, sizes)
        norms.append(least)
    return LeastPush(target=target, space=space, rungs=rungs, norms=np.array(norms), rows=best)


def _left_over(attack: Attack, target: OutputTarget, space: Space, least: FloatArray, *, seed: int) -> AnyArray:
    """What a search finds for rows of which nothing is known; if it finds many, those that are known are asked, too.

    Args:
        attack: The search, at any budget.
        target: Output, way, amount and rows.
        space: Norm, units and schema.
        least: The norms that are known, inf where nothing was found (n,).
        seed: Of the search.
    """
    found, lost = target.x.copy(), np.isinf(least)
    found[lost] = _bisected(attack, target.part(lost), space, seed=seed)
    if np.any((found != target.x) & ~np.isnan(found), axis=1).sum() > _FEW * len(target):
        found[~lost] = _bisected(attack, target.part(~lost), space, seed=seed)
    return found


def _span(target: OutputTarget) -> FloatArray:
    """What the data span, by feature (d,); inf where they do not vary."""
    x = target.x.astype(np.float64)
    known = np.where(np.isnan(x), np.nanmedian(np.where(np.isnan(x), 0.0, x)), x)
    span = known.max(axis=0) - known.min(axis=0)
    return np.where(span > 0, span, np.inf)


def _stepped_from_edges(target: OutputTarget, space: Space, *, seed: int) -> AnyArray:
    """Rows without a gradient, moved by the shortest steps of models linearised at the edge of their plateau, and on.

    δ = argmin ‖δ‖ with ⟨g, δ⟩ ≥ ⟨g, p − x⟩ + by − (f(p) − f(x)), p the edge first and then where the last step led
    """
    found = target.x.copy()
    rows, points, slope = edge_slopes(target, seed=seed)
    lit = slope.any(axis=1)
    rows, points = rows[lit], points[lit]
    if len(rows) == 0:
        return found
    part, moves, size = target.part(rows), moves_in(space), np.full(len(rows), np.inf)
    best, x = part.x.copy(), part.x.astype(np.float64)
    for _ in range(_NEWTON):
        change, slope = slopes_at(part, points)
        gap = np.sum(slope * np.nan_to_num(points - x), axis=1) + target.by - change
        on = np.flatnonzero(slope.any(axis=1) & (gap > 0))
        if len(on) == 0:
            break
        g = slope[on].astype(moves.dtype)
        move, radius = moves.shortest(part.x[on], g, gap[on], gap[on] / dual_norms(space, g))
        points = points.copy()
        points[on] = moves.rows(part.x[on], move, radius, g)
        out = part.wrong(part.scores(points), slice(None))
        sizes = np.where(out, sizes_of(space, part.x, points), np.inf)
        better = sizes < size
        best[better], size = points[better], np.minimum(size, sizes)
    found[rows] = best
    return _shortened(found, target, space)


def _bisected(attack: Attack, target: OutputTarget, space: Space, *, seed: int) -> AnyArray:
    """The rows that an attack of a fixed budget finds at the smallest of a ladder of budgets (n, d), by bisection."""
    moving = space.eps > 0
    if not moving.any() or not len(target):
        return target.x.copy()
    ranges = full_ranges(target)
    widest = np.where(moving, ranges / np.where(moving, space.eps, 1.0), 0.0)
    most = {"linf": widest.max(initial=0.0), "l2": np.sqrt(np.sum(widest**2)), "l1": widest.sum()}[space.norm]
    budgets = most * _FACTOR ** np.arange(_BUDGETS)[::-1]
    names = target.data.schema.names

    def at(k: int) -> Attack:
        return attack.at({names[j]: as_budget(budgets[k] * space.eps[j]) for j in np.flatnonzero(moving)})

    def run() -> AnyArray:
        found, size = target.x.copy(), np.full(len(target), np.inf)
        # Position of the largest budget that is known to fail, and of the smallest known to do; one behind for none.
        low, high = np.full(len(target), -1), np.full(len(target), _BUDGETS)
        first: IntArray = np.full(len(target), _BUDGETS - 1)
        tried = first
        for _ in range(2 + int(np.log2(_BUDGETS))):
            for k in np.unique(tried[high - low > 1]):
                rows = np.flatnonzero((tried == k) & (high - low > 1))
                part = target.part(rows)
                points = adversarial_rows(at(int(k)), part, seed=seed)
                out = part.wrong(part.scores(points), slice(None))
                sizes = np.where(out, sizes_of(space, part.x, points), np.inf)
                better = sizes < size[rows]
                found[rows[better]], size[rows[better]] = points[better], sizes[better]
                high[rows[out]], low[rows[~out]] = k, k
            # What was found is often smaller than its budget: all budgets from there on are known to do.
            high = np.minimum(high, np.searchsorted(budgets, size))
            tried = (low + high) // 2
        return _shortened(found, target, space)

    identity = attack.identity()
    key = ("least", identity or "", repr(space.eps.tolist()), str(seed))
    return run() if identity is None else kept(target, *key, compute=run)


def _shortened(found: AnyArray, target: OutputTarget, space: Space) -> AnyArray:
    """The first rows, on the straight way to those that were found, that move the output far enough (n, d)."""
    moved = np.flatnonzero(np.any((found != target.x) & ~np.isnan(found), axis=1))
    if len(moved) == 0:
        return found
    part, best = target.part(moved), found[moved]
    way = np.nan_to_num(best.astype(np.float64) - part.x.astype(np.float64))
    size, low, high = sizes_of(space, part.x, best), np.zeros((len(moved), 1)), np.ones((len(moved), 1))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        tried = near_points(space, part.x, part.x + middle * way, eps=middle * size[:, None] * space.eps)
        out = part.wrong(part.scores(tried), slice(None))
        best[out] = tried[out]
        low, high = np.where(out[:, None], low, middle), np.where(out[:, None], middle, high)
    found = found.copy()
    found[moved] = best
    return found


def widest_space(space: Space, x: AnyArray) -> Space:
    """A space in which features without bounds go no farther than a multiple of what the data span.

    Args:
        space: Norm, units and schema.
        x: Rows (n, d).
    """
    known = np.where(np.isnan(x), np.inf, x.astype(np.float64))
    low = np.where(np.isfinite(known).any(axis=0), known.min(axis=0), 0.0)
    high = np.where(np.isfinite(known), known, -np.inf).max(axis=0)
    high = np.where(np.isfinite(high), high, 0.0)
    low = np.where(np.isfinite(low), low, 0.0)
    span = np.where(high > low, high - low, np.maximum(np.maximum(np.abs(low), np.abs(high)), 1.0))
    return replace(
        space,
        lower=np.where(np.isfinite(space.lower), space.lower, low - BEYOND * span),
        upper=np.where(np.isfinite(space.upper), space.upper, high + BEYOND * span),
    )
