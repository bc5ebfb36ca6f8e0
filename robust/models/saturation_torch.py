"""Lets gradients through a final sigmoid whose answers have been rounded to 0 and 1."""

from typing import Any

import torch

# Nodes of a graph that move numbers and leave them as they are.
_STILL = (
    "View",
    "UnsafeView",
    "Squeeze",
    "Unsqueeze",
    "Select",
    "Slice",
    "T",
    "Transpose",
    "Permute",
    "Clone",
    "ToCopy",
)
# Derivative of a saturated sigmoid: at most half a rounding step of single precision, and never more than turns the
# derivative of a logarithm into that of the logit.
_SHARE = 1e-8


def unsaturated(outputs: torch.Tensor) -> None:
    """See to it that a backward pass from these outputs gets through saturation.

    A sigmoid of 17 and more is 1 in single precision: its derivative p(1 − p) is 0, and the gradient of the whole model
    with it, though the logit has one. There the derivative is taken for a tiny number instead: the direction is the
    logit's own. Not so behind a softmax, where rounding has lost which other class is next.

    Args:
        outputs: What a module gave, with its graph; nothing happens unless a sigmoid made it.
    """
    node: Any = outputs.grad_fn
    while node is not None and node.name().removesuffix("Backward0").removesuffix("Backward1") in _STILL:
        node = node.next_functions[0][0] if node.next_functions else None
    if node is None:
        return
    if node.name() == "SigmoidBackward0":
        node.register_hook(_through_sigmoid)


def _through_sigmoid(
    inward: tuple[torch.Tensor, ...], outward: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...] | None:
    """Derivatives with respect to the logits, where they were lost."""
    (found,), (asked,) = inward, outward
    lost = (found == 0) & (asked != 0)
    if not bool(lost.any()):
        return None
    return (torch.where(lost, torch.sign(asked) * torch.clamp(asked.abs() * _SHARE, max=1.0), found),)
