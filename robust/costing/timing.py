"""How long a model takes on this host."""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust.costing.median_bounds import median_interval
from robust.costing.several_inputs import WholeCall, whole_call
from robust.costing.steadiness import steadiness
from robust.costing.whole_model import NO_RELATION
from robust.data.dataset import Dataset
from robust.data.live import as_data
from robust.errors import InvalidInput, ModelFault
from robust.evidence import Cost, Evidence, Fact, Figure, Provenance, Series
from robust.intervals.arguments import check_whole
from robust.measurement import Measurement
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.foreign_errors import PASSING, brief
from robust.predicting.calling import bind
from robust.types import AnyArray, FloatArray

_MOST_BARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """Time of one layer.

    Args:
        name: The module, or the node after fusing, with its operator.
        median: Seconds a call.
        lower: First quartile.
        upper: Third quartile.
    """

    name: str
    median: float
    lower: float
    upper: float


def latency(
    model: object, data: object, *, batch_size: int = 1, runs: int = 30, warmup: int = 3, level: float = 0.95
) -> Measurement:
    """Time of one call on this host: the median over repeated calls.

    x₍ᵣ₎ ≤ median ≤ x₍ₙ₊₁₋ᵣ₎ with r from the binomial distribution with p = ½, whatever the distribution of times.

    The rows lie ready in the model's own type; a module runs without gradients, in evaluation mode.

    Args:
        model: What `as_model` takes, or the path of an ONNX file with several inputs.
        data: Rows, as `as_data` takes them; the first `batch_size` are used, repeated where there are fewer. For a file
            with several inputs a list of arrays (n, …), one an input in its order, or a mapping by their names.
        batch_size: Rows a call; a file with a fixed batch takes no other.
        runs: Timed calls, at least 1; below 5 nothing is proved at 95 %.
        warmup: Calls before them that are not timed.
        level: One-sided confidence of each bound, in (0.5, 1).

    Returns:
        Seconds a call, above 0, lower is better, with bounds over the `runs` calls; in the evidence the spread, the
        time of each layer with its quartiles where the framework tells, and threads and processor. A self-check
        without a bearing on verdicts warns where calls followed a trend (a processor that warms up, other work on
        the host).

    Raises:
        InvalidInput: If a number is out of range, the file's batch is another, or the arrays do not fit its inputs.
        ModelFault: If the model breaks its contract.

    Source:
        Bounds: Conover (1999), §3.2. Runs test: Wald and Wolfowitz (1940).

    >>> import numpy as np
    >>> m = latency(lambda x: x.sum(axis=1), np.ones((4, 2)), runs=5)
    >>> m.unit, m.n, 0 < m.lower <= m.value <= m.upper
    ('seconds', 5, True)
    """
    return latency_by_layer(model, data, batch_size=batch_size, runs=runs, warmup=warmup, level=level)[0]


def latency_by_layer(
    model: object, data: object, *, batch_size: int = 1, runs: int = 30, warmup: int = 3, level: float = 0.95
) -> tuple[Measurement, tuple[LayerTime, ...]]:
    """The latency, as `latency` has it, and the times of all layers that its evidence draws.

    Args:
        model: What `as_model` takes.
        data: Rows, as `as_data` takes them.
        batch_size: Rows a call.
        runs: Timed calls; layers are watched in 10 at most.
        warmup: Calls before them.
        level: One-sided confidence of each bound, in (0.5, 1).

    Returns:
        Seconds a call, and the layers, longest first; none for frameworks that do not tell.

    Raises:
        InvalidInput: If a number is out of range, or the file's batch is another.
        ModelFault: If the model breaks its contract.
    """
    runs, warmup = check_whole("runs", runs, least=1), check_whole("warmup", warmup, least=0)
    several = whole_call(model, data, batch_size=check_whole("batch_size", batch_size, least=1))
    timed = _rows_call(model, data, batch_size) if several is None else several
    started = time.perf_counter()
    timed.check()
    with timed.open() as call:
        times = _times(call, timed.name, runs=runs, warmup=warmup)
    interval = median_interval(times, level=level)
    layers = _ordered(timed.layers(min(runs, 10), min(warmup, 3)))
    quartiles = np.quantile(times, [0.0, 0.25, 0.75, 1.0])
    facts: list[Evidence] = [
        Fact(name="quartiles", value=f"{quartiles[1]:.3g} s .. {quartiles[2]:.3g} s"),
        Fact(name="range", value=f"{quartiles[0]:.3g} s .. {quartiles[3]:.3g} s"),
        Fact(name="per row", value=interval.value / batch_size),
        Fact(name="MACC and time", value=NO_RELATION),
    ]
    facts += [] if not layers else [_bars(layers)]
    options = {"batch_size": batch_size, "runs": runs, "warmup": warmup, **_host(timed.threads)}
    measured = Measurement(
        name="latency",
        value=interval.value,
        lower=interval.lower,
        upper=interval.upper,
        level=level,
        n=interval.n,
        unit="seconds",
        higher_is_better=False,
        method=interval.method,
        sizing=interval.sizing,
        evidence=tuple(facts),
        validity=(steadiness(times),),
        provenance=Provenance(
            models=((timed.name, timed.identity),),
            data=(timed.data,),
            options=tuple((key, str(value)) for key, value in sorted(options.items())),
            cost=Cost(forward_rows=batch_size * (runs + warmup), seconds=time.perf_counter() - started),
        ),
        reach=(0.0, math.inf),
    )
    return measured, layers


def layer_latency(
    model: object, data: object, *, batch_size: int = 1, runs: int = 30, warmup: int = 3
) -> tuple[LayerTime, ...]:
    """Time of each layer: torch's modules by hooks, ONNX nodes after fusing by onnxruntime's profile.

    Watching takes time too: the layers of a small model add up to more than one call.

    Args:
        model: What `as_model` takes.
        data: Rows, as `as_data` takes them.
        batch_size: Rows a call.
        runs: Timed calls.
        warmup: Calls before them.

    Returns:
        Median and quartiles in seconds, longest first; empty for frameworks that do not tell.

    Raises:
        InvalidInput: If a number is out of range, or the file's batch is another.
    """
    runs, warmup = check_whole("runs", runs, least=1), check_whole("warmup", warmup, least=0)
    several = whole_call(model, data, batch_size=check_whole("batch_size", batch_size, least=1))
    timed = _rows_call(model, data, batch_size) if several is None else several
    return _ordered(timed.layers(runs, warmup))


def _rows_call(model: object, data: object, batch_size: int) -> WholeCall:
    """A call of a model of one input on the first rows."""
    opened, rows = as_model(model), as_data(data)
    size = _batch(opened, batch_size)
    batch = rows.rows(np.arange(size) % len(rows))
    return WholeCall(
        name=opened.name,
        identity=opened.identity() or "",
        data=(rows.name, rows.fingerprint),
        check=lambda: _check_answers(opened, batch),
        open=lambda: _call(opened, batch),
        layers=lambda runs, warmup: _layer_times(opened, np.array(batch.x), runs, warmup),
        threads=_threads(opened),
    )


def _layer_times(model: Model, x: AnyArray, runs: int, warmup: int) -> Mapping[str, list[float]]:
    """Seconds of each layer in each run; nothing for frameworks that do not tell."""
    adapter = adapter_of(model)
    if model.framework == "torch" and hasattr(adapter, "module"):
        from robust.costing.calls_torch import torch_layer_times

        return torch_layer_times(adapter, x, runs=runs, warmup=warmup)
    if model.framework == "onnx" and hasattr(adapter, "session") and model.content is not None:
        from robust.costing.calls_onnx import onnx_layer_times

        return onnx_layer_times(adapter, model.content(), x, runs=runs, warmup=warmup)
    return {}


def _ordered(found: Mapping[str, list[float]]) -> tuple[LayerTime, ...]:
    """Median and quartiles of each layer's times, longest first."""
    layers = []
    for name, times in found.items():
        lower, median, upper = map(float, np.quantile(times, [0.25, 0.5, 0.75]))
        layers.append(LayerTime(name=name, median=median, lower=lower, upper=upper))
    return tuple(sorted(layers, key=lambda layer: -layer.median))


def _batch(model: Model, batch_size: object) -> int:
    """Rows a call, which must be the file's own where it has a fixed batch."""
    size = check_whole("batch_size", batch_size, least=1)
    if model.fixed_batch not in (None, size):
        raise InvalidInput(f"{model.name} takes exactly {model.fixed_batch} rows a call, got batch_size={size}")
    return size


def _check_answers(model: Model, batch: Dataset) -> None:
    """One checked call: a model that fails is told before it is timed."""
    bind(model, batch.schema).outputs(batch.x)


@contextmanager
def _call(model: Model, batch: Dataset) -> Iterator[Callable[[], object]]:
    """The model's own call, with as little around it as its framework allows."""
    x, adapter = np.array(batch.x), adapter_of(model)
    if model.framework == "torch" and hasattr(adapter, "module"):
        from robust.costing.calls_torch import torch_call

        with torch_call(adapter, x) as call:
            yield call
    elif model.framework == "onnx" and hasattr(adapter, "session"):
        from robust.costing.calls_onnx import onnx_call

        yield onnx_call(adapter, x)
    elif model.columns is not None:  # it takes a DataFrame, which is made anew for each call
        caller = bind(replace(model, batch_size=len(x)), batch.schema)
        yield lambda: caller.outputs(x)
    else:
        yield lambda: model.forward(x)


def _times(call: Callable[[], object], name: str, *, runs: int, warmup: int) -> FloatArray:
    """Seconds of each timed call."""
    times = np.empty(runs)
    try:
        for _ in range(warmup):
            call()
        for i in range(runs):
            start = time.perf_counter()
            call()
            times[i] = time.perf_counter() - start
    except PASSING:
        raise
    except BaseException as error:
        raise ModelFault(f"{name} raised {brief(error)} while it was timed") from error
    return times


def _host(threads: object) -> dict[str, Any]:
    """What times depend on beside the model."""
    found = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    return found if threads is None else found | {"threads": threads}


def _threads(model: Model) -> object:
    """Threads of an operator, where the framework has them."""
    adapter = adapter_of(model)
    if model.framework == "torch" and hasattr(adapter, "module"):
        from robust.costing.calls_torch import torch_threads

        return torch_threads()
    if model.framework == "onnx" and hasattr(adapter, "session"):
        from robust.costing.calls_onnx import onnx_threads

        return onnx_threads(adapter.session) or "one a core"
    return None


def _bars(layers: tuple[LayerTime, ...]) -> Figure:
    shown = layers[:_MOST_BARS]
    return Figure(
        kind="bar",
        title="Time by layer",
        x_title="layer",
        y_title="seconds",
        columns=(
            Series(name="x", values=tuple(layer.name for layer in shown)),
            Series(name="y", values=tuple(layer.median for layer in shown)),
            Series(name="lower", values=tuple(layer.lower for layer in shown)),
            Series(name="upper", values=tuple(layer.upper for layer in shown)),
        ),
        note="median and quartiles, longest first; watched one by one, layers take longer than in a call",
    )
