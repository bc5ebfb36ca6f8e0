"""What a torch module reads of its data while it runs: its course, and with it its cost, may be another on other data.

Values that depend on the input are followed through all operators, by the memory that they are written to. A module
that reads one of them as a plain value can branch or loop on it, and a tensor whose shape depends on them decides how
much work follows. Shapes, and weights and buffers that no input was written to, decide nothing that another input
would change. A number with a fraction is perhaps only a factor: `read_numbers_torch` runs the module again to see.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from robust.costing.liveness import Buffer
from robust.costing.numbers_torch import Answers, Number, followed_arithmetic, plain_number
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
#: Results, by their place, that depend on one argument alone.
_PARTLY: Mapping[str, tuple[int, str]] = {
    "_pack_padded_sequence": (1, "lengths"),
    "_pad_packed_sequence": (1, "batch_sizes"),
}
_MASKS = (torch.bool, torch.uint8)
#: Ways out of a tensor that no operator shows.
_WAYS_OUT = frozenset({"tolist", "numpy", "__array__", "__dlpack__", "__repr__", "__str__", "__format__"})
#: The same, and what hands each value to a function of Python's.
_WAYS_OUT |= {"apply_", "map_", "map2_", "__reduce_ex__"}
#: Functions that read an argument's values where no operator shows, to settle shapes by them: its place and name.
_SILENT_SHAPERS: Mapping[str, tuple[int, str]] = {"tensor_split": (1, "tensor_indices_or_sections")}
#: Functions to which a number is nothing but a number: whatever it is, they run the same operators on the same shapes.
_CALCULATED = """
add sub subtract rsub mul multiply div divide true_divide floor_divide remainder fmod pow float_power xlogy
__radd__ __rsub__ __rmul__ __rdiv__ __rtruediv__ __rpow__ __pow__ __floordiv__ __rfloordiv__ __mod__ __rmod__
eq ne lt le gt ge __eq__ __ne__ __lt__ __le__ __gt__ __ge__ clamp clamp_min clamp_max clip where lerp
addcmul addcdiv addmm addmv addbmm baddbmm fill full full_like new_full new_tensor tensor as_tensor scalar_tensor
masked_fill index_fill __setitem__ nan_to_num bernoulli normal uniform softmax log_softmax leaky_relu elu celu
hardtanh hardshrink softshrink threshold gumbel_softmax normalize layer_norm fake_quantize_per_tensor_affine
quantize_per_tensor
"""
_CALCULATIONS = frozenset(_CALCULATED.split())


class DataFlow:
    """Follows what depends on the data of a run: its inputs, and what was drawn at random.

    Args:
        answers: Of the numbers that are read and followed; None to hand them out as they are.
        most: Most operators of the run.

    Attributes:
        memory: Memory that holds values which depend on the data.
        course: Module, operator, and the tensors, shapes, types and settings that it takes and gives, in order: all its
            counts hang on.
        numbers: Modules that read numbers with a fraction, and by which operator.
        exits: Modules from which values left torch as arrays or lists, and by which function.
        checking: Whether values are only compared with what they may be, such as the places of a one-hot code.
        following: Whether numbers that are read now are followed, or go from tensors to tensors.
    """

    def __init__(self, *, answers: Answers | None = None, most: int | None = None) -> None:
        self.memory: set[Buffer] = set()
        self._met: dict[Buffer, int] = {}
        self.course: list[tuple[object, ...]] = []
        self.numbers: list[tuple[str, str]] = []
        self.exits: list[tuple[str, str]] = []
        self.checking = self.following = False
        self.answers, self._most = answers, most

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
        """Run an operator of a module, and note numbers that it reads."""
        name = _name(func)
        if name in _READERS and _is_number(name, args) and not self.checking and self.depends(args):
            self.numbers.append((scope, str(func).removesuffix(".default")))
            if self.answers is not None and not self.following:
                self.answers.lost = True
        if self.answers is not None:
            self.answers.tried += 1
        result = func(*args, **kwargs)
        self.course.append((scope, str(func), *map(self._extent, tree_leaves((args, dict(kwargs), result)))))
        if self._most is not None and len(self.course) > self._most:
            raise RuntimeError("the run takes another course")
        self._follow(func, args, kwargs, result)
        return result

    def _follow(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        drawn = torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())
        if not drawn and (_name(func) in _SHAPE_ONLY or not self.depends((args, kwargs))):
            return
        place, source = _PARTLY.get(_name(func), (0, ""))
        if source and not self.depends(arguments(func, args, kwargs).get(source)):
            result = [value for i, value in enumerate(result) if i != place]
        self.follow((result, _overwritten(func, args, kwargs)))

    def given_back(self, outputs: object) -> None:
        """Note which tensors a run gives back: what lives until then hangs on it."""
        self.course.append(("", "outputs", *map(self._extent, tree_leaves(outputs))))

    def _extent(self, value: object) -> object:
        """What of an argument or result a run's cost hangs on: of numbers with a fraction nothing.

        Of a tensor also which one it is, by the order in which memory was met: how long each is kept decides the RAM.
        """
        if isinstance(value, torch.Tensor):
            places = tuple(self._met.setdefault(buffer, len(self._met)) for buffer in storages(value))
            return tuple(value.shape), value.dtype, places
        return value if isinstance(value, (bool, int, str, torch.dtype)) else None

    def follow(self, value: object) -> None:
        """Take the tensors of a value for such that depend on the data."""
        for leaf in tree_leaves(value):
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


def _calculates(name: str) -> bool:
    """Whether a function of torch, also one that works in place, takes numbers without deciding by them."""
    return name in _CALCULATIONS or name.removesuffix("_") in _CALCULATIONS


def _following(flow: DataFlow, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run a function of torch; the numbers that it reads stay in sight."""
    flow.following = True
    try:
        return func(*args, **kwargs)
    finally:
        flow.following = False


def _calculated(flow: DataFlow, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run a function of torch on the values of numbers that are followed; what it makes depends on them."""
    before = len(flow.numbers)
    leaves = tree_leaves((args, kwargs))
    found = [leaf for leaf in leaves if type(leaf) is Number]
    plain, named = tree_map(plain_number, (args, dict(kwargs)))
    if not _calculates(name):
        found[0].answers.lost = True
    result = _following(flow, func, plain, named)
    if found or len(flow.numbers) > before:
        written = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        flow.follow((result, args[0] if written else None, kwargs.get("out")))
    return result


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
        name = getattr(func, "__name__", "").partition(".")[0]
        if flow.answers is not None:
            flow.answers.tried += 1
            if name == "item" and args[0].is_floating_point() and flow.depends(args):
                return Number(_following(flow, func, args, kwargs), flow.answers)
            followed = any(type(leaf) is Number for leaf in tree_leaves((args, kwargs)))
            if followed or _calculates(name):
                return _calculated(flow, func, name, args, kwargs)
        place, word = _SILENT_SHAPERS.get(name, (0, ""))
        if word and flow.depends(args[place] if len(args) > place else kwargs.get(word, kwargs.get("indices"))):
            self._recorder.missed(f"aten.{name}", _SHAPED)
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
    followed = nullcontext() if recorder.flow.answers is None else followed_arithmetic()
    try:
        with followed, _Exits(recorder):
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
