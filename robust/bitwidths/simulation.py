"""A model in fewer bits: any setting of widths as a model of its own, and its size."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from robust.bitwidths.calibration import FEW, Ranges, checked_rows, find_ranges, rows_a_call
from robust.bitwidths.rounding import Grid, grid_of
from robust.bitwidths.row_keys import shared_rows
from robust.bitwidths.settings import Bits, Setting
from robust.bitwidths.simulators import LeftFloat, Plan, SimulatedLayer, Simulator
from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import SelfCheck
from robust.models.base import Model, adapter_of
from robust.models.calibrated import Calibrated
from robust.models.layer_bits import NARROW, HeldBits, LayerBits
from robust.types import FloatArray

_SAMPLE = 32
#: Rounded weights that are kept for another setting, at most.
_KEPT_BYTES = 256 * 2**20
#: Settings that answer in one call, at most, and the bytes of weights that they take.
_AT_ONCE, _BYTES_AT_ONCE = 32, 64 * 2**20
#: Bytes of a scale, one a channel or one for all.
_SCALE = 4


@dataclass(slots=True, kw_only=True, eq=False)
class Simulation:
    """A model, its layers, and what their inputs ranged over on calibration rows.

    Args:
        model: The float model; its identity is asked for once.
        simulator: Runs it with other weights and rounded inputs.
        ranges: Of the layers' inputs.
        calibration: The rows that they were taken from.
        options: What shaped the ranges, for the record.
    """

    model: Model
    simulator: Simulator
    ranges: Ranges
    calibration: Dataset
    options: Mapping[str, object]
    _rounded: dict[tuple[str, int, bool], tuple[FloatArray, ...]]
    _key: str
    _check: SelfCheck | None = None

    @property
    def layers(self) -> tuple[SimulatedLayer, ...]:
        """The layers whose widths can be chosen, in the model's order."""
        return self.simulator.layers

    @property
    def calibrated(self) -> Calibrated:
        """The rows that ranges were taken from."""
        rows = self.calibration
        return Calibrated(name=rows.name, row=rows.x.shape[1:], shared=lambda data: shared_rows(rows, data))

    @property
    def batch(self) -> int:
        """Rows a call: no more than the model takes, nor than the simulator gains by."""
        return rows_a_call(self.model, self.simulator)

    @property
    def left(self) -> tuple[LeftFloat, ...]:
        """What stays in float whatever is asked for."""
        unseen = tuple(
            LeftFloat(
                name=layer.name,
                kind=layer.kind,
                parameters=0,
                reason="its input was 0 on all calibration rows: it stays in float, since no range can be told",
            )
            for layer in self.layers
            if layer.name in self.ranges.unseen
        )
        return (*self.simulator.left, *unseen)

    def at(self, setting: Setting, *, widest: bool = False, later: bool = False) -> Model:
        """The model in a setting; the user's own model stays as it is.

        Args:
            setting: Widths by layer.
            widest: Whether inputs are never cut off on the calibration rows, however ranges were taken.
            later: Whether it is only prepared when it is first asked, and then each time anew.

        Returns:
            A model that answers as the float one would with these widths.
        """
        plan = self._plan(setting, self.ranges.widest if widest else self.ranges.ends)
        key = hashlib.sha256(f"{self._key}/{setting.key()}/{widest}".encode()).hexdigest()
        return replace(
            self.model,
            forward=(lambda x: self.simulator.forward(plan)(x)) if later else self.simulator.forward(plan),
            gradients=None if later else self.simulator.gradients(plan),
            identity=lambda: key,
            weights=lambda: key,
            content=None,
            held=HeldBits(layers=self._held(setting), rom=self.size(setting), imitated=self.model),
            calibrated=self.calibrated if any(one.activations for one in setting.layers.values()) else None,
        )

    def together(self, settings: Sequence[Setting]) -> Iterator[tuple[int, Model]]:
        """Models that answer in several settings at once, with the number of settings of each; those that cannot: none.

        Args:
            settings: Widths by layer; all of them, in this order, unless nothing is given.
        """
        size = max(1, min(_AT_ONCE, _BYTES_AT_ONCE // max(1, self.size(None))))
        for start in range(0, len(settings), size):
            some = settings[start : start + size]
            forward = self.simulator.together([self._plan(setting, self.ranges.ends) for setting in some])
            if forward is None:
                return
            yield len(some), replace(self.model, forward=forward, gradients=None, content=None, identity=lambda: None)

    def checked(self, check: Callable[["Simulation"], SelfCheck]) -> SelfCheck:
        """Its self-check, made once however many rows it is judged on."""
        if self._check is None:
            self._check = check(self)
        return self._check

    def _held(self, setting: Setting) -> tuple[LayerBits, ...]:
        """The layers as coverage reads them."""
        layers = []
        for layer in self.layers:
            bits = setting.layers.get(layer.name, Bits())
            narrow = bits.weights is not None and bits.weights <= NARROW
            # Weights that several layers hold are stored, and told, with the first of them.
            layers += [
                LayerBits(
                    name=name,
                    kind=layer.kind,
                    weights=weights,
                    quantized=weights if narrow else 0,
                    bits=bits.weights or 8 * self.simulator.itemsize,
                    integer=narrow and bits.activations is not None and bits.activations <= NARROW,
                    simulated=narrow,
                )
                for name, weights in zip(layer.names, (layer.parameters, *[0] * len(layer.names[1:])), strict=True)
            ]
        layers += [
            LayerBits(
                name=item.name,
                kind=item.kind,
                weights=item.parameters,
                quantized=0,
                bits=8 * self.simulator.itemsize,
                integer=False,
            )
            for item in self.simulator.left
        ]
        return tuple(layers)

    def size(self, setting: Setting | None) -> int:
        """Bytes that the model takes in a setting: weights packed, scales, all else as it is stored.

        Σ ⌈weights · bits / 8⌉ + 4 · scales + the rest, batch normalisation folded into biases of 4 bytes

        Args:
            setting: Widths by layer; None for the float model.
        """
        total = self.simulator.rest
        for layer in self.layers:
            bits = None if setting is None else setting.layers.get(layer.name, Bits()).weights
            total += self.layer_size(layer, bits, per_channel=setting is None or setting.per_channel)
        return total

    def layer_size(self, layer: SimulatedLayer, bits: int | None, *, per_channel: bool) -> int:
        """Bytes of a layer's weights and their scales."""
        if bits is None:
            return layer.parameters * self.simulator.itemsize
        scales = sum(weight.channels if per_channel else 1 for weight in layer.weights)
        return sum((weight.values.size * bits + 7) // 8 for weight in layer.weights) + _SCALE * scales

    def remarks(self, data: Dataset | None, *, inputs: bool) -> list[str]:
        """What a reader must know of the layers and of the calibration rows.

        Args:
            data: The rows that are measured, or None.
            inputs: Whether inputs are rounded at all, so that ranges matter.
        """
        told = []
        if self.left:
            shown = "; ".join(f"{item.name} ({item.kind}): {item.reason}" for item in self.left[:5])
            more = f"; and {len(self.left) - 5} more" if len(self.left) > 5 else ""
            told.append(f"stays in float: {shown}{more}")
        if not inputs:
            return told
        if self.ranges.rows < FEW:
            told.append(
                f"ranges rest on {self.ranges.rows} calibration rows: {FEW} or more, such as the model was trained on, "
                "would be right"
            )
        leakage = None if data is None else self.calibrated.leakage(data)
        return told if leakage is None else [*told, leakage]

    def _plan(self, setting: Setting, ends: Mapping[str, tuple[float, float]]) -> dict[str, Plan]:
        """What each layer runs with."""
        unknown = set(setting.layers) - {layer.name for layer in self.layers}
        if unknown:
            raise InvalidInput(f"there are no layers {sorted(unknown)}; the layers are {self.names()}")
        plan = {}
        for layer in self.layers:
            bits = setting.layers.get(layer.name, Bits())
            weights = None if bits.weights is None else self._weights(layer, bits.weights, setting.per_channel)
            grid: Grid | None = None
            if bits.activations is not None and layer.name in ends:
                grid = grid_of(*ends[layer.name], bits.activations)
            if weights is not None or grid is not None:
                plan[layer.name] = Plan(weights=weights, grid=grid)
        return plan

    def _weights(self, layer: SimulatedLayer, bits: int, per_channel: bool) -> tuple[FloatArray, ...]:
        """A layer's rounded weights; those that were rounded before are kept, as far as they are not many."""
        key = (layer.name, bits, per_channel)
        found = self._rounded.get(key)
        if found is None:
            found = tuple(weight.rounded(bits, per_channel=per_channel) for weight in layer.weights)
            if sum(array.nbytes for kept in self._rounded.values() for array in kept) > _KEPT_BYTES:
                self._rounded.clear()
            self._rounded[key] = found
        return found

    def names(self) -> list[str]:
        """Names of the layers, in the model's order."""
        return [layer.name for layer in self.layers]


def simulate(
    model: Model,
    calibration: Dataset,
    *,
    row_shape: tuple[int, ...] | None = None,
    calibrate: str = "minmax",
    percentile: float = 99.99,
) -> Simulation:
    """Find a model's layers, and take the ranges of their inputs.

    Args:
        model: A torch module, or a float ONNX file.
        calibration: Rows such as the model was trained on.
        row_shape: Shape of a row of the data that is measured.
        calibrate: `minmax` or `percentile`.
        percentile: Of the values, how many per cent are inside a range.

    Raises:
        InvalidInput: If the model has no layer that can be simulated, or the rows cannot tell a range.
    """
    rows = checked_rows(calibration, row_shape)
    simulator = simulator_of(model, rows)
    ranges = find_ranges(simulator, model, rows, calibrate=calibrate, percentile=percentile)
    identity = model.identity()
    options = {"calibrate": calibrate} | ({"percentile": percentile} if calibrate == "percentile" else {})
    return Simulation(
        model=replace(model, identity=lambda: identity),
        simulator=simulator,
        ranges=ranges,
        calibration=rows,
        options=options,
        _rounded={},
        _key=f"{identity}/{sorted(ranges.ends.items())!r}",
    )


def can_be_simulated(model: Model) -> str | None:
    """Why fewer bits of a model cannot be simulated, judged without looking inside it; None where they might.

    >>> can_be_simulated(Model(name="f", framework="callable", forward=len))
    'f (callable) shows no layers: a torch module or a float ONNX file would be right'
    """
    if model.framework == "torch" and hasattr(adapter_of(model), "module"):
        return None
    if model.framework == "onnx":
        if model.content is not None and hasattr(adapter_of(model), "session"):
            return None
        return f"{model.name}: a live session does not show its graph: the path of its file would be right"
    return f"{model.name} ({model.framework}) shows no layers: a torch module or a float ONNX file would be right"


def simulator_of(model: Model, rows: Dataset) -> Simulator:
    """The simulator of a model's framework; what it refuses is told with the model's name."""
    refused = can_be_simulated(model)
    if refused is not None:
        raise InvalidInput(f"fewer bits cannot be simulated: {refused}")
    adapter = adapter_of(model)
    try:
        if model.framework == "torch":
            from robust.bitwidths.simulator_torch import torch_simulator

            return torch_simulator(adapter, rows.x[: model.fixed_batch or _SAMPLE])
        from robust.bitwidths.simulator_onnx import onnx_simulator

        return onnx_simulator(adapter, b"" if model.content is None else model.content(), model.name)
    except InvalidInput as error:
        raise InvalidInput(f"{model.name}: {error}") from error
