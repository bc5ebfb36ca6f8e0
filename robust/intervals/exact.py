"""The interval of a figure that has no sampling error, such as a count of parameters."""

from dataclasses import dataclass

from robust.intervals.arguments import check_finite, check_whole
from robust.intervals.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactSizing:
    """Bounds that equal the value at every number of rows.

    Attributes:
        value: The figure.
    """

    value: float

    def at(self, n: int) -> tuple[float, float]:  # noqa: ARG002 - the same at every n, which is the point
        """Lower and upper bound at ``n`` rows."""
        return self.value, self.value


def exact(value: float, n: int) -> Interval:
    """Interval of zero width, for a figure that is counted or computed and not estimated.

    lower = value = upper, at level 1.

    Args:
        value: The figure, finite.
        n: Rows, or other units, that it was counted on; at least 1.

    Returns:
        Interval whose bounds both equal ``value``.

    Raises:
        InvalidInput: ``value`` is not finite or ``n`` is below 1.

    Example:
        >>> exact(1234, 1).upper
        1234.0
    """
    value = check_finite("value", value)
    n = check_whole("n", n, least=1)
    return Interval(
        value=value, lower=value, upper=value, level=1.0, n=n, method="exact", sizing=ExactSizing(value=value)
    )
