"""The training rows that lie nearest to each mistake: what the model may have learnt it from."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.dataset import Dataset
from robust.data.large import row_blocks
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.evidence import RowId
from robust.intervals.arguments import check_whole
from robust.measures.details import row_ids
from robust.mistakes.row_distances import RowScale, row_scale
from robust.mistakes.spreadsheet_cells import csv_line
from robust.mistakes.wrong_rows import judge_rows
from robust.predicting.predictions import Predictions, class_indices
from robust.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One training row near a mistake.

    Args:
        id: Its id.
        label: Its label.
        distance: Euclidean distance in standardised features, per feature: √(mean of squared differences).
    """

    id: RowId
    label: str
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MistakeNeighbours:
    """A mistake and the training rows nearest to it.

    Args:
        id: Id of the wrong row.
        label: Its true label.
        predicted: Its predicted label.
        neighbours: The k nearest training rows, nearest first.
    """

    id: RowId
    label: str
    predicted: str
    neighbours: tuple[Neighbour, ...]

    @property
    def agreeing(self) -> int:
        """Neighbours that carry the predicted label."""
        return sum(neighbour.label == self.predicted for neighbour in self.neighbours)

    @property
    def contradicted(self) -> bool:
        """Whether the same inputs are in the training rows under the label that was predicted."""
        return any(near.distance == 0 and near.label == self.predicted for near in self.neighbours)

    @property
    def sentence(self) -> str:
        """What the neighbours say, in words."""
        k = len(self.neighbours)
        carry = f"{self.agreeing} of {k} neighbours carry the predicted label {self.predicted}"
        same = "; the same inputs are among the training rows under that label" if self.contradicted else ""
        return f"row {self.id}, {self.label} taken for {self.predicted}: {carry}{same}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestRows:
    """The nearest training rows of each mistake.

    Args:
        mistakes: The mistakes, most confident first.
        total: Mistakes in all; at most `most` of them are looked up.
        notes: How distances were measured.
    """

    mistakes: tuple[MistakeNeighbours, ...]
    total: int
    notes: tuple[str, ...] = ()

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


def nearest_training_rows(model: Any, data: Any, train: Any, *, k: int = 3, most: int = 100) -> NearestRows:
    """Find the training rows nearest to each mistake, and what labels they carry.

    Distance: √((1/d) Σ_j ((x_j − z_j)/s_j)²) with s_j the standard deviation of feature j over the training rows;
    constant features count as they are. A categorical feature counts 1 where labels differ; a missing value is taken
    for the feature's mean.

    Args:
        model: A classifier that `as_model` takes, with one class a row.
        data: Anything `as_data` takes, with targets.
        train: Training rows with targets, of the same shape; read block by block.
        k: Neighbours, at least 1 and at most the number of training rows.
        most: Mistakes that are looked up, the most confident first, at least 1.

    Returns:
        The neighbours of each mistake, exact.

    Raises:
        InvalidInput: If shapes or labels do not fit, or `k` or `most` is out of range.
        ModelFault: If the model breaks its contract.

    >>> rows, train = (np.array([[1.0], [5.0]]), [0, 1]), (np.array([[0.0], [1.5], [4.0], [6.0]]), [0, 0, 0, 1])
    >>> found = nearest_training_rows(lambda x: np.zeros(len(x), int), rows, train, k=2)
    >>> found.mistakes[0].sentence
    'row 1, 1 taken for 0: 1 of 2 neighbours carry the predicted label 0'
    """
    most = check_whole("most", most, least=1)
    judged, known = judge_rows(model, data, one_label="a nearest row"), as_data(train, name="train")
    k = check_whole("k", k, least=1)
    if k > len(known):
        raise InvalidInput(f"k got {k} for {len(known)} training rows; at most {len(known)} would be right")
    rows, predictions = judged.data, judged.scored.predictions
    if known.x.shape[1:] != rows.x.shape[1:]:
        raise InvalidInput(
            f"{known.name} has rows of shape {known.x.shape[1:]}, {rows.name} of {rows.x.shape[1:]}: the same would be "
            "right"
        )
    labels = _labels(known, predictions)
    _refuse_other_codes(rows, known)
    every = judged.mistakes()
    wrong = every[:most]
    scale = row_scale(known)
    notes = (*scale.notes, *([f"the {most} most confident of {len(every)} mistakes"] if len(every) > most else []))
    if not len(wrong):
        return NearestRows(mistakes=(), total=0, notes=scale.notes)
    distances, places = _nearest(scale.applied(rows.x[wrong]), known, scale, k)
    ids = row_ids(known, places.ravel())
    return NearestRows(
        mistakes=tuple(
            MistakeNeighbours(
                id=own,
                label=judged.true_label(int(row)),
                predicted=judged.predicted_label(int(row)),
                neighbours=tuple(
                    Neighbour(
                        id=ids[i * k + j],
                        label=labels[places[i, j]],
                        distance=float(distances[i, j]),
                    )
                    for j in range(k)
                ),
            )
            for i, (row, own) in enumerate(zip(wrong, row_ids(rows, wrong), strict=True))
        ),
        total=len(every),
        notes=notes,
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
