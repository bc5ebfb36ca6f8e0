"""What users of `robust attack` write on the command line, read as budgets, attacks and paths.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

import math
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.attacks.adversarial_examples import AttackedRows
    from robust.attacks.base import Attack
    from robust.data.budget import Eps
    from robust.data.dataset import Dataset
    from robust.models.base import Model

#: Attacks that can be named, and where they are.
ATTACKS = {
    "apgd": ("robust.attacks.apgd", "APGD"),
    "bim": ("robust.attacks.bim", "BIM"),
    "boundary": ("robust.attacks.boundary", "Boundary"),
    "ddn": ("robust.attacks.ddn", "DDN"),
    "deepfool": ("robust.attacks.deepfool", "DeepFool"),
    "fgsm": ("robust.attacks.fgsm", "FGSM"),
    "fmn": ("robust.attacks.fmn", "FMN"),
    "hop-skip-jump": ("robust.attacks.hop_skip_jump", "HopSkipJump"),
    "noise": ("robust.attacks.noise", "RandomNoise"),
    "pgd": ("robust.attacks.pgd", "PGD"),
    "random-search": ("robust.attacks.random_search", "RandomSearch"),
    "square": ("robust.attacks.square", "Square"),
    "substitute": ("robust.attacks.substitute", "Substitute"),
    "tree": ("robust.attacks.tree_attack", "TreeAttack"),
}
_ONE_NORM = {"ddn": "l2"}


def read_amounts(words: tuple[str, ...]) -> "Eps | None":
    """A budget as it is written: one number, or NAME=NUMBER for each feature that may move.

    Args:
        words: What was given, one string an option.

    Returns:
        The number, or numbers by feature name; None where nothing was given.

    Raises:
        InvalidInput: If it is neither, a name comes twice, or a number is negative.

    >>> read_amounts(("8/255",)) == 8 / 255, read_amounts(("age=5", "dose=0.1"))
    (True, {'age': 5.0, 'dose': 0.1})
    """
    from robust.data.budget import read_eps

    if not words:
        return None
    if len(words) == 1 and "=" not in words[0]:
        return read_eps(_number(words[0], "--eps"))
    amounts: dict[str, float] = {}
    for word in words:
        name, sign, amount = word.rpartition("=")
        if not sign or not name:
            raise InvalidInput(
                f"--eps got {word!r} among {len(words)}; one number, or NAME=NUMBER for each feature, would be right"
            )
        if name in amounts:
            raise InvalidInput(f"--eps names {name!r} twice: one budget a feature would be right")
        amounts[name] = _number(amount, f"--eps {name}")
    return read_eps(amounts)


def read_grid(text: str) -> list[float]:
    """Budgets of a curve, separated by commas.

    Args:
        text: Such as `0.01,0.03,0.1`.

    Raises:
        InvalidInput: If a part is no number, or they do not increase.

    >>> read_grid("0.01, 1/10")
    [0.01, 0.1]
    """
    grid = [_number(part, "--curve") for part in text.split(",")]
    if min(grid) < 0 or any(a >= b for a, b in pairwise(grid)):
        raise InvalidInput(f"--curve got {text!r}; increasing budgets such as 0.01,0.03,0.1 would be right")
    return grid


def read_bound(limit: str) -> tuple[str, float]:
    """Read `> 90%`, or `90%`, which means the same.

    Args:
        limit: As it is written.

    Raises:
        InvalidInput: If it keeps robust accuracy below something, decides nothing, or is no limit.

    >>> read_bound("90%"), read_bound(">= 0.5")
    (('>', 0.9), ('>=', 0.5))
    """
    from robust.auditing.gates import parse_limit
    from robust.verdict import is_empty

    sign, number = parse_limit(limit if limit.lstrip()[:1] in ("<", ">", "=", "!") else f"> {limit}", gate="--limit")
    if sign not in (">", ">="):
        raise InvalidInput(f"--limit got {limit!r}; robust accuracy is kept above something: '> 90%' would be right")
    # Before anything is attacked: it may take minutes.
    if is_empty(sign, number, (0.0, 1.0), change=False, higher_is_better=True):
        meant = f"{sign} {number:g}%" if 1 < number <= 100 else "> 90%"
        raise InvalidInput(
            f"--limit got {limit!r}, which decides nothing: robust accuracy lies from 0 to 1; {meant!r} would be right"
        )
    return sign, number


def refuse_beside(eps: "Eps | None", costs: bool, *, minimal: bool, curve: str | None) -> None:
    """Refuse what moves all features by one number where each has a budget or a cost of its own.

    Args:
        eps: The budget that was given, or None.
        costs: Whether features have costs.
        minimal: Whether the smallest changes are asked for.
        curve: Budgets of a curve, or None.

    Raises:
        InvalidInput: If there are budgets by name or costs, and either of the others, or both.
    """
    named = eps is not None and not isinstance(eps, float)
    if named and costs:
        raise InvalidInput("--eps NAME=NUMBER and costs in --schema both say what a feature may move: give one of them")
    for option in ("--minimal",) * minimal + ("--curve",) * (curve is not None):
        if costs:
            raise InvalidInput(f"{option} measures moves without the costs of --schema: leave one of them out")
        if named:
            raise InvalidInput(
                f"{option} moves all features by one number, --eps NAME=NUMBER some: leave one out, or declare in "
                "--schema which features are immutable"
            )


def _number(text: str, option: str) -> float:
    """A finite number, or a fraction such as 8/255, which is how budgets of images are told."""
    above, stroke, below = text.partition("/")
    try:
        number = float(above) / float(below) if stroke else float(above)
    except (ValueError, ZeroDivisionError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{option} got {text!r}; a number such as 0.03 or 8/255 would be right")
    return number


def template(name: str, norm: str) -> "Attack":
    """A named attack without a budget.

    Args:
        name: One of `ATTACKS`.
        norm: Norm of the budgets.

    Raises:
        InvalidInput: If it has another norm.
    """
    from robust.data.budget import read_norm

    where, what = ATTACKS[name]
    kind = getattr(import_module(where), what)
    only = _ONE_NORM.get(name)
    if only not in (None, norm):
        raise InvalidInput(f"--attack {name} works in {only}, got --norm {norm}; --norm {only} would be right")
    found: Attack = kind() if only else kind(norm=read_norm(norm))
    return found


def named_attack(name: str, norm: str, model: "Model", surrogate: "Model | None") -> "Attack":
    """A named attack without a budget, from the surrogate where the model gives no gradients.

    Args:
        name: One of `ATTACKS`.
        norm: Norm of the budgets.
        model: The model under test.
        surrogate: A twin, or None.
    """
    from robust.attacks.transfer import Transfer

    found = template(name, norm)
    if found.gradients and model.gradients is None and surrogate is not None:
        return Transfer(attack=found, surrogate=surrogate)
    return found


def climbs(name: str | None, norm: str) -> str | None:
    """The option that needs gradients, where a named attack does.

    Args:
        name: One of `ATTACKS`, or None.
        norm: Norm of the budgets.

    >>> climbs("pgd", "linf"), climbs("square", "linf"), climbs(None, "linf")
    ('--attack pgd', None, None)
    """
    return f"--attack {name}" if name is not None and template(name, norm).gradients else None


def no_gradients(model: str, option: str) -> str:
    """What is said where an option needs gradients and there are none.

    Args:
        model: Name of the model.
        option: The option.
    """
    instead = "leaving it out" if option == "--minimal" else "--surrogate, --attack square, or none of them,"
    return f"{model} gives no gradients, which {option} needs: {instead} would be right"


def curve_attack(model: "Model", data: "Dataset", norm: str, surrogate: "Model | None") -> "Attack":
    """What draws a curve where no attack is named: the strongest single attack that the model allows.

    PGD where there are gradients, of the model or its surrogate; trees are read; else scores, or labels, are asked

    Args:
        model: The model under test.
        data: Its rows.
        norm: Norm of the budgets.
        surrogate: A twin, or None.
    """
    from robust.attacks.tree_structure import tree_ensemble
    from robust.predicting.predictions import predict

    if model.gradients is not None or surrogate is not None:
        return named_attack("pgd", norm, model, surrogate)
    if tree_ensemble(model) is not None:
        return template("tree", norm)
    return template("hop-skip-jump" if predict(model, data).kind == "labels" else "random-search", norm)


def rows_path(out: Path, inputs: tuple[str | None, ...]) -> Path:
    """The path to write adversarial rows to, refused before any work is done; folders that lack are made.

    Args:
        out: The path, which ends in .npz.
        inputs: Files that are read.

    Returns:
        The path.

    Raises:
        InvalidInput: If it ends otherwise, is a folder, cannot be there, or is a file that is read, also by another
            way there.
    """
    from robust.quantizers.out_path import overwrites

    if out.suffix.lower() != ".npz":
        raise InvalidInput(f"out={str(out)!r} must end in .npz, by which the file is recognised")
    if out.is_dir():
        raise InvalidInput(f"out={str(out)!r} is a folder: the path of a file would be right")
    for source in inputs:
        if source is not None and out.exists() and Path(source).exists() and out.samefile(source):
            raise overwrites(out, f"read by this command ({source})")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror or error}") from error
    return out


def write_rows(out: Path, found: "AttackedRows") -> None:
    """Write all rows in the order of the data: x_adv, ids, y, and which of them broke.

    Args:
        out: The file.
        found: The rows.

    Raises:
        InvalidInput: If it cannot be written.
    """
    import io

    import numpy as np

    from robust.whole_files import write_whole

    arrays = {"x_adv": found.x_adv, "ids": found.data.ids, "y": found.data.targets, "broken": found.broken}
    # Text that lies in an object array would be pickled, which nothing here reads.
    plain = {key: array.astype(str) if array.dtype.hasobject else array for key, array in arrays.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **plain)  # type: ignore[arg-type]
    try:
        write_whole(out, stream.getvalue())
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror or error}") from error
