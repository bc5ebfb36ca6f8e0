"""Threshold tables as files."""

import re
from collections.abc import Iterator
from pathlib import Path

from robust.measures.threshold_lines import threshold_csv
from robust.models.base import Label
from robust.operating.class_thresholds import ClassTables
from robust.whole_files import write_whole

FILE_NAME = "fpr_tpr_thresholds"


def write_threshold_files(tables: ClassTables, folder: Path, *, most: int | None = None) -> tuple[Path, ...]:
    """Write `fpr_tpr_thresholds.csv`, and for more than two classes one such file a class.

    Args:
        tables: Of a model.
        folder: Where to; made where it lacks.
        most: Rows a file at most; None for all.

    Returns:
        The files. `fpr_tpr_thresholds.csv` is of the second of two classes, or pooled over all classes; those of
        classes are `fpr_tpr_thresholds_<position>_<class>.csv`, position from 0, the class without what no file name
        should hold. All have the same header.
    """
    written = []
    for name, content in threshold_texts(tables, most=most):
        write_whole(folder / name, content.encode())
        written.append(folder / name)
    return tuple(written)


def threshold_texts(tables: ClassTables, *, most: int | None = None) -> Iterator[tuple[str, str]]:
    """Names and contents of these files.

    Args:
        tables: Of a model.
        most: Rows a file at most; None for all.
    """
    yield f"{FILE_NAME}.csv", threshold_csv(tables.overall, most=most)
    if tables.pooled is not None:
        for position, (label, table) in enumerate(tables.tables):
            yield f"{FILE_NAME}_{position}_{_file_word(label)}.csv", threshold_csv(table, most=most)


def _file_word(label: Label) -> str:
    """A class as part of a file name: letters, digits, dash and underscore, at most 40."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(label))[:40] or "_"
