"""Quantized candidates side by side: what each loses, covers and weighs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from robust.errors import InvalidInput
from robust.evidence import Figure, Finding, Flips
from robust.measurement import Measurement
from robust.measures.details import numbers, words
from robust.models.base import Model
from robust.quantization.coverage import Coverage

_COLUMNS = ("candidate", "degradation", "lower", "upper", "lost", "won", "weights", "MACC", "ROM bytes")
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateRow:
    """One candidate.

    Args:
        name: How it was made, e.g. `entropy`.
        model: The candidate.
        degradation: What it loses, paired by row; its bounds hold for it alone.
        coverage: What share of it is quantized.
        rom: Bytes of its weights and constants; None where they cannot be counted.
    """

    name: str
    model: Model
    degradation: Measurement
    coverage: Coverage
    rom: int | None

    @property
    def flips(self) -> Flips | None:
        """Rows that turned wrong, and right; None for metrics without right and wrong."""
        return next((fact for fact in self.degradation.evidence if isinstance(fact, Flips)), None)

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        m, flips, coverage = self.degradation, self.flips, self.coverage
        return (
            self.name,
            *(f"{number:.4f}" for number in (m.value, m.lower, m.upper)),
            *(_UNKNOWN if flips is None else str(count) for count in _counts(flips)),
            *(_UNKNOWN if share is None else f"{100 * share:.4g} %" for share in (coverage.weights, coverage.macc)),
            _UNKNOWN if self.rom is None else f"{self.rom:,}",
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateTable:
    """Candidates in the order in which they were asked for.

    Args:
        reference: Name of the model that they are compared with.
        reference_rom: Bytes of its weights and constants; None where they cannot be counted.
        metric: What they may lose.
        data: Name of the rows.
        rows: The candidates.
        failed: Why others could not be built, by name.
        findings: What a reader must know of calibration and coverage.
    """

    reference: str
    reference_rom: int | None
    metric: str
    data: str
    rows: tuple[CandidateRow, ...]
    failed: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = field(default=())

    def __iter__(self) -> Iterator[CandidateRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> CandidateRow:
        """The candidate of a name.

        Raises:
            InvalidInput: If there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise InvalidInput(
            f"there is no candidate {name!r}; the candidates are {', '.join(row.name for row in self.rows)}"
        )

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The candidates as text: value and one-sided bounds of each by itself, rows lost and won, coverage, ROM."""
        lines = [_COLUMNS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
        text = [
            "  ".join(_padded(cell, width, i) for i, (cell, width) in enumerate(zip(line, widths, strict=True)))
            for line in lines
        ]
        first = self.rows[0].degradation
        rom = "" if self.reference_rom is None else f", {self.reference_rom:,} bytes of ROM"
        text.append(
            f"degradation of {self.metric} against {self.reference}{rom}, on {first.n} rows of {self.data}; positive "
            f"is worse; bounds are one-sided, each at {first.level:.4g} for its candidate by itself"
        )
        text += [f"not built: {name}: {reason}" for name, reason in self.failed]
        text += [f"note: {finding.text}" for finding in self.findings]
        return "\n".join(line.rstrip() for line in text)

    @property
    def figure(self) -> Figure:
        """The degradations with their bounds."""
        measured = [row.degradation for row in self.rows]
        return Figure(
            kind="interval",
            title=f"Degradation of {self.metric} by calibration",
            x_title="degradation (positive is worse)",
            y_title="candidate",
            columns=(
                words("y", [row.name for row in self.rows]),
                numbers("x", np.array([m.value for m in measured])),
                numbers("lower", np.array([_drawn(m.lower, m.value) for m in measured])),
                numbers("upper", np.array([_drawn(m.upper, m.value) for m in measured])),
            ),
            rules=(("x", 0.0, ""),),
            note=f"bounds of each candidate by itself, one-sided at {measured[0].level:.4g}",
        )


def _counts(flips: Flips | None) -> tuple[int, int]:
    return (0, 0) if flips is None else (flips.right_to_wrong, flips.wrong_to_right)


def _padded(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def _drawn(bound: float, value: float) -> float:
    """A bound as a chart has it: where there is none, the value itself."""
    return bound if math.isfinite(bound) else value
