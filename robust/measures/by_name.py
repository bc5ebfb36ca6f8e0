"""Measurements by name, and why one is missing."""

from collections.abc import Mapping

from robust.errors import InvalidInput
from robust.measurement import Measurement


def measured(name: str, measurements: Mapping[str, Measurement], missing: tuple[tuple[str, str], ...]) -> Measurement:
    """The measurement of a name.

    Args:
        name: Its name.
        measurements: Those that there are, by name.
        missing: Name and reason of each that could not be measured.

    Raises:
        InvalidInput: If there is none; with the reason, or the names that there are.
    """
    if name in measurements:
        return measurements[name]
    reasons = dict(missing)
    raise InvalidInput(
        f"{name} was not measured: {reasons[name]}"
        if name in reasons
        else f"no metric is named {name!r}; measured are {', '.join(measurements)}"
    )
