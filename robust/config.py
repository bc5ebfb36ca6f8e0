"""What an audit is given: a config file, flags, or both, made into a plan."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from robust.auditing.valid_names import told
from robust.errors import InvalidInput
from robust.types import Output, Task


class ModelsTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models]`: the candidate, what it is compared with, and a differentiable twin.

    A factory builds the torch module that weights are loaded into.
    """

    candidate: str = ""
    reference: str | None = None
    surrogate: str | None = None
    factory: str | None = None
    reference_factory: str | None = None
    surrogate_factory: str | None = None
    task: Task | None = None
    output: Output | None = None
    classes: list[int | str] | None = None
    batch_size: int = 256


class DataTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data]`: test and training rows, those on which thresholds are chosen, and what their columns are."""

    test: str = ""
    train: str | None = None
    validation: str | None = None
    normal: str | None = None
    anomalous: list[int | str] | None = None
    target: str | None = None
    unused: list[str] | None = None
    slices: list[str] | None = None
    order: str | None = None
    groups: str | None = None
    ids: str | None = None
    bounds: tuple[float, float] | None = None
    relations: list[str] | None = None
    schema: dict[str, dict[str, Any]] = {}


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a config may say."""

    models: ModelsTable = ModelsTable()
    data: DataTable = DataTable()
    gates: dict[str, Any] = {}
    title: str = ""
    level: float = 0.95
    seed: int = 0
    decide: Literal["bound", "value"] = "bound"
    require_gates: bool = False


def find_config(folder: Path) -> Path | None:
    """`robust.toml`, or a `pyproject.toml` with a `[tool.robust]` table, in a folder; None for neither.

    Also where that table has gates alone and the models come as flags: a gate must not be passed over in silence.
    """
    own, project = folder / "robust.toml", folder / "pyproject.toml"
    if own.is_file():
        return own
    if project.is_file() and _tool_table(_read(project)):
        return project
    return None


def load_config(path: Path) -> Config:
    """Read a config; paths in it are relative to its folder.

    Args:
        path: `robust.toml`, `pyproject.toml` (its `[tool.robust]`), or any TOML file.

    Returns:
        The config, with absolute paths.

    Raises:
        InvalidInput: If the file is missing or no TOML, or has a key or value that is not understood.
    """
    content = _read(path)
    own = path.name != "pyproject.toml"
    table = content if own else _tool_table(content)
    if not table:
        raise InvalidInput(f"config {path} {'is empty' if own else 'has no [tool.robust] table'}")
    config = read_config(table, where=str(path))
    folder = path.resolve().parent
    models = structs.replace(
        config.models,
        candidate=_beside(folder, config.models.candidate) or "",
        reference=_beside(folder, config.models.reference),
        surrogate=_beside(folder, config.models.surrogate),
    )
    data = structs.replace(
        config.data,
        test=_beside(folder, config.data.test) or "",
        train=_beside(folder, config.data.train),
        validation=_beside(folder, config.data.validation),
        normal=_beside(folder, config.data.normal),
    )
    return structs.replace(config, models=models, data=data)


def read_config(table: Mapping[str, Any], *, where: str) -> Config:
    """Check plain data against the config's shape.

    Args:
        table: As TOML gives it.
        where: Named in messages.

    Returns:
        The config.

    Raises:
        InvalidInput: On an unknown key (the nearest known one is named) or a value of the wrong type.
    """
    for name, part, kind in (
        ("", table, Config),
        ("models", table.get("models", {}), ModelsTable),
        ("data", table.get("data", {}), DataTable),
    ):
        _check_keys(part, kind, f"[{name}]" if name else "the top level", where)
    try:
        return msgspec.convert(dict(table), Config)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{where}: {told(error, Config)}") from error


def overlaid(config: Config, flags: Mapping[str, Any], gates: Sequence[str]) -> Config:
    """A config with flags on top.

    Args:
        config: The config.
        flags: Keys of `[models]`, `[data]` and the top level with the values that replace theirs; `classes` as text,
            with commas between.
        gates: Gates such as `accuracy >= 95%`; one changes the limit of a gate of that name, whose options stay.

    Returns:
        The config that is in force.

    Raises:
        InvalidInput: If a gate cannot be read or is given twice.
    """
    given = dict(flags)
    if "anomalous" in given:
        given["anomalous"] = list(given["anomalous"])
    if "classes" in given:
        given["classes"] = _labels(str(given["classes"]))

    def own(kind: type[Struct]) -> dict[str, Any]:
        return {field.name: given[field.name] for field in structs.fields(kind) if field.name in given}

    return structs.replace(
        config,
        models=structs.replace(config.models, **own(ModelsTable)),
        data=structs.replace(config.data, **own(DataTable)),
        gates=_with_flags(config.gates, gates),
        **own(Config),
    )


def _labels(text: str) -> list[int | str]:
    """`0,1,2` as numbers, `cat,dog` as words."""
    labels = [label.strip() for label in text.split(",")]
    if not all(labels):
        raise InvalidInput(
            f'--classes {text!r}: labels with commas between, such as "cat,dog" or "0,1", would be right'
        )
    numbers = all(label.removeprefix("-").isdecimal() for label in labels)
    return [int(label) if numbers else label for label in labels]


def _with_flags(table: Mapping[str, Any], flags: Sequence[str]) -> dict[str, Any]:
    """The gates of a config with those of flags on top: a flag changes the limit, options stay."""
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
    cut = min((i for i in (text.find(mark) for mark in "<>=!") if i > 0), default=0)
    if not cut:
        raise InvalidInput(
            f'--gate {text!r}: a measure, an operator and a limit such as "accuracy >= 95%" would be right'
        )
    return text[:cut].strip(), text[cut:].strip()


def _check_keys(part: object, kind: type[Struct], place: str, where: str) -> None:
    """Name an unknown key and the nearest known one."""
    if not isinstance(part, Mapping):
        raise InvalidInput(f"{where}: {place} must be a table, got {part!r}")
    known = [field.name for field in structs.fields(kind)]
    for key in part:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            raise InvalidInput(f"{where}: unknown key {key!r} in {place}{hint} Known keys: {', '.join(known)}")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidInput(f"config {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"config {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"config {path} is no valid TOML: {error}") from error


def _tool_table(content: Mapping[str, Any]) -> dict[str, Any]:
    tool = content.get("tool", {})
    table = tool.get("robust", {}) if isinstance(tool, Mapping) else {}
    return table if isinstance(table, dict) else {}


def _beside(folder: Path, path: str | None) -> str | None:
    """A path relative to the config's folder."""
    return str(folder / path) if path else path
