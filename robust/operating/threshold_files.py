"""Threshold tables as files."""

import re
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
    main = folder / f"{FILE_NAME}.csv"
    write_whole(main, threshold_csv(tables.overall, most=most).encode())
    if tables.pooled is None:
        return (main,)
    written = [main]
    for position, (label, table) in enumerate(tables.tables):
        path = folder / f"{FILE_NAME}_{position}_{_file_word(label)}.csv"
        write_whole(path, threshold_csv(table, most=most).encode())
        written.append(path)
    return tuple(written)


def _file_word(label: Label) -> str:
    """A class as part of a file name: letters, digits, dash and underscore, at most 40."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(label))[:40] or "_"
