"""Reads the `testing` section of a YAML or TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from robust.data.naming import unknown_name
from robust.errors import InvalidInput
from robust.filesets.testing_options import AnomalyParts, RegressionParts, ReportFormat, Testing
from robust.filesets.yaml_text import read_yaml
from robust.intervals.arguments import check_whole

#: Bytes of a file of options, at most; real ones have a few thousand.
_MOST_BYTES = 2**17
_YAML, _TOML = (".yaml", ".yml"), (".toml",)
_FIGURES = ("confusion_matrix", "roc_curve", "class_histograms")
_ERRORS = ("save_errors", "max_errors_per_class")
#: Words that stand under `analysis` as well as beside it.
_EITHER = ("error_analysis", *_ERRORS, "compare_results")
_ANALYSIS = (*_FIGURES, *_EITHER)
_KNOWN = (
    "enable",
    "analysis",
    *_EITHER,
    "test_float",
    "test_quantized",
    "regression_metrics",
    "anomaly_metrics",
    "generate_report",
    "report_format",
)


def read_testing(path: str | Path) -> Testing:
    r"""Read the `testing` section of a file; its other sections are passed over.

    `error_analysis` may be a bool or a table of `save_errors` and `max_errors_per_class`; it, these two and
    `compare_results` may stand in `testing` or in `testing.analysis`, but not say different things in both.

    Args:
        path: A `.yaml`, `.yml` or `.toml` file of at most 128 KiB.

    Returns:
        What is asked for; what is not named is on, `generate_report` is off.

    Raises:
        InvalidInput: If the file cannot be read, has no such section, or says something that is not understood.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "config.yaml")
    ...     _ = file.write_text("testing:\n  analysis: {roc_curve: False}\n  error_analysis: {save_errors: True}\n")
    ...     found = read_testing(file)
    >>> found.roc_curve, found.save_errors, found.max_errors_per_class
    (False, True, 20)
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in _YAML + _TOML:
        raise InvalidInput(f"{file} has the suffix {suffix!r}; .yaml, .yml or .toml would be right")
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise InvalidInput(f"{file} has more than {_MOST_BYTES} bytes, which no file of options needs")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    if suffix in _YAML:
        whole = read_yaml(text, name=str(file))
    else:
        try:
            whole = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidInput(f"{file} is no TOML: {error}") from error
    if not isinstance(whole, Mapping) or "testing" not in whole:
        found = sorted(map(str, whole))[:20] if isinstance(whole, Mapping) else type(whole).__name__
        raise InvalidInput(f"{file} has no section `testing`; it has {found}")
    return parse_testing(whole["testing"], name=f"{file}: testing")


def parse_testing(section: object, *, name: str = "testing") -> Testing:
    """Read a `testing` section that was parsed already.

    Args:
        section: A mapping.
        name: What messages call it.

    Returns:
        What is asked for.

    Raises:
        InvalidInput: On a key that is not known, a value of a wrong type, or two places that contradict each other.

    >>> parse_testing({"analysis": {"max_errors_per_class": 10}}).max_errors_per_class
    10
    """
    table = _table(section, name, _KNOWN)
    analysis = _table(table.get("analysis", {}), f"{name}.analysis", _ANALYSIS)
    said: dict[str, tuple[object, str]] = {}
    for where, part in ((name, table), (f"{name}.analysis", analysis)):
        for key in _EITHER:
            if key not in part:
                continue
            value = part[key]
            if key == "error_analysis" and isinstance(value, Mapping):
                own = f"{where}.error_analysis"
                for inner, setting in _table(value, own, _ERRORS).items():
                    _say(said, inner, setting, f"{own}.{inner}")
            else:
                _say(said, key, value, f"{where}.{key}")
    for key in ("enable", "test_float", "test_quantized", "generate_report"):
        if key in table:
            said[key] = (table[key], f"{name}.{key}")
    said |= {key: (analysis[key], f"{name}.analysis.{key}") for key in _FIGURES if key in analysis}
    options: dict[str, Any] = {key: _typed(key, *value) for key, value in said.items()}
    if options.get("error_analysis") is False and options.get("save_errors"):
        raise InvalidInput(
            f"{said['error_analysis'][1]} is off and {said['save_errors'][1]} is on: errors are saved by the "
            "error analysis"
        )
    for key, kind in (("regression_metrics", RegressionParts), ("anomaly_metrics", AnomalyParts)):
        if key in table:
            options[key] = _parts(table[key], kind, f"{name}.{key}")
    if "report_format" in table:
        if table["report_format"] not in get_args(ReportFormat):
            raise InvalidInput(
                f"{name}.report_format got {table['report_format']!r}; one of {', '.join(get_args(ReportFormat))} "
                "would be right"
            )
        options["report_format"] = table["report_format"]
    return Testing(**options)


def _table(value: object, name: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    """A mapping with known keys alone; an empty section is one without keys."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} must be a table of {', '.join(known)}; got {value!r}")
    for key in value:
        if key not in known:
            where = f"{name} has no option"
            raise InvalidInput(f"{unknown_name(str(key), known, where=where)} (known: {', '.join(known)})")
    return value


def _say(said: dict[str, tuple[object, str]], key: str, value: object, where: str) -> None:
    """Note what one place says, unless another place says something else."""
    if key in said and said[key][0] != value:
        raise InvalidInput(
            f"{said[key][1]} says {said[key][0]!r} and {where} says {value!r}: one of them would be right"
        )
    said[key] = (value, where)


def _typed(key: str, value: object, where: str) -> object:
    """A bool, or a whole number of at least 1."""
    if key == "max_errors_per_class":
        return check_whole(where, value, least=1)
    if not isinstance(value, bool):
        raise InvalidInput(f"{where} got {value!r}; true or false would be right")
    return value


def _parts(value: object, kind: type, where: str) -> Any:
    """A table of bools, or one bool for all of them."""
    known = tuple(part.name for part in fields(kind))
    if isinstance(value, bool):
        return kind(**dict.fromkeys(known, value))
    return kind(**{key: _typed(key, part, f"{where}.{key}") for key, part in _table(value, where, known).items()})
