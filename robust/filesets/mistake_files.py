"""The files about a classifier's mistakes."""

from dataclasses import dataclass
from typing import Any

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Figure
from robust.filesets.folder_writer import FolderWriter
from robust.filesets.plain_results import findings, plain_measurement
from robust.filesets.testing_options import Testing
from robust.mistakes.grouped_errors import ErrorGroups, error_groups
from robust.mistakes.nearest_rows import NearestRows, nearest_training_rows
from robust.mistakes.sample_files import FOLDER, write_error_samples
from robust.mistakes.spreadsheet_cells import csv_line
from robust.mistakes.suspected_labels import LabelErrors, label_errors
from robust.mistakes.wrong_rows import judge_rows
from robust.models.base import Model
from robust.report.drawing import png

GROUPS, LABELS, NEIGHBOURS = "error_groups_test.png", "label_errors.csv", "nearest_training_rows.csv"
_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MistakeTest:
    """What is known of a classifier's mistakes.

    Args:
        saved: Files of error samples.
        groups: Mistakes by column; None where there is no column.
        labels: Suspected labels; None where there are no scores.
        neighbours: Nearest training rows; None without training rows.
    """

    saved: int
    groups: ErrorGroups | None
    labels: LabelErrors | None
    neighbours: NearestRows | None

    @property
    def lines(self) -> list[str]:
        """What stands out, a sentence each."""
        lines = []
        if self.groups is not None:
            lines += [str(self.groups), *findings(self.groups)]
        if self.labels is not None:
            lines += [str(self.labels), *findings(self.labels)]
            lines += [check.reason for check in self.labels.validity if not check.passed]
        if self.neighbours is not None:
            lines.append(self.neighbours.sentence)
        return lines

    @property
    def results(self) -> dict[str, Any]:
        """The same as plain data."""
        found: dict[str, Any] = {"error_samples": self.saved}
        if self.groups is not None:
            found["error_groups"] = plain_measurement(self.groups) | {
                "findings": findings(self.groups),
                "columns": [
                    {
                        "by": column.by,
                        "p": column.p,
                        "p_adjusted": column.p_adjusted,
                        "method": column.method,
                        "groups": [
                            {
                                "value": rate.value,
                                "n": rate.n,
                                "errors": rate.errors,
                                "rate": rate.rate,
                                "lower": rate.lower,
                                "upper": rate.upper,
                            }
                            for rate in column.groups
                        ],
                    }
                    for column in self.groups.columns
                ],
            }
        if self.labels is not None:
            found["label_errors"] = plain_measurement(self.labels) | {
                "estimated_noise": self.labels.noise,
                "suspects": [
                    {"id": row.id, "label": row.label, "suggested": row.suggested, "margin": row.margin}
                    for row in self.labels.suspects[:_LISTED]
                ],
            }
        if self.neighbours is not None:
            found["nearest_training_rows"] = self.neighbours.sentence
        return found


def mistake_files(
    writer: FolderWriter,
    model: Model,
    data: Dataset,
    train: Dataset | None,
    testing: Testing,
    *,
    level: float,
    seed: int,
) -> MistakeTest:
    """Write error samples, groups, suspected labels and nearest training rows.

    Args:
        writer: Of the folder.
        model: The classifier.
        data: Rows with targets.
        train: The rows that it was trained on, or None.
        testing: What is asked for.
        level: Confidence of each bound.
        seed: Seed of simulated tests.

    Returns:
        What was found.
    """
    saved = 0
    if testing.save_errors:
        files = write_error_samples(judge_rows(model, data), writer.files, most_per_class=testing.max_errors_per_class)
        saved = len(files)
        if not files:
            writer.skip(f"{FOLDER}/error_001.csv", "there are no mistakes")
    groups: ErrorGroups | None = None
    labels: LabelErrors | None = None
    neighbours: NearestRows | None = None
    try:
        groups = error_groups(model, data, level=level, seed=seed)
        writer.put(GROUPS, png(next(item for item in groups.evidence if isinstance(item, Figure))))
    except InvalidInput as error:
        writer.skip(GROUPS, str(error))
    try:
        labels = label_errors(model, data, train=train, level=level, seed=seed)
        writer.put(LABELS, _suspects_csv(labels))
    except InvalidInput as error:
        writer.skip(LABELS, str(error))
    if train is None:
        writer.skip(NEIGHBOURS, "no training rows were given")
    else:
        try:
            neighbours = nearest_training_rows(model, data, train, k=min(3, len(train)))
            writer.put(NEIGHBOURS, neighbours.csv)
        except InvalidInput as error:
            writer.skip(NEIGHBOURS, str(error))
    return MistakeTest(saved=saved, groups=groups, labels=labels, neighbours=neighbours)


def _suspects_csv(labels: LabelErrors) -> str:
    """One line a suspected label, the most suspect first."""
    lines = [csv_line(("row", "label", "suggested", "margin"))]
    lines += [csv_line((str(row.id), row.label, row.suggested, repr(row.margin))) for row in labels.suspects]
    return "".join(lines)
