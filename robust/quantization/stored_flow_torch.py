"""Follows the stored tensors of a torch module through one run: which of them are factors of its products.

What a module registers need not be used, what is used need not be registered, and a name says nothing: masks, tables of
places and weights packed in words are all buffers. A factor is what stands in a product with something that depends on
the input, and is made of stored tensors alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from robust.costing.liveness import Buffer
from robust.costing.operators_torch import arguments, is_free, rule_of
from robust.costing.storages_torch import PLAIN, storages
from robust.quantization.stored_tensors_torch import Origin, Root, Source, held_tensors, is_mask, roots_of

#: Arguments of products that are added, scaled by or started from: no factors.
_NO_FACTORS = frozenset(("bias", "attn_mask", "attn_bias", "qScaleAndZeros", "hx_", "cx_", "scale_a", "scale_b"))
_ADDEND_FIRST = frozenset(("addmm", "_addmm_activation", "baddbmm", "addbmm", "addmv"))
_LOOKING_UP = frozenset(("embedding", "_embedding_bag", "index", "index_select", "gather", "take"))
_ROUNDING = ("round", "floor", "ceil", "trunc", "sign", "fake_quantize", "quantize_per")
_UNPACKING = ("bitwise_and", "__and__", "bitwise_right_shift", "__rshift__", "remainder", "floor_divide")
_UNPACKED = frozenset(("_to_copy", "mul", "sub", "div"))


@dataclass(slots=True, kw_only=True)
class Use:
    """One factor of one product, or one table.

    Args:
        origin: What it was made of.
        size: How many numbers it has.
        step: Number of the operator.
    """

    origin: Origin
    size: int
    step: int


@dataclass(slots=True, kw_only=True)
class Flow:
    """What a run did with stored tensors.

    Args:
        roots: By identity.
        uses: Factors and tables.
        unread: Stored tensors that an operator took that nobody here knows, by the operator's number.
        steps: Memory that each operator read and wrote, in order.
        outputs: Memory of what the run returned; None where it returned no tensor that is seen.
        ran: Identities of the modules that were called, and of the parts in which these keep packed weights.
    """

    roots: dict[int, Root]
    uses: list[Use] = field(default_factory=list)
    unread: list[tuple[int, Origin]] = field(default_factory=list)
    steps: list[tuple[frozenset[Buffer], frozenset[Buffer], bool]] = field(default_factory=list)
    outputs: frozenset[Buffer] | None = None
    ran: set[int] = field(default_factory=set)

    def live(self) -> set[int]:
        """Numbers of the operators whose results reach the output, or a number that the code went on with."""
        if self.outputs is None:
            return set(range(len(self.steps)))
        wanted, found = set(self.outputs), set()
        for place in reversed(range(len(self.steps))):
            read, written, kept = self.steps[place]
            if kept or not wanted.isdisjoint(written):
                found.add(place)
                wanted |= read
        return found


def stored_flow(module: torch.nn.Module, batch: Sequence[torch.Tensor]) -> Flow:
    """Run a module once and follow what it stores.

    Args:
        module: In evaluation mode.
        batch: Its inputs.
    """
    watch = _Watch(module, batch)
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


class _Watch(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operator below autograd."""

    supports_higher_order_operators = True

    def __init__(self, module: torch.nn.Module, batch: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.flow = Flow(roots={})
        self._of: dict[Buffer, Source] = {}
        self._tables: dict[Buffer, Use] = {}
        self._kept: list[Any] = [batch]  # the address of memory that is freed is used again
        for part in module.modules():
            for tensor in held_tensors(part):
                if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
                    continue
                for root in roots_of(tensor):
                    self.flow.roots[id(root.part)] = root
                    for name in storages(root.part):
                        have = self._of.get(name, Origin())
                        # Views of one memory are told apart by nobody: each may be meant.
                        self._of[name] = (have or Origin()) | Origin(frozenset({id(root.part)}))
        for tensor in batch:
            self._of.update(dict.fromkeys(storages(tensor)))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator and write down what it was made of."""
        kwargs = kwargs or {}
        schema = getattr(func, "_schema", None)
        known = schema is not None and (rule_of(func) is not None or is_free(func))
        given = _tensors((args, kwargs))
        if schema is not None and not known and all(type(one) in PLAIN for one in given):
            with self:
                smaller = func.decompose(*args, **kwargs)
            if smaller is not NotImplemented:
                return smaller
        name = "" if schema is None else schema.name.rpartition("::")[2].removesuffix("_")
        before = [(one, self._source(one)) for one in given]
        result = func(*args, **kwargs)
        made = _tensors(result)
        self._kept.append((result, given))
        data = any(source is None for _, source in before)
        if schema is not None and name in _LOOKING_UP:
            self._look_up(before, made, name)
        elif data and known and rule_of(func) is not None:
            self._multiply(func, args, kwargs, name)
        elif data and (not known or name == "mul"):
            self._miss(before, name)
        if data and name in _UNPACKED:
            self._unpack(given, made)
        joined = Origin(rounded=_rounds(name, given, made), unpacked=name.startswith(_UNPACKING))
        for _, source in before:
            joined |= source or Origin()
        written = frozenset(buffer for one in made for buffer in storages(one))
        self._of.update(dict.fromkeys(written, None if data else joined))
        read = frozenset(buffer for one in given for buffer in storages(one))
        self.flow.steps.append((read, written, not made))
        return result

    def _source(self, tensor: torch.Tensor) -> Source:
        """What a tensor was made of; of one from elsewhere nobody knows, so that it may depend on the input."""
        found = Origin()
        for name in storages(tensor):
            source = self._of.get(name, None)
            if source is None:
                return None
            found |= source
        return found

    def _multiply(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> None:
        factors = {key: one for key, one in arguments(func, args, kwargs).items() if key not in _NO_FACTORS}
        if name in _ADDEND_FIRST:
            factors.pop("self", None)
        for one in _tensors(factors):
            self._use(one, self._source(one))

    def _look_up(self, before: Sequence[tuple[torch.Tensor, Source]], made: Sequence[torch.Tensor], name: str) -> None:
        table, source = before[0]
        if source is None or (name != "embedding" and all(one is not None for _, one in before)):
            return
        if name != "embedding" and sum(length > 1 for length in table.shape) < 2:
            return  # one number a row: a scale or an offset
        if table.is_floating_point():
            self._use(table, source)
        elif table.dim() > 1 and source.roots:
            # Places and classes stay whole numbers; weights are made floating ones.
            use = Use(origin=source, size=table.numel(), step=len(self.flow.steps))
            self._tables.update({buffer: use for one in made for buffer in storages(one)})

    def _unpack(self, given: Sequence[torch.Tensor], made: Sequence[torch.Tensor]) -> None:
        if not any(one.is_floating_point() for one in made):
            return
        for buffer in {buffer for one in given for buffer in storages(one)} & self._tables.keys():
            self.flow.uses.append(self._tables.pop(buffer))

    def _miss(self, before: Sequence[tuple[torch.Tensor, Source]], name: str) -> None:
        """Stored tensors of two axes that meet the input where it is not known what is done to them."""
        for one, source in before:
            if source is None or one.dim() < 2 or not source.roots:
                continue
            parts = [self.flow.roots[root].part for root in source.roots]
            if name == "mul" and not any(_is_narrow(part) for part in parts):
                continue
            self.flow.unread.append((len(self.flow.steps), source))

    def _use(self, factor: torch.Tensor, source: Source) -> None:
        if source is not None and factor.dim() > 1 and source.roots:
            self.flow.uses.append(Use(origin=source, size=factor.numel(), step=len(self.flow.steps)))


def _tensors(value: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _rounds(name: str, given: Iterable[torch.Tensor], made: Iterable[torch.Tensor]) -> bool:
    """Whether an operator leaves fewer values than it was given."""
    whole = name == "_to_copy" and any(one.is_floating_point() for one in given)
    return name.startswith(_ROUNDING) or (whole and not any(one.is_floating_point() for one in made))


def _is_narrow(part: torch.Tensor) -> bool:
    """Whether a stored tensor may hold quantized weights: small whole numbers other than those of a mask."""
    if part.is_floating_point() or part.dtype is torch.bool or part.is_complex() or part.dim() < 2:
        return False
    return part.element_size() == 1 and not is_mask(part)
