"""Wrong rows as files, one a row, to be looked at and opened in other tools."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.intervals.arguments import check_whole
from robust.mistakes.owned_files import OwnedFiles
from robust.mistakes.spreadsheet_cells import csv_line
from robust.mistakes.wrong_rows import Judged, judge_rows
from robust.types import IntArray

FOLDER = "error_samples"


def save_error_samples(
    model: Any, data: Any, folder: str | os.PathLike[str], *, most_per_class: int = 20
) -> tuple[Path, ...]:
    """Write wrong rows as `error_samples/error_001.csv`, `error_002.csv` …, the most confident mistakes first.

    Each file has the columns `part,name,value`: the row's id, its true and its predicted label, the confidence of every
    class, what else is known about the row (metadata), and every input by the name of its feature (images flattened in
    C order). Text that a spreadsheet would run gets an apostrophe in front.

    Args:
        model: A classifier that `as_model` takes.
        data: Anything `as_data` takes, with targets.
        folder: Where `error_samples` is made; files that an earlier call wrote there, and nobody changed, are removed.
        most_per_class: Files of one true class, at least 1; of several labels a row, of one set of labels.

    Returns:
        The files, numbered from 1 over all classes by falling confidence; none where all rows are right.

    Raises:
        InvalidInput: If `most_per_class` is no whole number of at least 1, the model is no classifier, or the folder
            cannot be written to or holds files of these names that no earlier call wrote.
        ModelFault: If the model breaks its contract.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     rows = (np.array([[1.0], [-1.0]]), [1, 1])
    ...     files = save_error_samples(lambda x: (x[:, 0] > 0).astype(int), rows, place)
    ...     print(files[0].name, files[0].read_text().splitlines()[1:4])
    error_001.csv ['row,id,1', 'label,true,1', 'label,predicted,0']
    """
    most = check_whole("most_per_class", most_per_class, least=1)
    files = OwnedFiles(Path(folder))
    written = write_error_samples(judge_rows(model, data), files, most_per_class=most)
    files.clear(inside=f"{FOLDER}/")
    return written


def write_error_samples(judged: Judged, files: OwnedFiles, *, most_per_class: int) -> tuple[Path, ...]:
    """The same for predictions that are known, without clearing away what an earlier run left.

    Args:
        judged: Predictions beside the truth.
        files: Of the folder.
        most_per_class: Files of one true class.

    Returns:
        The files.

    Raises:
        InvalidInput: If the folder cannot be written to, or holds such files that no run wrote.
    """
    rows, place = capped(judged, most_per_class).tolist(), files.folder / FOLDER
    names = [f"{FOLDER}/{sample_name(number)}" for number in range(1, len(rows) + 1)]
    try:
        files.claim(names)
        place.mkdir(parents=True, exist_ok=True)
        return tuple(
            files.put(name, "".join(_lines(judged, row)).encode()) for name, row in zip(names, rows, strict=True)
        )
    except OSError as error:
        raise InvalidInput(f"error samples cannot be written to {place}: {error.strerror or error}") from error


def sample_name(number: int) -> str:
    """Name of the file of a wrong row.

    Args:
        number: Its place among them, from 1.
    """
    return f"error_{number:03d}.csv"


def capped(judged: Judged, most: int) -> IntArray:
    """Wrong rows, most confident first, of each true class at most so many."""
    rows = judged.mistakes()
    if not len(rows):
        return rows
    truth = judged.scored.truth[rows]
    owner = np.unique(truth, axis=0, return_inverse=True)[1].ravel()
    seen = np.zeros(len(rows), dtype=np.int64)
    for code in range(int(owner.max()) + 1):
        own = owner == code
        seen[own] = np.arange(int(own.sum()))
    return rows[seen < most]


def _lines(judged: Judged, row: int) -> Iterator[str]:
    """The csv lines of one wrong row."""
    data, predictions = judged.data, judged.scored.predictions
    yield "part,name,value\n"
    yield csv_line(("row", "id", str(data.ids[row])))
    yield csv_line(("label", "true", judged.true_label(row)))
    yield csv_line(("label", "predicted", judged.predicted_label(row)))
    if judged.has_scores:
        scores = judged.probabilities(np.array([row]))[0]
        for label, value in zip(predictions.classes, scores.tolist(), strict=True):
            yield csv_line(("confidence", str(label), repr(value)))
    # A column can be a slice and unused, too: it is written once.
    metadata = {column.name: column.values for column in (*data.slices, *data.unused)}
    for name, values in metadata.items():
        yield csv_line(("metadata", name, str(values[row])))
    for what, keys in (("group", data.groups), ("order", data.order)):
        if keys is not None:
            yield csv_line(("metadata", what, str(keys[row])))
    labels = dict(data.schema.categories)
    for position, (name, value) in enumerate(zip(data.names, np.ravel(data.x[row]), strict=True)):
        yield csv_line(("input", name, _input_text(value, labels.get(position))))


def _input_text(value: Any, labels: tuple[str, ...] | None) -> str:
    """A number with as many digits as its type has; the label behind a code."""
    if labels is not None and value == value and 0 <= int(value) < len(labels):
        return labels[int(value)]
    return str(value)
