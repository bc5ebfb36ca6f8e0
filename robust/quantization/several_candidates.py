"""Several candidates against one reference."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from robust.data.dataset import Dataset
from robust.evidence import Flips, Values
from robust.measurement import Measurement
from robust.models.base import Model
from robust.quantization.coverage import coverage_by_layer
from robust.quantization.stored_bytes import rom_of

_HEAD = (
    *("candidate", "value", "degradation", "lower", "upper", "right->wrong", "wrong->right"),
    *("weights", "MACC", "ROM"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Degradations(Mapping[str, Measurement]):
    """The degradation of each of several candidates, by name; the reference was asked once.

    The bounds of each hold by themselves at `level`; those of `simultaneous()` hold for all candidates at once.

    Args:
        reference: The model compared with.
        candidates: The models under test.
        data: The rows.
        level: Level of each bound.
        measured: The degradation of each candidate, in the order given.
        measure: Measures all again with bounds of another level.
    """

    reference: Model
    candidates: Mapping[str, Model]
    data: Dataset
    level: float
    measured: Mapping[str, Measurement]
    measure: Callable[[float], Mapping[str, Measurement]]

    # numpy scalars on the left of a comparison must hand it to us.
    __array_ufunc__: ClassVar[None] = None

    def __getitem__(self, name: str) -> Measurement:
        try:
            return self.measured[name]
        except KeyError:
            raise KeyError(f"{name!r} is no candidate; there are {', '.join(map(repr, self.measured))}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.measured)

    def __len__(self) -> int:
        return len(self.measured)

    def simultaneous(self) -> "Degradations":
        """The same with bounds that hold for all k candidates at once at `level` (Bonferroni).

        Each bound is one-sided at 1 − (1 − level)/k: to pick the best candidate by its bound, take these.
        """
        level = 1 - (1 - self.level) / len(self.measured)
        return Degradations(
            reference=self.reference,
            candidates=self.candidates,
            data=self.data,
            level=level,
            measured=self.measure(level),
            measure=self.measure,
        )

    def table(self) -> str:
        """One line a candidate: the metric, degradation, bounds, flips both ways, quantized shares, bytes of weights.

        What cannot be read is a dash.
        """
        rows = [_HEAD, *(self._row(name, m) for name, m in self.measured.items())]
        rows.append(("(reference)", *_reference_value(self.measured), *[""] * 5, *_stored(self.reference, self.data)))
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        first = next(iter(self.measured.values()))
        note = f"{first.name} in {first.unit}, positive is worse; each bound one-sided at {100 * self.level:.4g} %, "
        return "\n".join([*lines, f"{note}n={first.n}"])

    def _row(self, name: str, m: Measurement) -> tuple[str, ...]:
        values = next((part for part in m.evidence if isinstance(part, Values)), None)
        found = next((part for part in m.evidence if isinstance(part, Flips)), None)
        flips = ("-", "-") if found is None else (str(found.right_to_wrong), str(found.wrong_to_right))
        value = "-" if values is None else f"{values.candidate:.4f}"
        numbers = (f"{number:.4f}" if math.isfinite(number) else "-" for number in (m.value, m.lower, m.upper))
        return name, value, *numbers, *flips, *_stored(self.candidates[name], self.data)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Degradations of {', '.join(self.measured)} against {self.reference.name}>"

    def _refuse(self, _other: object) -> NoReturn:
        names = list(self.measured)
        raise TypeError(
            f"{len(names)} degradations are not compared at once: assert each, e.g. "
            f"degradations[{names[0]!r}] < percent(1), or "
            "all(m < percent(1) for m in degradations.simultaneous().values())"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __eq__(self, other: object) -> bool:
        """Itself alone; a number is refused, as a silent False would be."""
        if isinstance(other, int | float | Measurement):
            self._refuse(other)
        return self is other

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        self._refuse(None)


def _reference_value(measured: Mapping[str, Measurement]) -> tuple[str]:
    """The metric of the reference."""
    first = next(iter(measured.values()))
    values = next((part for part in first.evidence if isinstance(part, Values)), None)
    return ("-" if values is None else f"{values.reference:.4f}",)


def _stored(model: Model, data: Dataset) -> tuple[str, str, str]:
    """Shares of weights and multiply-accumulates that are quantized, and bytes of all weights; dashes where unknown."""
    found = coverage_by_layer(model, data=data)
    shares = ["-" if share is None else f"{100 * share:.4g} %" for share in (found.weights, found.macc)]
    rom = rom_of(model, data)
    return shares[0], shares[1], "-" if rom is None else f"{rom:,} B"
