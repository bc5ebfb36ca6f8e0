"""Counts a torch module by one traced run."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from robust.costing.batch_torch import rows_finding
from robust.costing.decided_torch import DataFlow, compiled_lists, values_given_away, watched
from robust.costing.liveness import Buffer, Step, peak_memory
from robust.costing.numbers_torch import Answers
from robust.costing.operators_torch import arguments
from robust.costing.outside_torch import outside_work
from robust.costing.program_inputs_torch import takes_more_rows
from robust.costing.read_numbers_torch import steering_numbers
from robust.costing.recorder_torch import Recorder, scoped
from robust.costing.tally import Layer, Tally, Uncounted
from robust.costing.unread import unread_note
from robust.costing.weights_torch import Stored, stored_weights, unread_tensors
from robust.errors import InvalidInput, ModelFault
from robust.models.adapter_torch import TorchAdapter, evaluating, placement
from robust.models.foreign_errors import PASSING, brief
from robust.types import AnyArray

_NOTE = (
    "batch normalisation counts 0 MACC, as if folded; RAM is that of one traced run, without the scratch memory inside "
    "an operator"
)
#: Recurrent layers as an exported graph has them.
_RECURRENT = frozenset({"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"})
_EXAMPLE = 10


def count_torch(adapter: TorchAdapter, inputs: Sequence[AnyArray], *, name: str, fixed: bool) -> Tally:
    """Count a module.

    Args:
        adapter: The module.
        inputs: One array (rows, …) an input; each is brought to the module's device and precision.
        name: The model's name, for messages.
        fixed: Whether the length of the first axis is the model's own or was given; else it is 1 for want of another.

    Returns:
        The counts; MACC are a row's, or those of a whole call where the first axis is no batch.

    Raises:
        ModelFault: If the module raises.
        InvalidInput: If an exported program has a free first axis that is no batch, and no length was given for it.
    """
    module, rows = adapter.module, len(inputs[0])
    with torch.inference_mode(False), torch.no_grad(), evaluating(module):
        stored, weights, missed = stored_weights(module)
        recorder, given, outputs = _recorded(adapter, inputs, weights, name)
        taken = recorder.buffers(outputs)

        def again() -> Recorder | None:
            if not takes_more_rows(module):
                return None
            try:
                return _recorded(adapter, [np.repeat(array, 2, axis=0) for array in inputs], weights, name)[0]
            except ModelFault:
                return None

        def changed(values: list[AnyArray], before: Recorder) -> Recorder | None:
            try:
                return _recorded(adapter, values, weights, name, earlier=before)[0]
            except ModelFault:
                return None

        def steered(answers: Answers, most: int | None) -> tuple[Recorder, BaseException | None]:
            attempt = Recorder((), flow=DataFlow(answers=answers, most=most))
            try:  # a copy: what the run leaves behind in buffers is not for the model
                copied = replace(adapter, module=copy.deepcopy(module))
                _run(copied, inputs, attempt, name)
                if answers.kept():  # for the next call, and may decide by them there
                    _run(copied, inputs, attempt, name)
            except (ModelFault, RuntimeError, TypeError, AttributeError) as error:
                return attempt, error.__cause__ or error
            return attempt, None

        finding, why = rows_finding(recorder, outputs, rows, again)
        missed += compiled_lists(module)
        outside = outside_work(recorder, inputs, integer=adapter.integer, run=changed)
        missed += outside or values_given_away(recorder)
        missed += steering_numbers(recorder, steered)
    unread = unread_note(unread_tensors(module, recorder.touched))
    if finding != "none" and len({len(array) for array in inputs}) > 1:
        finding, why = "none", "the inputs differ in the length of their first axis"
    if finding == "none" and not fixed:
        missed = [*missed, _not_a_batch(module, inputs, name, why)]
    whole = finding == "none" and fixed and rows > 1
    samples = 1 if whole else rows
    steps = _useful(recorder.steps, taken)
    layers = _layers(recorder, _placed(stored, recorder.order), samples, name)
    names = {"": name} | {layer_name: layer.name for layer_name, layer in layers.items()}
    steps = [replace(step, name=names.get(step.name, step.name)) for step in steps]
    uncounted = tuple(replace(item, name=names.get(item.name, item.name)) for item in (*recorder.uncounted, *missed))
    return Tally(
        layers=tuple(_unless_missed(layer, uncounted) for layer in layers.values()),
        uncounted=uncounted,
        parameters=sum(own.parameters for own in stored.values()),
        rom=sum(own.rom for own in stored.values()),
        ram=peak_memory(steps, recorder.sizes, inputs=given, outputs=taken, boundary=True),
        ram_without_io=peak_memory(steps, recorder.sizes, inputs=given, outputs=taken, boundary=False),
        rows=samples,
        whole_call=whole,
        notes=(*_batch_note(module, rows, why if whole else None, fixed=fixed), *([unread] if unread else []), _NOTE),
    )


def _not_a_batch(module: torch.nn.Module, inputs: Sequence[AnyArray], name: str, why: str) -> Uncounted:
    """What a first axis that is no batch hides, where nobody said how long it is; programs can be told, and must be."""
    if isinstance(module, torch.fx.GraphModule):
        raise InvalidInput(
            f"{name}: the free first axis of its inputs cannot be the batch ({why}): give input_shape= with this axis "
            f"in front, such as {(_EXAMPLE, *inputs[0].shape[1:])}"
        )
    reason = f"the first axis of the model's inputs is no batch ({why}): wrap it in a module with the batch in front"
    return Uncounted(name="", kind=type(module).__name__, reason=reason, affects=("macc", "ram"))


def _batch_note(module: torch.nn.Module, rows: int, why: str | None, *, fixed: bool) -> tuple[str, ...]:
    """Which axis was taken for the batch, where the model has one of its own."""
    if why is not None:
        return (f"no axis was taken for the batch, MACC are those of a whole call ({why})",)
    if rows > 1:
        return (f"taken for the batch, of {rows} rows: the first axis; MACC are those of one row",)
    free = not fixed and isinstance(module, torch.fx.GraphModule)
    return ("taken for the batch, of 1 row: the first axis",) if free else ()


def _recorded(
    adapter: TorchAdapter,
    inputs: Sequence[AnyArray],
    weights: Sequence[torch.Tensor],
    name: str,
    *,
    earlier: Recorder | None = None,
) -> tuple[Recorder, tuple[Buffer, ...], object]:
    """One run, what it read, and what it returned."""
    recorder = Recorder(weights, earlier=earlier)
    return recorder, *_run(adapter, inputs, recorder, name)


def _run(
    adapter: TorchAdapter, inputs: Sequence[AnyArray], recorder: Recorder, name: str
) -> tuple[tuple[Buffer, ...], object]:
    """Run a module under a recorder; what it read, and what it returned."""
    device, dtype = placement(adapter.module)
    kind = torch.int64 if adapter.integer else dtype
    batch = [torch.from_numpy(np.array(array)).to(device=device, dtype=kind) for array in inputs]
    given = recorder.given(batch)
    try:
        with _unfused(), _running(adapter.module, recorder) as run, watched(recorder), recorder:
            outputs = run(*batch)
        recorder.flow.given_back(outputs)
        recorder.scope = ""
        recorder.look(outputs)
    except PASSING:
        raise
    except BaseException as error:
        shapes = ", ".join(str(tuple(array.shape)) for array in inputs)
        raise ModelFault(f"{name} raised {brief(error)} on inputs of shape {shapes}") from error
    return given, outputs


@contextmanager
def _running(module: torch.nn.Module, recorder: Recorder) -> Iterator[Any]:
    """How to run a module so that the recorder knows which part of it runs."""
    if isinstance(module, torch.fx.GraphModule) and any(
        node.meta.get("nn_module_stack") for node in module.graph.nodes
    ):
        yield _Interpreter(module, recorder).run
    elif isinstance(module, torch.jit.ScriptModule):
        yield module  # compiled: it has no hooks
    else:
        with scoped(module, recorder):
            yield module


@contextmanager
def _unfused() -> Iterator[None]:
    """Attention in operators of its own: one fused for the whole layer hides the memory that it needs inside."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class _Interpreter(torch.fx.Interpreter):  # type: ignore[misc]
    """Runs an exported graph node by node, under the name of the module that each came from."""

    def __init__(self, module: torch.fx.GraphModule, recorder: Recorder) -> None:
        super().__init__(module)
        self._recorder = recorder

    def run_node(self, n: torch.fx.Node) -> Any:
        """One node; checks of the inputs' shapes are none of the model's operators."""
        if n.op == "call_module" and n.target == "_guards_fn":
            return None
        stack = list((n.meta.get("nn_module_stack") or {}).values())
        # The innermost module: its name, and its class with all that it lies in. The class may have been told as such.
        name, kind = map(str, stack[-1]) if stack else ("", "")
        self._recorder.scope = "" if name.startswith("_empty_nn_module_stack") else name
        if kind and self._recorder.scope == name:
            self._recorder.kinds.setdefault(name, kind.rpartition(".")[2].removesuffix("'>"))
        if getattr(n.target, "_overloadname", "") == "input" and n.target._schema.name in _RECURRENT:
            given = arguments(n.target, *self.fetch_args_kwargs_from_env(n))
            self._recorder.sequence(name, given["input"].shape, batch_first=bool(given["batch_first"]))
        return super().run_node(n)


def _useful(steps: Sequence[Step], outputs: Sequence[Buffer]) -> list[Step]:
    """Steps without the by-products that nobody reads, such as the places of a maximum."""
    read = {buffer for step in steps for buffer in step.reads} | set(outputs)
    kept = []
    for step in steps:
        useful = tuple(buffer for buffer in step.writes if buffer in read)
        kept.append(replace(step, writes=useful or step.writes[:1]))
    return kept


def _placed(stored: Mapping[str, Stored], ran: Mapping[str, None]) -> dict[str, Stored]:
    """Weights by the module that ran with them: a part whose weights its parent uses itself belongs to the parent."""
    placed: dict[str, Stored] = {}
    for name, own in stored.items():
        home = name
        while home not in ran and home:
            home = home.rpartition(".")[0]
        home = home if home in ran else name
        before = placed.get(home, Stored(parameters=0, rom=0))
        placed[home] = Stored(parameters=before.parameters + own.parameters, rom=before.rom + own.rom)
    return placed


def _layers(recorder: Recorder, stored: Mapping[str, Stored], rows: int, model: str) -> dict[str, Layer]:
    """One layer a module that did or stores something, in the order of the run."""
    layers = {}
    scopes = [scope for scope in recorder.order if scope in recorder.output or scope in stored]
    for scope in [*scopes, *(name for name in stored if name not in scopes)]:
        own = stored.get(scope, Stored(parameters=0, rom=0))
        layers[scope] = Layer(
            name=scope or model,
            kind=recorder.kinds.get(scope, "Module"),
            macc=_whole(recorder.macc.get(scope, 0) / rows),
            parameters=own.parameters,
            rom=own.rom,
            output=recorder.output.get(scope, 0),
        )
    return layers


def _whole(number: float) -> float:
    """A whole number as one."""
    return int(number) if number == int(number) else number


def _unless_missed(layer: Layer, uncounted: Sequence[Uncounted]) -> Layer:
    """A layer with nothing counted and something missed has no count."""
    missed = any(item.name == layer.name and "macc" in item.affects for item in uncounted)
    return replace(layer, macc=None) if missed and not layer.macc else layer
