"""Options that several commands take: what the rows are, what the model is."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

TASKS = click.Choice(["classification", "regression", "multilabel"])
OUTPUTS = click.Choice(["probabilities", "logits", "values"])

_ROWS_AND_MODEL = (
    click.option("--schema", type=click.Path(path_type=Path), help="A .toml or .json file: what each feature is."),
    click.option("--bounds", nargs=2, type=float, help="Bounds of all features, e.g. --bounds 0 1."),
    click.option("--target", help="Column or key of the targets in DATA."),
    click.option("--unused", multiple=True, help="A column that the model does not see. Repeatable."),
    click.option("--factory", help="package.module:function that builds the torch module of weights."),
    click.option("--task", type=TASKS, help="What the model does."),
    click.option("--output", type=OUTPUTS, help="What the model's outputs are."),
    click.option("--batch-size", type=int, help="Rows a call.  [default: 256]"),
)


def rows_and_model_options(command: Command) -> Command:
    """Add the options of rows with a schema and of a model, in the order of their help."""
    return reduce(lambda made, option: option(made), reversed(_ROWS_AND_MODEL), command)
