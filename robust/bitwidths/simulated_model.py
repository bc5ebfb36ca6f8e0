"""A model as it would answer in fewer bits, to be compared like any other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from robust.bitwidths.rounding import FLOAT, read_bits
from robust.bitwidths.settings import Bits, Setting
from robust.bitwidths.simulation import simulate
from robust.bitwidths.simulators import SimulatedLayer
from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.models.base import Model
from robust.models.conversion import as_model


def simulate_bits(
    model: Any,
    calibration: Any,
    *,
    weights: int | Mapping[str, int | None] | None = 8,
    activations: int | Mapping[str, int | None] | None = 8,
    per_channel: bool = True,
    calibrate: str = "minmax",
    percentile: float = 99.99,
) -> Model:
    """The model as it would answer with weights and activations of fewer bits.

    The formulas are those of `bit_width_sweep`. The user's own model stays as it is; it runs with other weights for
    the length of a call. Of a torch module gradients go straight through the rounding (Bengio et al. 2013), so that it
    can be attacked.

    Args:
        model: A torch module or a float ONNX file.
        calibration: Rows (n, …) that activations take their ranges from.
        weights: Bits in 2 … 16, None or 32 for float; or by the name of a layer, layers that are not named in float.
        activations: Likewise, of what goes into each layer.
        per_channel: Whether each channel of the weights has a scale of its own.
        calibrate: `minmax`, or `percentile` to leave out the outermost values.
        percentile: With `percentile`, how many per cent of the values are inside the range.

    Returns:
        A model for `degradation`, `accuracy`, `robust_accuracy` and the rest.

    Raises:
        InvalidInput: As `bit_width_sweep` does; on layers that there are not.

    Source:
        Jacob et al. (2018), equation 1.

    >>> import numpy as np, torch
    >>> net = torch.nn.Linear(2, 1, bias=False)
    >>> net.weight.data = torch.tensor([[1.0, 0.3]])
    >>> coarse = simulate_bits(net, np.eye(2), weights=2, activations=None)
    >>> coarse.forward(np.eye(2)).tolist()
    [[1.0], [0.0]]
    """
    found = as_model(model)
    simulation = simulate(found, as_data(calibration), calibrate=calibrate, percentile=percentile)
    names = simulation.names()
    by_weights = _by_layer(weights, simulation.layers, "weights")
    by_inputs = _by_layer(activations, simulation.layers, "activations")
    layers = {name: Bits(weights=by_weights[name], activations=by_inputs[name]) for name in names}
    told = f"weights {_told(weights)}, activations {_told(activations)}"
    return replace(
        simulation.at(Setting(layers=layers, per_channel=per_channel)), name=f"{found.name} ({told}, simulated)"
    )


def _by_layer(
    given: int | Mapping[str, int | None] | None, layers: Sequence[SimulatedLayer], what: str
) -> dict[str, int | None]:
    """A width for each layer; layers that share their weights may be named one by one, all with the same width."""
    if not isinstance(given, Mapping):
        return dict.fromkeys((layer.name for layer in layers), read_bits(given, what=what))
    unknown = sorted(set(given) - {name for layer in layers for name in (layer.name, *layer.names)})
    if unknown:
        known = [layer.name for layer in layers]
        raise InvalidInput(f"{what} names layers {unknown} that there are not; the layers are {known}")
    found = {}
    for layer in layers:
        named = {name: given[name] for name in (layer.name, *layer.names) if name in given}
        widths = {read_bits(width, what=f"{what} of {name}") for name, width in named.items()}
        if len(widths) > 1:
            raise InvalidInput(f"{what} got {named}; {layer.name} share their weights: one width would be right")
        found[layer.name] = next(iter(widths), None)
    return found


def _told(given: int | Mapping[str, int | None] | None) -> str:
    if isinstance(given, Mapping):
        return "mixed"
    return "float" if given in (None, FLOAT) else f"{given} bits"
