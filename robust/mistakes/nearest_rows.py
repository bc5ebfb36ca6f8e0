"""The training rows that lie nearest to each mistake: what the model may have learnt it from."""

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.large import row_blocks
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.intervals.arguments import check_level, check_whole
from robust.measurement import Measurement
from robust.measures.assembling import assemble
from robust.measures.dependence import is_dependent
from robust.measures.details import row_ids
from robust.measures.row_contents import row_contents
from robust.measures.share_bounds import hit_share
from robust.mistakes.neighbour_evidence import neighbour_evidence
from robust.mistakes.neighbours import MistakeNeighbours, Neighbour
from robust.mistakes.row_distances import RowScale, row_scale
from robust.mistakes.spreadsheet_cells import csv_line
from robust.mistakes.wrong_rows import Judged, judge_rows
from robust.predicting.metering import metered
from robust.predicting.predictions import Predictions, class_indices
from robust.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestRows(Measurement):
    """The share of mistakes that the training rows suggest, a measurement that also holds the neighbours of each.

    Args:
        mistakes: The mistakes, most confident first.
        total: Mistakes in all; at most `most` of them are looked up.
        notes: How distances were measured.
    """

    mistakes: tuple[MistakeNeighbours, ...]
    total: int
    notes: tuple[str, ...]

    @property
    def csv(self) -> str:
        """One line a neighbour: `row,true,predicted,rank,neighbour,label,distance`."""
        lines = [csv_line(("row", "true", "predicted", "rank", "neighbour", "label", "distance"))]
        for mistake in self.mistakes:
            for rank, near in enumerate(mistake.neighbours, start=1):
                cells = (mistake.id, mistake.label, mistake.predicted, rank, near.id, near.label, repr(near.distance))
                lines.append(csv_line(str(cell) for cell in cells))
        return "".join(lines)

    @property
    def sentence(self) -> str:
        """What the neighbours say of all mistakes together."""
        if not self.mistakes:
            return "there are no mistakes"
        counts = Counter(mistake.agreeing for mistake in self.mistakes)
        k = len(self.mistakes[0].neighbours)
        return (
            f"of {len(self.mistakes)} mistakes {counts[k]} have {k} of {k} nearest training rows with the predicted "
            f"label (alike in the inputs, or mislabelled), {len(self.mistakes) - counts[k] - counts[0]} have some, "
            f"{counts[0]} have none (the model goes against its training rows)"
        )


def nearest_training_rows(
    model: Any, data: Any, train: Any, *, k: int = 3, most: int = 100, level: float = 0.95, seed: int = 0
) -> NearestRows:
    """Find the training rows nearest to each mistake, and the share of mistakes that they suggest.

    share = (1/e) Σ [all k nearest training rows of mistake i carry the label that was predicted], over e mistakes.

    Distance: √((1/d) Σ_j ((x_j − z_j)/s_j)²) with s_j the standard deviation of feature j over the training rows;
    constant features count as they are. A categorical feature counts 1 where labels differ; a missing value is taken
    for the feature's mean.

    Args:
        model: A classifier that `as_model` takes, with one class a row.
        data: Anything `as_data` takes, with targets.
        train: Training rows with targets, of the same shape; read block by block.
        k: Neighbours, at least 1 and at most the number of training rows.
        most: Mistakes that are looked up, the most confident first, at least 1.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of the bootstrap for rows that depend on each other.

    Returns:
        A share in [0, 1], without a direction: such mistakes ask for other inputs or mended labels, the others for more
        training or another model. `.mistakes` holds the neighbours of each. Exact bounds (Clopper and Pearson 1934),
        blocks or clusters with an order or groups, for mistakes like those that were looked up; 0 with the bounds 0 and
        1 where there are none. If rows are among the training rows a self-check fails: each is its own neighbour.

    Raises:
        InvalidInput: If shapes or labels do not fit, or `k` or `most` is out of range.
        ModelFault: If the model breaks its contract.

    >>> rows, train = (np.array([[1.0], [5.0]]), [0, 1]), (np.array([[0.0], [1.5], [4.0], [6.0]]), [0, 0, 0, 1])
    >>> found = nearest_training_rows(lambda x: np.zeros(len(x), int), rows, train, k=2)
    >>> found.mistakes[0].sentence
    'row 1, 1 taken for 0: 1 of 2 neighbours carry the predicted label 0'
    """
    k, most = check_whole("k", k, least=1), check_whole("most", most, least=1)
    level, seed = check_level(level), check_whole("seed", seed, least=0)
    with metered() as meter:
        judged, known = judge_rows(model, data, one_label="a nearest row"), as_data(train, name="train")
        rows = judged.data
        scale = _comparable(judged, known, k=k)
        labels = _labels(known, judged.scored.predictions)
        every = judged.mistakes()
        wrong = every[:most]
        mistakes = _looked_up(judged, wrong, known, labels, scale, k)
        suggested, looked = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        looked[wrong] = True
        suggested[wrong] = [mistake.agreeing == k for mistake in mistakes]
        cut = [f"the {most} most confident of {len(every)} mistakes"] if len(every) > most else []
        notes = (*scale.notes, *cut)
        measured = assemble(
            hit_share(suggested, looked, rows, level=level, seed=seed),
            name="nearest_training_rows",
            unit="share of mistakes",
            higher_is_better=None,
            models=(judged.model,),
            data=rows,
            meter=meter,
            seed=seed if is_dependent(rows) else None,
            options={"k": k, "most": most},
            evidence=neighbour_evidence(mistakes, total=len(every), k=k, notes=notes),
            validity=(_other_rows(rows, known),),
        )
    base = {field.name: getattr(measured, field.name) for field in fields(Measurement)}
    return NearestRows(**base, mistakes=mistakes, total=len(every), notes=notes)


def _comparable(judged: Judged, known: Dataset, *, k: int) -> RowScale:
    """The common scale, once it is clear that rows can be compared."""
    rows = judged.data
    if k > len(known):
        raise InvalidInput(f"k got {k} for {len(known)} training rows; at most {len(known)} would be right")
    if known.x.shape[1:] != rows.x.shape[1:]:
        raise InvalidInput(
            f"{known.name} has rows of shape {known.x.shape[1:]}, {rows.name} of {rows.x.shape[1:]}: the same would be "
            "right"
        )
    _refuse_other_codes(rows, known)
    return row_scale(known)


def _looked_up(
    judged: Judged, wrong: IntArray, known: Dataset, labels: list[str], scale: RowScale, k: int
) -> tuple[MistakeNeighbours, ...]:
    """The neighbours of some mistakes."""
    if not len(wrong):
        return ()
    distances, places = _nearest(scale.applied(judged.data.x[wrong]), known, scale, k)
    ids = row_ids(known, places.ravel())
    return tuple(
        MistakeNeighbours(
            id=own,
            label=judged.true_label(int(row)),
            predicted=judged.predicted_label(int(row)),
            neighbours=tuple(
                Neighbour(id=ids[i * k + j], label=labels[places[i, j]], distance=float(distances[i, j]))
                for j in range(k)
            ),
        )
        for i, (row, own) in enumerate(zip(wrong, row_ids(judged.data, wrong), strict=True))
    )


def _other_rows(rows: Dataset, known: Dataset) -> SelfCheck:
    """A row that is among the training rows is its own neighbour, whatever its label."""
    shared = row_contents(known).shared(rows)
    return SelfCheck(
        name="other rows than those of training",
        passed=shared == 0,
        reason=f"no row of {rows.name} is among those of {known.name}"
        if shared == 0
        else f"{shared} of {len(rows)} rows of {rows.name} are among those of {known.name}: their nearest training row "
        "is the row itself; test on other rows",
        bias="either",
    )


def _nearest(points: FloatArray, known: Dataset, scale: RowScale, k: int) -> tuple[FloatArray, IntArray]:
    """Distances and positions (m, k) of the k nearest rows, block by block; ties go to the earlier row."""
    from sklearn.neighbors import NearestNeighbors

    best = np.full((len(points), 0), np.inf)
    places = np.zeros((len(points), 0), dtype=np.int64)
    for block in row_blocks(known.x):
        rows = scale.applied(known.x[block])
        near, at = NearestNeighbors(n_neighbors=min(k, len(rows)), algorithm="brute").fit(rows).kneighbors(points)
        # Worked out by differences: by products, as the search does, equal rows come out some 1e-8 apart.
        near = np.sqrt(((points[:, None, :] - rows[at]) ** 2).sum(axis=2) / scale.width)
        best, places = np.hstack([best, near]), np.hstack([places, at + block.start])
        order = np.lexsort((places, best), axis=1)[:, :k]
        best, places = np.take_along_axis(best, order, axis=1), np.take_along_axis(places, order, axis=1)
    return best, places


def _labels(known: Dataset, predictions: Predictions) -> list[str]:
    """The label of each training row, as those of the predictions are written."""
    y = known.targets
    if predictions.found and y.ndim == 1 and y.dtype.kind in "iufb":
        # The classes are those that were met; training rows may have others.
        return [f"{label:.15g}" for label in y.astype(np.float64).tolist()]
    names = [str(label) for label in predictions.classes]
    return [names[i] for i in class_indices(y, predictions).tolist()]


def _refuse_other_codes(rows: Dataset, known: Dataset) -> None:
    """Text columns must be coded alike, or distances between codes mean nothing."""
    if rows.schema.categories != known.schema.categories:
        raise InvalidInput(
            f"text columns of {rows.name} and {known.name} are coded differently; load the one with schema=train.schema"
        )
