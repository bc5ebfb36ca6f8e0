"""Keeps what was measured between runs, check by check: an interrupted audit goes on where it stopped.

An entry is the record's own JSON under the hash of everything that could change it: check and options, content
of models and data, level and seed, package versions, processor, and this package's own code.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from robust.check import Check, Subject
from robust.models.base import Model
from robust.predicting.settings import current_settings
from robust.record.json_form import decode, encode
from robust.record.shape import Bounded, Host
from robust.whole_files import write_whole

T = TypeVar("T")


class Store:
    """A folder of measured results; None keeps nothing.

    Args:
        folder: Where entries live.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str | None, kind: type[T]) -> T | None:
        """The entry, or None; a damaged entry counts as missing."""
        if self._folder is None or key is None:
            return None
        try:
            return decode((self._folder / f"{key}.json").read_bytes(), kind)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
            return None

    def put(self, key: str | None, value: object) -> None:
        """Keep an entry, whole or not at all."""
        if self._folder is None or key is None:
            return
        content = encode(value)
        with suppress(OSError):
            write_whole(self._folder / f"{key}.json", content)


def result_key(check: Check, options: object, subject: Subject, host: Host) -> str | None:
    """Hash of all that a check's result depends on; None where a model has no content hash."""
    models = [_model_key(model) for model in (subject.model, subject.reference, subject.surrogate)]
    if None in models:
        return None
    data = [
        None if part is None else (part.name, part.fingerprint)
        for part in (subject.test, subject.train, subject.validation, subject.normal)
    ]
    parts: Sequence[object] = (
        check.code,
        repr(options),
        models,
        data,
        subject.task,
        subject.anomalous,
        subject.level,
        subject.seed,
        current_settings().shards,
        host.packages,
        host.cpu_features,
        code_identity(),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def noise_key(model: Model, subject: Subject, host: Host) -> str | None:
    """Hash of all that a model's noise depends on."""
    own = _model_key(model)
    if own is None:
        return None
    parts = ("noise", own, subject.test.fingerprint, host.packages, host.cpu_features, code_identity())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _model_key(model: Model | None) -> str | None:
    """Content and declared meaning of a model; an empty text for no model."""
    if model is None:
        return ""
    identity = model.identity()
    if identity is None:
        return None
    return repr((model.name, identity, model.task, model.output, model.classes, model.batch_size))


@cache
def code_identity() -> str:
    """Hash of this package's source files by name, size and time: results of older code are not reused."""
    import robust.attacks
    import robust.baselines
    import robust.residuals
    import robust.sensitivity

    roots = {Path(folder) for folder in robust.__path__}
    for package in (robust.attacks, robust.baselines, robust.residuals, robust.sensitivity):
        roots |= {Path(folder) for folder in package.__path__}
    return tree_identity(roots)


def tree_identity(roots: Iterable[Path]) -> str:
    """Hash of the Python files in and below folders, by name, size and time."""
    digest = hashlib.sha256()
    for root in sorted(roots):
        for path in sorted(root.rglob("*.py")):
            state = path.stat()
            digest.update(f"{path.relative_to(root)}:{state.st_size}:{state.st_mtime_ns}".encode())
    return digest.hexdigest()


Results = tuple[Bounded, ...]
