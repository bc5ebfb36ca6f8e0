"""Threshold tables as csv text."""

import io

from robust.measures.details import sampled
from robust.measures.score_thresholds import ThresholdTable

HEADER = "threshold,tpr,fpr,precision,recall,f1"


def threshold_csv(table: ThresholdTable, *, most: int | None = None) -> str:
    """A threshold table as csv text.

    Args:
        table: The table.
        most: Rows at most, evenly spaced with the first and the last; None for all.

    Returns:
        A header line `threshold,tpr,fpr,precision,recall,f1`, then a line a threshold, ascending. Numbers are written
        so that they are read back exactly; none is infinite.

    >>> from robust.measures.score_thresholds import threshold_table
    >>> print(threshold_csv(threshold_table([False, True], [0.25, 0.75])).splitlines()[1])
    0.25,1,1,0.5,1,0.6666666666666666
    """
    import pyarrow as pa
    from pyarrow.csv import WriteOptions, write_csv

    keep = sampled(len(table), len(table) if most is None else most)
    columns = (table.threshold, table.tpr, table.fpr, table.precision, table.recall, table.f1)
    stream = io.BytesIO()
    # Several times as fast as formatting in Python, which matters for a million thresholds.
    write_csv(
        pa.table([column[keep] for column in columns], names=HEADER.split(",")),
        stream,
        WriteOptions(include_header=False, batch_size=65536),
    )
    return f"{HEADER}\n{stream.getvalue().decode()}"
