"""What a torch module reads of its data while it runs: its course, and with it its cost, may be another on other data.

Values that depend on the input are followed through all operators, by the memory that they are written to. A module
that reads one of them as a plain value can branch or loop on it, and a tensor whose shape depends on them decides how
much work follows. Shapes, and weights and buffers that no input was written to, decide nothing that another input
would change. A number with a fraction is perhaps only a factor: `read_numbers_torch` tries others in its place.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from robust.costing.liveness import Buffer
from robust.costing.operators_torch import arguments
from robust.costing.storages_torch import storages
from robust.costing.tally import Uncounted

if TYPE_CHECKING:
    from robust.costing.recorder_torch import Recorder

#: Why a module that reads values has no count of its own.
READ = "its course is decided in the run: it reads a value that depends on the input, and may branch or loop on it"
_SHAPED = "how much it works is decided in the run: a shape depends on values of the input"
#: Operators that hand values to Python.
_READERS = frozenset({"_local_scalar_dense", "item", "is_nonzero", "equal", "allclose"})
#: Operators whose result has a shape that depends on values: the argument that it depends on.
_SHAPERS: Mapping[str, str] = {
    "nonzero": "self",
    "masked_select": "mask",
    "_unique": "self",
    "_unique2": "self",
    "unique_dim": "self",
    "unique_consecutive": "self",
    "bincount": "self",
    "repeat_interleave": "repeats",
    "_pack_padded_sequence": "lengths",
    "index": "indices",
    "one_hot": "self",
}
#: Operators that take nothing but the shape and the type of a tensor.
_SHAPE_ONLY = frozenset(
    {"empty_like", "full_like", "is_same_size", "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like"}
    | {"new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros"}
)
_MASKS = (torch.bool, torch.uint8)
#: Ways out of a tensor that no operator shows.
_WAYS_OUT = frozenset({"tolist", "numpy", "__array__", "__dlpack__"})


class DataFlow:
    """Follows what depends on the data of a run: its inputs, and what was drawn at random.

    Args:
        instead: Gives the number that takes the place of the i-th that is read; None for those that are there.
        most: Most operators of the run.

    Attributes:
        memory: Memory that holds values which depend on the data.
        course: Module, operator and shapes of the results, in order.
        numbers: Modules that read numbers with a fraction, and by which operator.
        exits: Modules from which values left torch as arrays or lists, and by which function.
        checking: Whether values are only compared with what they may be, such as the places of a one-hot code.
    """

    def __init__(self, *, instead: Callable[[int], float] | None = None, most: int | None = None) -> None:
        self.memory: set[Buffer] = set()
        self.course: list[tuple[object, ...]] = []
        self.numbers: list[tuple[str, str]] = []
        self.exits: list[tuple[str, str]] = []
        self.checking = False
        self._instead, self._most = instead, most

    def depends(self, value: object) -> bool:
        """Whether any tensor of a value depends on the data."""
        tensors = (leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))
        return any(not self.memory.isdisjoint(storages(leaf)) for leaf in tensors)

    def decided(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """What an operator lets the data decide, in words; empty for nothing."""
        name = _name(func)
        if name in _READERS:
            return READ if not self.checking and self.depends((args, kwargs)) and not _is_number(name, args) else ""
        if name not in _SHAPERS:
            return ""
        given = arguments(func, args, kwargs)
        deciding = given.get(_SHAPERS[name])
        if name == "index":
            deciding = [index for index in deciding or () if index is not None and index.dtype in _MASKS]
        if name == "one_hot" and given.get("num_classes", -1) >= 0:
            return ""
        return _SHAPED if self.depends(deciding) else ""

    def run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], scope: str) -> Any:
        """Run an operator of a module, or give another number in place of one that it reads."""
        name, result = _name(func), None
        if name in _READERS and _is_number(name, args) and not self.checking and self.depends(args):
            self.numbers.append((scope, str(func).removesuffix(".default")))
            result = None if self._instead is None else self._instead(len(self.numbers) - 1)
        result = func(*args, **kwargs) if result is None else result
        shapes = [tuple(leaf.shape) for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.course.append((scope, str(func), *shapes))
        if self._most is not None and len(self.course) > self._most:
            raise RuntimeError("the run takes another course")
        self._follow(func, args, kwargs, result)
        return result

    def _follow(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: object) -> None:
        drawn = torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())
        if not drawn and (_name(func) in _SHAPE_ONLY or not self.depends((args, kwargs))):
            return
        for leaf in tree_leaves((result, _overwritten(func, args, kwargs))):
            if isinstance(leaf, torch.Tensor):
                self.memory.update(storages(leaf))


def _name(func: Any) -> str:
    schema = getattr(func, "_schema", None)
    return "" if schema is None else str(schema.name).partition("::")[2]


def _is_number(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an operator reads a number with a fraction; whole ones and truth values are there to steer."""
    return name in ("_local_scalar_dense", "item") and bool(args[0].is_floating_point())


def _overwritten(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[object]:
    """Arguments that an operator writes to, which it need not return."""
    schema = getattr(func, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    given = arguments(func, args, kwargs)
    written = (argument for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write)
    return [given.get(argument.name) for argument in written]


class _Exits(TorchFunctionMode):  # type: ignore[misc]
    """Sees what leaves a tensor without an operator, and what only checks its values."""

    def __init__(self, recorder: "Recorder") -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a function of torch and note what it gives away."""
        kwargs, flow = kwargs or {}, self._recorder.flow
        name = getattr(func, "__name__", "")
        if name in _WAYS_OUT and flow.depends(args):
            flow.exits.append((self._recorder.scope, name))
        if func is not torch.nn.functional.one_hot or (args[1] if len(args) > 1 else kwargs.get("num_classes", -1)) < 0:
            return func(*args, **kwargs)
        flow.checking = True
        try:
            return func(*args, **kwargs)
        finally:
            flow.checking = False


@contextmanager
def watched(recorder: "Recorder") -> Iterator[None]:
    """Tell a recorder of values that leave torch while the block lasts; arguments of distributions are not checked.

    Args:
        recorder: Of the run.
    """
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)
    try:
        with _Exits(recorder):
            yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(checks)


def compiled_lists(module: torch.nn.Module) -> list[Uncounted]:
    """Compiled parts that turn tensors into lists, which no operator shows.

    Args:
        module: The whole model.
    """
    missed = []
    for name, part in module.named_modules():
        if not isinstance(part, torch.jit.ScriptModule):
            continue
        try:
            graph = part.graph
        except RuntimeError:  # a part without a call of its own
            continue
        if graph.findAllNodes("prim::tolist", recurse=True):
            missed.append(Uncounted(name=name, kind="prim.tolist", reason=READ, affects=("macc", "ram")))
    return missed


def values_given_away(recorder: "Recorder") -> list[Uncounted]:
    """Modules whose values left torch as arrays or lists, of which nothing came back as a tensor that would show it.

    Args:
        recorder: Of a run.
    """
    exits = dict.fromkeys(recorder.flow.exits)
    return [Uncounted(name=name, kind=kind, reason=READ, affects=("macc", "ram")) for name, kind in exits]
