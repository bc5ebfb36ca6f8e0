"""Ranges of activations, taken from calibration rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from robust.bitwidths.simulators import Simulator
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.foreign_errors import blamed
from robust.predicting.metering import count_rows
from robust.types import AnyArray, FloatArray

Calibrate: TypeAlias = Literal["minmax", "percentile"]
#: Fewer rows than this are told: ranges of activations are then those of a handful of inputs.
FEW = 32
_BINS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """What the inputs of layers ranged over.

    Args:
        ends: Ends of the range by the name of the layer.
        widest: Least and largest value, the same unless the outermost were left out.
        rows: Calibration rows.
        unseen: Layers whose input was 0 on all rows, or that never ran: no range can be told.
    """

    ends: Mapping[str, tuple[float, float]]
    widest: Mapping[str, tuple[float, float]]
    rows: int
    unseen: tuple[str, ...]


def checked_rows(calibration: Dataset, row_shape: tuple[int, ...] | None) -> Dataset:
    """Calibration rows that can tell a range.

    Args:
        calibration: The rows.
        row_shape: Shape of a row of the data that is measured; None where there is none.

    Raises:
        InvalidInput: If rows have another shape, are no finite numbers, or are all alike.
    """
    name, x = calibration.name, calibration.x
    if row_shape is not None and x.shape[1:] != row_shape:
        raise InvalidInput(f"the calibration rows of {name} have shape {x.shape[1:]}, those of the data {row_shape}")
    if x.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
        if len(bad):
            raise InvalidInput(
                f"the calibration rows of {name} have NaN or infinity in {len(bad)} rows, first at position {bad[0]}: "
                "ranges need finite numbers"
            )
    if bool((x == x.reshape(-1)[0]).all()) or (len(x) > 1 and bool((x == x[:1]).all())):
        raise InvalidInput(
            f"the calibration rows of {name} are all alike ({len(x)}): no range of activations can be told from them; "
            "rows such as the model was trained on would be right"
        )
    return calibration


def find_ranges(
    simulator: Simulator, model: Model, calibration: Dataset, *, calibrate: str, percentile: float
) -> Ranges:
    """What the inputs of all layers range over on calibration rows.

    minmax: least and largest value. percentile: the values beyond which a share of 1 − percentile/100 lies, half on
    each side, read from a histogram of 2048 bins; takes a second pass.

    Args:
        simulator: Shows the inputs.
        model: The model, for its batch size.
        calibration: The rows.
        calibrate: How: `minmax` or `percentile`.
        percentile: In (50, 100].

    Raises:
        InvalidInput: On another word or number, or inputs of layers that are not finite.
    """
    if calibrate not in get_args(Calibrate):
        raise InvalidInput(f"calibrate got {calibrate!r}; 'minmax' or 'percentile' would be right")
    if not 50.0 < percentile <= 100.0:
        raise InvalidInput(f"percentile got {percentile!r}; a number in (50, 100], such as 99.99, would be right")
    ends: dict[str, tuple[float, float]] = {}
    for batch in _batches(simulator, model, calibration):
        for layer, calls in _inputs(simulator, model, batch).items():
            for value in calls:
                low, high = (float(value.min()), float(value.max())) if value.size else (0.0, 0.0)
                if not (np.isfinite(low) and np.isfinite(high)):
                    raise InvalidInput(f"{model.name}: the input of layer {layer} is not finite on {calibration.name}")
                old = ends.get(layer, (low, high))
                ends[layer] = (min(old[0], low), max(old[1], high))
    widest = ends
    if calibrate == "percentile":
        ends = _percentiles(simulator, model, calibration, ends, percentile)
    names = [layer.name for layer in simulator.layers if layer.input]
    unseen = tuple(name for name in names if ends.get(name, (0.0, 0.0)) == (0.0, 0.0))
    seen = [name for name in names if name not in unseen]
    return Ranges(
        ends={name: ends[name] for name in seen},
        widest={name: widest[name] for name in seen},
        rows=len(calibration),
        unseen=unseen,
    )


def _percentiles(
    simulator: Simulator,
    model: Model,
    calibration: Dataset,
    ends: Mapping[str, tuple[float, float]],
    percentile: float,
) -> dict[str, tuple[float, float]]:
    """Ends with the outermost values left out."""
    counts: dict[str, FloatArray] = {layer: np.zeros(_BINS) for layer in ends}
    for batch in _batches(simulator, model, calibration):
        for layer, calls in _inputs(simulator, model, batch).items():
            for value in calls:
                counts[layer] += np.histogram(value, bins=_BINS, range=ends[layer])[0]
    share = (1.0 - percentile / 100.0) / 2.0
    found = {}
    for layer, (low, high) in ends.items():
        edges = np.linspace(low, high, _BINS + 1)
        below = np.concatenate([[0.0], np.cumsum(counts[layer]) / counts[layer].sum()])
        first = int(np.searchsorted(below, share, side="right")) - 1
        last = int(np.searchsorted(below, 1.0 - share, side="left"))
        found[layer] = (float(edges[first]), float(edges[min(last, _BINS)]))
    return found


def rows_a_call(model: Model, simulator: Simulator) -> int:
    """Rows a call: no more than the model takes, nor than the simulator gains by."""
    return model.fixed_batch or min(model.batch_size, simulator.rows or model.batch_size)


def _batches(simulator: Simulator, model: Model, data: Dataset) -> Iterator[AnyArray]:
    """Rows as the model takes them; a fixed batch is filled up with its last row, which adds no new value."""
    size = rows_a_call(model, simulator)
    for start in range(0, len(data), size):
        batch = np.array(data.x[start : start + size])
        count_rows(forward=len(batch))
        missing = 0 if model.fixed_batch is None else size - len(batch)
        yield np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch


def _inputs(simulator: Simulator, model: Model, batch: AnyArray) -> Mapping[str, list[AnyArray]]:
    """What the layers are given; a fault of the model's own is told as such."""
    with blamed(model.name, "the inputs of its layers were watched"):
        return {layer: list(calls) for layer, calls in simulator.inputs(batch).items()}
