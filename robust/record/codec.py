"""Measurements to and from the record, and the record to and from JSON."""

import dataclasses
import math
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import msgspec

from robust.errors import InvalidInput
from robust.evidence import Cost, Provenance
from robust.intervals.interval import Sizing
from robust.measurement import Affine, Measurement
from robust.record.json_form import decode, encode
from robust.record.shape import VERSION, Bounded, Gate, Part, Record
from robust.verdict import Verdict

#: Modules that define sizings; only their classes are ever built from a record.
_SIZING_HOMES = (
    "robust.measurement",
    "robust.intervals.interval",
    "robust.intervals.clopper_pearson",
    "robust.intervals.tango",
    "robust.intervals.delong",
    "robust.intervals.vacuous",
    "robust.intervals.exact",
    "robust.intervals.block",
    "robust.intervals.cluster",
    "robust.intervals.clipping",
    "robust.layers.sqnr_interval",
    "robust.measures.class_floors",
    "robust.measures.floors",
    "robust.intervals.order_statistics",
    "robust.measures.share_bounds",
    "robust.costing.median_bounds",
    "robust.mistakes.group_rates",
    "robust.crosscheck.row_intervals",
    "robust.crosscheck.worst_output",
    "robust.operating.f1_search",
    "robust.attacks.curve_sizing",
    "robust.attacks.output_quantile",
    "robust.certified.smoothing",
)

#: Numbers of the evidence that may be null: struct, field.
_NULLABLE = (
    ("Fact", "value"),
    ("Rows", "values"),
    ("Series", "values"),
    ("Slice", "lower"),
    ("Slice", "upper"),
    ("Slice", "value"),
    ("Values", "candidate"),
    ("Values", "reference"),
)


def bounded(m: Measurement) -> Bounded:
    """A measurement as the record keeps it."""
    return Bounded(
        name=m.name,
        value=_finite(m.value),
        lower=_finite(m.lower),
        upper=_finite(m.upper),
        level=m.level,
        n=m.n,
        unit=m.unit,
        higher_is_better=m.higher_is_better,
        method=m.method,
        sizing=None if m.sizing is None else _pack(m.sizing),
        reach=None if m.reach is None else (_finite(m.reach[0]), _finite(m.reach[1])),
        evidence=m.evidence,
        validity=m.validity,
        models=m.provenance.models,
        data=m.provenance.data,
        seed=m.provenance.seed,
        options=m.provenance.options,
        forward_rows=m.provenance.cost.forward_rows,
        backward_rows=m.provenance.cost.backward_rows,
        resolution=m.resolution,
        host=m.provenance.host,
        infinities=_infinities(m),
    )


def measurement(b: Bounded) -> Measurement:
    """A measurement as it was before it was kept, but for its row values."""
    sizing: Sizing | None = None if b.sizing is None else _unpack(b.sizing)
    return Measurement(
        name=b.name,
        value=_ending(b.number("value"), math.nan),
        lower=_ending(b.number("lower"), -math.inf),
        upper=_ending(b.number("upper"), math.inf),
        level=b.level,
        n=b.n,
        unit=b.unit,
        higher_is_better=b.higher_is_better,
        method=b.method,
        sizing=sizing,
        reach=None if b.reach is None else (_ending(b.reach[0], -math.inf), _ending(b.reach[1], math.inf)),
        evidence=b.evidence,
        validity=b.validity,
        provenance=Provenance(
            models=b.models,
            data=b.data,
            seed=b.seed,
            options=b.options,
            cost=Cost(forward_rows=b.forward_rows, backward_rows=b.backward_rows),
            host=b.host,
        ),
        resolution=b.resolution,
    )


def gate(name: str, verdict: Verdict) -> Gate:
    """A verdict as the record keeps it."""
    return Gate(
        name=name,
        operator=verdict.operator,
        limit=verdict.limit,
        status=verdict.status,
        decided_by=verdict.decided_by,
        bound=_finite(verdict.bound),
        margin=_finite(verdict.margin),
        needed_n=verdict.needed_n,
        reason=verdict.reason,
    )


def dump(record: Record) -> bytes:
    """A record as indented JSON."""
    return msgspec.json.format(encode(record), indent=2) + b"\n"


def load(path: Path) -> Record:
    """Read a record.

    Raises:
        InvalidInput: If the file is no record of a version that is understood.
    """
    try:
        content = path.read_bytes()
        head = msgspec.json.decode(content)
        if not isinstance(head, dict) or head.get("version") != VERSION:
            raise InvalidInput(f"{path} is no record of version {VERSION}")
        return decode(content, Record)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{path} cannot be read as a record: {error}") from error


def json_schema() -> bytes:
    """The JSON schema of the record."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Record)}
    for struct, name in _NULLABLE:
        place = schema["$defs"][struct]["properties"][name]
        place = place.get("items", place)
        known = place.pop("anyOf") if "anyOf" in place else [{"type": place.pop("type")}]
        place["anyOf"] = [*known, {"type": "null"}]
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


#: What a null stands for.
_IMPLIED: tuple[tuple[Part, float], ...] = (("value", math.nan), ("lower", -math.inf), ("upper", math.inf))


def _infinities(m: Measurement) -> dict[Part, Literal[-1, 1]]:
    """Infinite numbers that a null would not tell."""
    found: dict[Part, Literal[-1, 1]] = {}
    for part, implied in _IMPLIED:
        number = float(getattr(m, part))
        if math.isinf(number) and number != implied:
            found[part] = 1 if number > 0 else -1
    return found


def _ending(number: float | None, end: float) -> float:
    """A number, or what it stands for where the record has none."""
    return end if number is None else number


def _pack(sizing: Any) -> dict[str, Any]:
    """A sizing as plain data, with its class's name."""
    own = {field.name: _plain(getattr(sizing, field.name)) for field in dataclasses.fields(sizing)}
    return {"class": type(sizing).__name__} | own


def _plain(value: Any) -> Any:
    """A value of a sizing as JSON gives it back: lists for tuples, infinities as text, which JSON lacks."""
    if dataclasses.is_dataclass(value):
        return _pack(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _unpack(packed: dict[str, Any]) -> Any:
    """The sizing behind `_pack`'s data."""
    kind = _sizings().get(packed.get("class", ""))
    if kind is None:
        raise InvalidInput(f"a record names an unknown sizing {packed.get('class')!r}")
    return kind(**{name: _revived(value) for name, value in packed.items() if name != "class"})


def _revived(value: Any) -> Any:
    """A value of a sizing behind `_plain`'s data."""
    if isinstance(value, dict):
        return _unpack(value)
    if isinstance(value, list):
        return tuple(_revived(item) for item in value)
    return float(value) if value in ("inf", "-inf", "nan") else value


@cache
def _sizings() -> dict[str, type]:
    """Sizing classes by name."""
    found: dict[str, type] = {Affine.__name__: Affine}
    for home in _SIZING_HOMES:
        for name, value in vars(import_module(home)).items():
            if not isinstance(value, type) or value.__module__ != home:
                continue  # what a module only uses is at home elsewhere
            if dataclasses.is_dataclass(value) and hasattr(value, "at"):
                found[name] = value
    return found
