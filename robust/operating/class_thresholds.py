"""One threshold table a class, each class against the rest."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from robust.data.live import as_data
from robust.errors import InvalidInput
from robust.measures.score_thresholds import ThresholdTable, threshold_table
from robust.models.base import Label
from robust.models.conversion import as_model
from robust.operating.positive_class import class_columns
from robust.predicting.predictions import predict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTables:
    """Threshold tables of the classes of a model.

    Args:
        tables: Class and table, in the order of the model's classes.
        pooled: Over all pairs of a row and a class, the class's score against whether the row is of it (the micro
            average); None for two classes.
        absent: Classes without a table: no row, or every row, is of them.
    """

    tables: tuple[tuple[Label, ThresholdTable], ...]
    pooled: ThresholdTable | None
    absent: tuple[Label, ...]

    @property
    def overall(self) -> ThresholdTable:
        """The one table of the model: of the second of two classes, or pooled over all."""
        return self.tables[-1][1] if self.pooled is None else self.pooled


def class_tables(model: Any, data: Any) -> ClassTables:
    """Rates, precision and F1 at every threshold on each class's score, one class against the rest.

    As `threshold_table`, with the rows of a class as positive and its probability as score.

    Args:
        model: Anything `as_model` takes, with probabilities or logits; a multi-label model has a table a label.
        data: Anything `as_data` takes, with targets.

    Returns:
        The tables. A class of which the data has no row, or nothing else, has none: it is listed as absent.

    Raises:
        InvalidInput: If the model is a regression model or gives labels only, or no class can be judged.
        ModelFault: If the model breaks its contract.

    >>> net = as_model(lambda x: np.hstack([1 - x, x]), output="probabilities")
    >>> found = class_tables(net, (np.array([[0.1], [0.4], [0.35], [0.8]]), [0, 0, 1, 1]))
    >>> [label for label, _ in found.tables], found.overall.tpr.tolist()
    ([0, 1], [1.0, 1.0, 0.5, 0.5, 0.0])
    """
    judged, rows = as_model(model), as_data(data)
    predictions = predict(judged, rows)
    if predictions.task == "regression":
        raise InvalidInput(f"{judged.name} is a regression model; thresholds on class scores need a classifier")
    columns = class_columns(predictions, rows, tuple(range(len(predictions.classes))))
    judgeable = [column for column in columns if column.truth.any() and not column.truth.all()]
    if not judgeable:
        raise InvalidInput(f"all rows of {rows.name} are alike: a threshold needs rows of a class and of others")
    pooled = None
    if predictions.task == "multilabel" or len(columns) > 2:
        pooled = threshold_table(
            np.concatenate([column.truth for column in columns]), np.concatenate([column.scores for column in columns])
        )
    return ClassTables(
        tables=tuple((column.label, threshold_table(column.truth, column.scores)) for column in judgeable),
        pooled=pooled,
        absent=tuple(column.label for column in columns if column not in judgeable),
    )
