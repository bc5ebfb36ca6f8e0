"""What a torch module does in one call: its layers, and the functions between them, by the tensors that pass."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

#: Modules that are one layer though they have parts.
_WHOLE = (torch.nn.MultiheadAttention,)
#: Functions that apply weights: which of their arguments these are.
_WEIGHTED = {
    "linear": 1,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Event:
    """One call of a layer, or of a function between layers.

    Args:
        key: What it is asked for by; a layer's and a function's number, since both may be called again.
        name: Name of the module; empty for a function.
        kind: Class, or name of the function.
        module: The module, or None.
        reads: Numbers of the tensors that go in.
        makes: Number of the tensor that comes out; −1 until it does.
        weight: The weights as they are applied, or None.
        arguments: Plain arguments of a function.
    """

    key: str
    name: str
    kind: str
    module: torch.nn.Module | None = None
    reads: tuple[int, ...] = ()
    makes: int = -1
    weight: torch.Tensor | None = None
    arguments: tuple[Any, ...] = ()


@dataclass(slots=True)
class Recording:
    """All calls, in order.

    Args:
        events: The calls.
        output: Number of the tensor that the module returned.
    """

    events: list[Event] = field(default_factory=list)
    output: int = -1
    entry: int = -1


def layer_names(module: torch.nn.Module, other: torch.nn.Module | None = None) -> frozenset[str]:
    """Names of the modules that are taken as one layer each.

    Args:
        module: A module.
        other: The module that it is compared with: what is a single layer in either is one in both.

    Returns:
        Names of innermost modules, without those that lie in another one of them.
    """
    names = {name for one in (module, other) if one is not None for name in _innermost(one)} or {""}
    return frozenset(name for name in names if not any(outer in names for outer in _around(name)))


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
    """Call a module once and note what it does.

    Args:
        module: In evaluation mode.
        batch: Its input.
        layers: Names of the modules that are one layer each.
    """
    recorder = _Recorder()
    recorder.found.entry = recorder.number(batch)
    with hooked(module, layers, enter=recorder.enter, leave=recorder.leave), recorder:
        output = module(batch)
    found = first_tensor(output)
    recorder.found.output = -1 if found is None else recorder.known(found)
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

    def __init__(self) -> None:
        super().__init__()
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

    def enter(self, name: str, layer: torch.nn.Module, args: Any, kwargs: Any) -> None:
        """A layer begins."""
        if not self.depth:
            reads = tuple(self.known(tensor) for tensor in tensors((args, kwargs)))
            event = Event(key=self.next_key(name), name=name, kind=type(layer).__name__, module=layer, reads=reads)
            self._open.append(event)
        self.depth += 1

    def leave(self, _name: str, _layer: Any, _args: Any, _kwargs: Any, output: Any) -> None:
        """A layer ends."""
        self.depth -= 1
        if not self.depth and self._open:
            event, tensor = self._open.pop(), first_tensor(output)
            if tensor is not None:
                event.makes = self.number(tensor)
                self.found.events.append(event)

    def applied(self, function: Any, args: Any, kwargs: Any) -> None:
        """Weights as they are applied, after whatever was done to those that are stored."""
        place = _WEIGHTED.get(getattr(function, "__name__", ""))
        if place is not None and self._open and self._open[-1].weight is None:
            weight = args[place] if place < len(args) else kwargs.get("weight")
            self._open[-1].weight = weight if isinstance(weight, torch.Tensor) else None

    def called(self, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A function between layers."""
        name, tensor = getattr(function, "__name__", ""), first_tensor(result)
        if tensor is not None:
            reads = tuple(self.known(one) for one in tensors((args, kwargs)))
            plain = tuple(one for one in (*args, *kwargs.values()) if isinstance(one, int | float | bool))
            key = self.next_key(f"{name}()")
            self.found.events.append(
                Event(key=key, name="", kind=name, reads=reads, makes=self.number(tensor), arguments=plain)
            )
        return result


def tensors(given: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested arguments."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, dict):
        for one in given.values():
            yield from tensors(one)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from tensors(one)


def first_tensor(output: Any) -> torch.Tensor | None:
    """The tensor that a layer's output is judged by: the first, where it gives several."""
    return next(tensors(output), None)


def _innermost(module: torch.nn.Module) -> Iterable[str]:
    for name, part in module.named_modules():
        children = [child for child, _ in part.named_children() if child != "parametrizations"]
        within = ".parametrizations" in f".{name}"
        if name and not within and (not children or isinstance(part, _WHOLE)):
            yield name


def _around(name: str) -> Iterator[str]:
    """Names of the modules that one lies in."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        yield ".".join(parts[:length])
