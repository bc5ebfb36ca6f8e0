"""The files of a regression model's test."""

from dataclasses import dataclass
from typing import Any

from robust.data.dataset import Dataset
from robust.evidence import Figure
from robust.filesets.folder_writer import FolderWriter
from robust.filesets.plain_results import number as plain_number
from robust.filesets.plain_results import plain_measurement
from robust.filesets.testing_options import RegressionParts
from robust.measurement import Measurement
from robust.measures.all_regression import RegressionMetrics, regression_metrics
from robust.measures.each_output import output_name
from robust.models.base import Model
from robust.report.drawing import png

SCATTER, RESIDUALS, REPORT = "actual_vs_predicted_test.png", "residuals_test.png", "regression_report.txt"
_TITLES = {
    "mse": "Mean Squared Error (MSE)",
    "mae": "Mean Absolute Error (MAE)",
    "r2": "R² Score",
    "max_error": "Max Error",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegressionTest:
    """What the files of a regression model rest on.

    Args:
        metrics: All metrics.
        parts: What was asked for.
    """

    metrics: RegressionMetrics
    parts: RegressionParts

    @property
    def text(self) -> str:
        """Four figures that everybody knows, each output's by itself, then every metric with its bounds."""
        asked = {"mse": self.parts.mse, "mae": self.parts.mae, "r2": self.parts.r2, "max_error": True}
        missing = dict(self.metrics.missing)
        lines = [
            f"{_TITLES[name]}: {_shown(self.metrics.measurements.get(name))}"
            for name, wanted in asked.items()
            if wanted
        ]
        lines += self._output_lines([name for name, wanted in asked.items() if wanted])
        lines += ["", *(str(m) for m in self.metrics)]
        return "\n".join([*lines, *(f"{name} not measured: {reason}" for name, reason in missing.items())]) + "\n"

    @property
    def results(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "metrics": {m.name: plain_measurement(m) for m in self.metrics},
            "not_measured": dict(self.metrics.missing),
        } | ({"outputs": self._outputs} if self.metrics.by_output else {})

    @property
    def _outputs(self) -> list[dict[str, Any]]:
        """Each of several outputs as plain data: its number, counted from 1, and its values."""
        return [
            {"output": number, "metrics": {name: plain_number(value) for name, value in values.items()}}
            for number, values in enumerate(self.metrics.by_output, start=1)
        ]

    def _output_lines(self, names: list[str]) -> list[str]:
        """A line an output, where there are several: the figures above are their averages, or their largest error."""
        outputs = self.metrics.by_output
        if not outputs:
            return []
        lines = []
        for j, values in enumerate(outputs):
            shown = (f"{name} {values[name]:.6g}" if name in values else f"{name} undefined" for name in names)
            lines.append(f"{output_name(j, len(outputs))}: {', '.join(shown)}")
        return ["", *lines]


def regression_files(
    writer: FolderWriter, model: Model, data: Dataset, parts: RegressionParts, *, level: float, seed: int
) -> RegressionTest:
    """Write the report and the pictures of a regression model.

    Args:
        writer: Of the folder.
        model: The model.
        data: Rows with targets.
        parts: What is asked for.
        level: Confidence of each bound.
        seed: Seed of bootstraps.

    Returns:
        What the files rest on.
    """
    found = RegressionTest(metrics=regression_metrics(model, data, level=level, seed=seed), parts=parts)
    if parts.scatter_plot:
        for name, metric in ((SCATTER, "rmse"), (RESIDUALS, "mse")):
            figures = [item for item in found.metrics[metric].evidence if isinstance(item, Figure)]
            writer.put(name, png(figures[0]))
    writer.put(REPORT, found.text)
    return found


def _shown(m: Measurement | None) -> str:
    return "undefined" if m is None else f"{m.value:.6g}"
