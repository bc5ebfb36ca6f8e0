"""How far rows can move a plain statistic: found by changing predictions, since nothing else is known of it."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from robust.models.foreign_errors import PASSING
from robust.quantization.statistic_rows import StatisticRows
from robust.types import AnyArray, BoolArray, FloatArray

#: Classes that predictions are changed to, and rows of a class whose predictions are changed, at most.
_ALTERNATIVES, _ROWS = 8, 5
#: Effects of one row of each class that lie within this factor are alike.
_ALIKE = 1.5
#: The same of effects that hang on what the rows' predictions were.
_NEARLY_ALIKE = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """Largest changes that were found.

    Args:
        rate: Change of the figure a share of rows that change in the worst way; None where it has no bound, or none is
            known, because no change that was tried moves the figure.
        classes: Change if all rows of a class changed in the worst way (k,), of several labels by rows without and with
            each (k, 2); infinite where it has no bound. None for predicted numbers, and where a row of any class has
            about the same effect.
    """

    rate: float | None
    classes: FloatArray | None


def effects_of(rows: StatisticRows) -> Effects:
    """Change predictions of the reference, of one row and of all rows of a class, and see how far the figure moves.

    A row's prediction is changed to other classes, to certainty of them, or to the ends of the range of numbers that
    was seen. The larger of n times the effect of one row, and of the effect of a class divided by its share, counts.

    Args:
        rows: The rows.

    Returns:
        The effects.
    """
    n = float(rows.counts.sum())
    parts = list(_parts(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = _figure(rows, rows.old)
        found = np.array([_of_part(rows, part, changes, base) for part, changes in parts])
    rates = found[:, 0]
    several = rows.truth.ndim == 2 and rows.statistic.of != "values"
    # Of several labels a row can change in every one at once.
    rate = float(rates.reshape(-1, 2).max(axis=1).sum() if several else rates.max()) * n
    if rate == 0.0:
        # Nothing that was tried moves it, so that nothing is known of how far a row can: there is no bound.
        return Effects(rate=None, classes=None)
    classes = None
    if rows.statistic.of != "values" and not _alike(rows, parts, rates, base):
        sizes = np.array([float(part @ rows.counts) for part, _ in parts])
        classes = np.maximum(rates * sizes, found[:, 1]) if np.isfinite(rates).all() else rates * np.maximum(sizes, 1.0)
        classes = classes.reshape(-1, 2) if several else classes
    return Effects(rate=rate if math.isfinite(rate) else None, classes=classes)


def _alike(rows: StatisticRows, parts: list[tuple[BoolArray, list[AnyArray]]], rates: FloatArray, base: float) -> bool:
    """Whether a row of any class moves the figure about as far, so that a class counts by its rows.

    What few rows of a class hide is then as small as they are, and what all rows show is enough. Where certainty has no
    bound, as under a logarithm, predictions are moved halfway to ignorance to see it.
    """
    held = [i for i, (part, _) in enumerate(parts) if part.any()]
    if np.isfinite(rates).all():
        return bool(rates[held].max() <= _ALIKE * rates[held].min())
    if rows.statistic.of == "labels":
        return False
    unsure = 0.5 if rows.truth.ndim == 2 else 1.0 / rows.old.shape[1]
    mild = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in held:
            sample = _sample(rows, parts[i][0])
            found = [abs(_with_one(rows, j, (rows.old[j] + unsure) / 2) - base) for j in sample]
            mild.append(float(np.mean(found)))
    return bool(np.isfinite(mild).all() and 0.0 < max(mild) <= _NEARLY_ALIKE * min(mild))


def _of_part(rows: StatisticRows, part: BoolArray, changes: list[AnyArray], base: float) -> tuple[float, float]:
    """Largest effect of one row of a part, a row, and of all its rows at once."""
    if not part.any():
        return 0.0, 0.0
    size = float(part @ rows.counts)
    wholes = [0.0]
    ones = [0.0]
    for change in changes:
        moved = np.where(_wide(part, change), change, rows.old)
        wholes.append(abs(_figure(rows, moved) - base))
        for i in _sample(rows, part):
            if not np.array_equal(moved[i], rows.old[i]):
                ones.append(abs(_with_one(rows, i, moved[i]) - base))
    whole = _bounded(wholes)
    return max(_bounded(ones), whole / size), whole


def _bounded(sizes: list[float]) -> float:
    """The largest; infinite where one is not known."""
    return math.inf if any(math.isnan(size) for size in sizes) else max(sizes)


def _wide(part: BoolArray, change: AnyArray) -> BoolArray:
    """Where a change applies, in the shape of predictions: a change that is NaN somewhere leaves that as it is."""
    kept = part.reshape(-1, *[1] * (change.ndim - 1))
    return np.asarray(kept & (change == change))


def _parts(rows: StatisticRows) -> Iterator[tuple[BoolArray, list[AnyArray]]]:
    """Parts of the rows that have effects of their own, and what all predictions of each could become."""
    of, truth, old = rows.statistic.of, rows.truth, rows.old
    if of == "values":
        seen = np.concatenate([part.reshape(len(part), -1) for part in (truth, old, rows.new)])
        ends = (seen.min(axis=0), seen.max(axis=0))
        yield np.ones(len(truth), dtype=bool), [np.broadcast_to(np.squeeze(end), old.shape) for end in ends]
        return
    if truth.ndim == 2:
        for c in range(truth.shape[1]):
            changes = []
            for level in (0.0, 1.0):
                change = np.full(old.shape, np.nan)
                change[:, c] = level
                changes.append(change)
            for one in (0, 1):
                yield truth[:, c] == one, changes
        return
    k = old.shape[1] if of == "probabilities" else int(max(truth.max(), old.max(), rows.new.max())) + 1
    for c in range(k):
        kinds = _classes(rows, c, k)
        if of == "probabilities":
            yield truth == c, [np.broadcast_to(np.eye(k)[kind], old.shape) for kind in kinds]
        else:
            yield truth == c, [np.full(old.shape, kind) for kind in kinds]


def _classes(rows: StatisticRows, own: int, k: int) -> list[int]:
    """The class itself, and others from the rarest to the commonest."""
    held = np.bincount(rows.truth, weights=rows.counts, minlength=k)
    others = [c for c in np.argsort(held, kind="stable").tolist() if c != own]
    keep = np.unique(np.linspace(0, len(others) - 1, min(len(others), _ALTERNATIVES - 1)).round().astype(int))
    return [own, *(others[i] for i in keep)] if others else [own]


def _sample(rows: StatisticRows, part: BoolArray) -> AnyArray:
    """Rows of a part that are changed alone: of labels one of each prediction, else from the lowest to the highest."""
    places = np.flatnonzero(part)
    if rows.statistic.of == "labels" and rows.old.ndim == 1:
        return np.asarray(places[np.unique(rows.old[places], return_index=True)[1]])
    keys = rows.old[places].reshape(len(places), -1)
    if rows.statistic.of == "probabilities" and rows.truth.ndim == 1:
        keys = keys[:, rows.truth[places[0]]][:, None]
    order = np.lexsort(keys.T[::-1])
    return np.asarray(
        places[order[np.unique(np.linspace(0, len(places) - 1, min(len(places), _ROWS)).round().astype(int))]]
    )


def _with_one(rows: StatisticRows, i: int, prediction: AnyArray) -> float:
    """The figure of the reference if one of the rows alike had another prediction."""
    weights = np.append(rows.counts.astype(np.float64), 1.0)
    weights[i] -= 1.0
    longer = replace(rows, truth=np.concatenate([rows.truth, rows.truth[[i]]]))
    return _figure(longer, np.concatenate([rows.old, np.asarray(prediction)[None]]), weights)


def _figure(rows: StatisticRows, prediction: AnyArray, weights: FloatArray | None = None) -> float:
    """The figure, or NaN where the function gives none."""
    if rows.statistic.of == "labels":
        prediction = prediction.astype(np.int64)
    try:
        found = rows.figure(prediction, rows.counts.astype(np.float64) if weights is None else weights)
    except PASSING:
        raise
    except Exception:
        return math.nan
    return found if math.isfinite(found) else math.nan
