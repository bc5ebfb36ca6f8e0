"""The examples that the package ships, and where their files lie."""

from importlib.resources import files
from pathlib import Path

from robust.errors import InvalidInput

EXAMPLES = ("digits", "diabetes", "sunspots")


def example_path(name: str) -> Path:
    """Folder of a shipped example: its models, its data and the `robust.toml` that an audit reads.

    Args:
        name: One of `EXAMPLES`.

    Returns:
        The folder, in a checkout as in an installed wheel.

    Raises:
        InvalidInput: If there is no such example.

    >>> (example_path("digits") / "robust.toml").is_file()
    True
    """
    if name not in EXAMPLES:
        raise InvalidInput(f"there is no example {name!r}; the examples are {', '.join(EXAMPLES)}")
    return Path(str(files("robust.examples"))) / name
