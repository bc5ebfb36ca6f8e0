"""Quantized candidates side by side: what each loses, covers and weighs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Figure, Finding
from robust.measures.details import numbers, words
from robust.models.base import Model
from robust.quantization.candidate_rows import CandidateRow, candidate_lines
from robust.quantization.stored_bytes import rom_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateTable:
    """Candidates in the order in which they were asked for.

    Args:
        reference: The model that they are compared with.
        metric: What they may lose.
        data: The rows.
        rows: The candidates.
        failed: Why others could not be built, by name.
        findings: What a reader must know of calibration and coverage.
    """

    reference: Model
    metric: str
    data: Dataset
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
        """The candidates as text, with what could not be built and what a reader must know."""
        text = candidate_lines(self.rows, self.reference, self.data)
        first = self.rows[0].degradation
        text.append(
            f"degradation of {self.metric} against {self.reference.name}, on {first.n} rows of {self.data.name}; "
            f"positive is worse; bounds are one-sided, each at {first.level:.4g} for its candidate by itself"
        )
        text += [f"not built: {name}: {reason}" for name, reason in self.failed]
        text += [f"note: {finding.text}" for finding in self.findings]
        return "\n".join(line.rstrip() for line in text)

    @property
    def reference_rom(self) -> int | None:
        """Bytes of the reference's weights and constants; None where they cannot be counted."""
        return rom_of(self.reference, self.data)

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


def _drawn(bound: float, value: float) -> float:
    """A bound as a chart has it: where there is none, the value itself."""
    return bound if math.isfinite(bound) else value
