"""Sees every operator of one run of a torch module, and what its factors are made of."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from robust.costing.liveness import Buffer
from robust.costing.operators_torch import arguments, is_free, rule_of
from robust.costing.outside_torch import content
from robust.costing.storages_torch import PLAIN, storages
from robust.quantization.flow_torch import Flow, Use
from robust.quantization.stored_tensors_torch import (
    Origin,
    Source,
    heard,
    held_tensors,
    is_mask,
    looked_up,
    numbers_of,
    roots_of,
    taken_by,
    tells_apart,
)

#: Arguments of products that are added, scaled by or started from: no factors.
_NO_FACTORS = frozenset(("bias", "attn_mask", "attn_bias", "qScaleAndZeros", "hx_", "cx_", "scale_a", "scale_b"))
_ADDEND_FIRST = frozenset(("addmm", "_addmm_activation", "baddbmm", "addbmm", "addmv"))
_LOOKING_UP = frozenset(("embedding", "_embedding_bag", "index", "index_select", "gather", "take"))
_ROUNDING = ("round", "floor", "ceil", "trunc", "sign", "_fake_quantize", "quantize_per")
#: Operators that make something of each pair of numbers that they are given, if the shapes say so.
_PAIRING = frozenset(("mul", "sub", "rsub"))
_DISTANCES = frozenset(("_cdist_forward", "_euclidean_dist", "cdist"))
_UNPACKING = ("bitwise_and", "__and__", "bitwise_right_shift", "__rshift__", "remainder", "floor_divide")
_UNPACKED = frozenset(("_to_copy", "mul", "sub", "div"))


class FlowWatch(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operator below autograd."""

    supports_higher_order_operators = True

    def __init__(self, module: torch.nn.Module, batch: Sequence[torch.Tensor], constant: frozenset[object]) -> None:
        super().__init__()
        self._constant = constant
        self._looking = False
        self.flow = Flow(roots={}, constant=constant)
        self._of: dict[Buffer, Source] = {}
        self._tables: dict[Buffer, Use] = {}
        self._kept: list[Any] = [batch]  # the address of memory that is freed is used again
        for part in module.modules():
            for tensor in held_tensors(part):
                if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
                    continue
                self._store(tensor)
        for tensor in batch:
            self._of.update(dict.fromkeys(storages(tensor)))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator and write down what it was made of."""
        kwargs = kwargs or {}
        if self._looking:
            return func(*args, **kwargs)
        schema = getattr(func, "_schema", None)
        known = schema is not None and (rule_of(func) is not None or is_free(func))
        given = _tensors((args, kwargs))
        if schema is not None and not known and all(type(one) in PLAIN for one in given):
            with self:
                smaller = func.decompose(*args, **kwargs)
            if smaller is not NotImplemented:
                return smaller
        name = "" if schema is None else schema.name.rpartition("::")[2]
        name = name if name.startswith("__") else name.removesuffix("_")
        before = [(one, self._source(one)) for one in given]
        result = func(*args, **kwargs)
        made = _tensors(result)
        self._kept.append((result, given))
        data = any(source is None for _, source in before)
        if schema is not None and name in _LOOKING_UP:
            self._look_up(before, made, name)
        elif data and ((known and rule_of(func) is not None) or name in _DISTANCES):
            self._multiply(func, args, kwargs, name)
        elif data and not known:
            self._miss(before)
        elif data and name in _PAIRING:
            self._pair(before, made)
        if data and name in _UNPACKED:
            self._unpack(given, made)
        replaced = _replaced(name, args, kwargs)
        taking = [(one, source) for one, source in before if one is not replaced]
        data = any(source is None for _, source in taking)
        joined = Origin(unpacked=name.startswith(_UNPACKING))
        counted = numbers_of(name, args, taking)
        for _, source in counted:
            joined |= source or Origin()
        size = max((one.numel() for one in made), default=0)
        if name in _LOOKING_UP and not data:
            joined = looked_up(taking, size)
        else:
            joined = replace(joined, taken=taken_by(counted, size))
        joined = _after(joined, func, args, kwargs, name=name, given=given, made=made)
        written = frozenset(buffer for one in made for buffer in storages(one))
        self._of.update(dict.fromkeys(written, None if data else joined))
        read = frozenset(buffer for one in heard(name, args, before) for buffer in storages(one))
        self.flow.steps.append((read, written, not made))
        return result

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Let operators pass that are none of the model's."""
        self._looking = True
        try:
            yield
        finally:
            self._looking = False

    def _store(self, tensor: torch.Tensor) -> None:
        """Note a tensor that is stored."""
        for root in roots_of(tensor):
            self.flow.roots[id(root.part)] = root
            for name in storages(root.part):
                # Views of one memory are told apart by nobody: each may be meant.
                key, bits = id(root.part), 8.0 * root.part.element_size()
                self._of[name] = (self._of.get(name) or Origin()) | Origin({key: 0.0}, taken={key: bits})

    def _source(self, tensor: torch.Tensor) -> Source:
        """What a tensor was made of; one from elsewhere may depend on the input, unless it is known to be constant."""
        found = Origin()
        for name in storages(tensor):
            if name not in self._of:
                self._enter(tensor)
            source = self._of.get(name)
            if source is None:
                return None
            found |= source
        return found

    def _enter(self, tensor: torch.Tensor) -> None:
        """A tensor that comes from elsewhere."""
        self._kept.append(tensor)
        with self.unseen():  # reading it is none of the model's operators
            value = content(tensor)
        if value in self._constant:
            self._store(tensor)
        else:
            self._of.update(dict.fromkeys(storages(tensor)))
            if tensor.numel() > 1:
                self.flow.outside.add(value)

    def _multiply(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> None:
        factors = {key: one for key, one in arguments(func, args, kwargs).items() if key not in _NO_FACTORS}
        if name in _ADDEND_FIRST:
            factors.pop("self", None)
        tensors = _tensors(factors)
        whole = all(not one.is_floating_point() for one in tensors)
        for one in tensors:
            self._use(one, self._source(one), whole=whole)

    def _look_up(self, before: Sequence[tuple[torch.Tensor, Source]], made: Sequence[torch.Tensor], name: str) -> None:
        table, source = before[0]
        stored = all(one is not None for _, one in before)
        # Of a palette, what is made of it is the weight.
        if source is None or (stored and (name != "embedding" or any(tells_apart(*one) for one in before[1:]))):
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

    def _pair(self, before: Sequence[tuple[torch.Tensor, Source]], made: Sequence[torch.Tensor]) -> None:
        """Products and differences of all pairs, written number by number, are products with weights."""
        most = max((one.numel() for one, source in before if source is None), default=0)
        outer = any(one.numel() > most for one in made)
        for one, source in before:
            if source is None or not source.roots or sum(length > 1 for length in one.shape) < 2:
                continue
            if outer:
                self._use(one, source)
            elif any(_is_narrow(self.flow.roots[root].part) for root in source.roots):
                self.flow.unread.append((len(self.flow.steps), source))

    def _miss(self, before: Sequence[tuple[torch.Tensor, Source]]) -> None:
        """Stored tensors of two axes that meet the input where it is not known what is done to them."""
        for one, source in before:
            if source is not None and one.dim() > 1 and source.roots:
                self.flow.unread.append((len(self.flow.steps), source))

    def _use(self, factor: torch.Tensor, source: Source, *, whole: bool = False) -> None:
        if source is not None and factor.dim() > 1 and source.roots:
            step = len(self.flow.steps)
            self.flow.uses.append(Use(origin=source, size=factor.numel(), step=step, whole=whole))


def _replaced(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """A tensor whose numbers an operator overwrites, all of them: what it held before is gone."""
    if isinstance(kwargs.get("out"), torch.Tensor):
        return kwargs["out"]
    if name != "copy" or not args or not isinstance(args[0], torch.Tensor):
        return None
    whole = all(size == args[0].numel() * args[0].element_size() for size in storages(args[0]).values())
    return args[0] if whole else None


def _after(
    origin: Origin,
    func: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    name: str,
    given: Sequence[torch.Tensor],
    made: Sequence[torch.Tensor],
) -> Origin:
    """What an operator leaves of numbers: rounded ones, or bytes read as numbers of another type."""
    if name.startswith("fake_quantize"):
        named = arguments(func, args, kwargs)
        low, high = named.get("quant_min"), named.get("quant_max")
        if not (isinstance(low, int) and isinstance(high, int)):
            return origin.rounded(math.inf)
        return origin.rounded(math.ceil(math.log2(high - low + 1)))
    if _rounds(name, given, made):
        return origin.rounded(math.inf)
    if name == "view" and func._schema.overload_name == "dtype" and made and made[0].is_floating_point():
        return replace(origin, recast=8 * made[0].element_size())
    return origin


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
