"""`robust fuzz`: random input of three levels, and what a model did not hold.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust.commands.fuzz_text import plain_replay, plain_result, replay_text, result_text
from robust.commands.saying import say
from robust.commands.schema_file import read_declared
from robust.commands.search_path import look_in
from robust.commands.shared_options import rows_and_model_options
from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.fuzzing.example_files import Replayed
    from robust.fuzzing.fuzz_result import FuzzResult
    from robust.verdict import Verdict

_FAILED, _UNSETTLED, _INTERRUPTED = 1, 4, 130
_ROWS = 10_000
_LEVELS = click.Choice(["inside", "edges", "outside"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FuzzReport:
    """What the command did.

    Args:
        model: Name of the model.
        result: What a fuzz found; None for a replay.
        verdict: On `failures == 0`; None for a replay.
        replayed: What a replay found, or None.
    """

    model: str
    result: "FuzzResult | None" = None
    verdict: "Verdict | None" = None
    replayed: "Replayed | None" = None

    @property
    def exit_code(self) -> int:
        """1 where something fails, 130 after Ctrl-C, 4 where no pass can be believed, else 0."""
        if self.replayed is not None:
            return _FAILED if self.replayed.fails else 0
        if self.result is not None and self.result.interrupted:
            return _INTERRUPTED
        if self.verdict is None or self.verdict.status == "PASS":
            return 0
        return _FAILED if self.verdict.status == "FAIL" else _UNSETTLED


@click.command("fuzz")
@click.argument("model")
@click.argument("data", required=False)
@click.option("--n", type=int, default=_ROWS, show_default=True, help="Random rows in all.")
@click.option("--levels", type=_LEVELS, multiple=True, help="Which rows. Repeatable.  [default: all three]")
@click.option("--budget", type=float, help="Seconds that a call may take.")
@click.option("--replay", "replay_path", type=click.Path(path_type=Path), help="A saved failure, instead of DATA.")
@click.option("--no-refusals", is_flag=True, help="What is outside the schema must be answered, too.")
@rows_and_model_options
@click.option("--out", type=click.Path(path_type=Path), help="A folder for failing batches and fuzz.json.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random rows.")
@click.option("--level", type=float, expose_value=False, help="Taken by every command; no effect on a count.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
def fuzz_command(as_json: bool, out: Path | None, **options: Any) -> int:
    """Ask MODEL about random rows: inside the schema of DATA, at its edges and outside it.

    Exit codes: 0 nothing failed; 1 something did; 2 usage or load error; 4 no row was answered, or a level was not
    run; 130 interrupted, what was finished is shown.
    """
    from robust.record.json_form import encode
    from robust.whole_files import write_whole

    report = fuzz_report(out=out, **options)
    plain = plain_replay(report) if report.replayed is not None else plain_result(report)
    if out is not None and report.result is not None:
        try:
            write_whole(out / "fuzz.json", encode(plain))
        except OSError as error:
            raise InvalidInput(f"the output folder {out} cannot be written to: {error.strerror or error}") from error
    say(encode(plain) if as_json else replay_text(report) if report.replayed is not None else result_text(report))
    return report.exit_code


def fuzz_report(
    model: str,
    data: str | None = None,
    *,
    n: int = _ROWS,
    levels: tuple[str, ...] = (),
    budget: float | None = None,
    replay_path: Path | None = None,
    no_refusals: bool = False,
    schema: Path | None = None,
    bounds: tuple[float, float] | None = None,
    target: str | None = None,
    unused: tuple[str, ...] = (),
    factory: str | None = None,
    task: str | None = None,
    output: str | None = None,
    batch_size: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    trust: bool = False,
) -> FuzzReport:
    """Fuzz a model file, or ask it about a saved failure.

    Args:
        model: Path of the model.
        data: Path of the rows; None for a replay.
        n: Random rows in all.
        levels: Which levels; all where none is named.
        budget: Seconds that a call may take.
        replay_path: A saved failure.
        no_refusals: Whether the model must answer what is outside, too.
        schema: File that says what each feature is; costs in it are passed over.
        bounds: Of all features.
        target: Column or key of the targets.
        unused: Columns that the model does not see.
        factory: Builds the module of weights.
        task: What the model does.
        output: What its outputs are.
        batch_size: Rows a call.
        out: Folder for failing batches.
        seed: Seed of the rows.
        trust: Whether files that can run code may be loaded.

    Returns:
        What was found.

    Raises:
        InvalidInput: If DATA and --replay are both given or both missing, something that a replay does not heed comes
            with it, or something cannot be read.
    """
    if (data is None) == (replay_path is None):
        raise InvalidInput("give DATA, the rows whose schema random rows come from, or --replay FILE: one of them")
    declared = read_declared(schema, bounds)
    from robust.models.loading import load_model

    if factory is not None:
        look_in(Path.cwd())
    found = load_model(model, factory=factory, task=task, output=output, batch_size=batch_size, trust=trust)
    if replay_path is not None:
        _require_replay_alone(
            {
                "--n": n != _ROWS,
                "--levels": bool(levels),
                "--budget": budget is not None,
                "--no-refusals": no_refusals,
                "--schema": schema is not None,
                "--bounds": bounds is not None,
                "--target": target is not None,
                "--unused": bool(unused),
                "--out": out is not None,
                "--seed": seed != 0,
            }
        )
        from robust.fuzzing.example_files import replay

        return FuzzReport(model=found.name, replayed=replay(replay_path, found))
    from robust.data.loading import load_data
    from robust.fuzzing.faults import LEVELS
    from robust.fuzzing.random_attack import fuzz

    rows = load_data(str(data), target=target, schema=declared.spec, unused=unused or None)
    result = fuzz(
        found,
        rows,
        n=n,
        seed=seed,
        budget=budget,
        levels=levels or LEVELS,
        save=out,
        may_refuse=not no_refusals,
    )
    return FuzzReport(model=found.name, result=result, verdict=result.failures == 0)


def _require_replay_alone(given: dict[str, bool]) -> None:
    """Refuse what says which rows are drawn, where a saved batch is asked about.

    Raises:
        InvalidInput: If anything of it is given.
    """
    idle = [name for name, there in given.items() if there]
    if idle:
        raise InvalidInput(f"--replay asks about the saved rows alone: leave out {', '.join(idle)}")
