"""One call of a torch module without anything around it, and the time of each of its layers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.types import AnyArray


@contextmanager
def torch_call(adapter: TorchAdapter, rows: AnyArray) -> Iterator[Callable[[], None]]:
    """A call on rows that lie ready on the module's device; it returns when the answer is there.

    Args:
        adapter: The module.
        rows: One batch (b, *row shape).
    """
    device, dtype = placement(adapter.module)
    batch = torch.from_numpy(rows).to(device=device, dtype=torch.int64 if adapter.integer else dtype)

    def call() -> None:
        adapter.module(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with torch.inference_mode(False), torch.no_grad(), evaluating(adapter.module):
        yield call


def torch_layer_times(adapter: TorchAdapter, rows: AnyArray, *, runs: int, warmup: int) -> dict[str, list[float]]:
    """Seconds of each layer in each run.

    Args:
        adapter: The module.
        rows: One batch.
        runs: Timed calls.
        warmup: Calls before them.

    Returns:
        Seconds a run by module name, modules without parts of their own alone; one that runs several times in a run
        has the sum. Compiled parts, which have no hooks, are left out, and programs that were exported have no modules.
    """
    totals: dict[str, float] = {}
    started: list[float] = []
    handles: list[Any] = []
    device = placement(adapter.module)[0]

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def enter(_module: Any, _given: Any) -> None:
        started.append(now())

    def leaving(name: str) -> Callable[..., None]:
        def leave(_module: Any, _given: Any, _result: Any) -> None:
            totals[name] = totals.get(name, 0.0) + now() - started.pop()

        return leave

    if isinstance(adapter.module, torch.jit.ScriptModule | torch.fx.GraphModule):
        return {}
    found: dict[str, list[float]] = {}
    try:
        for name, part in adapter.module.named_modules():
            if not any(part.children()) and not isinstance(part, torch.jit.ScriptModule):
                handles.append(part.register_forward_pre_hook(enter))
                handles.append(part.register_forward_hook(leaving(name or type(part).__name__), always_call=True))
        with torch_call(adapter, rows) as call:
            for i in range(warmup + runs):
                totals.clear()
                call()
                if i >= warmup:
                    for name, seconds in totals.items():
                        found.setdefault(name, []).append(seconds)
    finally:
        for handle in handles:
            handle.remove()
    return found


def torch_threads() -> int:
    """Threads that one operator may use."""
    return int(torch.get_num_threads())
