"""The record of an audit: everything that was measured, as data; every report is made from it.

Version 1. The JSON schema beside this file is generated from these classes, and a test holds the two together.
Numbers that are infinite (a bound where nothing is proved) or NaN are null. Reading it back, a null in a bound is
infinite, on the side where nothing is proved, and any other NaN; `infinities` of a measurement says where it is not so.
"""

import math
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from robust.evidence import Evidence, SelfCheck
from robust.types import Purpose
from robust.verdict import Operator, Status

VERSION = 1
Part: TypeAlias = Literal["value", "lower", "upper"]


class Bounded(Struct, frozen=True, kw_only=True):
    """A measurement.

    `sizing` says how the bounds move with n, `reach` which values there can be (null has no end, or is what the unit
    says); `cost` is in rows asked of the models; `resolution` is by how much other settings of the host move the value,
    and `host` says which one it was. `infinities` holds the sign of a null that is an infinite value, or a bound that
    is infinite on the side where something is proved: a median change that breaks no row has no end.
    """

    name: str
    value: float | None
    lower: float | None
    upper: float | None
    level: float
    n: int
    unit: str
    higher_is_better: bool | None
    method: str
    sizing: dict[str, Any] | None
    evidence: tuple[Evidence, ...]
    validity: tuple[SelfCheck, ...]
    models: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    seed: int | None
    options: tuple[tuple[str, str], ...]
    forward_rows: int
    backward_rows: int
    reach: tuple[float | None, float | None] | None = None
    resolution: float = 0.0
    host: tuple[tuple[str, str], ...] = ()
    infinities: dict[Part, Literal[-1, 1]] = {}

    def number(self, part: Part) -> float | None:
        """A number, infinite where it is known to be; None where it is none or nothing is proved."""
        known: float | None = getattr(self, part)
        return math.inf * self.infinities[part] if known is None and part in self.infinities else known


class Gate(Struct, frozen=True, kw_only=True):
    """A gate and how it was settled."""

    name: str
    operator: Operator
    limit: float
    status: Status
    decided_by: Literal["lower", "upper", "value"]
    bound: float | None
    margin: float | None
    needed_n: int | None
    reason: str


class Entry(Struct, frozen=True, kw_only=True):
    """One measurement of a check, with its gate where there is one."""

    code: str
    name: str
    title: str
    measurement: Bounded
    gate: Gate | None = None


class Skipped(Struct, frozen=True, kw_only=True):
    """A check that did not run, and why: an input that it would need, or an error."""

    code: str
    name: str
    title: str
    reason: str
    failed: bool = False
    gated: bool = False


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model that took part; `noise` is what a second pass in another order and batch size changed."""

    role: Literal["candidate", "reference", "surrogate"]
    name: str
    framework: str
    sha256: str
    noise: "Noise | None" = None


class Noise(Struct, frozen=True, kw_only=True):
    """The host's own noise: rows predicted again in another order and other batches."""

    rows: int
    decisions_changed: int
    largest_difference: float


class DataInfo(Struct, frozen=True, kw_only=True):
    """Data that took part."""

    role: Literal["test", "train", "validation", "normal"]
    name: str
    sha256: str
    rows: int
    row_shape: tuple[int, ...]
    features: tuple[str, ...]
    unused: tuple[str, ...]
    slices: tuple[str, ...]
    ordered: bool
    grouped: bool


class Host(Struct, frozen=True, kw_only=True):
    """Where it ran: answers of quantized models differ between processors."""

    python: str
    platform: str
    processor: str
    cpu_features: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]


class Times(Struct, frozen=True, kw_only=True):
    """All that differs between two runs on the same input: when, how long, what came from the cache."""

    started: str
    seconds: float
    checks: tuple[tuple[str, float], ...]
    from_cache: tuple[str, ...]


class Record(Struct, frozen=True, kw_only=True):
    """One audit."""

    version: int
    robust: str
    title: str
    task: Purpose
    level: float
    seed: int
    decide: Literal["bound", "value"]
    models: tuple[ModelInfo, ...]
    data: tuple[DataInfo, ...]
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]
    host: Host
    exit_code: int
    interrupted: bool
    times: Times
