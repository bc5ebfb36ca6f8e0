"""Hands a torch module to attacks of other libraries."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from robust.attacks.lent_torch import lent
from robust.attacks.target import Target
from robust.models.adapter_torch import TorchAdapter
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
    with lent(adapter, part, seed) as (module, x, y):
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

    with lent(adapter, part, seed) as (module, x, y):
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
