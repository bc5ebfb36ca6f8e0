"""Gates on two models that are compared: what the candidate loses, judged on the rows of `--data`.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.record.shape import Record


def judged_gates(
    reference: str | None,
    candidate: str,
    *,
    data: str | None,
    gates: Sequence[str],
    from_config: bool,
    **options: Any,
) -> "Record":
    """Judge gates on two model files; no check is run that no gate asks for.

    Args:
        reference: Path of the reference.
        candidate: Path of the candidate.
        data: Path of rows with targets.
        gates: Gates such as `degradation < 1%`.
        from_config: Whether to take the gates, and how data are read, from the config of this folder as well.
        options: What a config may say of models and data: `output`, `target`, `factory`, `reference_factory`, `level`,
            `seed`; None for what was not given. `trust` says whether model files that can run code may be loaded.

    Returns:
        The record of an audit that ran these gates alone.

    Raises:
        InvalidInput: Without a reference, rows or gates, or if something does not fit.
    """
    if reference is None:
        raise InvalidInput("gates judge what the candidate loses against its reference: leave --no-reference out")
    if data is None:
        raise InvalidInput(
            "gates are judged on rows with targets: give them with --data (validation files have no targets by row)"
        )
    from dataclasses import replace

    from robust.auditing.running import run_audit
    from robust.config import Config, find_config, load_config, overlaid
    from robust.planning import build_plan
    from robust.report.progress import ConsoleProgress
    from robust.report.screen import Screen
    from robust.verdict import decide_by

    path = find_config(Path.cwd()) if from_config else None
    if from_config and path is None:
        raise InvalidInput(
            "--gates takes the gates of this folder's config, and there is neither robust.toml nor [tool.robust] in "
            'pyproject.toml: write one, or give each gate, such as --gate "degradation < 1%"'
        )
    trust = bool(options.pop("trust", False))
    named = {key: value for key, value in options.items() if value is not None}
    named |= {"candidate": candidate, "reference": reference, "test": data}
    config = overlaid(Config() if path is None else load_config(path), named, gates)
    if not config.gates:
        raise InvalidInput(f"{path} has no [gates]: nothing would be judged")
    with ConsoleProgress(Screen(stderr=True)) as progress:
        plan = build_plan(config, folder=None, trust=trust)
        asked = {spec.check.code for spec in plan.gates}
        plan = replace(plan, checks=tuple(check for check in plan.checks if check.code in asked), require_gates=True)
        token = decide_by.set(config.decide)
        try:
            return run_audit(plan, progress)
        finally:
            decide_by.reset(token)


def gate_lines(record: "Record", width: int) -> str:
    """The gates as a table with the reasons of those that did not pass, and the verdict.

    Args:
        record: From `judged_gates`.
        width: Columns of the terminal.
    """
    import io

    from rich.console import Console

    from robust.report.console import render_table

    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(*render_table(record, width), sep="\n")
    return text.getvalue().rstrip()
