"""Hands a torch module to attacks of other libraries, and counts what they ask of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from robust.attacks.target import Target
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.predicting.metering import count_rows
from robust.types import AnyArray

_SMALLEST = 1e-30


class _Scores(torch.nn.Module):  # type: ignore[misc]
    """A module whose outputs are logits with a column for each class, as attacks expect them."""

    def __init__(self, module: torch.nn.Module, *, probabilities: bool) -> None:
        super().__init__()
        self.inner, self.probabilities = module, probabilities

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One batch."""
        outputs = self.inner(x)
        outputs = outputs.reshape(len(outputs), -1)
        if outputs.shape[1] == 1:
            first = 1 - outputs if self.probabilities else torch.zeros_like(outputs)
            outputs = torch.cat([first, outputs], dim=1)
        return outputs.clamp_min(_SMALLEST).log() if self.probabilities else outputs


def function_rows(call: Callable[..., Any], adapter: TorchAdapter, part: Target, *, seed: int) -> Any:
    """What a function returned, `(module, x, y) -> x_adv`.

    Args:
        call: The function.
        adapter: Of the module.
        part: The rows (m, d).
        seed: Of torch's global generator, for the length of the call.
    """
    with _lent(adapter, part, seed) as (module, x, y):
        return call(module, x, y)


def foolbox_rows(
    attack: Any, adapter: TorchAdapter, part: Target, *, eps: float, bounds: tuple[float, float], seed: int
) -> AnyArray:
    """Rows of a foolbox attack with a budget.

    Args:
        attack: The attack.
        adapter: Of the module.
        part: The rows (m, d).
        eps: The budget.
        bounds: One range for all features, which is what foolbox knows.
        seed: Of torch's global generator, for the length of the call.
    """
    import foolbox

    with _lent(adapter, part, seed) as (module, x, y):
        scores = _Scores(module, probabilities=part.kind == "probabilities").eval()
        wrapped = foolbox.PyTorchModel(scores, bounds=bounds, device=x.device)
        found = attack(wrapped, x, y, epsilons=eps)[1]
    return np.asarray(found.detach().cpu().numpy())


def foolbox_rows_by_scores(
    attack: Any, scores: Callable[[AnyArray], AnyArray], part: Target, *, eps: float, bounds: tuple[float, float]
) -> AnyArray:
    """Rows of a foolbox attack that needs no gradients, on a model of any framework.

    Args:
        attack: The attack.
        scores: From rows to a score for each class.
        part: The rows (m, d).
        eps: The budget.
        bounds: One range for all features.
    """
    import foolbox

    wrapped = foolbox.NumPyModel(lambda x: scores(x).astype(np.float32), bounds=bounds)
    return np.asarray(attack(wrapped, np.array(part.data.x, dtype=np.float32), part.y, epsilons=eps)[1])


@contextmanager
def _lent(
    adapter: TorchAdapter, part: Target, seed: int
) -> Iterator[tuple[torch.nn.Module, torch.Tensor, torch.Tensor]]:
    """The module in evaluation mode with tensors of rows and classes; passes are counted, gradients put back."""
    module = adapter.module
    device, dtype = placement(module)
    x = torch.from_numpy(np.array(part.data.x)).to(device=device, dtype=dtype)
    y = torch.from_numpy(np.array(part.y, dtype=np.int64)).to(device)

    def count(_module: torch.nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], torch.Tensor):
            rows = len(given[0])
            count_rows(forward=rows)
            if given[0].requires_grad:
                given[0].register_hook(lambda _gradient: count_rows(backward=rows))

    saved = [(p, p.grad, p.requires_grad) for p in module.parameters()]
    handle = module.register_forward_pre_hook(count)
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            evaluating(module),
            torch.random.fork_rng(devices=[]),
        ):
            torch.random.default_generator.manual_seed(seed)
            yield module, x, y
    finally:
        handle.remove()
        for parameter, gradient, wanted in saved:
            parameter.grad = gradient
            parameter.requires_grad_(wanted)
