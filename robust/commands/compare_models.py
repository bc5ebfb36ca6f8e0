"""`robust compare`: two models on the same samples, output by output.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust.commands.saying import say
from robust.commands.search_path import look_in
from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.crosscheck.agreement_result import Agreement
    from robust.record.shape import Record
    from robust.types import Output

_FILE_OPTIONS = ("--inputs", "-vi", "--outputs", "-vo")
_POSITIONS = click.Choice(["channels_first", "channels_last", "chfirst", "chlast"])
_DIFFERENT = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """What a comparison says and leaves behind.

    Args:
        text: What is printed; its last lines are the l2r of each output.
        files: What was written, the report last.
        exit_code: 0 where l2r is below 0.01 for all outputs on these samples, or no reference was run; 1 where not.
            With gates theirs: 0 all pass, 1 one failed, 4 one is inconclusive or invalid, 5 none was evaluated.
        found: The comparison itself.
        gates: The record of the gates, or None where there are none.
    """

    text: str
    files: tuple[Path, ...]
    exit_code: int
    found: "Agreement"
    gates: "Record | None" = None


class _SeveralFiles(click.Command):
    """A command whose file options take all words up to the next option: `--inputs a.csv b.csv --outputs c.csv`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat each file option before each of its files."""
        return super().parse_args(ctx, repeated(args))


def repeated(args: Sequence[str]) -> list[str]:
    """Arguments with each file option before each of its files.

    >>> repeated(["a", "b", "--inputs", "x", "y", "--seed", "1"])
    ['a', 'b', '--inputs', 'x', '--inputs', 'y', '--seed', '1']
    """
    found: list[str] = []
    option: str | None = None
    fresh = False
    for i, word in enumerate(args):
        if word == "--":
            return [*found, *args[i:]]
        if word.startswith("-") and word != "-":
            option, fresh = (word, True) if word in _FILE_OPTIONS else (None, False)
            found.append(word)
        else:
            found += [word] if option is None or fresh else [option, word]
            fresh = False
    return found


@click.command("compare", cls=_SeveralFiles)
@click.argument("models", nargs=-1, metavar="REFERENCE CANDIDATE")
@click.option("--inputs", "-vi", multiple=True, help="Samples: one .npz, or one .npy, .csv or .pb an input, in order.")
@click.option("--outputs", "-vo", multiple=True, help="Ground truth: one file an output, in order.")
@click.option("--data", help="Samples as of an audit: .npz, .npy, .csv or .parquet, one input.")
@click.option("--target", help="Column or key of the ground truth in --data.")
@click.option("--range", "value_range", type=float, nargs=2, help="Range of random samples.  [default: 0 1]")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of random samples and of bounds.")
@click.option("-b", "--batch", type=int, default=10, show_default=True, help="Random samples to draw.")
@click.option("--classifier/--no-classifier", default=None, help="Outputs are scores of classes, or are not.")
@click.option("--no-reference", is_flag=True, help="Run the candidate alone, against the ground truth.")
@click.option("--inputs-ch-position", type=_POSITIONS, help="Where the candidate's inputs have their channels.")
@click.option("--outputs-ch-position", type=_POSITIONS, help="Where the candidate's outputs have their channels.")
@click.option("--factory", help="package.module:function that builds the candidate's torch module.")
@click.option("--reference-factory", help="The same for the reference.")
@click.option("--gate", "gates", multiple=True, help='A gate on --data, e.g. "degradation < 1%". Repeatable.')
@click.option("--gates", "from_config", is_flag=True, help="Judge the gates of this folder's config too.")
@click.option("--output", type=click.Choice(["probabilities", "logits", "values"]), help="What the outputs are.")
@click.option("--save-csv", is_flag=True, help="Write all samples to the csv files, however long they are.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("robust-compare"), show_default=True)
@click.option("--name", default="network", show_default=True, help="Begins the names of all files.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence of each one-sided bound.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
@click.option("--json", "as_json", is_flag=True, help="Print plain data instead of the table.")
def compare_command(models: tuple[str, ...], as_json: bool, **options: Any) -> int:
    r"""Compare two models on the same samples: the X-cross table.

    Without samples, random ones are drawn. Everything that went in and came out is kept beside the report in --out.
    Files come after the models: robust compare float.onnx int8.onnx --inputs a.csv b.csv

    Exit codes: 0 l2r is below 0.01 for every output, on these samples; 1 it is not; 2 usage or load error. With gates,
    these decide instead: 0 all pass; 1 one failed; 4 one is inconclusive or invalid; 5 none was evaluated.
    """
    done = compare(models, **options)
    if as_json:
        from robust.crosscheck.plain_form import plain_form
        from robust.record.json_form import encode

        files = [str(path) for path in done.files]
        plain = plain_form(done.found) | {"files": files, "exit_code": done.exit_code}
        say(encode(plain if done.gates is None else plain | {"gates": done.gates}))
    else:
        say(done.text)
    return done.exit_code


def compare(
    models: Sequence[str],
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    data: str | None = None,
    target: str | None = None,
    value_range: tuple[float, float] | None = None,
    seed: int = 42,
    batch: int = 10,
    classifier: bool | None = None,
    no_reference: bool = False,
    inputs_ch_position: str | None = None,
    outputs_ch_position: str | None = None,
    factory: str | None = None,
    reference_factory: str | None = None,
    gates: Sequence[str] = (),
    from_config: bool = False,
    output: "Output | None" = None,
    save_csv: bool = False,
    out: Path = Path("robust-compare"),
    name: str = "network",
    level: float = 0.95,
    trust: bool = False,
) -> Comparison:
    """Compare two model files and write everything down.

    Args:
        models: Paths of the reference and the candidate; with `no_reference` the candidate's alone may be given.
        inputs: Validation files of samples.
        outputs: Validation files of ground truth.
        data: A data file instead.
        target: Its column or key of the ground truth.
        value_range: Range of random samples.
        seed: Seed of random samples and of bounds.
        batch: Random samples to draw.
        classifier: Whether outputs are scores of classes; None where values tell.
        no_reference: Whether to leave the reference out.
        inputs_ch_position: Where the candidate's inputs have their channels, if elsewhere than the reference's.
        outputs_ch_position: The same for outputs.
        factory: Builds the candidate's torch module.
        reference_factory: Builds the reference's.
        gates: Gates on the rows of `data`, such as `degradation < 1%`.
        from_config: Whether to judge the gates of this folder's config as well.
        output: What the models' outputs are, for gates; None where they tell.
        save_csv: Whether csv files hold all samples.
        out: Folder of `<name>_val_io.npz`, one `.npy` and `.csv` a tensor, and `<name>_validate_report.txt`.
        name: Begins the names of all files.
        level: Confidence of each bound.
        trust: Whether model files that can run code may be loaded.

    Returns:
        Text, files and exit code.

    Raises:
        InvalidInput: If options exclude each other, both files are the same, or something cannot be read or does not
            fit.
        ModelFault: If a model breaks its contract.
    """
    reference, candidate = _two(models, no_reference=no_reference)
    _check_options(inputs, outputs, data, target, value_range)
    _check_two(reference, candidate)
    from robust.crosscheck.opening import opened_file
    from robust.crosscheck.x_cross import agreement
    from robust.data.loading import load_data
    from robust.tensors.saving import save_validation
    from robust.whole_files import write_whole

    if factory or reference_factory:
        look_in(Path.cwd())
    record = None
    if gates or from_config:
        from robust.commands.compare_gates import judged_gates

        said: dict[str, Any] = {
            "target": target,
            "output": output,
            "factory": factory,
            "reference_factory": reference_factory,
        }
        said |= {"level": level, "seed": seed, "trust": trust}
        record = judged_gates(reference, candidate, data=data, gates=gates, from_config=from_config, **said)
    elif output is not None:
        raise InvalidInput("--output says how gates read the models' outputs: give --gate or --gates as well")
    found = agreement(
        None if reference is None else opened_file(Path(reference), factory=reference_factory, trust=trust),
        opened_file(Path(candidate), factory=factory, trust=trust),
        list(inputs) if inputs else None if data is None else load_data(data, target=target),
        outputs=list(outputs) or None,
        rows=batch,
        value_range=value_range,
        classifier=classifier,
        inputs_ch_position=inputs_ch_position,
        outputs_ch_position=outputs_ch_position,
        level=level,
        seed=seed,
    )
    kept = found.tensors
    written = save_validation(
        out,
        name,
        m_inputs=kept.m_inputs or (),
        m_outputs=kept.m_outputs or (),
        c_inputs=kept.c_inputs,
        c_outputs=kept.c_outputs,
        save_csv=save_csv,
    )
    report = out / f"{name}_validate_report.txt"
    try:
        write_whole(report, found.report().encode())
    except OSError as error:
        raise InvalidInput(f"{report} cannot be written: {error.strerror or error}") from error
    files = (*written, report)
    if record is not None:
        from robust.commands.compare_gates import gate_lines

        text = f"{_text(found, files)}\n\n{gate_lines(record, shutil.get_terminal_size().columns)}"
        return Comparison(text=text, files=files, exit_code=record.exit_code, found=found, gates=record)
    close = reference is None or found.close
    return Comparison(text=_text(found, files), files=files, exit_code=0 if close else _DIFFERENT, found=found)


def _two(models: Sequence[str], *, no_reference: bool) -> tuple[str | None, str]:
    """Paths of the reference, None where it is left out, and of the candidate."""
    if no_reference and len(models) in (1, 2):
        return None, models[-1]
    if len(models) != 2:
        hint = "; the models come before --inputs and --outputs, which take all files behind them"
        raise InvalidInput(
            f"two models are compared, REFERENCE and CANDIDATE, got {len(models)}: {list(models)}"
            + (" (with --no-reference one is enough)" if len(models) == 1 else "")
            + hint
        )
    return models[0], models[1]


def _check_options(
    inputs: Sequence[str],
    outputs: Sequence[str],
    data: str | None,
    target: str | None,
    value_range: tuple[float, float] | None,
) -> None:
    """Refuse options that exclude each other."""
    if inputs and data is not None:
        raise InvalidInput("--inputs and --data are both samples: one of them would be right")
    if outputs and not inputs:
        raise InvalidInput("--outputs are the ground truth of --inputs: give both")
    if target is not None and data is None:
        raise InvalidInput("--target is the ground truth in --data: give both")
    if value_range is not None and (inputs or data is not None):
        raise InvalidInput("--range is the range of random samples: with --inputs or --data it has no meaning")


def _check_two(reference: str | None, candidate: str) -> None:
    """Refuse one file given twice, or a copy of it: agreement with itself proves nothing."""
    from robust.crosscheck.identities import identity_of

    if reference is not None and identity_of(reference) and identity_of(reference) == identity_of(candidate):
        raise InvalidInput(
            f"{reference} and {candidate} hold the same bytes: nothing would be compared; two builds would be right"
        )


def _text(found: "Agreement", files: Sequence[Path]) -> str:
    """What is printed: how samples were made, the table, the bound, the files, and last the l2r of each output."""
    from robust.crosscheck.summary_table import verdict_lines

    parts = ["\n".join([*found.header, *found.log]), found.table()]
    crossed = found.tensors.m_outputs is not None
    if crossed:
        parts.append(f"Bounds for samples not yet seen, drawn as these were: {found.l2r}")
    parts.append("\n".join(f"written: {path}" for path in (files[0], files[-1])))
    parts.append("\n".join(verdict_lines(found.rows)) if crossed else "no reference was run: nothing is judged")
    return "\n\n".join(parts)
