"""The command `robust`. Only this module prints, and it and the plugin alone know exit codes.

Everything heavy is imported inside the commands: `robust --help` answers at once.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust import __version__
from robust.errors import RobustError

if TYPE_CHECKING:
    from rich.console import Console

    from robust.config import Config
    from robust.record.shape import Record

EXAMPLES = ("digits", "diabetes", "sunspots")
_USAGE, _INTERNAL, _INTERRUPTED = 2, 3, 130


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
@click.option("--data", "--test", "test", help="Rows that the model is judged on.")
@click.option("--train", help="Rows that it was trained on, for baselines.")
@click.option("--target", help="Column or key of the targets.")
@click.option("--task", type=click.Choice(["classification", "regression"]), help="What the model does.")
@click.option("--output", type=click.Choice(["probabilities", "logits", "values"]), help="What its outputs are.")
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
) -> None:
    """Measure everything that applies, judge the gates, write a report.

    With no arguments: the config in this folder, or else the bundled digits example.
    """
    from robust.planning import build_plan

    config = _settled(config_path, example, flags, gates)
    _check_folder(out)
    from rich.console import Console

    from robust.auditing.running import run_audit
    from robust.report.progress import ConsoleProgress
    from robust.verdict import decide_by

    notices = Console(stderr=True)
    with ConsoleProgress(notices) as progress:
        progress.note("loading models and data")
        plan = build_plan(config, folder=None if no_cache else Path(".robust"), trust=trust, shards=shards)
        token = decide_by.set(config.decide)
        try:
            record = run_audit(plan, progress)
        finally:
            decide_by.reset(token)
        progress.note("writing the report")
        paths = _write(record, out, cache=None if no_cache else Path(".robust") / "cache")
    _show(record, paths, as_json=as_json, console=Console())
    sys.exit(record.exit_code)


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_checks(as_json: bool) -> None:
    """List the checks."""
    from robust.auditing.discovery import discover

    checks = discover()
    if as_json:
        import json

        rows = [{"code": c.code, "name": c.name, "title": c.title, "needs": sorted(c.needs)} for c in checks]
        click.echo(json.dumps(rows, indent=2))
        return
    for check in checks:
        needs = f"  [needs {', '.join(sorted(check.needs))}]" if check.needs else ""
        click.echo(f"{check.code}  {check.name:<28} {check.title}{needs}")


@cli.command()
@click.argument("code")
def explain(code: str) -> None:
    """Say what a check measures, why, and what to do about a bad answer. CODE is a code or a name."""
    from robust.auditing.discovery import discover, find_check
    from robust.report.explanation import explain_check

    click.echo(explain_check(find_check(discover(), code)))


def _settled(config_path: Path | None, example: str | None, flags: dict[str, Any], gates: tuple[str, ...]) -> "Config":
    """The config that is in force: a file or an example, with flags on top."""
    from msgspec import structs

    from robust.config import Config, find_config, load_config
    from robust.errors import InvalidInput

    if example and config_path:
        raise InvalidInput("--example and --config exclude each other")
    # By identity: a seed of 0 equals False.
    named = {key: value for key, value in flags.items() if value is not None and value is not False}
    path = config_path or (None if example else find_config(Path.cwd()))
    if path is not None:
        config = load_config(path)
    elif example or not ({"candidate", "test"} & set(named)):
        from robust.examples.catalogue import example_path

        config = load_config(example_path(example or "digits") / "robust.toml")
    else:
        config = Config()
    models = {
        k: named[k]
        for k in ("candidate", "reference", "surrogate", "factory", "task", "output", "batch_size")
        if k in named
    }
    data = {k: named[k] for k in ("test", "train", "target") if k in named}
    top = {k: named[k] for k in ("seed", "level", "require_gates") if k in named}
    return structs.replace(
        config,
        models=structs.replace(config.models, **models),
        data=structs.replace(config.data, **data),
        gates=_with_flags(config.gates, gates),
        **top,
    )


def _with_flags(table: dict[str, Any], flags: tuple[str, ...]) -> dict[str, Any]:
    """The gates of a config with those of flags on top: a flag changes the limit, options stay."""
    from robust.errors import InvalidInput

    found, given = dict(table), set[str]()
    for text in flags:
        name, limit = _flag_gate(text)
        if name in given:
            raise InvalidInput(
                f"--gate {name!r} is given twice: only one would count; put the other into a config, under a name"
            )
        given.add(name)
        own = found.get(name)
        found[name] = {**own, "limit": limit} if isinstance(own, dict) else limit
    return found


def _flag_gate(text: str) -> tuple[str, str]:
    """`accuracy >= 95%` as a name and a limit."""
    from robust.errors import InvalidInput

    cut = min((i for i in (text.find(mark) for mark in "<>=!") if i > 0), default=0)
    if not cut:
        raise InvalidInput(
            f'--gate {text!r}: a measure, an operator and a limit such as "accuracy >= 95%" would be right'
        )
    return text[:cut].strip(), text[cut:].strip()


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


def _write(record: "Record", out: Path, *, cache: Path | None) -> dict[str, Path]:
    """Write the record first, then the report made from it; an interrupted run writes the record alone."""
    from robust.record.codec import dump

    # A report of an earlier run must not stand beside the record of this one.
    (out / "report.html").unlink(missing_ok=True)
    paths = {"record": out / "record.json"}
    paths["record"].write_bytes(dump(record))
    if not record.interrupted:
        from robust.report.html import render_html

        paths["report"] = out / "report.html"
        paths["report"].write_text(render_html(record, cache=cache), encoding="utf-8")
    return paths


def _show(record: "Record", paths: dict[str, Path], *, as_json: bool, console: "Console") -> None:
    if as_json:
        click.echo(paths["record"].read_text(encoding="utf-8"), nl=False)
        return
    from robust.report.console import render_table

    console.print(*render_table(record, console.width), sep="\n")
    for kind, path in paths.items():
        console.print(f"{kind}: {path}", soft_wrap=True, highlight=False)
    if record.interrupted:
        console.print("interrupted: what was measured is kept in .robust and used by the next run")


def main() -> None:
    """Run the command, turning errors into one line and an exit code."""
    _run(lambda: cli.main(standalone_mode=False))


def _run(command: Callable[[], object]) -> None:
    try:
        command()
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(_USAGE)
    except RobustError as error:
        click.echo(f"robust: {error}", err=True)
        sys.exit(_USAGE)
    except KeyboardInterrupt:
        click.echo("robust: interrupted; what was measured is kept in .robust and used by the next run", err=True)
        sys.exit(_INTERRUPTED)
    except Exception:
        traceback.print_exc()
        click.echo("robust: internal error; please report the lines above", err=True)
        sys.exit(_INTERNAL)
