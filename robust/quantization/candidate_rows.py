"""One quantized candidate as a line of a table: what it loses, covers and weighs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from robust.data.dataset import Dataset
from robust.evidence import Flips, Values
from robust.measurement import Measurement
from robust.models.base import Model
from robust.quantization.coverage import Coverage, coverage_by_layer
from robust.quantization.stored_bytes import rom_of

HEAD = (
    *("candidate", "value", "degradation", "lower", "upper", "right->wrong", "wrong->right"),
    *("weights", "MACC", "ROM"),
)
_UNKNOWN = "-"


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
        """The row as text; what cannot be read is a dash."""
        m, flips = self.degradation, self.flips
        values = next((fact for fact in m.evidence if isinstance(fact, Values)), None)
        counts = (None, None) if flips is None else (flips.right_to_wrong, flips.wrong_to_right)
        return (
            self.name,
            _UNKNOWN if values is None else f"{values.candidate:.4f}",
            *(f"{number:.4f}" if math.isfinite(number) else _UNKNOWN for number in (m.value, m.lower, m.upper)),
            *(_UNKNOWN if count is None else str(count) for count in counts),
            *_stored(self.coverage, self.rom),
        )


def candidate_row(name: str, candidate: Model, loss: Measurement, data: Dataset) -> CandidateRow:
    """A candidate with its coverage and size.

    Args:
        name: How it is called.
        candidate: The candidate.
        loss: Its degradation.
        data: Rows, one of which is run where the framework has to be watched.
    """
    return CandidateRow(
        name=name,
        model=candidate,
        degradation=loss,
        coverage=coverage_by_layer(candidate, data=data),
        rom=rom_of(candidate, data),
    )


def candidate_lines(rows: Sequence[CandidateRow], reference: Model, data: Dataset) -> list[str]:
    """A table with a line a candidate, and one of the reference: metric, degradation, bounds, flips, coverage, ROM.

    Args:
        rows: The candidates, at least one.
        reference: What they are compared with.
        data: Rows, one of which is run where the framework has to be watched.
    """
    values = next((fact for fact in rows[0].degradation.evidence if isinstance(fact, Values)), None)
    value = _UNKNOWN if values is None else f"{values.reference:.4f}"
    held = _stored(coverage_by_layer(reference, data=data), rom_of(reference, data))
    cells = [HEAD, *(row.cells() for row in rows), ("(reference)", value, *[""] * 5, *held)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def _stored(coverage: Coverage, rom: int | None) -> tuple[str, str, str]:
    """Shares of weights and multiply-accumulates that are quantized, and bytes of all weights."""
    shares = [_UNKNOWN if share is None else f"{100 * share:.4g} %" for share in (coverage.weights, coverage.macc)]
    return shares[0], shares[1], _UNKNOWN if rom is None else f"{rom:,} B"
