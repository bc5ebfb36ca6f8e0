"""Several candidates against one reference."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from robust.data.dataset import Dataset
from robust.measurement import Measurement
from robust.models.base import Model
from robust.quantization.candidate_rows import candidate_lines, candidate_row


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
        rows = [candidate_row(name, self.candidates[name], m, self.data) for name, m in self.measured.items()]
        lines = [line.rstrip() for line in candidate_lines(rows, self.reference, self.data)]
        first = next(iter(self.measured.values()))
        note = f"{first.name} in {first.unit}, positive is worse; each bound one-sided at {100 * self.level:.4g} %, "
        return "\n".join([*lines, f"{note}n={first.n}"])

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
