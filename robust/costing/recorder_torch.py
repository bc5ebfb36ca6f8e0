"""Records one run of a torch module: each operator, its products, and the memory that it reads and writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from robust.costing.decided_torch import DataFlow
from robust.costing.liveness import Buffer, Step
from robust.costing.operators_torch import arguments, is_elementwise, is_free, rule_of
from robust.costing.outside_torch import content
from robust.costing.storages_torch import PLAIN, SPARSE, storages
from robust.costing.tally import Quantity, Uncounted


class Recorder(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operator below autograd, those of fused layers and functional calls included.

    Attributes:
        scope: Name of the module that runs; set by hooks or by an interpreter.
        macc: Multiply-accumulates by scope.
        output: Bytes of the last tensor that each scope made.
        steps: Operators in order.
        sizes: Bytes of each buffer that the run made.
        uncounted: Operators that could not be counted.
        order: Scopes in the order in which they first ran.
        kinds: Class of each scope, where it is known.
        sequences: Recurrent layers that ran: scope, length of the axis that they take for the batch (0 where they are
            given none), and steps.
        meeting: Products of activations with activations: scope, and length of the first of three axes or more (0 for
            fewer).
        outside: What entered the run and is neither input, weight nor result of an operator: scope, and content; None
            for what an operator of an earlier run made, such as a state.
        touched: Memory of weights that an operator read or wrote.
        flow: What depends on the inputs, or was drawn.
    """

    supports_higher_order_operators = True

    def __init__(
        self, weights: Sequence[torch.Tensor], *, earlier: "Recorder | None" = None, flow: DataFlow | None = None
    ) -> None:
        super().__init__()
        self.scope = ""
        self.macc: dict[str, int] = {}
        self.output: dict[str, int] = {}
        self.steps: list[Step] = []
        self.sizes: dict[Buffer, int] = {}
        self.uncounted: list[Uncounted] = []
        self.order: dict[str, None] = {}
        self.kinds: dict[str, str] = {}
        self.sequences: list[tuple[str, int, int]] = []
        self.meeting: list[tuple[str, int]] = []
        self.outside: list[tuple[str, object]] = []
        self._entered: set[Buffer] = set()
        self._made: set[Buffer] = set()
        self._before: set[Buffer] = set() if earlier is None else earlier._before | earlier._made - earlier._entered
        self.flow = DataFlow() if flow is None else flow
        self.touched: set[Buffer] = set()
        self._looking = False
        self._weights = {storage for tensor in weights for storage in storages(tensor)}
        # Kept until the end: a storage's address is its name, and would be used again.
        self._kept: list[Any] = [*weights]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator and write down what it did."""
        kwargs = kwargs or {}
        if self._looking:
            return func(*args, **kwargs)
        schema = getattr(func, "_schema", None)
        if schema is not None and rule_of(func) is None and not is_free(func) and not self._has_weights(args, kwargs):
            decomposed = self._decomposed(func, args, kwargs)
            if decomposed is not NotImplemented:
                return decomposed
        # Before it runs: an operator in place may change the shapes that it is counted by.
        read = self._buffers((args, kwargs))
        self.look((args, kwargs))
        decided = self.flow.decided(func, args, kwargs)
        if decided:
            self.missed(str(func).removesuffix(".default"), decided)
        self._looking = schema is None  # what it runs inside is its own
        try:
            result = self.flow.run(func, args, kwargs, self.scope)
        finally:
            self._looking = False
        self._kept.append(result)
        self.order.setdefault(self.scope)
        self._count(func, args, kwargs, result)
        written = self._buffers(result)
        self._made.update(written)
        if written or read:
            self.steps.append(
                Step(
                    name=self.scope,
                    reads=tuple(read),
                    writes=tuple(written),
                    elementwise=schema is not None and is_elementwise(func),
                )
            )
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if tensors:
            self.output[self.scope] = tensors[0].numel() * tensors[0].element_size()
        return result

    def buffers(self, value: object) -> tuple[Buffer, ...]:
        """Names of the memory behind the tensors of a value, weights aside."""
        self._kept.append(value)
        return tuple(self._buffers(value))

    def given(self, value: object) -> tuple[Buffer, ...]:
        """The same for the inputs of the run, which come from elsewhere by right."""
        names = self.buffers(value)
        self._made.update(names)
        self.flow.memory.update(names)
        return names

    def look(self, value: object) -> None:
        """Note tensors that come from elsewhere, each where it is first seen."""
        if self._looking:
            return
        for leaf in tree_leaves(value):
            if not isinstance(leaf, torch.Tensor):
                continue
            memory = storages(leaf).keys()
            if all(name in self._made or name in self._weights or name in self._entered for name in memory):
                continue
            self._entered |= memory
            self._kept.append(leaf)
            self._looking = True  # reading it is none of the model's operators
            try:
                self.outside.append((self.scope, None if memory <= self._before else content(leaf)))
            finally:
                self._looking = False

    def _decomposed(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The same in smaller operators, where torch knows them."""
        with self:
            return func.decompose(*args, **kwargs)

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        schema = getattr(func, "_schema", None)
        rule = None if schema is None else rule_of(func)
        kind = str(func).removesuffix(".default")
        leaves = tree_leaves((args, dict(kwargs), result))
        if any(isinstance(leaf, torch.Tensor) and leaf.layout in SPARSE for leaf in leaves):
            self.missed(kind, "how much a sparse tensor holds, and is multiplied, depends on its values")
        elif rule is not None:
            try:
                found = rule(arguments(func, args, kwargs), result)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
                self.missed(
                    kind, f"its arguments have no shapes that are understood ({type(error).__name__})", ("macc",)
                )
                return
            self.macc[self.scope] = self.macc.get(self.scope, 0) + int(found)
            factors = self._activations(args, kwargs)
            if len(factors) > 1:
                self.meeting.append((self.scope, factors[0].shape[0] if factors[0].ndim > 2 else 0))
        elif schema is None:
            self.missed(kind, "what it runs inside cannot be seen")
        elif not is_free(func):
            self.missed(kind, "this operator is not known", ("macc",))

    def missed(self, kind: str, reason: str, affects: tuple[Quantity, ...] = ("macc", "ram")) -> None:
        """Note once for each module what could not be counted in it."""
        known = {(item.name, item.kind) for item in self.uncounted}
        if (self.scope, kind) not in known:
            self.uncounted.append(Uncounted(name=self.scope, kind=kind, reason=reason, affects=affects))

    def sequence(self, scope: str, shape: Sequence[int], *, batch_first: bool) -> None:
        """Note a recurrent layer and the shape of its input, with or without an axis for the batch."""
        rows, steps = (0, shape[0]) if len(shape) == 2 else (shape[0], shape[1]) if batch_first else shape[1::-1]
        self.sequences.append((scope, int(rows), int(steps)))

    def _activations(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """Tensors of a call, none if one of them is a weight."""
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        return [] if any(self._weights.intersection(storages(leaf)) for leaf in leaves) else leaves

    def _has_weights(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether weights of a type of their own take part: what they are made of is their own business."""
        return any(type(leaf) not in PLAIN for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor))

    def _buffers(self, value: object) -> list[Buffer]:
        """Names of the memory behind tensors, weights aside, in order, each once; new ones are measured."""
        names: dict[Buffer, None] = {}
        for leaf in tree_leaves(value):
            if not isinstance(leaf, torch.Tensor):
                continue
            for storage, size in storages(leaf).items():
                if storage in self._weights:
                    self.touched.add(storage)
                else:
                    self.sizes.setdefault(storage, size)
                    names.setdefault(storage)
        return list(names)


#: Classes of recurrent layers, quantized ones included.
_RECURRENT = frozenset({"RNN", "GRU", "LSTM"})


@contextmanager
def scoped(module: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Tell a recorder which module runs while the block lasts; compiled parts take no hooks and run as their parent."""
    handles, stack = [], [""]
    recorder.kinds[""] = type(module).__name__
    if type(module).__name__ in _RECURRENT:
        handles.append(module.register_forward_pre_hook(_entering("", module, stack, recorder), with_kwargs=True))
        handles.append(module.register_forward_hook(_leaving(stack, recorder), always_call=True))
    for name, part in module.named_modules():
        if name and not isinstance(part, torch.jit.ScriptModule):
            handles.append(part.register_forward_pre_hook(_entering(name, part, stack, recorder), with_kwargs=True))
            handles.append(part.register_forward_hook(_leaving(stack, recorder), always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _entering(name: str, part: torch.nn.Module, stack: list[str], recorder: Recorder) -> Callable[..., None]:
    layout = getattr(part, "batch_first", None) if type(part).__name__ in _RECURRENT else None

    def enter(_module: torch.nn.Module, given: Any, named: Any) -> None:
        if layout is not None and given and isinstance(given[0], torch.Tensor):
            recorder.sequence(name, given[0].shape, batch_first=layout)
        recorder.look((given, named))  # what comes from elsewhere was made by the caller
        stack.append(name)
        recorder.scope = name
        recorder.order.setdefault(name)
        recorder.kinds[name] = type(part).__name__

    return enter


def _leaving(stack: list[str], recorder: Recorder) -> Callable[..., None]:
    def leave(_module: torch.nn.Module, _given: Any, result: Any) -> None:
        recorder.look(result)
        stack.pop()
        recorder.scope = stack[-1]

    return leave
