"""`--schema FILE`: what a user declares of the features, in TOML or JSON, as `[data.schema]` of an audit does.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust.errors import InvalidInput

if TYPE_CHECKING:
    from robust.data.budget import Eps
    from robust.data.schema import FeatureSchema

_COST = "cost"
#: Of `[data]` of an audit's config, what says something of the features.
_PARTS = ("bounds", "relations", "schema")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a file and --bounds say of the features.

    Args:
        spec: As `load_data` takes it; None where nothing is said.
        costs: How much dearer than others it is to move a feature, by its name; above 0.
    """

    spec: "dict[str, Any] | None" = None
    costs: dict[str, float] = field(default_factory=dict)


def read_declared(path: Path | None, bounds: tuple[float, float] | None) -> Declared:
    """Read what is declared of the features.

    Args:
        path: A .toml or .json file: a table for each feature (`kind`, `bounds`, `immutable`, `one_hot`, `categories`,
            `cost`), `bounds` of all features and `relations`; or an audit's config, whose `[data]` says that.
        bounds: --bounds, of all features that have none of their own.

    Raises:
        InvalidInput: If the file cannot be read, says something that is not understood, or has `bounds` of all features
            beside --bounds.
    """
    said = {} if path is None else _content(path)
    if bounds is not None:
        if "bounds" in said and not isinstance(said["bounds"], Mapping):
            raise InvalidInput(f"{path} has bounds of all features, and so has --bounds: give one of them")
        said["bounds"] = bounds
    costs: dict[str, float] = {}
    for name, table in said.items():
        if not isinstance(table, Mapping):
            continue
        said[name] = {key: value for key, value in table.items() if key != _COST}
        if _COST in table:
            costs[name] = _read_cost(table[_COST], name, path)
    if path is not None:
        _check(said, path)
    return Declared(spec=said or None, costs=costs)


def spent_by_cost(eps: "Eps", costs: Mapping[str, float], schema: "FeatureSchema") -> "Eps":
    """A budget that dear features have less of: eps_j = eps/cost_j, where others cost 1.

    A category may change only where its feature has a cost, which buys one change for each cost that the budget holds.

    Args:
        eps: A number, or numbers by feature name.
        costs: Costs by feature name.
        schema: The features.

    >>> from robust.data.schema import build_schema
    >>> spent_by_cost(0.1, {"age": 2.0}, build_schema(None, names=("age", "dose"), shape=(2,)))
    {'age': 0.05, 'dose': 0.1}
    """
    if not costs:
        return eps
    if not isinstance(eps, Mapping):
        coded = schema.mask("categorical")
        eps = {name: eps for j, name in enumerate(schema.names) if not coded[j] or name in costs}
    return {name: amount / costs.get(name, 1.0) for name, amount in eps.items()}


def _content(path: Path) -> dict[str, Any]:
    """The table of features of a file, with `bounds` and `relations` beside them."""
    from msgspec import structs

    from robust.config import load_config, read_config

    table = _table(path)
    if path.name == "pyproject.toml":
        config = load_config(path)
    elif _is_config(table):
        config = read_config(table, where=str(path))
    else:
        return table
    data = structs.asdict(config.data)
    found = dict(data["schema"])
    found.update({key: data[key] for key in ("bounds", "relations") if data[key] is not None})
    if not found:
        raise InvalidInput(f"{path} says nothing of the features: [data] with {', '.join(_PARTS)} would be right")
    return found


def _is_config(table: Mapping[str, Any]) -> bool:
    """Whether this is a config: its `[data]` has parts that no feature called `data` has, or there are other tables."""
    data = table.get("data")
    return isinstance(data, Mapping) and bool(
        {"schema", "relations", "test"} & {*data} or {"models", "gates"} & {*table}
    )


def _table(path: Path) -> dict[str, Any]:
    """A file's plain data."""
    import json
    import tomllib

    kinds = {".toml": tomllib.loads, ".json": json.loads}
    read = kinds.get(path.suffix.lower())
    if read is None:
        raise InvalidInput(f"--schema got {str(path)!r}; a .toml or .json file would be right")
    try:
        found = read(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidInput(f"--schema {path} does not exist") from error
    except OSError as error:
        raise InvalidInput(f"--schema {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # of TOML, of JSON, of the text itself
        raise InvalidInput(f"--schema {path} is no valid {path.suffix[1:].upper()}: {error}") from error
    if not isinstance(found, dict) or not found:
        raise InvalidInput(f"--schema {path} must hold a table for each feature, got {found!r}")
    return found


def _check(said: Mapping[str, Any], path: Path) -> None:
    """Refuse what is wrong with any table by itself, with the file's name; what the data says to it comes later."""
    from robust.data.feature import read_bounds, read_feature

    try:
        for name, value in said.items():
            if name == "bounds" and not isinstance(value, Mapping):
                read_bounds(value, "all features")
            elif name != "relations" or isinstance(value, Mapping):
                read_feature(name, value, bounds=(-math.inf, math.inf), kind="continuous", labels=None)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def _read_cost(value: object, name: str, path: Path | None) -> float:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and number > 0):
        raise InvalidInput(f"{path}: schema[{name!r}]: cost must be a finite number above 0, got {value!r}")
    return number
