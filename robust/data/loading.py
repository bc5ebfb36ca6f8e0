"""Data files: what a file is, and which reader takes it."""

import os
from collections.abc import Sequence
from pathlib import Path

from robust.data.assembling import assemble, declared_labels
from robust.data.content import check_content
from robust.data.dataset import Dataset
from robust.data.schema import FeatureSchema, SchemaSpec
from robust.data.source import Parts, Source
from robust.errors import InvalidInput

SUFFIXES = (".npz", ".npy", ".csv", ".parquet")


def load_data(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    names: Sequence[str] | None = None,
    schema: SchemaSpec | FeatureSchema | None = None,
    unused: object = None,
    slices: object = None,
    order: object = None,
    groups: object = None,
    ids: object = None,
    name: str | None = None,
) -> Dataset:
    r"""Read a data file. Nothing in it is ever executed: pickles are refused.

    `.npz`: inputs under `x` (or `X`, `x_test`, `inputs`, …) and targets under the matching name; `ids`,
    `order`, `groups` and `names` are used where present, other arrays (n,) can be named in `unused`,
    `slices`, …. `.npy`: inputs alone. `.parquet`: a table. `.csv`: a table if its first line has a cell that
    is no number, or if `target` or another part names a column; otherwise numbers without a header, one
    sample a line, float64 unless a comment line above them says `# dtype=uint8` or another type.

    Inputs need not fit into memory. Above 64 MiB they stay on disk and are read as they are used: those of an `.npy`
    or uncompressed `.npz` where they are (leave the file as it is meanwhile), others in a temporary file without a
    name, which takes as much room as they do unpacked and goes with the data; `TMPDIR` says where. Memory is taken by
    what comes one a row: targets, ids, predictions, and one column of a table at a time.

    Args:
        path: The file.
        target: Column, or key of an `.npz`, that holds the targets.
        names: Feature names, for files without a header.
        schema: See `as_data`.
        unused: See `as_data`; names are those of columns, or of keys of an `.npz`.
        slices: See `as_data`.
        order: See `as_data`.
        groups: See `as_data`.
        ids: See `as_data`.
        name: What reports call it; default the file's name.

    Returns:
        The data; its arrays are read-only.

    Raises:
        InvalidInput: If the file is missing, empty, damaged or of another format than its name says, holds a
            pickle or Python objects, declares more than it may unpack to, or does not fit on the disk; and for
            whatever `as_data` refuses.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "t.csv")
    ...     _ = path.write_text("width,label\n0.5,cat\n1.5,dog\n")
    ...     data = load_data(path, target="label")
    >>> data, data.targets.tolist()
    (Dataset('t.csv', x(2, 1) float64), ['cat', 'dog'])
    """
    file = Path(path)
    check_content(file, known=SUFFIXES)
    if target is not None and not isinstance(target, str):
        raise InvalidInput(f"target must be the name of a column or key, got {target!r}")
    parts = Parts(y=target, unused=unused, slices=slices, order=order, groups=groups, ids=ids)
    label = file.name if name is None else name
    match file.suffix.lower():
        case ".npz":
            from robust.data.npz import read_npz

            source, parts, found = read_npz(file, parts, label)
            names = found if names is None else names
        case ".npy":
            from robust.data.npz import read_npy

            source = Source(name=label, tensor=read_npy(file))
        case ".parquet":
            from robust.data.parquet import read_parquet

            source = read_parquet(file, label)
        case _:
            from robust.data.csv_table import read_csv

            source, names = read_csv(file, parts, names, label, text=frozenset(declared_labels(schema)))
    return assemble(source, parts, names=names, schema=schema)
