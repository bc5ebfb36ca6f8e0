"""`robust metrics`: all metrics of a model, and the `testing/` folder of pictures, tables, reports and samples.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robust.commands.saying import say
from robust.commands.search_path import look_in
from robust.commands.shared_options import OUTPUTS, TASKS
from robust.errors import InvalidInput, ModelFault

if TYPE_CHECKING:
    from robust.data.dataset import Dataset
    from robust.filesets.testing_folder import TestingFolder
    from robust.models.base import Model

#: How models refuse rows of another width.
_WIDTH = re.compile(r"rows of shape|features|columns|shapes cannot be multiplied")


@click.command("metrics")
@click.argument("model")
@click.option("--data", required=True, help="Rows that the model is tested on: .npz, .npy, .csv or .parquet.")
@click.option("--target", help="Column or key of the targets.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("testing"), show_default=True)
@click.option("--testing", "testing_path", help="A .yaml or .toml file with a `testing` section that says what to do.")
@click.option("--float", "reference", help="The float model that MODEL, its quantized build, is compared with.")
@click.option("--factory", help="package.module:function that builds the torch module of weights.")
@click.option("--float-factory", help="The same for the float model.")
@click.option("--task", type=TASKS, help="What the model does.")
@click.option("--output", type=OUTPUTS, help="What its outputs are.")
@click.option("--classes", help='Labels behind its outputs, in their order, e.g. "cat,dog".')
@click.option("--train", help="Rows that it was trained on: nearest rows of mistakes, labels that look wrong.")
@click.option("--validation", help="Rows on which a threshold on the score of --positive is chosen.")
@click.option("--positive", help="The class that a threshold is for.  [default: the second of two]")
@click.option("--normal", help="Normal rows on which an anomaly detector's threshold is chosen.")
@click.option("--anomalous", multiple=True, help="A label that means an anomaly. Repeatable.  [default: 1]")
@click.option("--slices", multiple=True, help="A column to group mistakes by. Repeatable.")
@click.option("--unused", multiple=True, help="A column that the model does not see, to group by too. Repeatable.")
@click.option("--groups", help="Column of the group of each row, e.g. the recording.")
@click.option("--order", help="Column of the time of each row.")
@click.option("--ids", help="Column of the id of each row.")
@click.option("--batch-size", type=int, help="Rows a model call.  [default: 256]")
@click.option("--json", "as_json", is_flag=True, help="Print test_results.json instead of the text.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of bootstraps and simulated tests.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence of each one-sided bound.")
@click.option("--trust", is_flag=True, help="Load model files that can run code, such as pickles.")
def metrics_command(model: str, as_json: bool, **options: Any) -> int:
    """Measure MODEL on rows with targets, and write the folder that tells everything about it.

    Exit codes: 0 measured and written; 2 usage or load error.
    """
    from robust.report.wording import printable

    done = measure_file(model, **options)
    if done is None:
        say(f"{options['testing_path']}: testing is not enabled; nothing was measured")
        return 0
    if as_json:
        say(done.json, newline=False)
        return 0
    # A line at a time: names and labels come from data, and may hold what a terminal obeys.
    for line in done.text.splitlines():
        indent = line[: len(line) - len(line.lstrip(" "))]
        say(indent + printable(line[len(indent) :]))
    say()
    for name, reason in done.skipped:
        say(printable(f"not written: {name} ({reason})"))
    say(f"written: {done.folder} ({len(done.files)} files, summary in {done.files[-1].name})")
    return 0


def measure_file(
    model: str,
    *,
    data: str,
    target: str | None = None,
    out: Path = Path("testing"),
    testing_path: str | None = None,
    reference: str | None = None,
    factory: str | None = None,
    float_factory: str | None = None,
    task: str | None = None,
    output: str | None = None,
    classes: str | None = None,
    train: str | None = None,
    validation: str | None = None,
    positive: str | None = None,
    normal: str | None = None,
    anomalous: tuple[str, ...] = (),
    slices: tuple[str, ...] = (),
    unused: tuple[str, ...] = (),
    groups: str | None = None,
    order: str | None = None,
    ids: str | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    level: float = 0.95,
    trust: bool = False,
) -> "TestingFolder | None":
    """Test a model file and write the folder.

    Args:
        model: Path of the model under test.
        data: Path of the test rows.
        target: Column or key of the targets.
        out: The folder.
        testing_path: A file with a `testing` section.
        reference: Path of the float model.
        factory: Builds the module of weights.
        float_factory: The same for the float model.
        task: What the model does.
        output: What its outputs are.
        classes: Labels, separated by commas.
        train: Path of the training rows.
        validation: Path of rows that a threshold is chosen on.
        positive: The class that it is for.
        normal: Path of normal rows of an anomaly detector.
        anomalous: Labels that mean an anomaly.
        slices: Columns to group mistakes by.
        unused: Columns that the model does not see.
        groups: Column of groups.
        order: Column of times.
        ids: Column of ids.
        batch_size: Rows a model call.
        seed: Seed of all randomness.
        level: Confidence of each bound.
        trust: Whether files that can run code may be loaded.

    Returns:
        What was written, or None where the file says that testing is not enabled.

    Raises:
        InvalidInput: If something cannot be read or does not fit.
        ModelFault: If a model breaks its contract.
    """
    from robust.config import Config, overlaid
    from robust.data.loading import load_data
    from robust.filesets.testing_folder import write_testing
    from robust.filesets.testing_reader import read_testing
    from robust.models.loading import load_model

    _check(model, reference, validation, positive, normal, anomalous, float_factory, task)
    testing = None if testing_path is None else read_testing(testing_path)
    if testing is not None and not testing.enable:
        return None
    if factory or float_factory:
        look_in(Path.cwd())
    labels = None if classes is None else overlaid(Config(), {"classes": classes}, ()).models.classes

    def opened(path: str, build: str | None) -> "Model":
        return load_model(
            path, factory=build, trust=trust, task=task, output=output, classes=labels, batch_size=batch_size
        )

    judged = opened(model, factory)

    def rows(path: str, schema: Any = None, *, labelled: bool = True) -> "Dataset":
        return load_data(
            path,
            target=target if labelled else None,
            schema=schema,
            slices=list(slices) or None,
            unused=list(unused) or None,
            groups=groups,
            order=order,
            ids=ids,
        )

    known = None if train is None else rows(train)
    # Text columns become codes: all rows take the labels' order from the training rows, so that they are coded alike.
    schema = known.schema if known is not None and judged.columns is None else None
    test = rows(data, schema)
    schema = test.schema if judged.columns is None else None
    beside = None if reference is None else opened(reference, float_factory)
    chosen = None if validation is None else rows(validation, schema)
    usual = None if normal is None else rows(normal, schema)
    try:
        return write_testing(
            judged,
            test,
            out,
            testing=testing,
            reference=beside,
            train=known,
            validation=chosen,
            normal=usual,
            anomalous=list(anomalous) or 1,
            positive=positive,
            level=level,
            seed=seed,
        )
    except (InvalidInput, ModelFault) as error:
        hint = _fed_slices(slices, test)
        if not hint or not _WIDTH.search(str(error)):
            raise
        raise InvalidInput(f"{error}; {hint}") from error


def _fed_slices(slices: tuple[str, ...], test: "Dataset") -> str:
    """That columns of --slices are given to the model, too, and how they are kept from it."""
    fed = [name for name in slices if name in test.names]
    if not fed:
        return ""
    named = " and ".join(repr(name) for name in fed)
    options = " ".join(f"--unused {name}" for name in fed)
    return f"--slices only parts the rows by {named}, and the model is given it too: {options} keeps it from the model"


def _check(
    model: str,
    reference: str | None,
    validation: str | None,
    positive: str | None,
    normal: str | None,
    anomalous: tuple[str, ...],
    float_factory: str | None,
    task: str | None,
) -> None:
    """Refuse options that mean nothing without another, and a model compared with itself."""
    if reference is not None and Path(reference).resolve() == Path(model).resolve():
        raise InvalidInput(f"MODEL and --float are the same file {model}: nothing would be compared")
    if float_factory is not None and reference is None:
        raise InvalidInput("--float-factory builds the model of --float: give both")
    if positive is not None and validation is None:
        raise InvalidInput("--positive is the class of a threshold, which --validation rows choose: give both")
    if anomalous and normal is None:
        raise InvalidInput("--anomalous is for anomaly detectors, whose threshold --normal rows choose: give both")
    if normal is not None and (reference is not None or validation is not None):
        raise InvalidInput("--normal is for anomaly detectors: --float and --validation are for classifiers")
    if task == "regression" and validation is not None:
        raise InvalidInput(
            "--validation rows choose a threshold on the score of a class, and --task says that MODEL is a regression "
            "model: leave it out"
        )
