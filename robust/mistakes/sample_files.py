"""Wrong rows as files, one a row, to be looked at and opened in other tools."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from robust.errors import InvalidInput
from robust.intervals.arguments import check_whole
from robust.mistakes.spreadsheet_cells import csv_line
from robust.mistakes.wrong_rows import Judged, judge_rows
from robust.types import IntArray
from robust.whole_files import write_whole

FOLDER = "error_samples"
_OURS = re.compile(r"error_[0-9]{3,}\.csv")


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
        folder: Where `error_samples` is made; error files of an earlier run are removed from it.
        most_per_class: Files of one true class, at least 1; of several labels a row, of one set of labels.

    Returns:
        The files, numbered from 1 over all classes by falling confidence; none where all rows are right.

    Raises:
        InvalidInput: If `most_per_class` is no whole number of at least 1, the model is no classifier, or the folder
            cannot be written to.
        ModelFault: If the model breaks its contract.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     rows = (np.array([[1.0], [-1.0]]), [1, 1])
    ...     files = save_error_samples(lambda x: (x[:, 0] > 0).astype(int), rows, place)
    ...     print(files[0].name, files[0].read_text().splitlines()[1:4])
    error_001.csv ['row,id,1', 'label,true,1', 'label,predicted,0']
    """
    most = check_whole("most_per_class", most_per_class, least=1)
    judged = judge_rows(model, data)
    place = Path(folder) / FOLDER
    written = []
    try:
        place.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(capped(judged, most).tolist(), start=1):
            path = place / f"error_{number:03d}.csv"
            write_whole(path, "".join(_lines(judged, row)).encode())
            written.append(path)
        for old in place.iterdir():
            if _OURS.fullmatch(old.name) and old not in written:
                with suppress(FileNotFoundError):
                    old.unlink()
    except OSError as error:
        raise InvalidInput(f"error samples cannot be written to {place}: {error.strerror or error}") from error
    return tuple(written)


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
