"""A torch module whose layers are asked for what they give, by hooks that are gone after each pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from robust.errors import InvalidInput
from robust.layers.batch_axes import batch_axes, rows_back, rows_first
from robust.layers.blocks import ENTRY, OUTPUT, Block, Values
from robust.layers.blocks_torch import blocks_of
from robust.layers.events_torch import Functions, Recording, hooked, record
from robust.layers.modules_torch import layer_names
from robust.layers.nested_torch import distinct_tensors, first_tensor, key_of, with_others
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.models.base import Model, adapter_of
from robust.models.foreign_errors import blamed
from robust.types import AnyArray, FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class WatchedTorch:
    """A module, its layers found in a recorded call.

    Args:
        name: Shown in messages.
        module: The module.
        integer: Whether it takes whole numbers.
        layers: Names of the modules that are one layer each.
        probe: A few rows to record a call on.
    """

    name: str
    module: torch.nn.Module
    integer: bool
    layers: frozenset[str]
    probe: AnyArray

    @cached_property
    def _recorded(self) -> Recording:
        with self._calling():
            return record(self.module, self._tensor(self.probe), self.layers)

    @cached_property
    def _seen(self) -> tuple[tuple[Block, ...], Block]:
        return blocks_of(self._recorded)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Its layers, in the order of a run."""
        return self._seen[0]

    @property
    def output(self) -> Block:
        """What it gives."""
        return self._seen[1]

    def values(self, x: AnyArray, ends: Sequence[str]) -> Values:
        """What some points hold, dequantized, in one pass."""
        found = rows_first(self._run(x, frozenset(ends), {}), self._axes)
        found[ENTRY] = np.asarray(x, dtype=np.float64)
        return {end: array for end, array in found.items() if array.shape[:1] == (len(x),)}

    def own(self, x: AnyArray, given: Values) -> Values:
        """What layers make of inputs that another model's layers got, in one pass."""
        handed = {end: array for end, array in given.items() if end != ENTRY}
        return rows_first(self._run(x, frozenset(handed), rows_back(handed, self._axes)), self._axes)

    def codes(self, _end: str) -> None:
        """A module gives numbers, not codes."""
        return

    def answers(self, x: AnyArray) -> tuple[FloatArray, FloatArray]:
        """Its outputs while its points are watched, and while they are not."""
        with self._calling():
            batch = self._tensor(x)
            with _Watch(frozenset(block.end for block in self.blocks), {}).over(self.module, self._recorded.layers):
                watched = self.module(batch)
            plain = self.module(self._tensor(x))
        return _numbers(first_tensor(watched)), _numbers(first_tensor(plain))

    def bytes_of(self, values: Values) -> int:
        """Bytes that a pass over these rows holds at once."""
        return sum(array.nbytes for array in values.values())

    @cached_property
    def _axes(self) -> dict[str, int]:
        ends = frozenset(end for block in self.blocks for end in (block.end, *(point.end for point in block.points)))
        return batch_axes(lambda x: self._run(x, ends, {}), self.probe)

    def _run(self, x: AnyArray, ends: frozenset[str], given: Values) -> Values:
        watch = _Watch(ends, given)
        with self._calling():
            with watch.over(self.module, self._recorded.layers):
                output = self.module(self._tensor(x))
            # After the watch: its functions would else see those that copy.
            return watch.found | ({OUTPUT: _numbers(first_tensor(output))} if OUTPUT in ends else {})

    @contextmanager
    def _calling(self) -> Iterator[None]:
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            evaluating(self.module),
            blamed(self.name, "its layers were watched"),
        ):
            yield

    def _tensor(self, x: AnyArray) -> torch.Tensor:
        device, dtype = placement(self.module)
        return torch.from_numpy(np.array(x, order="C")).to(device=device, dtype=torch.int64 if self.integer else dtype)


class _Watch(Functions):
    """Takes down what points hold in a call, and puts other values in their place where some are given."""

    def __init__(self, ends: frozenset[str], given: Values) -> None:
        super().__init__()
        self.found: Values = {}
        self._ends, self._given = ends, given

    @contextmanager
    def over(self, module: torch.nn.Module, layers: frozenset[str]) -> Iterator[None]:
        """Watch calls of a module."""
        with hooked(module, layers, enter=self.enter, leave=self.leave), self:
            yield

    def enter(self, _name: str, _layer: torch.nn.Module, _args: Any, _kwargs: Any) -> None:
        """A layer begins."""
        self.depth += 1

    def leave(self, name: str, _layer: torch.nn.Module, _args: Any, _kwargs: Any, output: Any) -> Any:
        """A layer ends; gives what takes the place of its output, or None."""
        self.depth -= 1
        return None if self.depth else self._seen(self.next_key(name), output)

    def called(self, function: Any, _args: Any, _kwargs: Any, result: Any) -> Any:
        """A function between layers was called."""
        if first_tensor(result) is None:
            return result
        other = self._seen(self.next_key(f"{getattr(function, '__name__', '')}()"), result)
        if other is None:
            return result
        if isinstance(result, torch.Tensor) and any(result is one for one in _args):
            return result.copy_(other)  # a function that works in place: its caller goes on with the argument
        return other

    def _seen(self, call: str, output: Any) -> Any:
        others = {}
        for place, tensor in enumerate(distinct_tensors(output)):
            key = key_of(call, place)
            if key not in self._ends or (place and not (tensor.is_floating_point() or tensor.is_quantized)):
                continue  # whole numbers beside the first tensor are places or counts: they stand for no numbers
            self.found[key] = _numbers(tensor)
            if key in self._given:
                other = torch.from_numpy(np.array(self._given[key]))
                others[id(tensor)] = other.to(device=tensor.device, dtype=tensor.dtype)
        return with_others(output, others) if others else None


def watched_torch(model: Model, other: Model, probe: AnyArray) -> WatchedTorch:
    """Look at a module's layers.

    Args:
        model: Wraps a live module.
        other: The model that it is compared with.
        probe: A few rows.

    Raises:
        InvalidInput: If it is an exported program, whose operators have lost their modules.
    """
    adapter, partner = adapter_of(model), adapter_of(other)
    if not isinstance(adapter, TorchAdapter) or _flat(adapter.module):
        raise InvalidInput(
            f"{model.name}: an exported program does not show its modules: give the module itself, or its ONNX file"
        )
    module = adapter.module
    beside = partner.module if isinstance(partner, TorchAdapter) else None
    return WatchedTorch(
        name=model.name,
        module=module,
        integer=adapter.integer,
        layers=layer_names(module, beside),
        probe=probe,
    )


def _flat(module: torch.nn.Module) -> bool:
    """Whether a module is a program of operators, in which no module with weights is called any more."""
    if not isinstance(module, torch.fx.GraphModule):
        return False
    called = [module.get_submodule(str(node.target)) for node in module.graph.nodes if node.op == "call_module"]
    return not any(True for part in called for _ in part.parameters())


def _numbers(tensor: torch.Tensor | None) -> FloatArray:
    """A copy in float64: what comes next may work in place."""
    if tensor is None:
        return np.zeros(0)
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    return np.array(tensor.detach().to(device="cpu", dtype=torch.float64).numpy())
