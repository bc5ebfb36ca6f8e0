"""The same model under other settings of the host, which should not change its answers."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import RLock
from typing import Any

from robust.models.base import Model, adapter_of
from robust.types import AnyArray

#: Rows a call that differ from the usual ones, and are whole blocks for torch.
_BATCH = 32
#: Levels of onnxruntime's graph optimization, by what they are called here; it optimizes all by default.
_LEVELS = {"no graph optimization": "ORT_DISABLE_ALL", "basic graph optimization": "ORT_ENABLE_BASIC"}
# The number of threads of torch is one for the process.
_THREADS = RLock()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """A model as another host would run it.

    Args:
        name: What is other, e.g. `1 thread`.
        build: Makes the model; raises what its framework raises where it cannot.
    """

    name: str
    build: Callable[[], Model]


def other_settings(model: Model) -> tuple[Setting, ...]:
    """Other settings of the host that a model can be run under, none of which is part of the model.

    Args:
        model: The model.

    Returns:
        For an ONNX file another number of threads and other levels of graph optimization; for torch another number of
        threads and another batch; for other models with an identity another batch; for a plain callable, of which
        nothing is known, none. A model with a fixed batch keeps it.
    """
    adapter = adapter_of(model)
    if model.framework == "onnx" and model.content is not None and hasattr(adapter, "session"):
        return _onnx_settings(model, adapter)
    settings = []
    if model.framework == "torch" and "torch" in sys.modules:
        count = _other_threads(sys.modules["torch"].get_num_threads())
        settings.append(Setting(name=_counted(count), build=lambda: replace(model, forward=_threaded(model, count))))
    if model.framework != "callable" and model.fixed_batch is None and model.batch_size > 1:
        rows = _BATCH if model.batch_size != _BATCH else max(1, _BATCH // 2)
        rows = min(rows, model.batch_size - 1)
        settings.append(Setting(name=f"batches of {rows}", build=lambda: replace(model, batch_size=rows)))
    return tuple(settings)


def _onnx_settings(model: Model, adapter: Any) -> tuple[Setting, ...]:
    """Sessions made again from the file's bytes."""
    import onnxruntime

    given = adapter.session.get_session_options().intra_op_num_threads
    count = _other_threads(given)

    def build(threads: int, level: str | None) -> Model:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.intra_op_num_threads = threads
        if level is not None:
            settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        content = model.content() if model.content is not None else b""
        session = onnxruntime.InferenceSession(content, settings, providers=adapter.session.get_providers())
        return replace(model, forward=replace(adapter, session=session).forward)

    threads = Setting(name=_counted(count), build=partial(build, count, None))
    levels = [Setting(name=name, build=partial(build, given, level)) for name, level in _LEVELS.items()]
    return (threads, *levels)


def _other_threads(count: int) -> int:
    """1 where there are several, or as many as the library likes; else 2."""
    return 2 if count == 1 else 1


def _counted(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def _threaded(model: Model, count: int) -> Callable[[AnyArray], AnyArray]:
    """A model's own forward pass, with another number of torch's threads for its length."""

    def forward(x: AnyArray) -> AnyArray:
        with _threads_of_torch(count):
            return model.forward(x)

    return forward


@contextmanager
def _threads_of_torch(count: int) -> Iterator[None]:
    """Another number of threads inside, the same as before outside."""
    torch = sys.modules["torch"]
    with _THREADS:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
