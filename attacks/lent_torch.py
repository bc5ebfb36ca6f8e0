"""Lends a torch module to code of others: what they ask is counted, and what they leave on it is taken off again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from robust.attacks.foreign_answers import ModuleRaised
from robust.attacks.target import Target
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.predicting.memory import lacks_memory
from robust.predicting.metering import count_rows
from robust.types import AnyArray

# The parts of a module that other code hangs its own on: hooks of every kind, and the modules inside it.
_HANGERS = tuple(
    name
    for name, value in vars(torch.nn.Module()).items()
    if isinstance(value, dict) and name not in ("_parameters", "_buffers")
)


@contextmanager
def lent(
    adapter: TorchAdapter, part: Target, seed: int
) -> Iterator[tuple[torch.nn.Module, torch.Tensor, torch.Tensor]]:
    """The module in evaluation mode with tensors of rows and classes; passes are counted.

    Afterwards gradients, hooks, the modules inside and a `forward` that was put in the place of its own are as before:
    what is judged then is the model that was handed over. Weights are not looked at.

    Args:
        adapter: Of the module.
        part: The rows (m, d).
        seed: Of torch's global generator, for the length of the call.

    Raises:
        ModuleRaised: If the module itself raises, but for a lack of memory.
    """
    module = adapter.module
    device, dtype = placement(module)
    x = torch.from_numpy(np.array(part.data.x)).to(device=device, dtype=dtype)
    y = torch.from_numpy(np.array(part.y, dtype=np.int64)).to(device)
    asked: list[object] = []

    def enter(_module: torch.nn.Module, given: tuple[Any, ...]) -> None:
        asked[:] = given[:1]
        if given and isinstance(given[0], torch.Tensor):
            rows = len(given[0])
            count_rows(forward=rows)
            if given[0].requires_grad:
                given[0].register_hook(lambda _gradient: count_rows(backward=rows))

    def leave(*_: object) -> None:
        asked.clear()

    saved = [(p, p.grad, p.requires_grad) for p in module.parameters()]
    with _restored(module):
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
        try:
            with (
                torch.inference_mode(False),
                torch.enable_grad(),
                evaluating(module),
                torch.random.fork_rng(devices=[]),
            ):
                torch.random.default_generator.manual_seed(seed)
                yield module, x, y
        except Exception as error:
            if not asked or lacks_memory(error):
                raise
            raise ModuleRaised(_rows(asked[0], x)) from error
        finally:
            for parameter, gradient, wanted in saved:
                parameter.grad = gradient
                parameter.requires_grad_(wanted)


def _rows(given: object, like: torch.Tensor) -> AnyArray | None:
    """What a module was asked about, as rows of the data; None where it was something else."""
    if not isinstance(given, torch.Tensor) or given.shape != like.shape:
        return None
    return np.asarray(given.detach().cpu().numpy())


@contextmanager
def _restored(module: torch.nn.Module) -> Iterator[None]:
    """Take off again whatever is hung on a module, or on one inside it."""
    places = [vars(one) for one in module.modules()]
    hung = [parts for place in places for parts in map(place.get, _HANGERS) if isinstance(parts, dict)]
    kept = [dict(parts) for parts in hung]
    own = [place.get("forward") for place in places]
    try:
        yield
    finally:
        for parts, before in zip(hung, kept, strict=True):
            parts.clear()
            parts.update(before)
        for place, forward in zip(places, own, strict=True):
            place.pop("forward", None)
            if forward is not None:
                place["forward"] = forward
