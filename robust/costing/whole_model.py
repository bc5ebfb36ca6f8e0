"""What a model costs to store and to run, counted and not estimated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robust.costing.figures import layer_bars, live_line
from robust.costing.opening import Rows, count_file, count_model, file_identity, open_model, read_rows
from robust.costing.tally import Layer, Peak, Quantity, Tally, Uncounted
from robust.evidence import Evidence, Fact, Provenance, SelfCheck
from robust.intervals.exact import exact
from robust.measurement import Measurement

#: What no count of operations says.
NO_RELATION = (
    "MACC measure complexity: there is no theoretical relation between them and the time or energy of a run, which "
    "depend on the processor, its memory and the kernels"
)
_SHOWN = 5
_UNITS: dict[Quantity, str] = {"macc": "MACC", "parameters": "parameters", "rom": "bytes", "ram": "bytes"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelCost:
    """The cost of one model; all figures are exact, lower is better.

    Attributes:
        macc: Multiply-accumulates of one sample; of a whole call where no axis is the batch, as `whole_call` says.
        parameters: Weights and biases, shared ones once.
        rom: Bytes of weights and constants as they are stored, shared ones once.
        ram: Bytes of the activations that live at once at the fullest step, the model's inputs and outputs included.
        ram_without_io: The same without inputs and outputs, for callers that keep these elsewhere.
        layers: Name, kind, macc, parameters, rom and output of each layer, in the order of the run.
        uncounted: What could not be counted, never as 0; a budget on a quantity that it makes too low cannot pass.
        live: Layer and live bytes at each step of the run.
        peak_at: The layer in which most memory lives.
        rows: Rows of the run that RAM is stated for: 1, unless the file has a fixed batch.
        whole_call: Whether `macc` is that of a whole call, because no axis of the inputs is the batch.
        notes: Which axis was taken for the batch, and conventions that applied, in words.
    """

    name: str
    macc: Measurement
    parameters: Measurement
    rom: Measurement
    ram: Measurement
    ram_without_io: Measurement
    layers: tuple[Layer, ...]
    uncounted: tuple[Uncounted, ...]
    live: tuple[tuple[str, int], ...]
    peak_at: str
    rows: int
    whole_call: bool
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{m.name}={'?' if math.isnan(m.value) else f'{m.value:,.6g}'}"
            for m in (self.macc, self.parameters, self.rom, self.ram)
        )
        missed = f", uncounted={len(self.uncounted)}" if self.uncounted else ""
        return f"ModelCost({self.name!r}, {figures}{missed})"


def cost(model: object, *, data: object = None, input_shape: object = None) -> ModelCost:
    """Count what a model costs: operations, parameters, ROM and RAM.

    macc = Σ multiply-accumulates of convolutions, linear layers, matrix products (attention and einsum included) and
    recurrent products of one sample, or of a whole call where no axis of the inputs is the batch; bias, activation,
    pooling and normalisation, which is folded for inference, count 0. rom = Σ numbers · stored width, scales and zero
    points included. ram = max over steps of Σ live activations, element widths as executed: views are free, an
    element-by-element operator writes over an input that ends with it, quantized activations take their integer width.

    Args:
        model: A torch module, exported program, fitted scikit-learn estimator, `Model`, or the path of a model file;
            an ONNX file may have several inputs. Plain callables and live sessions do not show what they hold.
        data: Rows (n, …), as `as_data` takes them; the first one is run where the framework has to be watched.
        input_shape: Instead of data, the shape of a row without the batch, e.g. `(1, 28, 28)`, or one shape an input;
            needed for live torch modules and for files with free dimensions. For ONNX files and exported programs it
            may be the whole shape, the first axis included: needed where that is free and is no batch but time.

    Returns:
        The cost: exact Measurements `macc` (MACC, a sample), `parameters`, `rom` (bytes), `ram` and `ram_without_io`
        (bytes, a run of `rows` rows), all at least 0, lower is better, with `layers`, `uncounted` and `live`. A
        figure is NaN, and decides nothing, where nothing of it could be counted.

    Raises:
        InvalidInput: If the model shows neither weights nor operators, or it is not said what rows it takes, or the
            rows do not fit.
        ModelFault: If the model raises when it is traced.

    Source:
        Counting rules as in STMicroelectronics' evaluation report (MACC after fusing, ROM and RAM of one inference).

    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> found = cost(LinearRegression().fit(np.eye(3), [1.0, 2.0, 3.0]))
    >>> int(found.macc), int(found.parameters), int(found.rom), (found.rom < 1024).status
    (3, 4, 32, 'PASS')
    """
    rows = read_rows(data, input_shape)
    opened = open_model(model)
    if isinstance(opened, Path):
        content = opened.read_bytes()
        return _assembled(count_file(opened, content, rows), opened.name, file_identity(opened, content), rows)
    return _assembled(count_model(opened, rows), opened.name, opened.identity() or "", rows)


def _assembled(tally: Tally, name: str, identity: str, rows: Rows) -> ModelCost:
    """The counts as measurements."""
    shapes = () if rows.shapes is None else (("input_shape", repr(rows.shapes)),)
    provenance = Provenance(
        models=((name, identity),),
        data=() if rows.data is None else ((rows.data.name, rows.data.fingerprint),),
        options=(*shapes, ("rows", str(tally.rows))),
    )
    known: Peak | None = tally.ram
    bare = tally.ram_without_io
    notes = [Fact(name="convention", value=note) for note in tally.notes]
    batch = [Fact(name="rows of the run", value=tally.rows)]
    macc_bars = layer_bars(tally.layers, title="MACC by layer", unit="MACC", amount=lambda layer: layer.macc)
    rom_bars = layer_bars(tally.layers, title="ROM by layer", unit="bytes", amount=lambda layer: layer.rom)
    peak: list[Evidence | None] = []
    if known is not None:
        peak = [Fact(name="fullest step", value=known.at), live_line(known)]
    if bare is not None:
        peak.insert(1, Fact(name="without inputs and outputs", value=bare.bytes))

    def figure(
        quantity: Quantity, value: float | None, evidence: Sequence[Evidence | None], label: str = ""
    ) -> Measurement:
        return _measured(quantity, value, tally.uncounted, evidence, provenance, label or quantity)

    macc = sum(layer.macc or 0 for layer in tally.layers)
    return ModelCost(
        name=name,
        macc=figure("macc", macc, [macc_bars, *_largest(tally.layers), Fact(name="time", value=NO_RELATION), *notes]),
        parameters=figure("parameters", tally.parameters, notes),
        rom=figure("rom", tally.rom, [rom_bars, *notes]),
        ram=figure("ram", None if known is None else known.bytes, [*peak, *batch, *notes]),
        ram_without_io=figure("ram", None if bare is None else bare.bytes, [*batch, *notes], "ram_without_io"),
        layers=tally.layers,
        uncounted=tally.uncounted,
        live=() if known is None else known.live,
        peak_at="" if known is None else known.at,
        rows=tally.rows,
        whole_call=tally.whole_call,
        notes=tally.notes,
    )


def _measured(
    quantity: Quantity,
    value: float | None,
    uncounted: Sequence[Uncounted],
    evidence: Sequence[Evidence | None],
    provenance: Provenance,
    name: str,
) -> Measurement:
    """One figure; what is missing from it can only have made it lower."""
    missed = [item for item in uncounted if quantity in item.affects]
    nothing = value is None or (value == 0 and bool(missed))
    interval = exact(0.0 if nothing or value is None else value, 1)
    number = math.nan if nothing else interval.value
    return Measurement(
        name=name,
        value=number,
        lower=number,
        upper=number,
        n=1,
        unit=_UNITS[quantity],
        higher_is_better=False,
        method=interval.method,
        sizing=None if nothing else interval.sizing,
        evidence=tuple(item for item in evidence if item is not None),
        validity=(
            SelfCheck(
                name="uncounted",
                passed=not missed,
                reason=_reason(missed) if missed else "everything in the model was counted",
                bias="either" if nothing else "lowers",
            ),
        ),
        provenance=provenance,
        reach=(0.0, math.inf),
    )


def _reason(missed: Sequence[Uncounted]) -> str:
    shown = "; ".join(f"{item.name} ({item.kind}): {item.reason}" for item in missed[:_SHOWN])
    more = f"; and {len(missed) - _SHOWN} more" if len(missed) > _SHOWN else ""
    return f"not counted: {shown}{more}"


def _largest(layers: Sequence[Layer]) -> list[Evidence]:
    """The layer that most of the work is in."""
    total = sum(layer.macc or 0 for layer in layers)
    if not total:
        return []
    largest = max(layers, key=lambda layer: layer.macc or 0)
    share = 100 * (largest.macc or 0) / total
    return [Fact(name="largest layer", value=f"{largest.name} ({largest.kind}), {share:.3g} % of all MACC")]
