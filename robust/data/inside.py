"""Refuses rows that break what their own schema declares, before a model is asked about them."""

from robust.data.dataset import Dataset
from robust.errors import InvalidInput


def require_inside(data: Dataset) -> None:
    """Refuse rows outside their bounds, categories, one-hot groups or relations.

    Args:
        data: The rows.

    Raises:
        InvalidInput: If there are any.
    """
    violations = data.schema.violations(data.x)
    if violations:
        raise InvalidInput(f"{data.name} breaks its schema: {'; '.join(violations)}. Declare other bounds, or rescale")
