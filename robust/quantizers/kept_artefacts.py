"""Exports and quantized files, kept by the content of what they were made of."""

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from robust.predicting.cache import ArrayCache
from robust.predicting.settings import current_settings

#: What decides the bytes of an artefact beside its inputs.
_MAKERS = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")
# Raised when this package makes other bytes of the same inputs.
_FORMAT = 2


def artefact_store(cache: Path | str | None) -> ArrayCache:
    """Where artefacts are kept: a folder, or with None where the run keeps its predictions (memory by default)."""
    return current_settings().cache if cache is None else ArrayCache(folder=Path(cache))


def kept(store: ArrayCache, parts: tuple[object, ...] | None, make: Callable[[], bytes]) -> bytes:
    """An artefact from the store, or made and put there.

    Args:
        store: The store.
        parts: All that decides the artefact, by content; None where something cannot be told: then nothing is kept.
        make: Makes it.

    Returns:
        Its bytes.
    """
    if parts is None:
        return make()
    key = hashlib.sha256(repr((_FORMAT, parts, _versions())).encode()).hexdigest()
    found = store.get(key)
    if found is not None:
        return found.tobytes()
    content = make()
    store.put(key, np.frombuffer(content, dtype=np.uint8).copy())
    return content


def _versions() -> tuple[tuple[str, str], ...]:
    """Versions of the libraries that make artefacts."""
    return tuple((name, _version(name)) for name in _MAKERS)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
