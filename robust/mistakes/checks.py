"""The checks of mistakes in the catalogue."""

from dataclasses import dataclass

from robust.check import Check, Subject
from robust.measurement import Measurement
from robust.mistakes.grouped_errors import error_groups
from robust.mistakes.nearest_rows import nearest_training_rows
from robust.mistakes.suspected_labels import label_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOptions:
    """What a gate on grouped mistakes may set.

    Args:
        by: Columns to group by; none for all.
        least: Fewest rows of a value.
    """

    by: tuple[str, ...] = ()
    least: int = 5


def _groups(subject: Subject, options: GroupOptions) -> Measurement:
    return error_groups(
        subject.model,
        subject.test,
        by=options.by or None,
        least=options.least,
        level=subject.level,
        seed=subject.seed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourOptions:
    """What a gate on nearest training rows may set.

    Args:
        k: Neighbours of each mistake.
        most: Mistakes that are looked up, the most confident first.
    """

    k: int = 3
    most: int = 100


def _neighbours(subject: Subject, options: NeighbourOptions) -> Measurement:
    return nearest_training_rows(
        subject.model,
        subject.test,
        subject.train,
        k=options.k,
        most=options.most,
        level=subject.level,
        seed=subject.seed,
    )


def _labels(subject: Subject, _options: object) -> Measurement:
    return label_errors(subject.model, subject.test, train=subject.train, level=subject.level, seed=subject.seed)


CHECKS = (
    Check(
        code="MET031",
        name="error_groups",
        title="error rate of the worst group",
        measure=error_groups,
        run=_groups,
        options=GroupOptions,
        needs=frozenset({"targets", "metadata", "classification"}),
        why="Mistakes that all come from one recording, site or device have one cause, which an average hides.",
        remedy=(
            "Look at the rows of the groups that are named: a sensor, a setting, a habit of labelling; give "
            "training more such rows, or split the data by that column before training."
        ),
    ),
    Check(
        code="MET032",
        name="label_errors",
        title="labels that look wrong",
        measure=label_errors,
        run=_labels,
        needs=frozenset({"targets", "classification"}),
        why=(
            "Wrong labels in test rows make good models look bad and hide what bad ones do; the share says how many "
            "labels to look at, it does not judge the model."
        ),
        remedy=(
            "Look at the suspected rows, the most suspect first, and mend labels that are wrong; where they are right, "
            "the model is confidently wrong there. Use probabilities for rows that the model was not trained on."
        ),
    ),
    Check(
        code="MET033",
        name="nearest_training_rows",
        title="mistakes that training rows suggest",
        measure=nearest_training_rows,
        run=_neighbours,
        options=NeighbourOptions,
        needs=frozenset({"targets", "train", "classification"}),
        why=(
            "A mistake whose nearest training rows all carry the label that was predicted was learnt from them: the "
            "inputs look alike, or a label is wrong. One whose neighbours carry the true label is the model's own."
        ),
        remedy=(
            "Look at the mistakes beside their neighbours. Where these carry the predicted label, mend labels or give "
            "the model inputs that tell the two classes apart; where they carry the true one, train longer, or with "
            "less regularisation, or take a larger model."
        ),
    ),
)
