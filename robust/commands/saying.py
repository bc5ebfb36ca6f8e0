"""How the commands print."""

from contextlib import suppress

import click


def say(text: str | bytes = "", *, newline: bool = True, err: bool = False) -> None:
    """Print; a reader who has left (`| head`) has seen what they wanted."""
    with suppress(BrokenPipeError):
        click.echo(text, nl=newline, err=err)
