"""One kind of error for whatever a parser trips over, and one for files that could run code."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robust.errors import InvalidInput, UntrustedFile
from robust.models.foreign_errors import PASSING, brief

SAFE_FORMATS = ".onnx, .safetensors (with a factory) or .skops"
_SHOWN = 3


@contextmanager
def reading(path: Path, kind: str, *, remedy: str) -> Iterator[None]:
    """Turn the failure of a parser, or of code that a trusted file brings, into an `InvalidInput` that names the file.

    Args:
        path: The file.
        kind: What it was read as, with its article.
        remedy: What would be right.
    """
    try:
        yield
    except PASSING:
        raise
    # Parsers of other libraries raise whatever a damaged file leads them to: anything at all is the file's
    # fault here.
    except BaseException as error:
        raise InvalidInput(f"{path} cannot be read as {kind} ({brief(error)}): {remedy}") from error


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


def unpickling(names: Sequence[str]) -> str:
    """Words for a pickle of more than tensors.

    Args:
        names: What it would import, where that is known.
    """
    shown = f" ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})" if names else ""
    return f"a pickle with more than tensors in it{shown}, which can run code"
