"""Models that are loaded when they are first called: an audit whose results are all kept needs none.

What an audit asks of a model without calling it (name, task, content hash, whether it has gradients) is kept under
the hash of the file, of what was said about it, and of the code that would load it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from msgspec import Struct

from robust.auditing.keeping import Store, code_identity
from robust.models.base import Label, Model, adapter_of, require_gradients
from robust.models.foreign_errors import blamed
from robust.record.shape import Host
from robust.types import AnyArray, FloatArray, Output, Task


class Remembered(Struct, frozen=True, kw_only=True):
    """What is known of a model without loading it."""

    name: str
    framework: str
    task: Task | None
    output: Output | None
    classes: tuple[Label, ...] | None
    batch_size: int
    fixed_batch: int | None
    columns: tuple[str, ...] | None
    differentiable: bool
    identity: str
    weights: str | None


def deferred_model(
    path: str, load: Callable[[], Model], *, options: tuple[object, ...], factory: str | None, store: Store, host: Host
) -> Model:
    """A model from a file, loaded now if nothing is known of it, and else when it is first called.

    Args:
        path: The model file.
        load: Loads it.
        options: What the user said about it.
        factory: Name of the function that builds a torch module, or None.
        store: Where what is known is kept.
        host: Versions of the packages that read it.

    Returns:
        The model.
    """
    key = _key(path, options, factory, host)
    known = store.get(key, Remembered)
    if known is not None:
        return _from_memory(known, load)
    model = load()
    with blamed(model.name, "its content was hashed"):
        identity = model.identity()
        found = None if identity is None else _remember(model, identity)
    if found is not None:
        store.put(key, found)
    return model


def _remember(model: Model, identity: str) -> Remembered:
    return Remembered(
        name=model.name,
        framework=model.framework,
        task=model.task,
        output=model.output,
        classes=model.classes,
        batch_size=model.batch_size,
        fixed_batch=model.fixed_batch,
        columns=model.columns,
        differentiable=model.gradients is not None,
        identity=identity,
        weights=model.weights(),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Later:
    """What asks a model that is not loaded yet; `load` loads it once."""

    load: Callable[[], Model]

    @property
    def adapter(self) -> object:
        """Whatever stands behind the model, for analyses that look inside."""
        return adapter_of(self.load())

    def forward(self, x: AnyArray) -> AnyArray:
        return self.load().forward(x)

    def gradients(self, x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        model = self.load()
        return require_gradients(model)(x, cotangent)

    def content(self) -> bytes:
        found = self.load().content
        return b"" if found is None else found()


def _from_memory(known: Remembered, load: Callable[[], Model]) -> Model:
    """A model that loads itself on its first call."""
    later = _Later(load=cache(load))
    return Model(
        name=known.name,
        framework=known.framework,
        forward=later.forward,
        task=known.task,
        output=known.output,
        classes=known.classes,
        batch_size=known.batch_size,
        fixed_batch=known.fixed_batch,
        columns=known.columns,
        gradients=later.gradients if known.differentiable else None,
        identity=lambda: known.identity,
        weights=lambda: known.weights,
        content=later.content,
    )


def _key(path: str, options: tuple[object, ...], factory: str | None, host: Host) -> str | None:
    """Hash of the file and of all that decides what is made of it; None where that is not all in one file."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return None
    if b"location" in content:
        # The key under which an ONNX file names another one that holds its weights: what is known of the first says
        # nothing about those. A word that stands there by chance costs a load, no more.
        return None
    digest = hashlib.sha256(content)
    source = "" if factory is None else _factory_identity(factory)
    if source is None:
        return None
    parts = (Path(path).name, options, factory, source, host.python, host.packages, code_identity())
    digest.update(repr(parts).encode())
    return digest.hexdigest()


def _factory_identity(factory: str) -> str | None:
    """Nothing for this package's own factories, whose code the key holds; None for any other: load and hash it."""
    return "" if factory.partition(":")[0].startswith("robust.") else None
