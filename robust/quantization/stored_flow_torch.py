"""Follows the stored tensors of a torch module through one run: which of them are factors of its products.

What a module registers need not be used, what is used need not be registered, and a name says nothing: masks, tables of
places and weights packed in words are all buffers. A factor is what stands in a product with something that depends on
the input, and is made of stored tensors alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from robust.costing.storages_torch import storages
from robust.quantization.flow_torch import Flow
from robust.quantization.flow_watch_torch import FlowWatch


def stored_flow(module: torch.nn.Module, batches: Sequence[Sequence[torch.Tensor]]) -> Flow:
    """Run a module once and follow what it stores.

    A tensor from elsewhere, such as the weight of a layer that is kept in a list, is stored too if it is the same for
    other inputs; else it was computed from them where nobody sees it.

    Args:
        module: In evaluation mode.
        batches: Its inputs, and others of the same shapes for where something comes from elsewhere.

    Returns:
        What the run did; `outside` holds what depends on the input, or may.
    """
    flow = _followed(module, batches[0], frozenset())
    if not flow.outside:
        return flow
    for other in batches[1:]:
        try:
            again = _followed(module, other, frozenset())
        except Exception:  # noqa: S112 - a model need not take these inputs, which nobody promised it
            continue
        constant = frozenset(flow.outside & again.outside)
        if constant:
            flow = _followed(module, batches[0], constant)
        break
    return flow


def _followed(module: torch.nn.Module, batch: Sequence[torch.Tensor], constant: frozenset[object]) -> Flow:
    """One run; tensors from elsewhere with a content that is known to be constant are stored ones."""
    watch = FlowWatch(module, batch, constant)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # attention in operators of its own
    try:
        with _noting(module, watch.flow.ran), watch:
            outputs = module(*batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    found = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]
    watch.flow.outputs = frozenset(name for leaf in found for name in storages(leaf)) or None
    return watch.flow


@contextmanager
def _noting(module: torch.nn.Module, ran: set[int]) -> Iterator[None]:
    """Note which modules are called; compiled ones take no hooks."""

    def note(part: torch.nn.Module, _given: Any) -> None:
        ran.add(id(part))
        ran.update(id(child) for child in part.children() if hasattr(child, "_weight_bias"))

    plain = [part for part in module.modules() if not isinstance(part, torch.jit.ScriptModule)]
    ran.update(id(part) for part in module.modules() if isinstance(part, torch.jit.ScriptModule))
    handles = [part.register_forward_pre_hook(note) for part in plain]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
