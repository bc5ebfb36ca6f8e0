"""Options that every command takes, on one that draws nothing at random, bounds nothing and loads nothing."""

from collections.abc import Callable
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

_IDLE = (("--trust", None, "loaded"), ("--level", float, "bounded"), ("--seed", int, "drawn at random"))


def idle_options(command: Command) -> Command:
    """Let a command take `--seed`, `--level` and `--trust` without any effect: the same flags serve all commands."""
    for name, kind, what in _IDLE:
        told = f"Taken by every command; no effect here, where nothing is {what}."
        command = click.option(name, type=kind, is_flag=kind is None, expose_value=False, help=told)(command)
    return command
