"""What was given and has no part in a test of this kind, said rather than dropped."""

from typing import Any

from robust.data.dataset import Dataset
from robust.filesets.folder_writer import FolderWriter
from robust.filesets.mistake_files import GROUPS, NEIGHBOURS

COMPARISON, OPERATING = "float_vs_quantized.txt", "operating point"


def tell_idle(
    writer: FolderWriter,
    data: Dataset,
    *,
    judged: str,
    train: Any = None,
    validation: Any = None,
    reference: Any = None,
) -> None:
    """Note what is not written although rows, columns or a model for it were given.

    Args:
        writer: Of the folder.
        data: The test rows.
        judged: What is tested, e.g. `a regression model`.
        train: Training rows, or None.
        validation: Validation rows, or None.
        reference: The float model, or None.
    """
    idle = (
        (train is not None, NEIGHBOURS, "training rows are for the mistakes of a classifier"),
        (validation is not None, OPERATING, "validation rows are for a threshold on the score of a class"),
        (reference is not None, COMPARISON, "a float model is compared with a classifier or a regression model"),
        (bool(data.slices), GROUPS, "columns to slice by are for the mistakes of a classifier"),
    )
    for given, name, why in idle:
        if given:
            writer.skip(name, f"{why}, and this is {judged}")
