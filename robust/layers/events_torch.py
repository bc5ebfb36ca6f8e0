"""What a torch module does in one call: its layers, and the functions between them, by the tensors that pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from robust.layers.modules_torch import class_of, owner_of, sees_through
from robust.layers.nested_torch import distinct_tensors, first_tensor, tensors

#: Products that apply weights which a module holds itself: layers, though no module is called.
_PRODUCTS = frozenset(("matmul", "__matmul__", "__rmatmul__", "mm", "addmm", "bmm", "einsum"))
#: Functions that add, by the sign of what they add to their first argument; the order of a sum's does not count.
_ADDING = {
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), 1.0),
    **dict.fromkeys(("sub", "sub_", "__sub__", "__isub__"), -1.0),
}
#: Functions that multiply, by the power of what they multiply their first argument by.
_SCALING = {
    **dict.fromkeys(("mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"), 1),
    **dict.fromkeys(("div", "div_", "divide", "true_divide", "__div__", "__truediv__", "__itruediv__"), -1),
}
#: Functions that apply weights: which of their arguments these are.
_WEIGHTED = {
    **dict.fromkeys(("linear", "embedding"), 1),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Event:
    """One call of a layer, or of a function between layers.

    Args:
        key: What it is asked for by; a layer's and a function's number, since both may be called again.
        name: Name of the module, or of the weights that a function applies; empty for other functions.
        kind: Class, or name of the function.
        module: The module, or None.
        reads: Numbers of the tensors that go in.
        makes: Numbers of the tensors that come out; none until they do.
        weight: The weights as they are applied, or None.
        arguments: Plain arguments of a function.
        bias: The bias that is applied with the weights, or None.
        added: What a function adds that does not depend on the rows; None where it adds nothing such.
        factor: What a function multiplies by that does not depend on the rows; None where it does nothing such.
        whole: Class of the module that was seen through whose last function it is, which then has the module's name.
    """

    key: str
    name: str
    kind: str
    module: torch.nn.Module | None = None
    reads: tuple[int, ...] = ()
    makes: tuple[int, ...] = ()
    weight: torch.Tensor | None = None
    arguments: tuple[Any, ...] = ()
    bias: torch.Tensor | None = None
    added: torch.Tensor | None = None
    factor: torch.Tensor | None = None
    whole: str = ""


@dataclass(slots=True)
class Recording:
    """All calls, in order.

    Args:
        events: The calls.
        output: Number of the tensor that the module returned.
        entry: Number of the tensor that it was called with.
        layers: Names of the modules that are one layer each, without those that were seen through.
    """

    events: list[Event] = field(default_factory=list)
    output: int = -1
    entry: int = -1
    layers: frozenset[str] = frozenset()


@contextmanager
def hooked(module: torch.nn.Module, layers: frozenset[str], *, enter: Any, leave: Any) -> Iterator[None]:
    """Call back before and after each layer; no hook is left behind, whatever happens.

    Args:
        module: The module.
        layers: Names of the layers.
        enter: `(name, layer, args, kwargs)`.
        leave: `(name, layer, args, kwargs, output)`; an output that it returns takes the place of the layer's.
    """
    handles = []
    try:
        for name, part in module.named_modules(remove_duplicate=True):
            if name not in layers:
                continue

            def before(layer: Any, args: Any, kwargs: Any, name: str = name) -> None:
                enter(name, layer, args, kwargs)

            def after(layer: Any, args: Any, kwargs: Any, output: Any, name: str = name) -> Any:
                return leave(name, layer, args, kwargs, output)

            handles.append(part.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(part.register_forward_hook(after, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def record(module: torch.nn.Module, batch: torch.Tensor, layers: frozenset[str]) -> Recording:
    """Call a module and note what it does.

    Modules without weights that make one tensor of another one of its shape, a user's own activation or scale, are
    seen through: the functions that they call are noted in their place, where these lead from the one to the other.

    Args:
        module: In evaluation mode.
        batch: Its input.
        layers: Names of the modules that are one layer each.
    """
    parts = dict(module.named_modules())
    through = frozenset(name for name in layers if name and sees_through(parts[name]))
    while True:
        recorder = _Recorder(module, through)
        recorder.found.entry = recorder.number(batch)
        recorder.depend((recorder.found.entry,))
        with hooked(module, layers, enter=recorder.enter, leave=recorder.leave), recorder:
            output = module(batch)
        if not recorder.opaque:
            break
        through -= recorder.opaque
    found = first_tensor(output)
    recorder.found.output = -1 if found is None else recorder.known(found)
    recorder.found.layers = layers - through
    return recorder.found


class Functions(TorchFunctionMode):  # type: ignore[misc]
    """Sees functions that are called between layers; what happens inside a layer is the layer's own.

    Every function between layers is numbered by its name, so that it is found again in another call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.calls: dict[str, int] = {}

    def next_key(self, name: str) -> str:
        """The key of the next call of a layer or function."""
        number = self.calls[name] = self.calls.get(name, 0) + 1
        return f"{name}#{number}"

    def called(self, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A function between layers was called; returns its result, or another in its place."""
        raise NotImplementedError

    def applied(self, function: Any, args: Any, kwargs: Any) -> None:
        """A function inside a layer is called."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Hand a call on."""
        kwargs = kwargs or {}
        if self.depth:
            self.applied(func, args, kwargs)
            return func(*args, **kwargs)
        return self.called(func, args, kwargs, func(*args, **kwargs))


class _Recorder(Functions):
    """Notes every layer and function."""

    def __init__(self, module: torch.nn.Module, through: frozenset[str]) -> None:
        super().__init__()
        self._through = through
        self.opaque: set[str] = set()  # modules that cannot be seen through
        stored = [*module.named_parameters(), *module.named_buffers()]
        self._stored = {id(tensor): owner_of(name) for name, tensor in stored if tensor.ndim > 1}
        self._computed: set[int] = set()  # numbers of tensors that the rows have a part in
        self._made_of: dict[int, str] = {}  # numbers of tensors that are made of stored ones alone
        self.found = Recording()
        self._numbers: dict[int, int] = {}
        self._kept: list[torch.Tensor] = []
        self._open: list[Event] = []

    def number(self, tensor: torch.Tensor) -> int:
        """A new number for what a tensor holds now; it is kept, so that no other takes its place in memory."""
        self._kept.append(tensor)
        self._numbers[id(tensor)] = len(self._kept)
        return len(self._kept)

    def known(self, tensor: torch.Tensor) -> int:
        """The number of a tensor; of one that comes from elsewhere, a new one."""
        return self._numbers.get(id(tensor)) or self.number(tensor)

    def depend(self, numbers: tuple[int, ...]) -> None:
        """Note tensors that the rows have a part in."""
        self._computed.update(numbers)

    def enter(self, name: str, layer: torch.nn.Module, args: Any, kwargs: Any) -> None:
        """A layer begins."""
        if name in self._through:
            return
        if not self.depth:
            reads = tuple(self.known(tensor) for tensor in tensors((args, kwargs)))
            event = Event(key=self.next_key(name), name=name, kind=class_of(layer), module=layer, reads=reads)
            self._open.append(event)
        self.depth += 1

    def leave(self, name: str, layer: Any, args: Any, kwargs: Any, output: Any) -> None:
        """A layer ends."""
        if name in self._through:
            self._name_last(name, layer, list(tensors((args, kwargs))), distinct_tensors(output))
            return
        self.depth -= 1
        if not self.depth and self._open:
            event = self._open.pop()
            event.makes = tuple(self.number(tensor) for tensor in distinct_tensors(output))
            self.depend(event.makes)
            if event.makes:
                self.found.events.append(event)

    def _name_last(
        self, name: str, layer: torch.nn.Module, given: list[torch.Tensor], made: tuple[torch.Tensor, ...]
    ) -> None:
        """Give a module's name to the function that it ended with."""
        if self.depth:
            return
        if not len(given) == len(made) == 1 or given[0].shape != made[0].shape or not self._leads(given[0], made[0]):
            self.opaque.add(name)
        elif made[0] is not given[0]:
            last = next(event for event in reversed(self.found.events) if self.known(made[0]) in event.makes)
            if last.module is None and not last.name:
                last.name, last.whole = name, class_of(layer)

    def _leads(self, given: torch.Tensor, made: torch.Tensor) -> bool:
        """Whether functions that were noted made one tensor of the other."""
        behind = {self.known(made)}
        for event in reversed(self.found.events):
            if behind.intersection(event.makes):
                behind.update(event.reads)
        return self.known(given) in behind

    def applied(self, function: Any, args: Any, kwargs: Any) -> None:
        """Weights as they are applied, after whatever was done to those that are stored."""
        place = _WEIGHTED.get(getattr(function, "__name__", ""))
        if place is not None and self._open and self._open[-1].weight is None:
            weight = args[place] if place < len(args) else kwargs.get("weight")
            bias = args[place + 1] if place + 1 < len(args) else kwargs.get("bias")
            self._open[-1].weight = weight if isinstance(weight, torch.Tensor) else None
            self._open[-1].bias = bias if isinstance(bias, torch.Tensor) else None

    def called(self, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A function between layers."""
        name, made = getattr(function, "__name__", ""), distinct_tensors(result)
        if made:
            reads = tuple(self.known(one) for one in tensors((args, kwargs)))
            plain = tuple(one for one in (*args, *kwargs.values()) if isinstance(one, int | float | bool))
            key, makes = self.next_key(f"{name}()"), tuple(self.number(one) for one in made)
            event = Event(key=key, name="", kind=name, reads=reads, makes=makes, arguments=plain)
            self._weigh(event, list(tensors((args, kwargs))))
            if self._computed.intersection(reads):
                if not kwargs and len(args) == 2:
                    event.added, event.factor = self._constants(name, args, reads)
                self.depend(makes)
            self.found.events.append(event)
        return result

    def _constants(
        self, name: str, args: Any, reads: tuple[int, ...]
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The constant that a function adds to a tensor that depends on the rows, and the one that it multiplies by."""
        numbers = iter(reads)
        fixed = [not isinstance(one, torch.Tensor) or next(numbers) not in self._computed for one in args]
        sign, power = _ADDING.get(name), _SCALING.get(name)
        if fixed not in ([False, True], [True, False]) or (fixed[0] and -1 in (sign, power)):
            return None, None
        if sign is None and power is None:
            return None, None
        constant = torch.as_tensor(args[fixed.index(True)]).detach().to(device="cpu", dtype=torch.float64)
        if sign is not None:
            return sign * constant, None
        return None, constant**power if bool(constant.all()) else None

    def _weigh(self, event: Event, given: list[torch.Tensor]) -> None:
        """Note whose weights a function applies: those that a module holds itself, or that are made of these."""
        owners = [
            self._stored.get(id(one)) or self._made_of.get(place) for one, place in zip(given, event.reads, strict=True)
        ]
        known = [(owner, one) for owner, one in zip(owners, given, strict=True) if owner]
        if known and len(known) == len(owners):
            self._made_of |= dict.fromkeys(event.makes, known[0][0])
        elif known and (event.kind in _PRODUCTS or event.kind in _WEIGHTED):
            event.name, weight = known[0]
            event.weight = weight if event.kind in _WEIGHTED else weight.mT if weight is given[-1] else None
            if event.kind in _WEIGHTED:
                event.bias = next((one for one in given if one.ndim == 1 and one is not weight), None)
