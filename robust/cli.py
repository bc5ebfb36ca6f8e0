"""The command `robust`. Only this module prints, and it and the plugin alone know exit codes.

Everything heavy is imported inside the commands: `robust --help` answers at once.
"""

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust import __version__
from robust.commands.idle_options import idle_options
from robust.commands.model_commands import MODEL_COMMANDS
from robust.commands.out_of_memory import memory_words, notices_told
from robust.commands.saying import say
from robust.commands.search_path import look_in
from robust.errors import RobustError

if TYPE_CHECKING:
    from rich.console import Console

    from robust.config import Config
    from robust.record.shape import Record

EXAMPLES = ("digits", "diabetes", "sunspots")
_USAGE, _INTERNAL, _INTERRUPTED = 2, 3, 130
_KEPT = "what was measured is kept in .robust and used by the next run"
_HELP = frozenset({"-h", "--help", "--version"})
_FACTORIES = ("factory", "reference_factory", "surrogate_factory")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="robust")
def cli() -> None:
    """Decide whether a machine-learning model may ship.

    Exit codes: 0 all gates pass, or no gates were given; 1 a gate failed; 2 usage, config or load error; 3 internal
    error; 4 a gate is inconclusive or invalid; 5 gates were given and none was evaluated; 130 interrupted.
    """


@cli.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A robust.toml or pyproject.toml.")
@click.option("--example", type=click.Choice(EXAMPLES), help="Audit one of the bundled examples.")
@click.option("--candidate", "--model", "candidate", help="The model under test.")
@click.option("--reference", help="The model that it is compared with, e.g. the float build.")
@click.option("--surrogate", help="A differentiable twin, from which attacks are transferred.")
@click.option("--factory", help="package.module:function that builds the candidate's torch module.")
@click.option("--reference-factory", help="The same for the reference.")
@click.option("--surrogate-factory", help="The same for the surrogate.")
@click.option("--data", "--test", "test", help="Rows that the model is judged on.")
@click.option("--train", help="Rows that it was trained on, for baselines.")
@click.option("--validation", help="Rows with targets, on which a classifier's threshold is chosen.")
@click.option("--normal", help="Held-out normal rows, on which an anomaly detector's threshold is chosen.")
@click.option("--anomalous", multiple=True, help="A label that means an anomaly. Repeatable.  [default: 1]")
@click.option("--target", help="Column or key of the targets.")
@click.option("--task", type=click.Choice(["classification", "regression", "multilabel"]), help="What the model does.")
@click.option("--output", type=click.Choice(["probabilities", "logits", "values"]), help="What its outputs are.")
@click.option("--classes", help='Labels behind its outputs, in their order, e.g. "cat,dog".')
@click.option("--gate", "gates", multiple=True, help='A gate, e.g. "accuracy >= 95%". Repeatable.')
@click.option("--require-gates", is_flag=True, help="Exit with 5 when no gate was evaluated.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("robust-report"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of the table.")
@click.option("--seed", type=int, help="Seed of all randomness.  [default: 0]")
@click.option("--level", type=float, help="Confidence of each one-sided bound.  [default: 0.95]")
@click.option("--batch-size", type=int, help="Rows a model call.  [default: 256]")
@click.option("--shards", type=int, default=1, show_default=True, help="Pieces that predictions are cut into.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write .robust/.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
def audit(
    config_path: Path | None,
    example: str | None,
    gates: tuple[str, ...],
    out: Path,
    as_json: bool,
    shards: int,
    no_cache: bool,
    trust: bool,
    **flags: Any,
) -> int:
    """Measure everything that applies, judge the gates, write a report.

    With no arguments: the config in this folder, or else the bundled digits example.
    """
    from robust.planning import build_plan
    from robust.report.files import clear_report, write_report

    _check_folder(out)
    clear_report(out)
    config = _settled(config_path, example, flags, gates)
    from robust.auditing.running import run_audit
    from robust.report.progress import ConsoleProgress
    from robust.report.screen import Screen
    from robust.verdict import decide_by

    with ConsoleProgress(Screen(stderr=True)) as progress:
        progress.note("loading models and data")
        plan = build_plan(config, folder=None if no_cache else Path(".robust"), trust=trust, shards=shards)
        token = decide_by.set(config.decide)
        try:
            record = run_audit(plan, progress, stopped=lambda: bool(click.get_current_context().obj))
        finally:
            decide_by.reset(token)
        progress.note("writing the report")
        written = write_report(record, out, cache=None if no_cache else Path(".robust") / "cache")
    _show(record, out, written=written, kept=not no_cache, as_json=as_json, console=Screen())
    return record.exit_code if written else _INTERRUPTED


@cli.command("list")
@click.option("--out", type=click.Path(path_type=Path), help="A folder to keep the list in, as a file.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@idle_options
def list_checks(out: Path | None, as_json: bool) -> None:
    """List the checks."""
    from robust.auditing.discovery import discover
    from robust.report.explanation import list_as_json, list_as_text

    text = (list_as_json if as_json else list_as_text)(discover())
    _tell(text, out, f"checks.{'json' if as_json else 'txt'}")


@cli.command()
@click.argument("code")
@click.option("--out", type=click.Path(path_type=Path), help="A folder to keep the page in, as a file.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@idle_options
def explain(code: str, out: Path | None, as_json: bool) -> None:
    """Say what a check measures, why, and what to do about a bad answer. CODE is a code or a name."""
    from robust.auditing.discovery import discover, find_check
    from robust.report.explanation import explain_as_json, explain_check

    check = find_check(discover(), code)
    text = explain_as_json(check) if as_json else f"{explain_check(check)}\n"
    _tell(text, out, f"{check.code}.{'json' if as_json else 'txt'}")


for command in MODEL_COMMANDS:
    cli.add_command(command)


def _settled(config_path: Path | None, example: str | None, flags: dict[str, Any], gates: tuple[str, ...]) -> "Config":
    """The config that is in force: a file or an example, with flags on top."""
    from robust.config import Config, find_config, load_config, overlaid
    from robust.errors import InvalidInput

    if example and config_path:
        raise InvalidInput("--example and --config exclude each other")
    # By identity: a seed of 0 equals False.
    named = {key: value for key, value in flags.items() if value is not None and value is not False and value != ()}
    path = config_path or (None if example else find_config(Path.cwd()))
    if path is None and (example or not ({"candidate", "test"} & set(named))):
        from robust.examples.catalogue import example_path

        path = example_path(example or "digits") / "robust.toml"
    config = Config() if path is None else load_config(path)
    if path is not None and any(getattr(config.models, key) for key in _FACTORIES):
        look_in(path.resolve().parent)
    if any(key in named for key in _FACTORIES):
        look_in(Path.cwd())
    return overlaid(config, named, gates)


def _check_folder(out: Path) -> None:
    """Refuse an output folder that cannot be written to before anything is measured."""
    import tempfile

    from robust.errors import InvalidInput

    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InvalidInput(f"the output folder {out} cannot be written to: {error.strerror or error}") from error


def _tell(text: str, out: Path | None, name: str) -> None:
    """Print a text, and keep it as a file where a folder was given."""
    if out is not None:
        from robust.report.files import write_file

        _check_folder(out)
        write_file(out / name, text.encode())
    say(text, newline=False)


def _show(record: "Record", out: Path, *, written: bool, kept: bool, as_json: bool, console: "Console") -> None:
    """Print the record, or its table and where the files lie."""
    from robust.record.codec import dump
    from robust.report.console import render_table

    if as_json:
        say(dump(record), newline=False)  # bytes: a record is UTF-8, whatever the terminal reads
        return
    console.print(*render_table(record, console.width), sep="\n")
    for kind, path in (("record", out / "record.json"), ("report", out / "report.html")):
        if path.is_file():
            console.print(f"{kind}: {path}", soft_wrap=True, highlight=False)
    if record.interrupted or not written:
        parts = ["interrupted" if record.entries else "interrupted before anything was measured"]
        parts += [_KEPT] if record.entries and kept else []
        parts += [] if record.interrupted else ["the report was not written"]
        console.print("; ".join(parts))


def main() -> None:
    """Run the command, turning errors into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no dash gets a question mark, not a traceback
    _run(lambda pressed: cli.main(standalone_mode=False, obj=pressed))


def _run(command: Callable[[list[int]], object]) -> None:
    with _noted_interrupts() as pressed, notices_told():
        try:
            code = command(pressed)
            if pressed and code != _INTERRUPTED:
                raise KeyboardInterrupt
        except BaseException as error:
            code = _told(KeyboardInterrupt() if pressed else error)
    _empty_outputs()
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Every Ctrl-C, also one that other code turns into an error of its own, as an interrupted import may."""
    pressed: list[int] = []

    def press(number: int, _frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    # Not where somebody else takes care of it, or it is ignored, as in the background of a shell.
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _told(error: BaseException) -> int:
    """Say what ended a command; gives its exit code."""
    match error:
        case click.exceptions.Abort() | KeyboardInterrupt():
            # Whatever an audit had measured by then, it has shown and said itself.
            say("robust: interrupted\n", err=True, newline=False)
            return _INTERRUPTED
        case click.ClickException():
            with suppress(BrokenPipeError):
                error.show()
            return _USAGE
        case RobustError():
            say(f"robust: {error}\n", err=True, newline=False)
            return _USAGE
        case SystemExit():
            place = traceback.extract_tb(error.__traceback__)[-1]
            if Path(place.filename).parent == Path(click.__file__).parent and _HELP & set(sys.argv):
                return 0  # what click makes of `robust --help | head -1`; commands print by `say`
            # No command ends itself: whatever its code says, nothing was decided.
            say(
                f"robust: ended from inside by sys.exit({error.code!r}) in {place.filename}, line {place.lineno}: the "
                "code of a model or of a factory must not end the program; nothing was decided\n",
                err=True,
                newline=False,
            )
            return _INTERNAL
    if lack := memory_words(error):
        say(f"robust: {lack}\n", err=True, newline=False)
        return _USAGE
    say("".join(traceback.format_exception(error)), err=True, newline=False)
    say("robust: internal error; please report the lines above\n", err=True, newline=False)
    return _INTERNAL


def _empty_outputs() -> None:
    """What nobody reads any more leads nowhere: Python itself, which empties both at its end, would complain."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
