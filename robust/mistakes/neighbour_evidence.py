"""Evidence of what the training rows near the mistakes say."""

from collections.abc import Sequence

import numpy as np

from robust.evidence import Evidence, Fact, Figure, Finding, Rows
from robust.measures.details import numbers, words
from robust.mistakes.neighbours import MistakeNeighbours

#: Mistakes that are told with their neighbours, and ids in a list.
_TOLD, _LISTED = 5, 10


def neighbour_evidence(
    mistakes: Sequence[MistakeNeighbours], *, total: int, k: int, notes: Sequence[str]
) -> tuple[Evidence, ...]:
    """Mistakes that the training rows suggest, some of them with their neighbours, and how many neighbours agree.

    Args:
        mistakes: Those that were looked up, most confident first.
        total: Mistakes in all.
        k: Neighbours of each.
        notes: How distances were measured.

    Returns:
        A finding where the same inputs are among the training rows under the predicted label, rows, facts, and a bar
        chart; the facts alone where there are no mistakes.
    """
    how = Fact(name="how rows are compared", value="; ".join(notes))
    if not mistakes:
        return (Fact(name="mistakes", value="none: there is nothing to look up"), how)
    suggested = [mistake for mistake in mistakes if mistake.agreeing == k]
    found: list[Evidence] = []
    same = [mistake for mistake in mistakes if mistake.contradicted]
    if same:
        many = len(same) > 1
        found.append(
            Finding(
                text=f"{len(same)} of {len(mistakes)} mistakes {'have' if many else 'has'} the same inputs among the "
                f"training rows under the label that was predicted: one of the two labels is wrong, first that of row "
                f"{same[0].id}, {same[0].label} taken for {same[0].predicted}"
            )
        )
    found.append(
        Rows(
            what=f"mistakes whose {k} nearest training rows all carry the predicted label, by distance to the first",
            ids=tuple(mistake.id for mistake in suggested[:_LISTED]),
            values=tuple(float(f"{mistake.neighbours[0].distance:.4g}") for mistake in suggested[:_LISTED]),
            total=len(suggested),
        )
    )
    for mistake in mistakes[:_TOLD]:
        near = ", ".join(f"row {row.id} (label {row.label}, {row.distance:.3g})" for row in mistake.neighbours)
        found.append(
            Fact(name=f"near row {mistake.id}, {mistake.label} taken for {mistake.predicted}", value=near),
        )
    found.append(Fact(name="mistakes looked up", value=f"{len(mistakes)} of {total}"))
    return (*found, how, _figure(mistakes, k))


def _figure(mistakes: Sequence[MistakeNeighbours], k: int) -> Figure:
    """How many mistakes have 0 … k neighbours with the predicted label."""
    counts = np.bincount([mistake.agreeing for mistake in mistakes], minlength=k + 1)
    return Figure(
        kind="bar",
        title=f"Mistakes by how many of {k} nearest training rows carry the predicted label",
        x_title="neighbours with the predicted label",
        y_title="mistakes",
        columns=(words("x", [str(i) for i in range(k + 1)]), numbers("y", counts.astype(np.float64))),
        note="0: the model goes against its training rows; all: inputs are alike, or labels are wrong",
    )
