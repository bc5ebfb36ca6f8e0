"""Gates as a project writes them: `accuracy = ">= 95%"`."""

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from robust.auditing.discovery import find_check
from robust.auditing.empty_gates import refuse_empty
from robust.auditing.valid_names import told
from robust.check import Check
from robust.errors import InvalidInput
from robust.limits import as_limit, percent
from robust.measurement import Measurement
from robust.verdict import Operator, Verdict

_LIMIT = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(%|KiB|MiB)?\s*")
_COMPARE: dict[str, Callable[[Measurement, float], Verdict]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_SCALE = {None: 1.0, "%": 0.01, "KiB": 1024.0, "MiB": 1024.0**2}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """One gate.

    Args:
        name: As the project calls it; the measure's name unless `measure` says otherwise.
        check: The check that measures it.
        operator: Comparison.
        limit: Limit.
        options: Options of the check, an instance of `check.options`, or None.
    """

    name: str
    check: Check
    operator: Operator
    limit: float
    options: Any

    def judge(self, m: Measurement) -> Verdict:
        """The verdict on a measurement.

        Raises:
            InvalidInput: If it is an estimate, and the gate asks whether it equals a number, or if the limit decides
                nothing.
        """
        try:
            return _COMPARE[self.operator](m, self.limit)
        except (TypeError, InvalidInput) as error:
            raise InvalidInput(f"gate {self.name!r}: {error}") from error


def parse_limit(text: object, *, gate: str) -> tuple[Operator, float]:
    """Read `"< 1%"` as an operator and a number.

    Args:
        text: Operator, number, and optionally `%`, `KiB` or `MiB`.
        gate: Name of the gate, for the message.

    Returns:
        Operator and limit.

    Raises:
        InvalidInput: If it cannot be read.

    >>> parse_limit("< 1%", gate="degradation")
    ('<', 0.01)
    """
    match = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidInput(
            f'gate {gate!r} has the limit {text!r}; an operator and a number such as "< 1%" or ">= 0.95" would be right'
        )
    sign, number, unit = match.groups()
    try:
        limit = as_limit(float(number))
    except ValueError as error:
        raise InvalidInput(f"gate {gate!r}: {number!r} is no finite number") from error
    return cast(Operator, sign), percent(limit) if unit == "%" else limit * _SCALE[unit]


def build_gates(table: Mapping[str, object], checks: tuple[Check, ...]) -> tuple[GateSpec, ...]:
    """Read the `[gates]` table.

    Args:
        table: Gate name to a limit, or to a table with `limit`, optionally `measure`, and options of the measure.
        checks: The catalogue.

    Returns:
        The gates.

    Raises:
        InvalidInput: On a measure, option or limit that is not understood, or a gate that no value can settle.
    """
    gates = []
    for name, content in table.items():
        entry = dict(content) if isinstance(content, Mapping) else {"limit": content}
        check = find_check(checks, str(entry.pop("measure", name)))
        sign, limit = parse_limit(entry.pop("limit", None), gate=name)
        options = build_options(check, entry, gate=name)
        refuse_empty(name, check, options, sign, limit)
        gates.append(GateSpec(name=name, check=check, operator=sign, limit=limit, options=options))
    return tuple(gates)


def build_options(check: Check, given: Mapping[str, object], *, gate: str) -> Any:
    """Options of a check from plain data.

    Raises:
        InvalidInput: On an unknown option or a value of the wrong type.
    """
    known = [field.name for field in dataclasses.fields(check.options)] if check.options else []
    unknown = sorted(set(given) - set(known))
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes no options"
        raise InvalidInput(f"gate {gate!r}: {check.name} has no option {unknown[0]!r}; {takes} (and limit, measure)")
    if check.options is None:
        return None
    try:
        return msgspec.convert(dict(given), check.options)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"gate {gate!r}: {told(error, check.options)}") from error
