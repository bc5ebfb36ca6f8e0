"""One kind of error for whatever a parser trips over, and one for files that could run code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robust.errors import InvalidInput, RobustError, UntrustedFile

SAFE_FORMATS = ".onnx, .safetensors (with a factory) or .skops"


@contextmanager
def reading(path: Path, kind: str, *, remedy: str) -> Iterator[None]:
    """Turn the failure of a parser into an `InvalidInput` that names the file.

    Args:
        path: The file.
        kind: What it was read as, with its article.
        remedy: What would be right.
    """
    try:
        yield
    except (RobustError, KeyboardInterrupt):
        raise
    # Parsers of other libraries raise whatever a damaged file leads them to: anything at all is the file's
    # fault here.
    except Exception as error:
        said = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {said[0][:200]}" if said else type(error).__name__
        raise InvalidInput(f"{path} cannot be read as {kind} ({reason}): {remedy}") from error


def untrusted(path: Path, reason: str) -> UntrustedFile:
    """The refusal of a file that could run code.

    Args:
        path: The file.
        reason: What it holds and why that can run code, as the rest of a sentence that starts with the path.
    """
    return UntrustedFile(
        f"{path} {reason}. Nothing was loaded. Save the model as {SAFE_FORMATS} instead, or, if you know "
        "who made this file, say so with trust=True or --trust"
    )
