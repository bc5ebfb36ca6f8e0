"""Two models side by side in the words of a `testing` folder."""

from dataclasses import dataclass

from robust.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelComparison:
    """A float model and the quantized one, on the same rows.

    Args:
        accuracies: Accuracy of the float and of the quantized model.
        f1s: Macro-averaged F1 of each.
        degradation: Accuracy of the float model less that of the quantized one, paired by row: positive is worse.
        coverages: Share of the weights of each that is held in 8 bits or fewer; None where it cannot be read.
    """

    accuracies: tuple[Measurement, Measurement]
    f1s: tuple[Measurement, Measurement]
    degradation: Measurement
    coverages: tuple[float | None, float | None]

    @property
    def text(self) -> str:
        """The block of lines, with the degradation in percentage points."""
        lines = []
        titles = [
            f"{_named(coverage, role)}:" for coverage, role in zip(self.coverages, ("Float", "Candidate"), strict=True)
        ]
        for title, accuracy, f1 in zip(titles, self.accuracies, self.f1s, strict=True):
            lines += [title, f"  Accuracy: {_points(accuracy.value)}%", f"  F1-Score: {f1.value:.3f}"]
        return "\n".join([*lines, f"Degradation: {_points(self.degradation.value)}%"])

    @property
    def bounds(self) -> str:
        """The bounds of the degradation in a line."""
        m = self.degradation
        return (
            f"in percentage points, {100 * (2 * m.level - 1):.3g}% two-sided {_points(m.lower)} .. {_points(m.upper)} "
            f"({m.method}, n={m.n})"
        )


def _named(coverage: float | None, role: str) -> str:
    """A model by how it keeps its weights, or by its part in the comparison where that is not known."""
    if coverage is None:
        return f"{role} Model"
    if coverage == 0:
        return "Float32 Model" if role == "Float" else f"{role} Model (no quantized weights)"
    return "INT8 Quantized Model" if role == "Candidate" else f"{role} Model ({100 * coverage:.3g}% quantized weights)"


def _points(share: float) -> str:
    """A share in percent with one decimal, without a sign before zero."""
    text = f"{100 * share:.1f}"
    return "0.0" if text == "-0.0" else text
