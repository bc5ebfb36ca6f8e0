"""How many bytes a build takes, where that can be told."""

import math

from robust.costing.whole_model import cost
from robust.data.dataset import Dataset
from robust.errors import InvalidInput, MissingExtra, ModelFault
from robust.models.base import Model


def rom_of(model: Model, data: Dataset) -> int | None:
    """Bytes of weights and constants as they are stored, or would be where a build is simulated.

    Args:
        model: The build.
        data: Rows, one of which is run where the framework has to be watched.

    Returns:
        The bytes; None where they cannot be counted, or not all of them.
    """
    if model.held is not None:
        return model.held.rom
    try:
        found = cost(model, data=data).rom
    except (InvalidInput, MissingExtra, ModelFault):
        return None
    whole = all(check.passed for check in found.validity) and math.isfinite(found.value)
    return int(found.value) if whole else None
