"""`robust quantize`: builds a quantized candidate and says what it loses.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust.commands.quantize_text import plain_report, report_text
from robust.commands.saying import say
from robust.commands.search_path import look_in
from robust.commands.shared_options import OUTPUTS
from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.data.dataset import Dataset
    from robust.evidence import Finding
    from robust.models.base import Model
    from robust.quantization.candidate_rows import CandidateRow
    from robust.quantizers.candidate_table import CandidateTable
    from robust.verdict import Verdict

_FAILED, _UNSETTLED = 1, 4
_FOLDER = Path(".robust")
_METHODS = click.Choice(["static", "qoperator", "dynamic", "weight-only", "torchao"])
_TYPES = click.Choice(["int8", "uint8", "int4", "uint4", "int16", "uint16", "float"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantizeReport:
    """What the command did.

    Args:
        model: Name of the float model.
        candidate: What was built.
        written: Its file, or None.
        table: Candidates on --data, the built one first; None without it.
        findings: What a reader must know of the calibration rows where there is no table.
        verdict: On --limit, or None.
    """

    model: str
    candidate: "Model"
    written: Path | None
    table: "CandidateTable | None"
    findings: "tuple[Finding, ...]"
    verdict: "Verdict | None"

    @property
    def exit_code(self) -> int:
        """1 over the limit, 4 where that is not settled, 0 otherwise."""
        if self.verdict is None or self.verdict.status == "PASS":
            return 0
        return _FAILED if self.verdict.status == "FAIL" else _UNSETTLED


@click.command("quantize")
@click.argument("model")
@click.option("--calibration", help="Training rows that ranges of activations are taken from.")
@click.option("--target", help="Column or key of the targets, in --calibration and in --data.")
@click.option("--method", type=_METHODS, default="static", show_default=True, help="How to quantize.")
@click.option(
    "--calibrate",
    type=click.Choice(["minmax", "entropy", "percentile"]),
    default="minmax",
    show_default=True,
    help="How a range is taken from values.",
)
@click.option("--percentile", type=float, default=99.999, show_default=True, help="Share inside the range, in percent.")
@click.option("--per-tensor", is_flag=True, help="One scale a weight tensor instead of one a channel.")
@click.option("--weight-type", type=_TYPES, help="Integer type of weights.  [default: int8; int4 for weight-only]")
@click.option("--activation-type", type=_TYPES, help="Integer type of activations.  [default: int8; uint8 for dynamic]")
@click.option("--full-range", is_flag=True, help="Let 8-bit weights use 8 bits, for processors with VNNI alone.")
@click.option("--batch-size", "batch", type=int, default=64, show_default=True, help="Rows a calibration step.")
@click.option("--keep", multiple=True, help="A module that stays in float. Repeatable.")
@click.option("--data", help="Other rows, with targets: prints what the candidate loses on them.")
@click.option("--metric", default="accuracy", show_default=True, help="What may be lost.")
@click.option("--limit", help='A gate on the degradation, e.g. "< 1%".')
@click.option("--compare", is_flag=True, help="Build all calibrations and dynamic ranges too, side by side on --data.")
@click.option("--factory", help="package.module:function that builds the torch module of weights.")
@click.option("--output", type=OUTPUTS, help="What the model's outputs are.")
@click.option("--out", type=click.Path(path_type=Path), help="The .onnx file to write the candidate to.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of bootstraps, where a metric needs one.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence of each one-sided bound.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write .robust/.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
def quantize_command(as_json: bool, **options: Any) -> int:
    """Build a quantized candidate of MODEL, a float ONNX file or torch weights.

    Exit codes: 0 built, and within --limit where one was given; 1 over the limit; 2 usage or load error; 4 the limit
    is not settled by these rows, or the comparison is invalid.
    """
    from robust.record.json_form import encode

    report = quantize_report(**options)
    say(encode(plain_report(report)) if as_json else report_text(report))
    return report.exit_code


def quantize_report(
    model: str,
    *,
    calibration: str | None = None,
    target: str | None = None,
    method: str = "static",
    calibrate: str = "minmax",
    percentile: float = 99.999,
    per_tensor: bool = False,
    weight_type: str | None = None,
    activation_type: str | None = None,
    full_range: bool = False,
    batch: int = 64,
    keep: tuple[str, ...] = (),
    data: str | None = None,
    metric: str = "accuracy",
    limit: str | None = None,
    compare: bool = False,
    factory: str | None = None,
    output: str | None = None,
    out: Path | None = None,
    seed: int = 0,
    level: float = 0.95,
    no_cache: bool = False,
    trust: bool = False,
) -> QuantizeReport:
    """Quantize a model file and measure what that costs.

    Args:
        model: Path of the float model.
        calibration: Path of the calibration rows; None for a method that takes no ranges from rows.
        target: Column or key of the targets of both data files.
        method: As `quantize` takes it, and so on up to `keep`.
        calibrate: How a range is taken.
        percentile: Share inside it.
        per_tensor: Whether weights have one scale.
        weight_type: Type of weights.
        activation_type: Type of activations.
        full_range: Whether 8-bit weights use 8 bits.
        batch: Rows a calibration step.
        keep: Modules that stay in float.
        data: Path of the rows that candidates are judged on.
        metric: What may be lost.
        limit: A gate on the degradation of the candidate.
        compare: Whether to build the usual calibrations beside it.
        factory: Builds the module of weights.
        output: What the outputs are.
        out: Where to write the candidate.
        seed: Seed of bootstraps.
        level: Confidence of each bound.
        no_cache: Whether to leave `.robust/` alone.
        trust: Whether files that can run code may be loaded.

    Returns:
        What was built and found.

    Raises:
        InvalidInput: If options do not fit each other, or something cannot be read or quantized.
    """
    if data is None and (compare or limit is not None):
        raise InvalidInput(f"{'--compare' if compare else '--limit'} needs rows to judge on: give --data")
    if compare and calibration is None:
        raise InvalidInput("--compare takes ranges from calibration rows: give --calibration")
    bound = None if limit is None else _bound(limit)
    if out is not None:
        from robust.quantizers.out_path import writable_path

        writable_path(out, model=model, calibration=calibration, data=data)
    from robust.data.loading import load_data
    from robust.models.loading import load_model
    from robust.predicting.cache import ArrayCache
    from robust.predicting.settings import Settings, using
    from robust.quantizers.building import quantize
    from robust.quantizers.calibration_rows import calibration_findings, calibration_rows

    if factory is not None:
        look_in(Path.cwd())
    source = load_model(model, factory=factory, output=output, trust=trust)
    rows = None if calibration is None else load_data(calibration, target=target)
    test = None if data is None else load_data(data, target=target)
    with using(Settings(cache=ArrayCache(folder=None if no_cache else _FOLDER / "cache"))):
        candidate = quantize(
            source,
            rows,
            method=method,
            calibrate=calibrate,
            percentile=percentile,
            per_channel=not per_tensor,
            weight_type=weight_type,
            activation_type=activation_type,
            reduce_range=False if full_range else None,
            batch=batch,
            keep=keep,
            out=out,
        )
        table = None
        if test is not None:
            options = {"metric": metric, "level": level, "seed": seed}
            others = {"keep": keep, "per_channel": not per_tensor, "batch": batch} if compare else None
            table = _table(source, candidate, rows, test, options, others)
    used = None if rows is None else calibration_rows(rows, batch=batch, fixed=source.fixed_batch)
    return QuantizeReport(
        model=source.name,
        candidate=candidate,
        written=out,
        table=table,
        findings=() if table is not None or used is None else calibration_findings(used),
        verdict=None if bound is None or table is None else _judged(table.rows[0], *bound),
    )


def _table(
    source: "Model",
    candidate: "Model",
    rows: "Dataset | None",
    test: "Dataset",
    options: dict[str, Any],
    others: dict[str, Any] | None,
) -> "CandidateTable":
    """The candidate on the rows that judge it, first, and the usual calibrations where they are asked for."""
    from robust.quantization.candidate_rows import candidate_row
    from robust.quantization.degradation_paired import degradation
    from robust.quantizers.calibration_rows import calibration_rows
    from robust.quantizers.side_by_side import candidate_table, compare_calibrations

    loss = degradation(source, candidate, test, quantized=True, **options)
    found = [candidate_row("candidate", candidate, loss, test)]
    failed: tuple[tuple[str, str], ...] = ()
    if others is not None:
        compared = compare_calibrations(source, rows, test, **options, **others)
        same = [row for row in compared if row.model.identity() == candidate.identity()]
        found = [*(same or found), *(row for row in compared if row not in same)]
        failed = compared.failed
    used = None if rows is None else calibration_rows(rows, batch=1, fixed=source.fixed_batch)
    kept = bool(others and others["keep"])
    return candidate_table(found, source, test, used, metric=options["metric"], failed=failed, kept=kept)


def _bound(limit: str) -> tuple[str, float]:
    """Read `< 1%`, or `1%`, which means the same."""
    from robust.auditing.gates import parse_limit

    sign, number = parse_limit(limit if limit.lstrip()[:1] in ("<", ">", "=", "!") else f"< {limit}", gate="--limit")
    if sign not in ("<", "<="):
        raise InvalidInput(f"--limit got {limit!r}; a degradation is kept below something: '< 1%' would be right")
    return sign, number


def _judged(row: "CandidateRow", sign: str, number: float) -> "Verdict":
    return row.degradation < number if sign == "<" else row.degradation <= number
