"""Quantized weights of a torch module that change nothing: others in their place leave every output bit for bit alike.

What is sliced away, clamped to nothing, chosen against or read for its shape alone shows in no analysis of operators as
surely as in a run with other weights.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from robust.costing.storages_torch import PLAIN
from robust.quantization.flow_torch import Flow, Use
from robust.quantization.flow_watch_torch import FlowWatch

#: With more layers these are tried together alone.
_LAYERS = 64
_TURNS = 4
_GOLDEN = 0.6180339887498949


class _Others(FlowWatch):
    """A run in which some operators are given other factors than the stored ones."""

    def __init__(
        self,
        module: torch.nn.Module,
        batch: Sequence[torch.Tensor],
        constant: frozenset[object],
        steps: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(module, batch, constant)
        self._steps = steps
        self.left = set(steps)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator, with other factors where it is one of those."""
        kwargs = kwargs or {}
        if len(self.flow.steps) in self._steps:
            args, kwargs = tree_map(self._changed, (args, kwargs))
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _changed(self, leaf: Any) -> Any:
        """Other numbers in place of what is made of stored ones."""
        if not isinstance(leaf, torch.Tensor) or leaf.dim() < 2:
            return leaf
        source = self._source(leaf)
        if source is None or not source.roots:
            return leaf
        self.left.discard(len(self.flow.steps))
        return _other(leaf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trials:
    """What a module answers, to be compared with what it answers with other weights.

    Args:
        module: In evaluation mode.
        flow: A run of it.
        given: Inputs on which it does the same operators, and its answers.
    """

    module: torch.nn.Module
    flow: Flow
    given: list[tuple[Sequence[torch.Tensor], list[torch.Tensor]]] = field(default_factory=list)

    def run(self, batch: Sequence[torch.Tensor], watch: _Others) -> list[torch.Tensor] | None:
        """The answers; None where the module raises, or does other operators."""
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # in the operators that were numbered
        try:
            with watch:
                found = _leaves(self.module(*batch))
        except Exception:  # a model need not take these inputs, which nobody promised it
            return None
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
        return found if len(watch.flow.steps) == len(self.flow.steps) else None

    def same(self, steps: Iterable[int], packed: Sequence[torch.nn.Module] = ()) -> bool:
        """Whether other factors of some operators, and other results of some modules, leave all answers alike."""
        for batch, given in self.given:
            watch = _Others(self.module, batch, self.flow.constant, frozenset(steps))
            with _other_results(packed, watch) as unchanged:
                found = self.run(batch, watch)
            if found is None or watch.left or unchanged or not _agree(found, given):
                return False
        return bool(self.given)


def mark_idle(module: torch.nn.Module, flow: Flow, batches: Sequence[Sequence[torch.Tensor]]) -> None:
    """Note in a flow the products and modules whose quantized weights could be any others.

    Args:
        module: In evaluation mode.
        flow: A run of it on the first of the batches.
        batches: Inputs of the same shapes.
    """
    live = flow.live()
    steps = sorted({use.step for use in flow.uses if use.step in live and _may_be_narrow(use, flow)})
    packed = [part for part in _kernels(module) if id(part) in flow.ran]
    if not steps and not packed:
        return
    trials = _Trials(module=module, flow=flow)
    for batch in (*batches, *_more(batches[0])):
        given = trials.run(batch, _Others(module, batch, flow.constant))
        if given is not None:
            trials.given.append((batch, given))
    if trials.same(steps, packed):
        _forget(flow, steps, packed)
    elif 2 <= len(steps) + len(packed) <= _LAYERS and _tells(trials.given):
        _forget(flow, [step for step in steps if trials.same([step])], [p for p in packed if trials.same([], [p])])


def _forget(flow: Flow, steps: Iterable[int], packed: Iterable[torch.nn.Module]) -> None:
    flow.idle.update(steps)
    flow.ran.difference_update(id(inner) for part in packed for inner in part.modules())


def _kernels(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Modules that keep their weights packed, those inside others of them aside."""
    if hasattr(module, "_weight_bias"):
        yield module
        return
    for child in module.children():
        yield from _kernels(child)


def _more(batch: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Inputs of both signs: what one of them does not reach, such as units below 0, another may."""
    if all(one.is_floating_point() for one in batch):
        for turn in range(1, _TURNS + 1):
            yield [
                (6 * ((torch.arange(one.numel(), device=one.device) + 1) * turn * _GOLDEN % 1) - 3)
                .reshape(one.shape)
                .to(one)
                for one in batch
            ]


def _tells(trials: Sequence[tuple[Any, list[torch.Tensor]]]) -> bool:
    """Whether an output has numbers as fine as a single layer changes: labels do not."""
    return any(one.is_floating_point() for _, given in trials for one in given)


def _may_be_narrow(use: Use, flow: Flow) -> bool:
    """Whether a factor is made of whole numbers, of a tensor of a type of its own, or of what is rounded on its way."""
    roots = [(flow.roots[key], bits) for key, bits in use.origin.roots.items()]
    return any(bits or root.owner is not root.part or not root.part.is_floating_point() for root, bits in roots)


@contextmanager
def _other_results(packed: Sequence[torch.nn.Module], watch: _Others) -> Iterator[set[int]]:
    """Modules whose compiled kernels hide their weights give other results; gives those that were not called yet."""
    unchanged = {id(part) for part in packed}

    def change(part: torch.nn.Module, _given: Any, result: Any) -> Any:
        unchanged.discard(id(part))
        with watch.unseen():
            return tree_map(lambda leaf: _other(leaf) if isinstance(leaf, torch.Tensor) else leaf, result)

    handles = [part.register_forward_hook(change) for part in packed]
    try:
        yield unchanged
    finally:
        for handle in handles:
            handle.remove()


def _other(tensor: torch.Tensor) -> torch.Tensor:
    """Other numbers of the same shape: in another order, and each another one."""
    if type(tensor) not in PLAIN:
        tensor = tensor.dequantize()
    turned = tensor.flip(-1)
    if turned.is_quantized or turned.dtype is torch.bool or turned.dtype.itemsize < 1:
        return turned
    return turned * -0.5 if turned.is_floating_point() or turned.is_complex() else turned.bitwise_not()


def _leaves(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _agree(found: Sequence[torch.Tensor], given: Sequence[torch.Tensor]) -> bool:
    return len(found) == len(given) and all(
        one.shape == other.shape and one.dtype == other.dtype and _is_equal(one, other)
        for one, other in zip(found, given, strict=True)
    )


def _is_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether all numbers are alike, those that are none included."""
    same = one.eq(other)
    return bool((same | (one.isnan() & other.isnan())).all()) if one.is_floating_point() else bool(same.all())
