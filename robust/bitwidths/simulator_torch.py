"""Runs a torch module with rounded weights and inputs, and leaves it as it was."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from robust.bitwidths.layers_torch import Found, find_layers
from robust.bitwidths.rounding import Grid
from robust.bitwidths.simulators import Forward, LeftFloat, Plan, SimulatedLayer
from robust.models.adapter_torch import TorchAdapter, evaluating
from robust.models.base import Gradients
from robust.types import AnyArray, FloatArray

Hook = Callable[[torch.nn.Module, tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]] | None]


@dataclass(slots=True, kw_only=True, eq=False)
class TorchSimulator:
    """A module whose layers run with other weights for the length of a call.

    Args:
        adapter: The module's adapter.
        found: Its layers, and what stays in float.
    """

    adapter: TorchAdapter
    found: Found
    layers: tuple[SimulatedLayer, ...] = field(init=False)
    left: tuple[LeftFloat, ...] = field(init=False)
    rest: int = field(init=False)
    itemsize: int = field(init=False)
    rows: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """What the protocol asks for."""
        self.layers, self.left = self.found.layers, self.found.left
        self.rest, self.itemsize = self.found.rest, self.found.itemsize

    def inputs(self, x: AnyArray) -> Mapping[str, Sequence[AnyArray]]:
        """What each layer is given on one batch."""
        seen: dict[str, list[AnyArray]] = {layer.name: [] for layer in self.layers if layer.input}

        def watch(name: str) -> Hook:
            def hook(_part: torch.nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
                value = args[0] if args else given.get("input")
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    seen[name].append(value.detach().float().cpu().numpy())

            return hook

        hooks = {path: watch(name) for name in seen for path in self.found.inputs[name]}
        with evaluating(self.adapter.module), _hooked(self.adapter.module, hooks):
            self.adapter.forward(x)
        return seen

    def forward(self, plan: Mapping[str, Plan]) -> Forward:
        """The module under a plan."""
        change = self._change(plan)

        def run(x: AnyArray) -> AnyArray:
            with change():
                return self.adapter.forward(x)

        return run

    def together(self, plans: Sequence[Mapping[str, Plan]]) -> Forward | None:  # noqa: ARG002 - the protocol's
        """None: a plan is swapped in at no cost."""
        return None

    def gradients(self, plan: Mapping[str, Plan]) -> Gradients | None:
        """Its gradients, straight through the rounding (Bengio et al. 2013)."""
        if self.adapter.integer:
            return None
        change = self._change(plan)

        def run(x: AnyArray, cotangent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
            with change():
                return self.adapter.gradients(x, cotangent)

        return run

    def _change(self, plan: Mapping[str, Plan]) -> Callable[[], Any]:
        """A context in which the module runs under the plan: its tensors are made once, and swapped in each time."""
        module = self.adapter.module
        parts = dict(module.named_modules())
        swaps: list[tuple[torch.nn.Module, str, torch.nn.Parameter]] = []
        hooks: dict[str, Hook] = {}
        for name, item in plan.items():
            if item.weights is not None:
                for holders, values in zip(self.found.places[name], item.weights, strict=True):
                    old = getattr(parts[holders[0][0]], holders[0][1])
                    new = torch.from_numpy(values).to(device=old.device, dtype=old.dtype)
                    parameter = torch.nn.Parameter(new, requires_grad=False)
                    swaps += [(parts[owner], attribute, parameter) for owner, attribute in holders]
            if item.grid is not None:
                hooks |= {path: _rounding(item.grid) for path in self.found.inputs[name]}

        @contextmanager
        def change() -> Iterator[None]:
            # Inside evaluating: it keeps other threads away from the module until all is as it was.
            with evaluating(module), _swapped(swaps), _hooked(module, hooks):
                yield

        return change


def torch_simulator(adapter: TorchAdapter, sample: AnyArray) -> TorchSimulator:
    """Find the layers of a module.

    Args:
        adapter: The module's adapter.
        sample: A few rows (b, …), on which it is seen which layers run, and which batch normalisation follows which.

    Raises:
        InvalidInput: If it has no layer that can be simulated.
    """
    return TorchSimulator(adapter=adapter, found=find_layers(adapter, sample))


def _rounding(grid: Grid) -> Hook:
    """A hook that rounds the first input of a layer."""

    def hook(
        _part: torch.nn.Module, args: tuple[Any, ...], given: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        value = args[0] if args else given.get("input")
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return None
        rounded = nearest(value, grid)
        return ((rounded, *args[1:]), given) if args else (args, {**given, "input": rounded})

    return hook


def nearest(value: torch.Tensor, grid: Grid) -> torch.Tensor:
    """A tensor on a grid; gradients pass where the grid's ends do not cut the value off."""
    exact = value.detach().to(torch.promote_types(value.dtype, torch.float32))
    rounded = exact.div(grid.scale).round_().clamp_(grid.low, grid.high).mul_(grid.scale).to(value.dtype)
    if not (torch.is_grad_enabled() and value.requires_grad):
        return rounded
    inside = value.clamp(grid.low * grid.scale, grid.high * grid.scale)
    return inside + (rounded - inside).detach()


@contextmanager
def _swapped(swaps: Sequence[tuple[torch.nn.Module, str, torch.nn.Parameter]]) -> Iterator[None]:
    """Other parameters inside, the very same objects as before outside."""
    kept = [(part, attribute, getattr(part, attribute)) for part, attribute, _ in swaps]
    try:
        # By attribute, not in the table of parameters: recurrent layers keep a second list of their own.
        for part, attribute, new in swaps:
            setattr(part, attribute, new)
        yield
    finally:
        for part, attribute, old in kept:
            setattr(part, attribute, old)


@contextmanager
def _hooked(module: torch.nn.Module, hooks: Mapping[str, Hook]) -> Iterator[None]:
    """Hooks on the inputs of layers inside, none of them outside."""
    with ExitStack() as stack:
        for name, hook in hooks.items():
            handle = module.get_submodule(name).register_forward_pre_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield
