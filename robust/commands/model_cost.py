"""`robust cost`: what a model costs to store and to run, layer by layer.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust.commands.cost_text import plain_number, show
from robust.commands.saying import say
from robust.commands.search_path import look_in
from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.costing.timing import LayerTime
    from robust.costing.whole_model import ModelCost
    from robust.data.dataset import Dataset
    from robust.measurement import Measurement
    from robust.types import AnyArray
    from robust.verdict import Verdict

_FAILED, _UNSETTLED = 1, 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CostReport:
    """What the command found.

    Args:
        found: The counts.
        latency: Time of a call, or None where it was not asked for.
        layer_times: Times of its layers, longest first; empty for frameworks that do not tell.
        budgets: Verdicts on the budgets that were given, by name.
    """

    found: "ModelCost"
    latency: "Measurement | None"
    layer_times: "tuple[LayerTime, ...]"
    budgets: tuple[tuple[str, "Verdict"], ...]

    @property
    def exit_code(self) -> int:
        """1 over a budget, 4 where a budget cannot be judged, 0 otherwise."""
        statuses = {verdict.status for _, verdict in self.budgets}
        if "FAIL" in statuses:
            return _FAILED
        return _UNSETTLED if statuses - {"PASS"} else 0


@click.command("cost")
@click.argument("model")
@click.option(
    "--data",
    help="Rows, one of which is run where the framework has to be watched; needed for --latency. Of several inputs an "
    ".npz by their names, or as `robust compare` writes it.",
)
@click.option("--target", help="Column or key of the targets in --data, which is no input.")
@click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    help='Shape of a row, e.g. "1,28,28", or of the whole input where the first axis is no batch; once an input.',
)
@click.option("--factory", help="package.module:function that builds the torch module of weights.")
@click.option("--latency", "timed", is_flag=True, help="Measure the time of a call and of each layer on this host too.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Rows a timed call.")
@click.option("--runs", type=int, default=30, show_default=True, help="Timed calls.")
@click.option("--flash", help="Budget of ROM, e.g. 256KiB.")
@click.option("--ram", help="Budget of RAM, inputs and outputs of the model included, e.g. 64KiB.")
@click.option("--macc", help="Budget of multiply-accumulates, e.g. 1e6.")
@click.option("--out", type=click.Path(path_type=Path), help="A folder to keep the counts in, as cost.json.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Has no effect: nothing here is random.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence of bounds of the latency.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
def cost_command(as_json: bool, out: Path | None, seed: int, **options: Any) -> int:  # noqa: ARG001 - all commands have it
    """Count what MODEL costs: multiply-accumulates, parameters, ROM and RAM, by layer.

    Exit codes: 0 within all budgets, or none given; 1 over a budget; 2 usage or load error; 4 a budget cannot be
    judged, because something could not be counted.
    """
    from robust.record.json_form import encode

    report = cost_report(**options)
    content = encode(plain_cost(report))
    if out is not None:
        from robust.whole_files import write_whole

        try:
            write_whole(out / "cost.json", content if isinstance(content, bytes) else content.encode())
        except OSError as error:
            raise InvalidInput(f"the output folder {out} cannot be written to: {error.strerror or error}") from error
    if as_json:
        say(content)
    else:
        show(report)
    return report.exit_code


def cost_report(
    model: str,
    *,
    data: str | None = None,
    target: str | None = None,
    shapes: tuple[str, ...] = (),
    factory: str | None = None,
    timed: bool = False,
    batch_size: int = 1,
    runs: int = 30,
    flash: str | None = None,
    ram: str | None = None,
    macc: str | None = None,
    level: float = 0.95,
    trust: bool = False,
) -> CostReport:
    """Count a model file, time it, and judge budgets.

    Args:
        model: Path of the model file.
        data: Path of a data file, or None.
        target: Its column or key of targets.
        shapes: Shape of each input, of a row or whole, as text.
        factory: Builds the module of weights.
        timed: Whether to measure the latency.
        batch_size: Rows a timed call.
        runs: Timed calls.
        flash: Budget of ROM.
        ram: Budget of RAM.
        macc: Budget of multiply-accumulates.
        level: Confidence of bounds of the latency.
        trust: Whether files that can run code may be loaded.

    Returns:
        The counts, the latency and the verdicts.

    Raises:
        InvalidInput: If something cannot be read or does not fit.
    """
    from robust.costing.whole_model import cost
    from robust.limits import as_bytes
    from robust.models.loading import load_model

    if target is not None and data is None:
        raise InvalidInput("--target is a column of --data: give both")
    if timed and data is None:
        raise InvalidInput("--latency needs rows to run: give --data")
    budgets = {
        "rom": None if flash is None else as_bytes(flash),
        "ram": None if ram is None else as_bytes(ram),
        "macc": None if macc is None else _count(macc),
    }
    if shapes and data is not None and not timed:
        raise InvalidInput("--data and --input-shape both say what a row is: leave one of them out")
    if factory is not None:
        look_in(Path.cwd())
    file = Path(model).suffix.lower() == ".onnx" and Path(model).is_file() and factory is None
    opened: Any = model if file else load_model(model, factory=factory, trust=trust)
    given = tuple(_sizes(text) for text in shapes)
    inputs = _several(Path(model), data, target) if file else None
    rows: Any = inputs if inputs is not None else _rows(data, target)
    if inputs is not None and not given:
        given = tuple(array.shape[1:] for array in inputs)
    found = cost(opened, data=None if given else rows, input_shape=given or None)
    timing: Measurement | None = None
    layer_times: tuple[LayerTime, ...] = ()
    if timed:
        from robust.costing.timing import latency_by_layer

        loaded = load_model(model, factory=factory, trust=trust) if file and inputs is None else opened
        timing, layer_times = latency_by_layer(loaded, rows, batch_size=batch_size, runs=runs, level=level)
    verdicts = tuple((name, getattr(found, name) <= limit) for name, limit in budgets.items() if limit is not None)
    return CostReport(found=found, latency=timing, layer_times=layer_times, budgets=verdicts)


def _several(model: Path, data: str | None, target: str | None) -> "list[AnyArray] | None":
    """Arrays for an ONNX file with several inputs, as `robust compare` reads and writes them; None for one input."""
    if data is None:
        return None
    from robust.models.runner import load_runner
    from robust.tensors.validation_files import read_validation

    try:
        specs = load_runner(model).inputs or ()
    except InvalidInput:  # a batch that is not in front can be counted all the same
        return None
    if len(specs) <= 1:
        return None
    if target is not None:
        raise InvalidInput(f"--target is for models of one input, and {model.name} takes {len(specs)}: leave it out")
    return list(read_validation([data], specs_in=specs, specs_out=None).inputs)


def _rows(data: str | None, target: str | None) -> "Dataset | None":
    if data is None:
        return None
    from robust.data.loading import load_data

    return load_data(data, target=target)


def _sizes(text: str) -> tuple[int, ...]:
    """Read `1,28,28`."""
    try:
        return tuple(int(size) for size in text.replace("x", ",").split(","))
    except ValueError as error:
        raise InvalidInput(f"--input-shape got {text!r}; sizes such as 1,28,28 would be right") from error


def _count(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInput(f"--macc got {text!r}; a number such as 1e6 would be right") from error


def plain_cost(report: CostReport) -> dict[str, Any]:
    """The counts as plain data; a figure of which nothing could be counted is null.

    Args:
        report: What was found.
    """
    found, timing = report.found, report.latency
    figures = (found.macc, found.parameters, found.rom, found.ram, found.ram_without_io)
    return {
        "model": found.name,
        "sha256": found.macc.provenance.models[0][1],
        **{m.name: plain_number(m) for m in figures},
        "rows": found.rows,
        "whole_call": found.whole_call,
        "peak_at": found.peak_at,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "macc": layer.macc,
                "parameters": layer.parameters,
                "rom": layer.rom,
                "output": layer.output,
            }
            for layer in found.layers
        ],
        "uncounted": [
            {"name": item.name, "kind": item.kind, "reason": item.reason, "affects": list(item.affects)}
            for item in found.uncounted
        ],
        "latency": None
        if timing is None
        else {
            "seconds": timing.value,
            "lower": timing.lower,
            "upper": plain_number(timing, "upper"),
            "calls": timing.n,
            "layers": [
                {"name": layer.name, "median": layer.median, "quartiles": [layer.lower, layer.upper]}
                for layer in report.layer_times
            ],
        },
        "budgets": [
            {"name": name, "limit": verdict.limit, "status": verdict.status} for name, verdict in report.budgets
        ],
        "notes": list(found.notes),
        "exit_code": report.exit_code,
    }
