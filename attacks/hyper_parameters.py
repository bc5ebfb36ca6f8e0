"""What every attack checks of itself when it is made."""

from dataclasses import fields
from typing import Any

from robust.data.budget import read_count, read_eps, read_norm


def read_hyper_parameters(attack: Any, *counts: str) -> None:
    """Check budget, norm where it is a choice, and whole numbers of at least 1; write them back as they are meant.

    Args:
        attack: A frozen dataclass that is being made.
        counts: Names of the fields that count something.

    Raises:
        InvalidInput: If one is out of range.
    """
    object.__setattr__(attack, "eps", read_eps(attack.eps))
    if any(field.name == "norm" for field in fields(attack)):
        object.__setattr__(attack, "norm", read_norm(attack.norm))
    for name in counts:
        object.__setattr__(attack, name, read_count(getattr(attack, name), name))
